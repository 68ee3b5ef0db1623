(module
  (type $t (func (param i32) (result i32)))
  (type $open (sub (func (param i64))))
  (table $growing 10 funcref)
  (table $fixed 10 10 funcref)
  (table $typed 1 (ref null $t))
  (func (param i32) (result i32) (call_indirect $growing (type $t) (local.get 0) (local.get 0)))
  (func (param i32) (call_indirect $fixed (type $open) (i64.const 0) (local.get 0)))
  (func (param i32) (result i32) (call_indirect $typed (type $t) (local.get 0) (i32.const 0)))
  (func (param (ref $t)) (result i32) (call_ref $t (i32.const 1) (local.get 0)))
  (func (param (ref null $t)) (result i32) (call_ref $t (i32.const 1) (local.get 0))))

;; declare void @jw_trap(i32) cold noreturn
;;
;; define i32 @f0(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr i8, ptr %vm, i64 40
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   %4 = getelementptr i8, ptr %3, i64 8
;;   %5 = load i64, ptr %4, !tbaa !6
;;   %6 = icmp uge i64 %1, %5
;;   br i1 %6, label %t7, label %b1, !prof !0
;; b1:
;;   %7 = getelementptr i8, ptr %vm, i64 16
;;   %8 = load ptr, ptr %7, !invariant.load !1, !tbaa !6
;;   %9 = getelementptr ptr, ptr %8, i64 %1
;;   %10 = load ptr, ptr %9, !tbaa !8
;;   %11 = icmp eq ptr %10, null
;;   br i1 %11, label %t8, label %b2, !prof !0
;; b2:
;;   %12 = getelementptr i8, ptr %vm, i64 64
;;   %13 = load ptr, ptr %12, !invariant.load !1, !tbaa !6
;;   %14 = getelementptr i8, ptr %10, i64 16
;;   %15 = load ptr, ptr %14, !invariant.load !1, !tbaa !6
;;   %16 = icmp ne ptr %15, %13
;;   br i1 %16, label %t9, label %b3, !prof !0
;; b3:
;;   %17 = load ptr, ptr %10, !tbaa !6
;;   %18 = getelementptr i8, ptr %10, i64 8
;;   %19 = load ptr, ptr %18, !invariant.load !1, !tbaa !6
;;   %20 = call i32 %17(ptr %19, i32 %0)
;;   ret i32 %20
;; t7:
;;   call void @jw_trap(i32 7)
;;   unreachable
;; t8:
;;   call void @jw_trap(i32 8)
;;   unreachable
;; t9:
;;   call void @jw_trap(i32 9)
;;   unreachable
;; }
;;
;; define void @f1(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = zext i32 %0 to i64
;;   %2 = icmp uge i64 %1, 10
;;   br i1 %2, label %t7, label %b1, !prof !0
;; b1:
;;   %3 = getelementptr i8, ptr %vm, i64 24
;;   %4 = load ptr, ptr %3, !invariant.load !1, !tbaa !6
;;   %5 = getelementptr ptr, ptr %4, i64 %1
;;   %6 = load ptr, ptr %5, !tbaa !8
;;   %7 = icmp eq ptr %6, null
;;   br i1 %7, label %t8, label %b2, !prof !0
;; b2:
;;   %8 = getelementptr i8, ptr %vm, i64 72
;;   %9 = load ptr, ptr %8, !invariant.load !1, !tbaa !6
;;   %10 = getelementptr i8, ptr %6, i64 16
;;   %11 = load ptr, ptr %10, !invariant.load !1, !tbaa !6
;;   %12 = getelementptr i8, ptr %11, i64 16
;;   %13 = load ptr, ptr %12, !invariant.load !1, !tbaa !6
;;   %14 = icmp ne ptr %13, %9
;;   br i1 %14, label %t9, label %b3, !prof !0
;; b3:
;;   %15 = load ptr, ptr %6, !tbaa !6
;;   %16 = getelementptr i8, ptr %6, i64 8
;;   %17 = load ptr, ptr %16, !invariant.load !1, !tbaa !6
;;   call void %15(ptr %17, i64 0)
;;   ret void
;; t7:
;;   call void @jw_trap(i32 7)
;;   unreachable
;; t8:
;;   call void @jw_trap(i32 8)
;;   unreachable
;; t9:
;;   call void @jw_trap(i32 9)
;;   unreachable
;; }
;;
;; define i32 @f2(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = getelementptr i8, ptr %vm, i64 56
;;   %2 = load ptr, ptr %1, !invariant.load !1, !tbaa !6
;;   %3 = getelementptr i8, ptr %2, i64 8
;;   %4 = load i64, ptr %3, !tbaa !6
;;   %5 = icmp uge i64 0, %4
;;   br i1 %5, label %t7, label %b1, !prof !0
;; b1:
;;   %6 = getelementptr i8, ptr %vm, i64 32
;;   %7 = load ptr, ptr %6, !invariant.load !1, !tbaa !6
;;   %8 = getelementptr ptr, ptr %7, i64 0
;;   %9 = load ptr, ptr %8, !tbaa !8
;;   %10 = icmp eq ptr %9, null
;;   br i1 %10, label %t8, label %b2, !prof !0
;; b2:
;;   %11 = load ptr, ptr %9, !tbaa !6
;;   %12 = getelementptr i8, ptr %9, i64 8
;;   %13 = load ptr, ptr %12, !invariant.load !1, !tbaa !6
;;   %14 = call i32 %11(ptr %13, i32 %0)
;;   ret i32 %14
;; t7:
;;   call void @jw_trap(i32 7)
;;   unreachable
;; t8:
;;   call void @jw_trap(i32 8)
;;   unreachable
;; }
;;
;; define i32 @f3(ptr noundef %vm, ptr noundef %0) #0 {
;; b0:
;;   %1 = load ptr, ptr %0, !tbaa !6
;;   %2 = getelementptr i8, ptr %0, i64 8
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   %4 = call i32 %1(ptr %3, i32 1)
;;   ret i32 %4
;; }
;;
;; define i32 @f4(ptr noundef %vm, ptr noundef %0) #0 {
;; b0:
;;   %1 = icmp eq ptr %0, null
;;   br i1 %1, label %t11, label %b1, !prof !0
;; b1:
;;   %2 = load ptr, ptr %0, !tbaa !6
;;   %3 = getelementptr i8, ptr %0, i64 8
;;   %4 = load ptr, ptr %3, !invariant.load !1, !tbaa !6
;;   %5 = call i32 %2(ptr %4, i32 1)
;;   ret i32 %5
;; t11:
;;   call void @jw_trap(i32 11)
;;   unreachable
;; }
