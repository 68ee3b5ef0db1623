; What making an instance does in bulk: the loops that Python would take milliseconds for.

; Turn offsets into addresses: add %base to the words at these places (i32, counted in words).
define void @jw_relocate(ptr %words, ptr %places, i64 %count, i64 %base) {
entry:
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %end, label %body
body:
  %place.p = getelementptr i32, ptr %places, i64 %i
  %place = load i32, ptr %place.p
  %index = zext i32 %place to i64
  %word.p = getelementptr i64, ptr %words, i64 %index
  %old = load i64, ptr %word.p
  %new = add i64 %old, %base
  store i64 %new, ptr %word.p
  %next = add i64 %i, 1
  br label %test
end:
  ret void
}

; Copy data segments into a memory, in order: rows of (offset in it, address of the bytes, size).
define void @jw_copy_segments(ptr %memory, ptr %rows, i64 %count) {
entry:
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %end, label %body
body:
  %row = getelementptr [3 x i64], ptr %rows, i64 %i
  %offset = load i64, ptr %row
  %source.p = getelementptr i8, ptr %row, i64 8
  %source = load ptr, ptr %source.p
  %size.p = getelementptr i8, ptr %row, i64 16
  %size = load i64, ptr %size.p
  %target = getelementptr i8, ptr %memory, i64 %offset
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %source, i64 %size, i1 false)
  %next = add i64 %i, 1
  br label %test
end:
  ret void
}
