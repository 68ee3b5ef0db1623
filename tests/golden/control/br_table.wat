(module
  (func (param i32) (result i32)
    (block $c (block $b (block $a (br_table $a $b $b $c $a $c (local.get 0))) (return (i32.const 10))) (return (i32.const 20)))
    (i32.const 30))
  (func (param i32) (result i32)
    (block $a (result i32) (br_table $a (i32.const 1) (local.get 0)))))

;; define i32 @f0(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   switch i32 %0, label %b5 [ i32 0, label %b2 i32 1, label %b4 i32 2, label %b4 i32 4, label %b2 ]
;; b2:
;;   br label %b1
;; b4:
;;   br label %b3
;; b1:
;;   ret i32 10
;; b3:
;;   ret i32 20
;; b5:
;;   ret i32 30
;; }
;;
;; define i32 @f1(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   br label %b1
;; b1:
;;   ret i32 1
;; }
