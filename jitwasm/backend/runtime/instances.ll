; What making an instance does in bulk: the loops that Python would take milliseconds for. They are
; builtins, whose arguments are integers: a call through ctypes takes longer than all of it.

; The integer at an index of a builtin's arguments.
define i64 @jw_argument(ptr %args, i64 %index) {
  %value = call ptr @jw_pointer_argument(ptr %args, i64 %index)
  %word = ptrtoint ptr %value to i64
  ret i64 %word
}

define ptr @jw_pointer_argument(ptr %args, i64 %index) {
  %p = getelementptr ptr, ptr %args, i64 %index
  %object = load ptr, ptr %p
  %value = call ptr @PyLong_AsVoidPtr(ptr %object)
  ret ptr %value
}

define ptr @jw_none() {
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
}

; (words, places, count, base)
define ptr @jw_relocate_words(ptr %self, ptr %args, i64 %n) {
  %words = call ptr @jw_pointer_argument(ptr %args, i64 0)
  %places = call ptr @jw_pointer_argument(ptr %args, i64 1)
  %count = call i64 @jw_argument(ptr %args, i64 2)
  %base = call i64 @jw_argument(ptr %args, i64 3)
  call void @jw_relocate(ptr %words, ptr %places, i64 %count, i64 %base)
  %none = call ptr @jw_none()
  ret ptr %none
}

; (memory, rows, count, runs, run count): copy data segments, after the pages of some runs, pairs of
; (offset, size), have been made present: at once that takes half of what a fault for each does.
define ptr @jw_place_segments(ptr %self, ptr %args, i64 %n) {
  %memory = call ptr @jw_pointer_argument(ptr %args, i64 0)
  %rows = call ptr @jw_pointer_argument(ptr %args, i64 1)
  %count = call i64 @jw_argument(ptr %args, i64 2)
  %runs = call ptr @jw_pointer_argument(ptr %args, i64 3)
  %run.count = call i64 @jw_argument(ptr %args, i64 4)
  call void @jw_make_present(ptr %memory, ptr %runs, i64 %run.count)
  call void @jw_copy_segments(ptr %memory, ptr %rows, i64 %count)
  %none = call ptr @jw_none()
  ret ptr %none
}

; (to, from, size)
define ptr @jw_copy_bytes(ptr %self, ptr %args, i64 %n) {
  %to = call ptr @jw_pointer_argument(ptr %args, i64 0)
  %from = call ptr @jw_pointer_argument(ptr %args, i64 1)
  %size = call i64 @jw_argument(ptr %args, i64 2)
  %ignored = call ptr @memmove(ptr %to, ptr %from, i64 %size)
  %none = call ptr @jw_none()
  ret ptr %none
}

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

; The HostEnvs of an instance, side by side, and the slots of imported functions that lead to them:
; (HostEnvs, list of targets, store state, overflow area, owner, code, slots or 0)
define ptr @jw_fill_hosts(ptr %self, ptr %args, i64 %n) {
entry:
  %envs = call ptr @jw_pointer_argument(ptr %args, i64 0)
  %list.p = getelementptr i8, ptr %args, i64 8
  %list = load ptr, ptr %list.p
  %store = call ptr @jw_pointer_argument(ptr %args, i64 2)
  %overflow = call ptr @jw_pointer_argument(ptr %args, i64 3)
  %owner = call ptr @jw_pointer_argument(ptr %args, i64 4)
  %code = call ptr @jw_pointer_argument(ptr %args, i64 5)
  %slots = call ptr @jw_pointer_argument(ptr %args, i64 6)
  %no_slots = icmp eq ptr %slots, null
  %count = call i64 @PyList_Size(ptr %list)
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %next, %more ]
  %env = phi ptr [ %envs, %entry ], [ %env.next, %more ]
  %done = icmp sge i64 %i, %count
  br i1 %done, label %end, label %body
body:
  %target = call ptr @PyList_GetItem(ptr %list, i64 %i)
  set %target, %env HostEnv.target
  set %store, %env HostEnv.store
  set %overflow, %env HostEnv.overflow
  set %owner, %env HostEnv.owner
  br i1 %no_slots, label %more, label %slot
slot:
  %slot.p = getelementptr [2 x i64], ptr %slots, i64 %i
  store ptr %code, ptr %slot.p
  %slot.env = getelementptr i8, ptr %slot.p, i64 8
  store ptr %env, ptr %slot.env
  br label %more
more:
  %next = add i64 %i, 1
  %env.next = getelementptr i8, ptr %env, i64 <HostEnv.size>
  br label %test
end:
  %none = call ptr @jw_none()
  ret ptr %none
}

; madvise(MADV_POPULATE_WRITE) on runs of a memory's pages. Where that fails, as in older kernels, the
; pages come by and by.
define void @jw_make_present(ptr %memory, ptr %runs, i64 %count) {
entry:
  %base = ptrtoint ptr %memory to i64
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %end, label %body
body:
  %run = getelementptr [2 x i64], ptr %runs, i64 %i
  %offset = load i64, ptr %run
  %size.p = getelementptr i8, ptr %run, i64 8
  %size = load i64, ptr %size.p
  %start = add i64 %base, %offset
  %rc = call i64 @jw_system(i64 28, i64 %start, i64 %size, i64 23)
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
