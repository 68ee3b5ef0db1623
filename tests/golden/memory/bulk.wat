(module
  (memory 1)
  (memory 2)
  (data $d "abc")
  (func (result i32) (memory.size))
  (func (param i32) (result i32) (memory.grow 1 (local.get 0)))
  (func (param i32 i32 i32) (memory.copy 0 1 (local.get 0) (local.get 1) (local.get 2)))
  (func (memory.fill (i32.const 0) (i32.const 255) (i32.const -1)))
  (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3)) (data.drop $d)))

;; declare i64 @jw_memory_grow(ptr, i64)
;; declare void @jw_memory_copy(ptr, ptr, i64, i64, i64)
;; declare void @jw_memory_fill(ptr, i64, i32, i64)
;; declare void @jw_memory_init(ptr, ptr, i64, i64, i64)
;;
;; define i32 @f0(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 32
;;   %1 = load ptr, ptr %0, !invariant.load !1, !tbaa !6
;;   %2 = getelementptr i8, ptr %1, i64 8
;;   %3 = load i64, ptr %2, !tbaa !6
;;   %4 = lshr i64 %3, 16
;;   %5 = trunc i64 %4 to i32
;;   ret i32 %5
;; }
;;
;; define i32 @f1(ptr noundef %vm, i32 noundef %0) #0 {
;; b0:
;;   %1 = zext i32 %0 to i64
;;   %2 = getelementptr i8, ptr %vm, i64 40
;;   %3 = load ptr, ptr %2, !invariant.load !1, !tbaa !6
;;   %4 = call i64 @jw_memory_grow(ptr %3, i64 %1)
;;   %5 = trunc i64 %4 to i32
;;   ret i32 %5
;; }
;;
;; define void @f2(ptr noundef %vm, i32 noundef %0, i32 noundef %1, i32 noundef %2) #0 {
;; b0:
;;   %3 = zext i32 %2 to i64
;;   %4 = zext i32 %1 to i64
;;   %5 = zext i32 %0 to i64
;;   %6 = getelementptr i8, ptr %vm, i64 32
;;   %7 = load ptr, ptr %6, !invariant.load !1, !tbaa !6
;;   %8 = getelementptr i8, ptr %vm, i64 40
;;   %9 = load ptr, ptr %8, !invariant.load !1, !tbaa !6
;;   call void @jw_memory_copy(ptr %7, ptr %9, i64 %5, i64 %4, i64 %3)
;;   ret void
;; }
;;
;; define void @f3(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 32
;;   %1 = load ptr, ptr %0, !invariant.load !1, !tbaa !6
;;   call void @jw_memory_fill(ptr %1, i64 0, i32 255, i64 4294967295)
;;   ret void
;; }
;;
;; define void @f4(ptr noundef %vm) #0 {
;; b0:
;;   %0 = getelementptr i8, ptr %vm, i64 120
;;   %1 = getelementptr i8, ptr %vm, i64 32
;;   %2 = load ptr, ptr %1, !invariant.load !1, !tbaa !6
;;   call void @jw_memory_init(ptr %2, ptr %0, i64 0, i64 0, i64 3)
;;   %3 = getelementptr i8, ptr %vm, i64 128
;;   store i64 0, ptr %3, !tbaa !6
;;   ret void
;; }
