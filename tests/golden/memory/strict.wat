;;! strict=true
(module
  (memory 1)
  (func (param i32) (i32.store (local.get 0) (i32.load offset=8 (local.get 0)))))

;; define void @f0(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %m0.p = getelementptr i8, ptr %vm, i64 16
;;   %m0 = load ptr, ptr %m0.p, !invariant.load !1, !tbaa !6
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr inbounds nuw i8, ptr %m0, i64 %1
;;   %3 = getelementptr inbounds nuw i8, ptr %2, i64 8
;;   %4 = load volatile i32, ptr %3, align 1, !tbaa !4
;;   store volatile i32 %4, ptr %2, align 1, !tbaa !4
;;   ret void
;; }
