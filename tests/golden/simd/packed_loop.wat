;;! opt_level=2
(module
  (memory 1)
  ;; Taken apart: a value from outside, a constant, neighbouring addresses, a vector used behind.
  (func (param $p i32) (param $n i32) (param $k v128) (result v128) (local $v v128)
    (loop $l
      (v128.store offset=512 (local.get $p)
        (local.tee $v (f64x2.sub
          (f64x2.mul (v128.load (local.get $p)) (local.get $k))
          (v128.const f64x2 0.5 0.25))))
      (local.set $p (i32.add (local.get $p) (i32.const 16)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 2)))))
    (local.get $v))
  ;; Not: these may overlap by a part.
  (func (param $p i32) (param $n i32)
    (loop $l
      (v128.store offset=516 (local.get $p)
        (f64x2.add (v128.load (local.get $p)) (v128.load offset=16 (local.get $p))))
      (local.set $p (i32.add (local.get $p) (i32.const 16)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 2)))))))

;; define <2 x i64> @f0(ptr noundef %vm, i32 noundef %0, i32 noundef %1, <2 x i64> noundef %2) #1 #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %m0.b1.0 = getelementptr i8, ptr %m0, i64 0
;;   %lo2.b1.l = extractelement <2 x i64> %2, i64 0
;;   %lo2.b1 = bitcast i64 %lo2.b1.l to double
;;   %hi2.b1.l = extractelement <2 x i64> %2, i64 1
;;   %hi2.b1 = bitcast i64 %hi2.b1.l to double
;;   br label %b1
;; b1:
;;   %p2 = phi i32 [ %1, %b0 ], [ %15, %b1 ]
;;   %p1 = phi i32 [ %0, %b0 ], [ %14, %b1 ]
;;   %4 = zext i32 %p1 to i64
;;   %5 = getelementptr inbounds nuw i8, ptr %m0.b1.0, i64 %4
;;   %lo6 = load double, ptr %5, align 1, !tbaa !4
;;   %at6 = getelementptr inbounds nuw i8, ptr %5, i64 8
;;   %hi6 = load double, ptr %at6, align 1, !tbaa !4
;;   %in6 = insertelement <2 x double> poison, double %lo6, i64 0
;;   %of6 = insertelement <2 x double> %in6, double %hi6, i64 1
;;   %6 = bitcast <2 x double> %of6 to <2 x i64>
;;   %7 = bitcast <2 x i64> %6 to <2 x double>
;;   %8 = bitcast <2 x i64> %2 to <2 x double>
;;   %9 = fmul <2 x double> %7, %8
;;   %lo9 = fmul double %lo6, %lo2.b1
;;   %hi9 = fmul double %hi6, %hi2.b1
;;   %10 = bitcast <2 x double> %9 to <2 x i64>
;;   %11 = fsub <2 x double> %9, bitcast (<2 x i64> <i64 4602678819172646912, i64 4598175219545276416> to <2 x double>)
;;   %lo11 = fsub double %lo9, bitcast (i64 4602678819172646912 to double)
;;   %hi11 = fsub double %hi9, bitcast (i64 4598175219545276416 to double)
;;   %12 = bitcast <2 x double> %11 to <2 x i64>
;;   %13 = getelementptr inbounds nuw i8, ptr %5, i64 512
;;   store double %lo11, ptr %13, align 1, !tbaa !4
;;   %atb1.1 = getelementptr inbounds nuw i8, ptr %13, i64 8
;;   store double %hi11, ptr %atb1.1, align 1, !tbaa !4
;;   %14 = add i32 %p1, 16
;;   %15 = sub i32 %p2, 2
;;   %16 = icmp ne i32 %15, 0
;;   br i1 %16, label %b1, label %b2
;; b2:
;;   ret <2 x i64> %12
;; }
;;
;; define void @f1(ptr noundef %vm, i32 noundef %0, i32 noundef %1) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %m0.b1.0 = getelementptr i8, ptr %m0, i64 0
;;   br label %b1
;; b1:
;;   %p2 = phi i32 [ %1, %b0 ], [ %14, %b1 ]
;;   %p1 = phi i32 [ %0, %b0 ], [ %13, %b1 ]
;;   %3 = zext i32 %p1 to i64
;;   %4 = getelementptr inbounds nuw i8, ptr %m0.b1.0, i64 %3
;;   %5 = load <2 x i64>, ptr %4, align 1, !tbaa !4
;;   %6 = getelementptr inbounds nuw i8, ptr %4, i64 16
;;   %7 = load <2 x i64>, ptr %6, align 1, !tbaa !4
;;   %8 = bitcast <2 x i64> %5 to <2 x double>
;;   %9 = bitcast <2 x i64> %7 to <2 x double>
;;   %10 = fadd <2 x double> %8, %9
;;   %11 = bitcast <2 x double> %10 to <2 x i64>
;;   %12 = getelementptr inbounds nuw i8, ptr %4, i64 516
;;   store <2 x i64> %11, ptr %12, align 1, !tbaa !4
;;   %13 = add i32 %p1, 16
;;   %14 = sub i32 %p2, 2
;;   %15 = icmp ne i32 %14, 0
;;   br i1 %15, label %b1, label %b2
;; b2:
;;   ret void
;; }
