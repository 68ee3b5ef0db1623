(module
  (table $t 1 funcref)
  (table $fixed 4 4 externref)
  (table $wide i64 1 funcref)
  (elem $e funcref (ref.null func))
  (func (param i32) (result funcref) (table.get $t (local.get 0)))
  (func (param i32 externref) (table.set $fixed (local.get 0) (local.get 1)))
  (func (result i32) (table.size $t))
  (func (result i64) (table.grow $wide (ref.null func) (i64.const 1)))
  (func (param i32 externref) (table.fill $fixed (local.get 0) (local.get 1) (i32.const 1)))
  (func (param i32) (table.copy $t $wide (local.get 0) (i64.const 1) (i32.const 2)))
  (func (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e)))

;; declare i64 @jw_table_grow(ptr, i64, ptr)
;; declare void @jw_table_copy(ptr, ptr, i64, i64, i64)
;; declare void @jw_table_fill(ptr, i64, ptr, i64)
;; declare void @jw_table_init(ptr, ptr, i64, i64, i64)
;; declare void @jw_trap(i32) cold noreturn
;;
;; define ptr @f0(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr i8, ptr %vm, i64 40
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   %4 = getelementptr i8, ptr %3, i64 8
;;   %5 = load i64, ptr %4, !tbaa !6
;;   %6 = icmp uge i64 %1, %5
;;   br i1 %6, label %t6, label %b1, !prof !0
;; b1:
;;   %7 = getelementptr i8, ptr %vm, i64 16
;;   %8 = load ptr, ptr %7, !invariant.load !1, !tbaa !6
;;   %9 = getelementptr ptr, ptr %8, i64 %1
;;   %10 = load ptr, ptr %9, !tbaa !8
;;   ret ptr %10
;; t6:
;;   call void @jw_trap(i32 6)
;;   unreachable
;; }
;;
;; define void @f1(ptr noundef %vm, i32 noundef %0, ptr noundef %1) #0 {
;; b0:
;;   %2 = zext i32 %0 to i64
;;   %3 = icmp uge i64 %2, 4
;;   br i1 %3, label %t6, label %b1, !prof !0
;; b1:
;;   %4 = getelementptr i8, ptr %vm, i64 24
;;   %5 = load ptr, ptr %4, !invariant.load !1, !tbaa !6
;;   %6 = getelementptr ptr, ptr %5, i64 %2
;;   store ptr %1, ptr %6, !tbaa !8
;;   ret void
;; t6:
;;   call void @jw_trap(i32 6)
;;   unreachable
;; }
;;
;; define i32 @f2(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 40
;;   %1 = load ptr, ptr %0, !invariant.load !1, !tbaa !6
;;   %2 = getelementptr i8, ptr %1, i64 8
;;   %3 = load i64, ptr %2, !tbaa !6
;;   %4 = trunc i64 %3 to i32
;;   ret i32 %4
;; }
;;
;; define i64 @f3(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 56
;;   %1 = load ptr, ptr %0, !invariant.load !1, !tbaa !6
;;   %2 = call i64 @jw_table_grow(ptr %1, i64 1, ptr null)
;;   ret i64 %2
;; }
;;
;; define void @f4(ptr noundef %vm, i32 noundef %0, ptr noundef %1) #0 {
;; b0:
;;   %2 = zext i32 %0 to i64
;;   %3 = getelementptr i8, ptr %vm, i64 48
;;   %4 = load ptr, ptr %3, !invariant.load !1, !tbaa !6
;;   call void @jw_table_fill(ptr %4, i64 %2, ptr %1, i64 1)
;;   ret void
;; }
;;
;; define void @f5(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr i8, ptr %vm, i64 40
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   %4 = getelementptr i8, ptr %vm, i64 56
;;   %5 = load ptr, ptr %4, !invariant.load !1, !tbaa !6
;;   call void @jw_table_copy(ptr %3, ptr %5, i64 %1, i64 1, i64 2)
;;   ret void
;; }
;;
;; define void @f6(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 168
;;   %1 = getelementptr i8, ptr %vm, i64 40
;;   %2 = load ptr, ptr %1, !invariant.load !1, !tbaa !6
;;   call void @jw_table_init(ptr %2, ptr %0, i64 0, i64 0, i64 1)
;;   %3 = getelementptr i8, ptr %vm, i64 176
;;   store i64 0, ptr %3, !tbaa !6
;;   ret void
;; }
