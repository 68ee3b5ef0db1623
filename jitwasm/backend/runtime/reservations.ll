; Reservations of memories and tables: address space that is used again.
;
; Reserving a range, making its first bytes accessible, filling page tables and giving all that up
; takes several times longer than the rest of making an instance. So the ranges that were given up
; last are kept, up to eight of them: their pages go back to the system at once, and all but the first
; bytes is made inaccessible again, whatever was done to them. They are taken and given back with the
; GIL held. Where address space, or how much of it may be writable, is limited none is kept.
;
; A range belongs to a capsule, so that it is given up without running Python code, at whatever moment
; that is. The capsule's pointer is a block of four words: base, bytes reserved, how many of them are
; accessible at first, and the number of the image that is mapped there: 0 for none, -1 if the range
; must not be used again. Where an image is mapped, a page that goes back to the system shows the image
; again, so such a range serves the next memory that begins with the same image, and that takes neither
; a system call nor a page. Sizes are whole pages.

@jw_free_ranges = global [32 x i64] zeroinitializer  ; eight times these four words
@jw_free_count = global i64 0
@jw_range_name = text "jitwasm range"

; (reserved, size, image): a capsule and the base, 1 more if the image is mapped there; or, if the
; system refuses, its error number. No image is mapped where that is not so.
define ptr @jw_reserve(ptr %self, ptr %args, i64 %n) {
entry:
  %reserved = call i64 @jw_argument(ptr %args, i64 0)
  %size = call i64 @jw_argument(ptr %args, i64 1)
  %image = call i64 @jw_argument(ptr %args, i64 2)
  %block = call ptr @malloc(i64 32)
  %no_block = icmp eq ptr %block, null
  br i1 %no_block, label %no_memory, label %find
find:
  %kept = call i1 @jw_take_range(ptr %block, i64 %reserved, i64 %size, i64 %image)
  br i1 %kept, label %fit, label %map
fit:
  %old = call i64 @jw_range_word(ptr %block, i64 2)
  %rc.fit = call i64 @jw_fit_range(ptr %block, i64 %old, i64 %size)
  %fitted = icmp eq i64 %rc.fit, 0
  br i1 %fitted, label %wrap, label %map
map:
  %rc.map = call i64 @jw_map_range(ptr %block, i64 %reserved, i64 %size)
  %refused = icmp ne i64 %rc.map, 0
  br i1 %refused, label %failed, label %wrap
failed:
  call void @free(ptr %block)
  %error = sub i64 0, %rc.map
  %number = call ptr @PyLong_FromLongLong(i64 %error)
  ret ptr %number
wrap:
  %capsule = call ptr @PyCapsule_New(ptr %block, ptr @jw_range_name, ptr @jw_drop_range)
  %no_capsule = icmp eq ptr %capsule, null
  br i1 %no_capsule, label %unmap, label %pair
unmap:
  call void @jw_give_up(ptr %block)
  br label %fail
pair:
  %tuple = call ptr @PyTuple_New(i64 2)
  %no_tuple = icmp eq ptr %tuple, null
  br i1 %no_tuple, label %drop, label %fill
drop:
  call void @Py_DecRef(ptr %capsule)
  br label %fail
fill:
  %rc.0 = call i32 @PyTuple_SetItem(ptr %tuple, i64 0, ptr %capsule)
  %base = load i64, ptr %block
  %found = call i64 @jw_range_word(ptr %block, i64 3)
  %has_image = icmp ne i64 %found, 0
  %bit = zext i1 %has_image to i64
  %base.bit = or i64 %base, %bit
  %base.o = call ptr @PyLong_FromLongLong(i64 %base.bit)
  %no_base = icmp eq ptr %base.o, null
  br i1 %no_base, label %drop_tuple, label %done
drop_tuple:
  call void @Py_DecRef(ptr %tuple)
  br label %fail
done:
  %rc.1 = call i32 @PyTuple_SetItem(ptr %tuple, i64 1, ptr %base.o)
  ret ptr %tuple
no_memory:
  %null = call ptr @PyErr_NoMemory()
  br label %fail
fail:
  ret ptr null
}

; (capsule, number): what image is mapped in its range.
define ptr @jw_set_image(ptr %self, ptr %args, i64 %n) {
entry:
  %capsule = load ptr, ptr %args
  %image = call i64 @jw_argument(ptr %args, i64 1)
  %block = call ptr @PyCapsule_GetPointer(ptr %capsule, ptr @jw_range_name)
  %other = icmp eq ptr %block, null
  br i1 %other, label %fail, label %mark
mark:
  %image.p = getelementptr i8, ptr %block, i64 24
  store i64 %image, ptr %image.p
  %none = call ptr @jw_none()
  ret ptr %none
fail:
  ret ptr null
}

