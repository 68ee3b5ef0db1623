; Bodies of the helpers that compiled code calls: one for each row of jitwasm.libcalls (jw_trap is
; in entry.s).
;
; Bounds are checked first and as a whole, so a trapping operation has written nothing. Sums cannot
; overflow: `offset > size - length`, after `length > size` has been excluded. Sizes only grow, and
; only under cmpxchg, so a size once read stays a lower bound.
;
; Growing makes pages accessible before the new size is published. Pages start as zeros, which is
; the null reference too, so a table's new elements are valid at any moment.
;
; A long operation looks at its end whether a tick came meanwhile: no tick can meet it in wasm code.

; Make [base + old, base + new) accessible; whether it worked.
define i1 @jw_commit(ptr %base, i64 %old, i64 %new) {
entry:
  %none = icmp eq i64 %old, %new
  br i1 %none, label %yes, label %protect
protect:
  %first = and i64 %old, -4096
  %past = add i64 %new, 4095
  %last = and i64 %past, -4096
  %size = sub i64 %last, %first
  %start = getelementptr i8, ptr %base, i64 %first
  %rc = call i32 @mprotect(ptr %start, i64 %size, i32 3)
  %ok = icmp eq i32 %rc, 0
  ret i1 %ok
yes:
  ret i1 true
}

define i64 @jw_memory_grow(ptr %record, i64 %pages) {
entry:
  %shift = get %record MemoryRecord.page_shift
  %maximum = get %record MemoryRecord.maximum
  %base = get %record MemoryRecord.base
  %most = lshr i64 %maximum, %shift
  %absurd = icmp ugt i64 %pages, %most
  br i1 %absurd, label %fail, label %again
again:
  %bytes.p = field %record MemoryRecord.bytes
  %old = load atomic volatile i64, ptr %bytes.p monotonic, align 8
  %delta = shl i64 %pages, %shift
  %room = sub i64 %maximum, %old
  %full = icmp ugt i64 %delta, %room
  br i1 %full, label %fail, label %commit
commit:
  %new = add i64 %old, %delta
  %ok = call i1 @jw_commit(ptr %base, i64 %old, i64 %new)
  br i1 %ok, label %publish, label %fail
publish:
  %pair = cmpxchg ptr %bytes.p, i64 %old, i64 %new seq_cst seq_cst
  %won = extractvalue { i64, i1 } %pair, 1
  br i1 %won, label %done, label %again
done:
  %old.pages = lshr i64 %old, %shift
  ret i64 %old.pages
fail:
  ret i64 -1
}

define i64 @jw_table_grow(ptr %record, i64 %count, ptr %value) {
entry:
  %maximum = get %record TableRecord.maximum
  %base = get %record TableRecord.base
  %size.p = field %record TableRecord.size
  br label %again
again:
  %old = load atomic volatile i64, ptr %size.p monotonic, align 8
  %room = sub i64 %maximum, %old
  %full = icmp ugt i64 %count, %room
  br i1 %full, label %fail, label %commit
commit:
  %new = add i64 %old, %count
  %old.bytes = shl i64 %old, 3
  %new.bytes = shl i64 %new, 3
  %reserved = get %record TableRecord.reserved
  %is_whole = icmp eq i64 %reserved, 0
  br i1 %is_whole, label %fill, label %extend
extend:
  %ok = call i1 @jw_commit(ptr %base, i64 %old.bytes, i64 %new.bytes)
  br i1 %ok, label %fill, label %fail
fill:
  %start = getelementptr i8, ptr %base, i64 %old.bytes
  call void @jw_fill_words(ptr %start, ptr %value, i64 %count)
  %pair = cmpxchg ptr %size.p, i64 %old, i64 %new seq_cst seq_cst
  %won = extractvalue { i64, i1 } %pair, 1
  br i1 %won, label %done, label %again
done:
  call void @jw_look(i64 %count)
  ret i64 %old
fail:
  ret i64 -1
}

define void @jw_fill_words(ptr %start, ptr %value, i64 %count) {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %store ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %store
store:
  %p = getelementptr ptr, ptr %start, i64 %i
  store ptr %value, ptr %p
  %more = add i64 %i, 1
  br label %next
done:
  ret void
}

; Trap with %code unless [offset, offset + length) lies within %size.
define void @jw_check_range(i64 %offset, i64 %length, i64 %size, i32 %code) {
entry:
  %long = icmp ugt i64 %length, %size
  br i1 %long, label %trap, label %place
place:
  %last = sub i64 %size, %length
  %out = icmp ugt i64 %offset, %last
  br i1 %out, label %trap, label %ok
trap:
  call void @jw_trap(i32 %code)
  unreachable
ok:
  ret void
}

; After %length bytes of work outside of wasm code: did a tick come meanwhile?
define void @jw_look(i64 %length) {
entry:
  %long = icmp ugt i64 %length, 16384
  br i1 %long, label %look, label %done
look:
  ; Outside of any call where Python grows a memory or table.
  %ts = call ptr @jw_thread()
  %stranger = icmp eq ptr %ts, null
  br i1 %stranger, label %done, label %known
known:
  %act = get %ts ThreadState.top
  %outside = icmp eq ptr %act, null
  br i1 %outside, label %done, label %inside
inside:
  %in_host = get %act Activation.in_host
  %want = get %act Activation.want
  %wanted = icmp ne i32 %want, 0
  %in_wasm = icmp eq i32 %in_host, 0
  %both = and i1 %wanted, %in_wasm
  br i1 %both, label %serve, label %done
serve:
  call void @jw_back_to_wasm()
  br label %done
done:
  ret void
}

