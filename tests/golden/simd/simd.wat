(module
  (memory 1)
  (func (param v128 v128) (result v128) (i32x4.add (local.get 0) (i8x16.add (local.get 0) (local.get 1))))
  (func (param i32) (result v128) (v128.load32_splat offset=4 (local.get 0)))
  (func (param v128 f32) (result v128) (f32x4.replace_lane 2 (local.get 0) (local.get 1)))
  (func (param v128) (result i32) (i8x16.bitmask (local.get 0))))

;; define <2 x i64> @f0(ptr noundef %vm, <2 x i64> noundef %0, <2 x i64> noundef %1) #0 {
;; b0:
;;   %2 = bitcast <2 x i64> %0 to <16 x i8>
;;   %3 = bitcast <2 x i64> %1 to <16 x i8>
;;   %4 = add <16 x i8> %2, %3
;;   %5 = bitcast <16 x i8> %4 to <2 x i64>
;;   %6 = bitcast <2 x i64> %0 to <4 x i32>
;;   %7 = bitcast <2 x i64> %5 to <4 x i32>
;;   %8 = add <4 x i32> %6, %7
;;   %9 = bitcast <4 x i32> %8 to <2 x i64>
;;   ret <2 x i64> %9
;; }
;;
;; define <2 x i64> @f1(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr inbounds nuw i8, ptr %m0, i64 %1
;;   %3 = getelementptr inbounds nuw i8, ptr %2, i64 4
;;   %4 = load i32, ptr %3, align 1, !tbaa !4
;;   %5 = insertelement <4 x i32> poison, i32 %4, i64 0
;;   %6 = shufflevector <4 x i32> %5, <4 x i32> poison, <4 x i32> zeroinitializer
;;   %7 = bitcast <4 x i32> %6 to <2 x i64>
;;   ret <2 x i64> %7
;; }
;;
;; define <2 x i64> @f2(ptr noundef %vm, <2 x i64> noundef %0, float noundef %1) #0 {
;; b0:
;;   %2 = bitcast <2 x i64> %0 to <4 x float>
;;   %3 = insertelement <4 x float> %2, float %1, i64 2
;;   %4 = bitcast <4 x float> %3 to <2 x i64>
;;   ret <2 x i64> %4
;; }
;;
;; define i32 @f3(ptr noundef %vm, <2 x i64> noundef %0) #0 {
;; b0:
;;   %1 = bitcast <2 x i64> %0 to <16 x i8>
;;   %2 = icmp slt <16 x i8> %1, zeroinitializer
;;   %3 = bitcast <16 x i1> %2 to i16
;;   %4 = zext i16 %3 to i32
;;   ret i32 %4
;; }