; (number): give up the ranges where an image is mapped: nobody wants it any more.
define ptr @jw_drop_image(ptr %self, ptr %args, i64 %n) {
entry:
  %row.gone = alloca [4 x i64]
  %image = call i64 @jw_argument(ptr %args, i64 0)
  %count = load i64, ptr @jw_free_count
  br label %next
next:
  %i = phi i64 [ %count, %entry ], [ %index, %look ], [ %index, %drop ]
  %end = icmp eq i64 %i, 0
  br i1 %end, label %done, label %look
look:
  %index = sub i64 %i, 1
  %row = getelementptr [4 x i64], ptr @jw_free_ranges, i64 %index
  %row.image = call i64 @jw_range_word(ptr %row, i64 3)
  %same = icmp eq i64 %row.image, %image
  br i1 %same, label %drop, label %next
drop:
  call void @jw_remove_range(ptr %row.gone, i64 %index)
  call void @jw_give_up(ptr %row.gone)
  br label %next
done:
  %none = call ptr @jw_none()
  ret ptr %none
}

define i64 @jw_range_word(ptr %block, i64 %index) {
  %p = getelementptr i64, ptr %block, i64 %index
  %word = load i64, ptr %p
  ret i64 %word
}

; A kept range of so many bytes, into a block: the best, and of those the last that was given up. One
; with the image is best, then one of which the right part is accessible. One with another image is none.
define i1 @jw_take_range(ptr %block, i64 %reserved, i64 %size, i64 %image) {
entry:
  %count = load i64, ptr @jw_free_count
  br label %next
next:
  %i = phi i64 [ %count, %entry ], [ %index, %look ], [ %index, %rate ]
  %best = phi i64 [ -1, %entry ], [ %best, %look ], [ %best.now, %rate ]
  %grade = phi i64 [ 0, %entry ], [ %grade, %look ], [ %grade.now, %rate ]
  %end = icmp eq i64 %i, 0
  br i1 %end, label %found, label %look
look:
  %index = sub i64 %i, 1
  %row = getelementptr [4 x i64], ptr @jw_free_ranges, i64 %index
  %row.reserved = call i64 @jw_range_word(ptr %row, i64 1)
  %row.image = call i64 @jw_range_word(ptr %row, i64 3)
  %same_length = icmp eq i64 %row.reserved, %reserved
  %plain = icmp eq i64 %row.image, 0
  %same_image = icmp eq i64 %row.image, %image
  %usable = or i1 %plain, %same_image
  %fits = and i1 %same_length, %usable
  br i1 %fits, label %rate, label %next
rate:
  %row.size = call i64 @jw_range_word(ptr %row, i64 2)
  %exact = icmp eq i64 %row.size, %size
  %exact.points = zext i1 %exact to i64
  %image.points = select i1 %same_image, i64 2, i64 0
  %points = add i64 %exact.points, %image.points
  %row.grade = add i64 %points, 1
  %better = icmp ugt i64 %row.grade, %grade
  %best.now = select i1 %better, i64 %index, i64 %best
  %grade.now = select i1 %better, i64 %row.grade, i64 %grade
  br label %next
found:
  %nothing = icmp eq i64 %best, -1
  br i1 %nothing, label %no, label %take
take:
  call void @jw_remove_range(ptr %block, i64 %best)
  ret i1 true
no:
  ret i1 false
}

; Move one of the kept ranges into a block.
define void @jw_remove_range(ptr %block, i64 %which) {
  %count = load i64, ptr @jw_free_count
  %left = sub i64 %count, 1
  store i64 %left, ptr @jw_free_count
  %row = getelementptr [4 x i64], ptr @jw_free_ranges, i64 %which
  call void @llvm.memcpy.p0.p0.i64(ptr %block, ptr %row, i64 32, i1 false)
  %behind = getelementptr i8, ptr %row, i64 32
  %after = sub i64 %left, %which
  %bytes = mul i64 %after, 32
  %ignored = call ptr @memmove(ptr %row, ptr %behind, i64 %bytes)
  ret void
}

; Let the first %size bytes be accessible instead of %old: 0, or minus the error number.
define i64 @jw_fit_range(ptr %block, i64 %old, i64 %size) {
entry:
  %base = load i64, ptr %block
  %size.p = getelementptr i8, ptr %block, i64 16
  store i64 %size, ptr %size.p
  %same = icmp eq i64 %old, %size
  br i1 %same, label %done, label %change
done:
  ret i64 0
change:
  %more = icmp ult i64 %old, %size
  %low = select i1 %more, i64 %old, i64 %size
  %high = select i1 %more, i64 %size, i64 %old
  %rights = select i1 %more, i64 3, i64 0
  %start = add i64 %base, %low
  %length = sub i64 %high, %low
  %rc = call i64 @jw_system(i64 10, i64 %start, i64 %length, i64 %rights)
  %failed = icmp ne i64 %rc, 0
  br i1 %failed, label %unmap, label %done
unmap:
  call void @jw_give_up(ptr %block)
  ret i64 %rc
}