define void @jw_memory_copy(ptr %to, ptr %from, i64 %dst, i64 %src, i64 %length) {
  %to.size = get %to MemoryRecord.bytes
  %from.size = get %from MemoryRecord.bytes
  call void @jw_check_range(i64 %src, i64 %length, i64 %from.size, i32 <Trap.OUT_OF_BOUNDS_MEMORY>)
  call void @jw_check_range(i64 %dst, i64 %length, i64 %to.size, i32 <Trap.OUT_OF_BOUNDS_MEMORY>)
  %to.base = get %to MemoryRecord.base
  %from.base = get %from MemoryRecord.base
  %to.p = getelementptr i8, ptr %to.base, i64 %dst
  %from.p = getelementptr i8, ptr %from.base, i64 %src
  %ignored = call ptr @memmove(ptr %to.p, ptr %from.p, i64 %length)
  call void @jw_look(i64 %length)
  ret void
}

define void @jw_memory_fill(ptr %record, i64 %dst, i32 %value, i64 %length) {
  %size = get %record MemoryRecord.bytes
  call void @jw_check_range(i64 %dst, i64 %length, i64 %size, i32 <Trap.OUT_OF_BOUNDS_MEMORY>)
  %base = get %record MemoryRecord.base
  %p = getelementptr i8, ptr %base, i64 %dst
  %ignored = call ptr @memset(ptr %p, i32 %value, i64 %length)
  call void @jw_look(i64 %length)
  ret void
}

define void @jw_memory_init(ptr %record, ptr %segment, i64 %dst, i64 %src, i64 %length) {
  %size = get %record MemoryRecord.bytes
  %from.size = get %segment DataSegment.size
  call void @jw_check_range(i64 %src, i64 %length, i64 %from.size, i32 <Trap.OUT_OF_BOUNDS_MEMORY>)
  call void @jw_check_range(i64 %dst, i64 %length, i64 %size, i32 <Trap.OUT_OF_BOUNDS_MEMORY>)
  %base = get %record MemoryRecord.base
  %from = get %segment DataSegment.base
  %to.p = getelementptr i8, ptr %base, i64 %dst
  %from.p = getelementptr i8, ptr %from, i64 %src
  %ignored = call ptr @memmove(ptr %to.p, ptr %from.p, i64 %length)
  call void @jw_look(i64 %length)
  ret void
}

define void @jw_table_copy(ptr %to, ptr %from, i64 %dst, i64 %src, i64 %count) {
  %to.size = get %to TableRecord.size
  %from.size = get %from TableRecord.size
  call void @jw_check_range(i64 %src, i64 %count, i64 %from.size, i32 <Trap.OUT_OF_BOUNDS_TABLE>)
  call void @jw_check_range(i64 %dst, i64 %count, i64 %to.size, i32 <Trap.OUT_OF_BOUNDS_TABLE>)
  %to.base = get %to TableRecord.base
  %from.base = get %from TableRecord.base
  call void @jw_move_words(ptr %to.base, ptr %from.base, i64 %dst, i64 %src, i64 %count)
  ret void
}

define void @jw_table_fill(ptr %record, i64 %dst, ptr %value, i64 %count) {
  %size = get %record TableRecord.size
  call void @jw_check_range(i64 %dst, i64 %count, i64 %size, i32 <Trap.OUT_OF_BOUNDS_TABLE>)
  %base = get %record TableRecord.base
  %p = getelementptr ptr, ptr %base, i64 %dst
  call void @jw_fill_words(ptr %p, ptr %value, i64 %count)
  call void @jw_look(i64 %count)
  ret void
}

define void @jw_table_init(ptr %record, ptr %segment, i64 %dst, i64 %src, i64 %count) {
  %size = get %record TableRecord.size
  %from.size = get %segment ElemSegment.size
  call void @jw_check_range(i64 %src, i64 %count, i64 %from.size, i32 <Trap.OUT_OF_BOUNDS_TABLE>)
  call void @jw_check_range(i64 %dst, i64 %count, i64 %size, i32 <Trap.OUT_OF_BOUNDS_TABLE>)
  %base = get %record TableRecord.base
  %from = get %segment ElemSegment.base
  call void @jw_move_words(ptr %base, ptr %from, i64 %dst, i64 %src, i64 %count)
  ret void
}

define void @jw_move_words(ptr %to, ptr %from, i64 %dst, i64 %src, i64 %count) {
  %to.p = getelementptr ptr, ptr %to, i64 %dst
  %from.p = getelementptr ptr, ptr %from, i64 %src
  %length = shl i64 %count, 3
  %ignored = call ptr @memmove(ptr %to.p, ptr %from.p, i64 %length)
  call void @jw_look(i64 %length)
  ret void
}
