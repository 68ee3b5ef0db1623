;;! bounds=explicit
(module
  (memory 1)
  (memory 0 1)
  (func (param i32) (result i32) (i32.load offset=8 (local.get 0)))
  (func (param i32) (i32.store 1 (local.get 0) (i32.const 7)))
  (func (result i32) (i32.load (i32.const 65532)))
  (func (result i32) (i32.load (i32.const 65533))))

;; declare void @jw_trap(i32) cold noreturn
;;
;; define i32 @f0(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr i8, ptr %vm, i64 32
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   %4 = getelementptr i8, ptr %3, i64 8
;;   %5 = load i64, ptr %4, !tbaa !6
;;   %6 = sub i64 %5, 12
;;   %7 = icmp ugt i64 %1, %6
;;   br i1 %7, label %t5, label %b1, !prof !0
;; b1:
;;   %8 = getelementptr i8, ptr %m0, i64 %1
;;   %9 = getelementptr i8, ptr %8, i64 8
;;   %10 = load i32, ptr %9, align 1, !tbaa !4
;;   ret i32 %10
;; t5:
;;   call void @jw_trap(i32 5)
;;   unreachable
;; }
;;
;; define void @f1(ptr noundef %vm, i32 noundef %0) noimplicitfloat #0 {
;; b0:
;;   %m1.p = getelementptr i8, ptr %vm, i64 24
;;   %m1 = load ptr, ptr %m1.p, !invariant.load !1, !tbaa !6
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr i8, ptr %vm, i64 40
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   %4 = getelementptr i8, ptr %3, i64 8
;;   %5 = load i64, ptr %4, !tbaa !6
;;   %6 = icmp ult i64 %5, 4
;;   br i1 %6, label %t5, label %b1, !prof !0
;; b1:
;;   %7 = sub i64 %5, 4
;;   %8 = icmp ugt i64 %1, %7
;;   br i1 %8, label %t5, label %b2, !prof !0
;; b2:
;;   %9 = getelementptr i8, ptr %m1, i64 %1
;;   store i32 7, ptr %9, align 1, !tbaa !4
;;   ret void
;; t5:
;;   call void @jw_trap(i32 5)
;;   unreachable
;; }
;;
;; define i32 @f2(ptr noundef %vm) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %0 = getelementptr i8, ptr %m0, i64 65532
;;   %1 = load i32, ptr %0, align 1, !tbaa !4
;;   ret i32 %1
;; }
;;
;; define i32 @f3(ptr noundef %vm) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %0 = getelementptr i8, ptr %vm, i64 32
;;   %1 = load ptr, ptr %0, !invariant.load !1, !tbaa !6
;;   %2 = getelementptr i8, ptr %1, i64 8
;;   %3 = load i64, ptr %2, !tbaa !6
;;   %4 = icmp ult i64 %3, 65537
;;   br i1 %4, label %t5, label %b1, !prof !0
;; b1:
;;   %5 = getelementptr i8, ptr %m0, i64 65533
;;   %6 = load i32, ptr %5, align 1, !tbaa !4
;;   ret i32 %6
;; t5:
;;   call void @jw_trap(i32 5)
;;   unreachable
;; }
