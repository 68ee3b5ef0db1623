(module
  (func (param i64) (result i32) (i32.wrap_i64 (local.get 0)))
  (func (param i32) (result i64) (i64.extend_i32_u (local.get 0)))
  (func (param i32) (result i32) (i32.extend8_s (local.get 0)))
  (func (param f32) (result i32) (i32.trunc_f32_s (local.get 0)))
  (func (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (param f64) (result i64) (i64.trunc_f64_u (local.get 0)))
  (func (param f64) (result i64) (i64.trunc_sat_f64_u (local.get 0)))
  (func (param i64) (result f32) (f32.convert_i64_u (local.get 0)))
  (func (param f32) (result i32) (i32.reinterpret_f32 (local.get 0)))
  ;; LLVM would cancel this pair.
  (func (param f32) (result f32) (f32.demote_f64 (f64.promote_f32 (local.get 0)))))

;; declare double @llvm.arithmetic.fence.f64(double)
;; declare double @llvm.fabs.f64(double)
;; declare float @llvm.fabs.f32(float)
;; declare i64 @llvm.fptoui.sat.i64.f64(double)
;; declare void @jw_trap(i32) cold noreturn
;;
;; define i32 @f0(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   %1 = trunc i64 %0 to i32
;;   ret i32 %1
;; }
;;
;; define i64 @f1(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = zext i32 %0 to i64
;;   ret i64 %1
;; }
;;
;; define i32 @f2(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = trunc i32 %0 to i8
;;   %2 = sext i8 %1 to i32
;;   ret i32 %2
;; }
;;
;; define i32 @f3(ptr noundef %vm, float noundef %0) #0 {
;; b0:
;;   %1 = call float @llvm.fabs.f32(float %0)
;;   %2 = fcmp olt float %1, 2147483648.0
;;   br i1 %2, label %b2, label %b1, !prof !11
;; b2:
;;   %3 = fptosi float %0 to i32
;;   ret i32 %3
;; b1:
;;   %b1.l = fcmp ult float %0, -2147483648.0
;;   %b1.h = fcmp uge float %0, 2147483648.0
;;   %b1.o = or i1 %b1.l, %b1.h
;;   br i1 %b1.o, label %b1.t, label %b2
;; b1.t:
;;   %b1.n = fcmp uno float %0, 0.0
;;   %b1.c = select i1 %b1.n, i32 4, i32 3
;;   call void @jw_trap(i32 %b1.c)
;;   unreachable
;; }
;;
;; define i32 @f4(ptr noundef %vm, double noundef %0) #0 {
;; b0:
;;   %1 = call double @llvm.fabs.f64(double %0)
;;   %2 = fcmp olt double %1, 2147483648.0
;;   br i1 %2, label %b2, label %b1, !prof !11
;; b2:
;;   %3 = fptosi double %0 to i32
;;   ret i32 %3
;; b1:
;;   %b1.l = fcmp ule double %0, -2147483649.0
;;   %b1.h = fcmp uge double %0, 2147483648.0
;;   %b1.o = or i1 %b1.l, %b1.h
;;   br i1 %b1.o, label %b1.t, label %b2
;; b1.t:
;;   %b1.n = fcmp uno double %0, 0.0
;;   %b1.c = select i1 %b1.n, i32 4, i32 3
;;   call void @jw_trap(i32 %b1.c)
;;   unreachable
;; }
;;
;; define i64 @f5(ptr noundef %vm, double noundef %0) #0 {
;; b0:
;;   %1 = fcmp olt double %0, 1.8446744073709552e+19
;;   %2 = fcmp oge double %0, 0.0
;;   %3 = and i1 %1, %2
;;   br i1 %3, label %b2, label %b1, !prof !11
;; b2:
;;   %4 = fptoui double %0 to i64
;;   ret i64 %4
;; b1:
;;   %b1.l = fcmp ule double %0, -1.0
;;   %b1.h = fcmp uge double %0, 1.8446744073709552e+19
;;   %b1.o = or i1 %b1.l, %b1.h
;;   br i1 %b1.o, label %b1.t, label %b2
;; b1.t:
;;   %b1.n = fcmp uno double %0, 0.0
;;   %b1.c = select i1 %b1.n, i32 4, i32 3
;;   call void @jw_trap(i32 %b1.c)
;;   unreachable
;; }
;;
;; define i64 @f6(ptr noundef %vm, double noundef %0) #0 {
;; b0:
;;   %1 = call i64 @llvm.fptoui.sat.i64.f64(double %0)
;;   ret i64 %1
;; }
;;
;; define float @f7(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   %1 = uitofp i64 %0 to float
;;   ret float %1
;; }
;;
;; define i32 @f8(ptr noundef %vm, float noundef %0) #0 {
;; b0:
;;   %1 = bitcast float %0 to i32
;;   ret i32 %1
;; }
;;
;; define float @f9(ptr noundef %vm, float noundef %0) #0 {
;; b0:
;;   %1 = fpext float %0 to double
;;   %2 = call double @llvm.arithmetic.fence.f64(double %1)
;;   %3 = fptrunc double %2 to float
;;   ret float %3
;; }
