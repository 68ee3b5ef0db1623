(module
  (func (param f32 f32) (result f32) (f32.min (local.get 0) (local.get 1)))
  (func (param f64) (result f64) (f64.nearest (f64.neg (local.get 0))))
  ;; A literal that would make the operation an identity is hidden: NaNs must become quiet.
  (func (param f64) (result f64) (f64.mul (local.get 0) (f64.const 1)))
  (func (param f32) (result f32) (f32.sub (f32.const -0) (local.get 0)))
  (func (param f32) (result f32) (f32.mul (local.get 0) (f32.const 2)))
  ;; The bits of a NaN arrive unchanged.
  (func (result f32) (f32.const nan:0x200000))
  (func (result f64) (f64.const nan:0x4000000000000))
  (func (param f64 f64) (result f64) (f64.copysign (local.get 0) (local.get 1))))

;; declare double @llvm.arithmetic.fence.f64(double)
;; declare double @llvm.copysign.f64(double, double)
;; declare double @llvm.roundeven.f64(double)
;; declare float @llvm.arithmetic.fence.f32(float)
;; declare float @llvm.minimum.f32(float, float)
;;
;; define float @f0(ptr noundef %vm, float noundef %0, float noundef %1) #0 {
;; b0:
;;   %2 = fcmp uno float %0, %1
;;   %3 = fadd float %0, %1
;;   %4 = call float @llvm.minimum.f32(float %0, float %1)
;;   %5 = select i1 %2, float %3, float %4
;;   ret float %5
;; }
;;
;; define double @f1(ptr noundef %vm, double noundef %0) #0 {
;; b0:
;;   %1 = fneg double %0
;;   %2 = call double @llvm.roundeven.f64(double %1)
;;   ret double %2
;; }
;;
;; define double @f2(ptr noundef %vm, double noundef %0) #0 {
;; b0:
;;   %1 = call double @llvm.arithmetic.fence.f64(double 0x3FF0000000000000)
;;   %2 = fmul double %0, %1
;;   ret double %2
;; }
;;
;; define float @f3(ptr noundef %vm, float noundef %0) #0 {
;; b0:
;;   %1 = call float @llvm.arithmetic.fence.f32(float 0x8000000000000000)
;;   %2 = fsub float %1, %0
;;   ret float %2
;; }
;;
;; define float @f4(ptr noundef %vm, float noundef %0) #0 {
;; b0:
;;   %1 = fmul float %0, 0x4000000000000000
;;   ret float %1
;; }
;;
;; define float @f5(ptr noundef %vm) #0 {
;; b0:
;;   %0 = bitcast i32 2141192192 to float
;;   ret float %0
;; }
;;
;; define double @f6(ptr noundef %vm) #0 {
;; b0:
;;   ret double 0x7FF4000000000000
;; }
;;
;; define double @f7(ptr noundef %vm, double noundef %0, double noundef %1) #0 {
;; b0:
;;   %2 = call double @llvm.copysign.f64(double %0, double %1)
;;   ret double %2
;; }
