(module
  (import "m" "f" (func $import (param f32 i32) (result i32)))
  (type $t (func (param v128) (result i32)))
  (table 1 funcref)
  ;; A function with a tail call has the universal prototype.
  (func $self (param i64 f64) (result i32) (return_call $self (local.get 0) (local.get 1)))
  (func (param i32 f32) (result i32) (return_call $import (local.get 1) (local.get 0)))
  (func (param v128 i32) (result i32) (return_call_indirect (type $t) (local.get 0) (local.get 1)))
  (func (param i64 i64 i64 i64 i64 i64) (result i32) (return_call $self (local.get 5) (f64.const 0)))
  (func $none (param (ref $t)) (return_call $none (local.get 0))))

;; declare void @jw_trap(i32) cold noreturn
;;
;; define i32 @u1(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x i64> %x0, <2 x i64> %x1, <2 x i64> %x2, <2 x i64> %x3, <2 x i64> %x4, <2 x i64> %x5, <2 x i64> %x6, <2 x i64> %x7) #0 {
;; b0:
;;   %0 = bitcast i64 %i0 to i64
;;   %x0.v = bitcast <2 x i64> %x0 to <2 x double>
;;   %1 = extractelement <2 x double> %x0.v, i64 0
;;   %2 = insertelement <2 x double> poison, double %1, i64 0
;;   %3 = bitcast <2 x double> %2 to <2 x i64>
;;   %4 = musttail call i32 @u1(ptr %vm, i64 %0, i64 poison, i64 poison, i64 poison, i64 poison, <2 x i64> %3, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison)
;;   ret i32 %4
;; }
;;
;; define i32 @u2(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x i64> %x0, <2 x i64> %x1, <2 x i64> %x2, <2 x i64> %x3, <2 x i64> %x4, <2 x i64> %x5, <2 x i64> %x6, <2 x i64> %x7) #0 {
;; b0:
;;   %0 = trunc i64 %i0 to i32
;;   %x0.v = bitcast <2 x i64> %x0 to <4 x float>
;;   %1 = extractelement <4 x float> %x0.v, i64 0
;;   %2 = getelementptr i8, ptr %vm, i64 96
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   %4 = getelementptr i8, ptr %vm, i64 88
;;   %5 = load ptr, ptr %4, !tbaa !6
;;   %6 = insertelement <4 x float> poison, float %1, i64 0
;;   %7 = bitcast <4 x float> %6 to <2 x i64>
;;   %8 = zext i32 %0 to i64
;;   %9 = musttail call i32 %5(ptr %3, i64 %8, i64 poison, i64 poison, i64 poison, i64 poison, <2 x i64> %7, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison)
;;   ret i32 %9
;; }
;;
;; define i32 @u3(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x i64> %x0, <2 x i64> %x1, <2 x i64> %x2, <2 x i64> %x3, <2 x i64> %x4, <2 x i64> %x5, <2 x i64> %x6, <2 x i64> %x7) #0 {
;; b0:
;;   %0 = bitcast <2 x i64> %x0 to <2 x i64>
;;   %1 = trunc i64 %i0 to i32
;;   %2 = zext i32 %1 to i64
;;   %3 = getelementptr i8, ptr %vm, i64 24
;;   %4 = load ptr, ptr %3, !invariant.load !1, !tbaa !6
;;   %5 = getelementptr i8, ptr %4, i64 8
;;   %6 = load i64, ptr %5, !tbaa !6
;;   %7 = icmp uge i64 %2, %6
;;   br i1 %7, label %t7, label %b1, !prof !0
;; b1:
;;   %8 = getelementptr i8, ptr %vm, i64 16
;;   %9 = load ptr, ptr %8, !invariant.load !1, !tbaa !6
;;   %10 = getelementptr ptr, ptr %9, i64 %2
;;   %11 = load ptr, ptr %10, !tbaa !8
;;   %12 = icmp eq ptr %11, null
;;   br i1 %12, label %t8, label %b2, !prof !0
;; b2:
;;   %13 = getelementptr i8, ptr %vm, i64 32
;;   %14 = load ptr, ptr %13, !invariant.load !1, !tbaa !6
;;   %15 = getelementptr i8, ptr %11, i64 16
;;   %16 = load ptr, ptr %15, !invariant.load !1, !tbaa !6
;;   %17 = icmp ne ptr %16, %14
;;   br i1 %17, label %t9, label %b3, !prof !0
;; b3:
;;   %18 = load ptr, ptr %11, !tbaa !6
;;   %19 = getelementptr i8, ptr %11, i64 8
;;   %20 = load ptr, ptr %19, !invariant.load !1, !tbaa !6
;;   %21 = musttail call i32 %18(ptr %20, i64 poison, i64 poison, i64 poison, i64 poison, i64 poison, <2 x i64> %0, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison)
;;   ret i32 %21
;; t7:
;;   call void @jw_trap(i32 7)
;;   unreachable
;; t8:
;;   call void @jw_trap(i32 8)
;;   unreachable
;; t9:
;;   call void @jw_trap(i32 9)
;;   unreachable
;; }
;;
;; define i32 @u4(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x i64> %x0, <2 x i64> %x1, <2 x i64> %x2, <2 x i64> %x3, <2 x i64> %x4, <2 x i64> %x5, <2 x i64> %x6, <2 x i64> %x7) #0 {
;; b0:
;;   %0 = bitcast i64 %i0 to i64
;;   %1 = bitcast i64 %i1 to i64
;;   %2 = bitcast i64 %i2 to i64
;;   %3 = bitcast i64 %i3 to i64
;;   %4 = bitcast i64 %i4 to i64
;;   %ov.p = getelementptr i8, ptr %vm, i64 0
;;   %ov = load ptr, ptr %ov.p, !invariant.load !1, !tbaa !6
;;   %o5.p = getelementptr i8, ptr %ov, i64 0
;;   %o5 = load i64, ptr %o5.p, !tbaa !6
;;   %6 = getelementptr i8, ptr %vm, i64 104
;;   %7 = load ptr, ptr %6, !tbaa !6
;;   %8 = insertelement <2 x double> poison, double 0x0000000000000000, i64 0
;;   %9 = bitcast <2 x double> %8 to <2 x i64>
;;   %10 = musttail call i32 %7(ptr %vm, i64 %o5, i64 poison, i64 poison, i64 poison, i64 poison, <2 x i64> %9, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison)
;;   ret i32 %10
;; }
;;
;; define void @u5(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x i64> %x0, <2 x i64> %x1, <2 x i64> %x2, <2 x i64> %x3, <2 x i64> %x4, <2 x i64> %x5, <2 x i64> %x6, <2 x i64> %x7) #0 {
;; b0:
;;   %0 = inttoptr i64 %i0 to ptr
;;   %1 = ptrtoint ptr %0 to i64
;;   musttail call void @u5(ptr %vm, i64 %1, i64 poison, i64 poison, i64 poison, i64 poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison)
;;   ret void
;; }
