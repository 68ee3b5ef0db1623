(module
  ;; Division checks what LLVM leaves undefined; literals need fewer checks.
  (func (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 10)))
  (func (param i64 i64) (result i64) (i64.rem_s (local.get 0) (local.get 1)))
  (func (param i64) (result i64) (i64.rem_u (local.get 0) (i64.const 10)))
  ;; Counts of shifts are masked.
  (func (param i32 i32) (result i32) (i32.shl (local.get 0) (local.get 1)))
  (func (param i64) (result i64) (i64.shr_s (local.get 0) (i64.const 67)))
  (func (param i32 i32) (result i32) (i32.rotl (local.get 0) (local.get 1)))
  (func (param i64) (result i64) (i64.clz (local.get 0)))
  (func (param i32) (result i32) (i32.popcnt (local.get 0))))

;; declare i32 @llvm.ctpop.i32(i32)
;; declare i32 @llvm.fshl.i32(i32, i32, i32)
;; declare i64 @llvm.ctlz.i64(i64, i1 immarg)
;; declare void @jw_trap(i32) cold noreturn
;;
;; define i32 @f0(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   %2 = icmp eq i32 %1, 0
;;   br i1 %2, label %t2, label %b1, !prof !0
;; b1:
;;   %3 = icmp eq i32 %0, -2147483648
;;   %4 = icmp eq i32 %1, -1
;;   %5 = and i1 %3, %4
;;   br i1 %5, label %t3, label %b2, !prof !0
;; b2:
;;   %6 = sdiv i32 %0, %1
;;   ret i32 %6
;; t2:
;;   call void @jw_trap(i32 2)
;;   unreachable
;; t3:
;;   call void @jw_trap(i32 3)
;;   unreachable
;; }
;;
;; define i32 @f1(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = sdiv i32 %0, 10
;;   ret i32 %1
;; }
;;
;; define i64 @f2(ptr noundef %vm, i64 noundef %0, i64 noundef %1) #0 {
;; b0:
;;   %2 = icmp eq i64 %1, 0
;;   br i1 %2, label %t2, label %b1, !prof !0
;; b1:
;;   %3 = icmp eq i64 %1, -1
;;   %4 = select i1 %3, i64 1, i64 %1
;;   %5 = srem i64 %0, %4
;;   ret i64 %5
;; t2:
;;   call void @jw_trap(i32 2)
;;   unreachable
;; }
;;
;; define i64 @f3(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   %1 = urem i64 %0, 10
;;   ret i64 %1
;; }
;;
;; define i32 @f4(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   %2 = and i32 %1, 31
;;   %3 = shl i32 %0, %2
;;   ret i32 %3
;; }
;;
;; define i64 @f5(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   %1 = ashr i64 %0, 3
;;   ret i64 %1
;; }
;;
;; define i32 @f6(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   %2 = call i32 @llvm.fshl.i32(i32 %0, i32 %0, i32 %1)
;;   ret i32 %2
;; }
;;
;; define i64 @f7(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   %1 = call i64 @llvm.ctlz.i64(i64 %0, i1 false)
;;   ret i64 %1
;; }
;;
;; define i32 @f8(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = call i32 @llvm.ctpop.i32(i32 %0)
;;   ret i32 %1
;; }