; A new range, into a block: 0, or minus the error number.
define i64 @jw_map_range(ptr %block, i64 %reserved, i64 %size) {
entry:
  br label %again
again:
  ; private, anonymous, nothing is charged for it
  %base = call ptr @mmap(ptr null, i64 %reserved, i32 0, i32 16418, i32 -1, i64 0)
  %failed = icmp eq ptr %base, inttoptr (i64 -1 to ptr)
  br i1 %failed, label %release, label %mapped
release:
  ; Ranges that are kept may be what is in the way. ENOMEM is what mmap and mprotect say where there
  ; is no room.
  %count = load i64, ptr @jw_free_count
  %none = icmp eq i64 %count, 0
  br i1 %none, label %refused, label %drop
drop:
  call void @jw_remove_range(ptr %block, i64 0)
  call void @jw_give_up(ptr %block)
  br label %again
refused:
  ret i64 -12
mapped:
  store ptr %base, ptr %block
  %reserved.p = getelementptr i8, ptr %block, i64 8
  store i64 %reserved, ptr %reserved.p
  %image.p = getelementptr i8, ptr %block, i64 24
  store i64 0, ptr %image.p
  %rc = call i64 @jw_fit_range(ptr %block, i64 0, i64 %size)
  %refused.size = icmp ne i64 %rc, 0
  br i1 %refused.size, label %release, label %done
done:
  ret i64 0
}

; Give a range back to the system.
define void @jw_give_up(ptr %block) {
  %base = load ptr, ptr %block
  %reserved = call i64 @jw_range_word(ptr %block, i64 1)
  %rc = call i32 @munmap(ptr %base, i64 %reserved)
  ret void
}

; A system call of three arguments, with the result as the kernel gives it.
define i64 @jw_system(i64 %number, i64 %a, i64 %b, i64 %c) {
  %rc = call i64 asm sideeffect "syscall", "={rax},{rax},{rdi},{rsi},{rdx},~{rcx},~{r11},~{memory}"(i64 %number, i64 %a, i64 %b, i64 %c)
  ret i64 %rc
}

; Whether there is a limit to a resource.
define i1 @jw_is_limited(i64 %resource) {
  %limit = alloca [2 x i64]
  %address = ptrtoint ptr %limit to i64
  ; getrlimit
  %rc = call i64 @jw_system(i64 97, i64 %resource, i64 %address, i64 0)
  %soft = load i64, ptr %limit
  %limited = icmp ne i64 %soft, -1
  %unknown = icmp ne i64 %rc, 0
  %either = or i1 %limited, %unknown
  ret i1 %either
}

; The capsule goes: its range is kept, empty, or given back.
define void @jw_drop_range(ptr %capsule) {
entry:
  %oldest = alloca [4 x i64]
  %block = call ptr @PyCapsule_GetPointer(ptr %capsule, ptr @jw_range_name)
  %size = call i64 @jw_range_word(ptr %block, i64 2)
  %image = call i64 @jw_range_word(ptr %block, i64 3)
  %forsaken = icmp eq i64 %image, -1
  br i1 %forsaken, label %unmap, label %ask
ask:
  %space = call i1 @jw_is_limited(i64 9)  ; RLIMIT_AS
  %data = call i1 @jw_is_limited(i64 2)  ; RLIMIT_DATA
  %tight = or i1 %space, %data
  br i1 %tight, label %unmap, label %empty
empty:
  %base = load i64, ptr %block
  %reserved = call i64 @jw_range_word(ptr %block, i64 1)
  ; Few pages are cleared: that takes less than giving them back and getting others.
  %few = icmp ule i64 %size, 16384
  %plain = icmp eq i64 %image, 0
  %clear = and i1 %few, %plain
  %kept = select i1 %clear, i64 %size, i64 0
  %from = add i64 %base, %kept
  %from.size = sub i64 %reserved, %kept
  ; madvise(MADV_DONTNEED): fails if pages are locked. Where rights are as they should be, mprotect
  ; does nothing.
  %rc.discard = call i64 @jw_system(i64 28, i64 %from, i64 %from.size, i64 4)
  %rc.open = call i64 @jw_system(i64 10, i64 %base, i64 %size, i64 3)
  %rest = add i64 %base, %size
  %rest.size = sub i64 %reserved, %size
  %rc.close = call i64 @jw_system(i64 10, i64 %rest, i64 %rest.size, i64 0)
  %rc.some = or i64 %rc.discard, %rc.open
  %rc = or i64 %rc.some, %rc.close
  %failed = icmp ne i64 %rc, 0
  br i1 %failed, label %unmap, label %zero
zero:
  %start = inttoptr i64 %base to ptr
  call void @llvm.memset.p0.i64(ptr %start, i8 0, i64 %kept, i1 false)
  br label %room
room:
  %count = load i64, ptr @jw_free_count
  %full = icmp eq i64 %count, 8
  br i1 %full, label %evict, label %keep
evict:
  call void @jw_remove_range(ptr %oldest, i64 0)
  call void @jw_give_up(ptr %oldest)
  br label %keep
keep:
  %now = load i64, ptr @jw_free_count
  %row = getelementptr [4 x i64], ptr @jw_free_ranges, i64 %now
  call void @llvm.memcpy.p0.p0.i64(ptr %row, ptr %block, i64 32, i1 false)
  %more = add i64 %now, 1
  store i64 %more, ptr @jw_free_count
  br label %done
unmap:
  call void @jw_give_up(ptr %block)
  br label %done
done:
  call void @free(ptr %block)
  ret void
}
