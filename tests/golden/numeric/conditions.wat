(module
  ;; Comparisons stay i1 until an i32 is needed.
  (func (param i32 i32) (result i32) (i32.lt_u (local.get 0) (local.get 1)))
  (func (param i32 i32)
    (block (br_if 0 (i32.eqz (i32.lt_u (local.get 0) (local.get 1)))) (call 0 (i32.const 1) (i32.const 2)) (drop)))
  (func (param i32 i32) (result i32)
    (select (local.get 0) (local.get 1) (i32.eqz (i32.eqz (local.get 0)))))
  (func (param i32 i32) (result i32)
    (i32.and (i32.lt_s (local.get 0) (local.get 1)) (i32.eqz (local.get 1))))
  (func (param f64 f64) (result i64) (i64.extend_i32_u (f64.lt (local.get 0) (local.get 1)))))

;; define i32 @f0(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   %2 = icmp ult i32 %0, %1
;;   %3 = zext i1 %2 to i32
;;   ret i32 %3
;; }
;;
;; define void @f1(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   %2 = icmp ult i32 %0, %1
;;   br i1 %2, label %b2, label %b1
;; b2:
;;   %3 = call i32 @f0(ptr %vm, i32 1, i32 2)
;;   br label %b1
;; b1:
;;   ret void
;; }
;;
;; define i32 @f2(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   %2 = icmp eq i32 %0, 0
;;   %3 = select i1 %2, i32 %1, i32 %0
;;   ret i32 %3
;; }
;;
;; define i32 @f3(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   %2 = icmp slt i32 %0, %1
;;   %3 = icmp eq i32 %1, 0
;;   %4 = and i1 %2, %3
;;   %5 = zext i1 %4 to i32
;;   ret i32 %5
;; }
;;
;; define i64 @f4(ptr noundef %vm, double noundef %0, double noundef %1) #0 {
;; b0:
;;   %2 = fcmp olt double %0, %1
;;   %3 = zext i1 %2 to i64
;;   ret i64 %3
;; }
