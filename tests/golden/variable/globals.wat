(module
  (import "m" "g" (global $imported (mut i32)))
  (import "m" "c" (global $constant i64))
  (global $own (mut f64) (f64.const 1))
  (global $fixed i32 (i32.const 2))
  (func (result i32) (global.set $imported (global.get $fixed)) (global.get $imported))
  (func (result i64) (global.get $constant))
  (func (global.set $own (f64.neg (global.get $own)))))

;; define i32 @f0(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 96
;;   %1 = load i32, ptr %0, !invariant.load !1, !tbaa !6
;;   %2 = getelementptr i8, ptr %vm, i64 64
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   store i32 %1, ptr %3, !tbaa !10
;;   %4 = load i32, ptr %3, !tbaa !10
;;   ret i32 %4
;; }
;;
;; define i64 @f1(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 72
;;   %1 = load ptr, ptr %0, !invariant.load !1, !tbaa !6
;;   %2 = load i64, ptr %1, !invariant.load !1, !tbaa !6
;;   ret i64 %2
;; }
;;
;; define void @f2(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 80
;;   %1 = load double, ptr %0, !tbaa !10
;;   %2 = fneg double %1
;;   %3 = getelementptr i8, ptr %vm, i64 80
;;   store double %2, ptr %3, !tbaa !10
;;   ret void
;; }
