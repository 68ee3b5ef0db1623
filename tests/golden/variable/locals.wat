(module
  ;; Locals are SSA values; reading and writing them emits nothing.
  (func (param i32) (result i32) (local i32 i64 f32)
    (local.set 1 (i32.add (local.get 0) (i32.const 1)))
    (local.tee 0 (i32.mul (local.get 1) (local.get 1))))
  (func (result i32 i64 f32 f64 externref) (local i32 i64 f32 f64 externref)
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))
  (func (param i64 i64 i32) (result i64) (select (local.get 0) (local.get 1) (local.get 2)))
  (func (param externref externref i32) (result externref)
    (select (result externref) (local.get 0) (local.get 1) (i32.eqz (local.get 2)))))

;; define i32 @f0(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = add i32 %0, 1
;;   %2 = mul i32 %1, %1
;;   ret i32 %2
;; }
;;
;; define { i32, i64, float, double, ptr } @f1(ptr noundef %vm) #0 {
;; b0:
;;   %0 = insertvalue { i32, i64, float, double, ptr } poison, i32 0, 0
;;   %1 = insertvalue { i32, i64, float, double, ptr } %0, i64 0, 1
;;   %2 = insertvalue { i32, i64, float, double, ptr } %1, float 0.0, 2
;;   %3 = insertvalue { i32, i64, float, double, ptr } %2, double 0.0, 3
;;   %4 = insertvalue { i32, i64, float, double, ptr } %3, ptr null, 4
;;   ret { i32, i64, float, double, ptr } %4
;; }
;;
;; define i64 @f2(ptr noundef %vm, i64 noundef %0, i64 noundef %1, i32 noundef %2) #0 {
;; b0:
;;   %3 = icmp ne i32 %2, 0
;;   %4 = select i1 %3, i64 %0, i64 %1
;;   ret i64 %4
;; }
;;
;; define ptr @f3(ptr noundef %vm, ptr noundef %0, ptr noundef %1, i32 noundef %2) #0 {
;; b0:
;;   %3 = icmp eq i32 %2, 0
;;   %4 = select i1 %3, ptr %0, ptr %1
;;   ret ptr %4
;; }
