(module
  (func $effect (param i32) unreachable)
  ;; A block nobody branches to is nothing.
  (func (param i32) (block (call $effect (local.get 0))))
  ;; Merges make phis only for locals that differ and are read.
  (func (param i32 i32 i32) (result i32)
    (if (local.get 0)
      (then (local.set 1 (i32.const 5)) (local.set 2 (i32.const 6)))
      (else (local.set 1 (i32.const 7))))
    (local.get 1))
  (func (param i32) (result i32)
    (block $b (result i32)
      (br_if $b (i32.const 1) (local.get 0))
      (drop)
      (i32.const 2)))
  (func (param i32 i32) (result i32 i32)
    (local.get 0) (local.get 1)
    (if (param i32 i32) (result i32 i32) (i32.eqz (local.get 0)) (then (drop) (drop) (i32.const 3) (i32.const 4))))
  ;; Unreachable code is validated and leaves no trace.
  (func (result i32) (return (i32.const 1)) (i32.add (i64.ne) (i32.const 1)))
  (func (result i64) unreachable))

;; declare void @jw_trap(i32) cold noreturn
;;
;; define void @f0(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   br label %t1
;; t1:
;;   call void @jw_trap(i32 1)
;;   unreachable
;; }
;;
;; define void @f1(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   call void @f0(ptr %vm, i32 %0)
;;   ret void
;; }
;;
;; define i32 @f2(ptr noundef %vm, i32 noundef %0, i32 noundef %1, i32 noundef %2) #0 {
;; b0:
;;   %3 = icmp ne i32 %0, 0
;;   br i1 %3, label %b1, label %b3
;; b1:
;;   br label %b2
;; b3:
;;   br label %b2
;; b2:
;;   %p1 = phi i32 [ 5, %b1 ], [ 7, %b3 ]
;;   ret i32 %p1
;; }
;;
;; define i32 @f3(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = icmp ne i32 %0, 0
;;   br i1 %1, label %b1, label %b2
;; b2:
;;   br label %b1
;; b1:
;;   %2 = phi i32 [ 1, %b0 ], [ 2, %b2 ]
;;   ret i32 %2
;; }
;;
;; define { i32, i32 } @f4(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   %2 = icmp eq i32 %0, 0
;;   br i1 %2, label %b1, label %b2
;; b1:
;;   br label %b2
;; b2:
;;   %3 = phi i32 [ %0, %b0 ], [ 3, %b1 ]
;;   %4 = phi i32 [ %1, %b0 ], [ 4, %b1 ]
;;   %5 = insertvalue { i32, i32 } poison, i32 %3, 0
;;   %6 = insertvalue { i32, i32 } %5, i32 %4, 1
;;   ret { i32, i32 } %6
;; }
;;
;; define i32 @f5(ptr noundef %vm) #0 {
;; b0:
;;   ret i32 1
;; }
;;
;; define i64 @f6(ptr noundef %vm) #0 {
;; b0:
;;   br label %t1
;; t1:
;;   call void @jw_trap(i32 1)
;;   unreachable
;; }
