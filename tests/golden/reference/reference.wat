(module
  (type $t (func))
  (func $f)
  (elem declare func $f)
  (func (result externref) (ref.null extern))
  (func (param funcref) (result i32) (ref.is_null (local.get 0)))
  (func (result (ref $t)) (ref.func $f))
  (func (param (ref null $t)) (result (ref $t)) (ref.as_non_null (local.get 0)))
  (func (param (ref null $t)) (result i32)
    (block $null (call_ref $t (br_on_null $null (local.get 0))) (return (i32.const 1)))
    (i32.const 0))
  (func (param (ref null $t)) (result i32)
    (block $some (result (ref $t)) (br_on_non_null $some (local.get 0)) (return (i32.const 0)))
    (call_ref $t)
    (i32.const 1))
  ;; A local without a default value.
  (func (param (ref $t)) (local (ref $t)) (local.set 1 (local.get 0)) (call_ref $t (local.get 1))))

;; declare void @jw_trap(i32) cold noreturn
;;
;; define void @f0(ptr noundef %vm) #0 {
;; b0:
;;   ret void
;; }
;;
;; define ptr @f1(ptr noundef %vm) #0 {
;; b0:
;;   ret ptr null
;; }
;;
;; define i32 @f2(ptr noundef %vm, ptr noundef %0) #0 {
;; b0:
;;   %1 = icmp eq ptr %0, null
;;   %2 = zext i1 %1 to i32
;;   ret i32 %2
;; }
;;
;; define ptr @f3(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 160
;;   %1 = load ptr, ptr %0, !invariant.load !1, !tbaa !6
;;   ret ptr %1
;; }
;;
;; define ptr @f4(ptr noundef %vm, ptr noundef %0) #0 {
;; b0:
;;   %1 = icmp eq ptr %0, null
;;   br i1 %1, label %t12, label %b1, !prof !0
;; b1:
;;   ret ptr %0
;; t12:
;;   call void @jw_trap(i32 12)
;;   unreachable
;; }
;;
;; define i32 @f5(ptr noundef %vm, ptr noundef %0) #0 {
;; b0:
;;   %1 = icmp eq ptr %0, null
;;   br i1 %1, label %b1, label %b2
;; b2:
;;   %2 = load ptr, ptr %0, !tbaa !6
;;   %3 = getelementptr i8, ptr %0, i64 8
;;   %4 = load ptr, ptr %3, !invariant.load !1, !tbaa !6
;;   call void %2(ptr %4)
;;   ret i32 1
;; b1:
;;   ret i32 0
;; }
;;
;; define i32 @f6(ptr noundef %vm, ptr noundef %0) #0 {
;; b0:
;;   %1 = icmp eq ptr %0, null
;;   br i1 %1, label %b2, label %b1
;; b2:
;;   ret i32 0
;; b1:
;;   %2 = load ptr, ptr %0, !tbaa !6
;;   %3 = getelementptr i8, ptr %0, i64 8
;;   %4 = load ptr, ptr %3, !invariant.load !1, !tbaa !6
;;   call void %2(ptr %4)
;;   ret i32 1
;; }
;;
;; define void @f7(ptr noundef %vm, ptr noundef %0) #0 {
;; b0:
;;   %1 = load ptr, ptr %0, !tbaa !6
;;   %2 = getelementptr i8, ptr %0, i64 8
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   call void %1(ptr %3)
;;   ret void
;; }
