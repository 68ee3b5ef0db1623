(module
  (memory i64 1)
  (func (param i64) (result i32) (i32.load offset=8 (local.get 0)))
  (func (param i64) (result i32) (i32.load offset=0x100000000 (local.get 0)))
  (func (param i64) (result i64) (memory.grow (local.get 0)))
  (func (param i64 i32 i64) (memory.fill (local.get 0) (local.get 1) (local.get 2))))

;; declare i64 @jw_memory_grow(ptr, i64)
;; declare void @jw_memory_fill(ptr, i64, i32, i64)
;; declare void @jw_trap(i32) cold noreturn
;;
;; define i32 @f0(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = icmp uge i64 %0, 68719476736
;;   br i1 %1, label %t5, label %b1, !prof !0
;; b1:
;;   %2 = getelementptr i8, ptr %m0, i64 %0
;;   %3 = getelementptr i8, ptr %2, i64 8
;;   %4 = load i32, ptr %3, align 1, !tbaa !4
;;   ret i32 %4
;; t5:
;;   call void @jw_trap(i32 5)
;;   unreachable
;; }
;;
;; define i32 @f1(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = getelementptr i8, ptr %vm, i64 24
;;   %2 = load ptr, ptr %1, !invariant.load !1, !tbaa !6
;;   %3 = getelementptr i8, ptr %2, i64 8
;;   %4 = load i64, ptr %3, !tbaa !6
;;   %5 = icmp ult i64 %4, 4294967300
;;   br i1 %5, label %t5, label %b1, !prof !0
;; b1:
;;   %6 = sub i64 %4, 4294967300
;;   %7 = icmp ugt i64 %0, %6
;;   br i1 %7, label %t5, label %b2, !prof !0
;; b2:
;;   %8 = getelementptr i8, ptr %m0, i64 %0
;;   %9 = getelementptr i8, ptr %8, i64 4294967296
;;   %10 = load i32, ptr %9, align 1, !tbaa !4
;;   ret i32 %10
;; t5:
;;   call void @jw_trap(i32 5)
;;   unreachable
;; }
;;
;; define i64 @f2(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   %1 = getelementptr i8, ptr %vm, i64 24
;;   %2 = load ptr, ptr %1, !invariant.load !1, !tbaa !6
;;   %3 = call i64 @jw_memory_grow(ptr %2, i64 %0)
;;   ret i64 %3
;; }
;;
;; define void @f3(ptr noundef %vm, i64 noundef %0, i32 noundef %1, i64 noundef %2) #0 {
;; b0:
;;   %3 = getelementptr i8, ptr %vm, i64 24
;;   %4 = load ptr, ptr %3, !invariant.load !1, !tbaa !6
;;   call void @jw_memory_fill(ptr %4, i64 %0, i32 %1, i64 %2)
;;   ret void
;; }
