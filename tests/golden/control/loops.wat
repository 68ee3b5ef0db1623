(module
  ;; Phis at the header for what the loop assigns and reads.
  (func (param i32 i32) (result i32) (local $sum i32) (local $unused i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (local.get 1)))
      (local.set $unused (local.get 0))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $sum))
  ;; Parameters of a loop.
  (func (param i64) (result i64)
    (i64.const 1) (local.get 0)
    (loop $l (param i64 i64) (result i64)
      (local.set 0)
      (br_if $l (local.get 0) (i64.eqz (local.get 0)))
      (i64.mul)))
  (func (loop (br 0))))

;; define i32 @f0(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   br label %b1
;; b1:
;;   %p2 = phi i32 [ %0, %b0 ], [ %4, %b1 ]
;;   %p1 = phi i32 [ 0, %b0 ], [ %3, %b1 ]
;;   %3 = add i32 %p1, %1
;;   %4 = sub i32 %p2, 1
;;   %5 = icmp ne i32 %4, 0
;;   br i1 %5, label %b1, label %b2
;; b2:
;;   ret i32 %3
;; }
;;
;; define i64 @f1(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   br label %b1
;; b1:
;;   %2 = phi i64 [ 1, %b0 ], [ %2, %b1 ]
;;   %3 = phi i64 [ %0, %b0 ], [ %3, %b1 ]
;;   %4 = icmp eq i64 %3, 0
;;   br i1 %4, label %b1, label %b2
;; b2:
;;   %5 = mul i64 %2, %3
;;   ret i64 %5
;; }
;;
;; define void @f2(ptr noundef %vm) #0 {
;; b0:
;;   br label %b1
;; b1:
;;   br label %b1
;; }
