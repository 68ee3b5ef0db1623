(module
  (import "m" "f" (func $import (param i32 f64) (result i64)))
  (func $none)
  (func $pair (result i32 f64) (i32.const 1) (f64.const 2))
  (func (result i64) (call $none) (call $import (call $pair)))
  ;; What does not fit into registers goes through the callee's overflow area.
  (func $many (param i32 i32 i32 i32 i32 i64 f32 i64) (result i64) (i64.add (local.get 5) (local.get 7)))
  (func (result i64)
    (call $many (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i64.const 6) (f32.const 7) (i64.const 8)))
  (func $results (result i32 i32 i32 i32) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4))
  (func (result i32) (call $results) (drop) (drop) (drop)))

;; define void @f1(ptr noundef %vm) #0 {
;; b0:
;;   ret void
;; }
;;
;; define { i32, double } @f2(ptr noundef %vm) #0 {
;; b0:
;;   %0 = insertvalue { i32, double } poison, i32 1, 0
;;   %1 = insertvalue { i32, double } %0, double 0x4000000000000000, 1
;;   ret { i32, double } %1
;; }
;;
;; define i64 @f3(ptr noundef %vm) #0 {
;; b0:
;;   call void @f1(ptr %vm)
;;   %0 = call { i32, double } @f2(ptr %vm)
;;   %1 = extractvalue { i32, double } %0, 0
;;   %2 = extractvalue { i32, double } %0, 1
;;   %3 = call i64 @f0(ptr %vm, i32 %1, double %2)
;;   ret i64 %3
;; }
;;
;; define i64 @f4(ptr noundef %vm, i32 noundef %0, i32 noundef %1, i32 noundef %2, i32 noundef %3, i32 noundef %4, float noundef %6) #0 {
;; b0:
;;   %ov.p = getelementptr i8, ptr %vm, i64 0
;;   %ov = load ptr, ptr %ov.p, !invariant.load !1, !tbaa !6
;;   %o5.p = getelementptr i8, ptr %ov, i64 0
;;   %o5 = load i64, ptr %o5.p, !tbaa !6
;;   %o7.p = getelementptr i8, ptr %ov, i64 16
;;   %o7 = load i64, ptr %o7.p, !tbaa !6
;;   %8 = add i64 %o5, %o7
;;   ret i64 %8
;; }
;;
;; define i64 @f5(ptr noundef %vm) #0 {
;; b0:
;;   %0 = load ptr, ptr %vm, !invariant.load !1, !tbaa !6
;;   store i64 6, ptr %0, !tbaa !6
;;   %1 = getelementptr i8, ptr %0, i64 16
;;   store i64 8, ptr %1, !tbaa !6
;;   %2 = call i64 @f4(ptr %vm, i32 1, i32 2, i32 3, i32 4, i32 5, float 0x401C000000000000)
;;   ret i64 %2
;; }
;;
;; define i32 @f6(ptr noundef %vm) #0 {
;; b0:
;;   %0 = load ptr, ptr %vm, !invariant.load !1, !tbaa !6
;;   store i32 2, ptr %0, !tbaa !6
;;   %1 = getelementptr i8, ptr %0, i64 16
;;   store i32 3, ptr %1, !tbaa !6
;;   %2 = getelementptr i8, ptr %0, i64 32
;;   store i32 4, ptr %2, !tbaa !6
;;   ret i32 1
;; }
;;
;; define i32 @f7(ptr noundef %vm) #0 {
;; b0:
;;   %0 = call i32 @f6(ptr %vm)
;;   %1 = load ptr, ptr %vm, !invariant.load !1, !tbaa !6
;;   %2 = load i32, ptr %1, !tbaa !6
;;   %3 = getelementptr i8, ptr %1, i64 16
;;   %4 = load i32, ptr %3, !tbaa !6
;;   %5 = getelementptr i8, ptr %1, i64 32
;;   %6 = load i32, ptr %5, !tbaa !6
;;   ret i32 %0
;; }
