(module
  (type $t (func (result i32 i32 i32 i32)))
  (import "m" "f" (func $import (type $t)))
  (func (type $t) (return_call $import)))

;; define i32 @u1(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x i64> %x0, <2 x i64> %x1, <2 x i64> %x2, <2 x i64> %x3, <2 x i64> %x4, <2 x i64> %x5, <2 x i64> %x6, <2 x i64> %x7) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 32
;;   %1 = load ptr, ptr %0, !invariant.load !1, !tbaa !6
;;   %2 = getelementptr i8, ptr %vm, i64 24
;;   %3 = load ptr, ptr %2, !tbaa !6
;;   %4 = load ptr, ptr %1, !invariant.load !1, !tbaa !6
;;   %5 = load ptr, ptr %vm, !invariant.load !1, !tbaa !6
;;   %6 = icmp eq ptr %4, %5
;;   br i1 %6, label %b1, label %b2
;; b2:
;;   %7 = call i32 %3(ptr %1)
;;   %8 = load ptr, ptr %1, !invariant.load !1, !tbaa !6
;;   %9 = load i32, ptr %8, !tbaa !6
;;   %10 = getelementptr i8, ptr %8, i64 16
;;   %11 = load i32, ptr %10, !tbaa !6
;;   %12 = getelementptr i8, ptr %8, i64 32
;;   %13 = load i32, ptr %12, !tbaa !6
;;   %14 = load ptr, ptr %vm, !invariant.load !1, !tbaa !6
;;   store i32 %9, ptr %14, !tbaa !6
;;   %15 = getelementptr i8, ptr %14, i64 16
;;   store i32 %11, ptr %15, !tbaa !6
;;   %16 = getelementptr i8, ptr %14, i64 32
;;   store i32 %13, ptr %16, !tbaa !6
;;   ret i32 %7
;; b1:
;;   %17 = musttail call i32 %3(ptr %1, i64 poison, i64 poison, i64 poison, i64 poison, i64 poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison, <2 x i64> poison)
;;   ret i32 %17
;; }
