(module
  (memory 1)
  (func (param i32) (result i32) (i32.load offset=8 (local.get 0)))
  ;; The pointer for an index is made once in a region.
  (func (param i32 i64)
    (i64.store8 offset=4 (local.get 0) (i64.load16_s (local.get 0)))
    (i64.store (local.get 0) (local.get 1)))
  (func (result f64) (f64.load offset=16 (i32.const -8)))
  ;; A load whose value nobody uses may still trap.
  (func (param i32) (drop (i32.load (local.get 0))))
  (func (param i32) (drop (i32.add (i32.load (local.get 0)) (i32.const 1))))
  (func (param i32) (local f32) (local.set 1 (f32.load (local.get 0))))
  (func (param i32) (result i32) (i32.load (local.get 0)) (return (local.get 0))))

;; define i32 @f0(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr inbounds nuw i8, ptr %m0, i64 %1
;;   %3 = getelementptr inbounds nuw i8, ptr %2, i64 8
;;   %4 = load i32, ptr %3, align 1, !tbaa !4
;;   ret i32 %4
;; }
;;
;; define void @f1(ptr noundef %vm, i32 noundef %0, i64 noundef %1) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %2 = zext i32 %0 to i64
;;   %3 = getelementptr inbounds nuw i8, ptr %m0, i64 %2
;;   %4 = load i16, ptr %3, align 1, !tbaa !4
;;   %5 = sext i16 %4 to i64
;;   %6 = getelementptr inbounds nuw i8, ptr %3, i64 4
;;   %7 = trunc i64 %5 to i8
;;   store i8 %7, ptr %6, align 1, !tbaa !4
;;   store i64 %1, ptr %3, align 1, !tbaa !4
;;   ret void
;; }
;;
;; define double @f2(ptr noundef %vm) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %0 = getelementptr i8, ptr %m0, i64 4294967304
;;   %1 = load double, ptr %0, align 1, !tbaa !4
;;   ret double %1
;; }
;;
;; define void @f3(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr inbounds nuw i8, ptr %m0, i64 %1
;;   %3 = load volatile i32, ptr %2, align 1, !tbaa !4
;;   ret void
;; }
;;
;; define void @f4(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr inbounds nuw i8, ptr %m0, i64 %1
;;   %3 = load i32, ptr %2, align 1, !tbaa !4
;;   %4 = add i32 %3, 1
;;   call void asm sideeffect "", "r"(i32 %4)
;;   ret void
;; }
;;
;; define void @f5(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr inbounds nuw i8, ptr %m0, i64 %1
;;   %3 = load volatile float, ptr %2, align 1, !tbaa !4
;;   ret void
;; }
;;
;; define i32 @f6(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr inbounds nuw i8, ptr %m0, i64 %1
;;   %3 = load volatile i32, ptr %2, align 1, !tbaa !4
;;   ret i32 %0
;; }
