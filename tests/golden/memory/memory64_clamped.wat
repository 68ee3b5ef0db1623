;;! opt_level=0
(module
  (memory i64 1)
  (func (param i64) (result i32) (i32.load offset=8 (local.get 0))))

;; define i32 @f0(ptr noundef %vm, i64 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = icmp uge i64 %0, 68719476736
;;   %2 = select i1 %1, i64 68719476736, i64 %0
;;   %3 = getelementptr i8, ptr %m0, i64 %2
;;   %4 = getelementptr i8, ptr %3, i64 8
;;   %5 = load i32, ptr %4, align 1, !tbaa !4
;;   ret i32 %5
;; }
