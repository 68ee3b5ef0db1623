; Traps: from where they happen to a Python exception at the entry.
;
; jw_raise notes the registers and a copy of the stack, then jumps to the innermost activation; the
; entry thunk calls jw_land, which takes the GIL back if it was released and sets the exception.
; Control never passes over a frame of Python's: each entry has an activation of its own, and only
; the innermost is ever jumped to.


define void @jw_raise(i64 %code, ptr %registers) noreturn {
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  set %code, %act Activation.code
  %pc.p = getelementptr i8, ptr %registers, i64 <registers.rip>
  %pc = load i64, ptr %pc.p
  set %pc, %act Activation.pc
  call void @jw_save_stack(ptr %ts, ptr %act, ptr %registers)
  call void @jw_jump(ptr %act)
  unreachable
}

; A Python exception is set: back to the entry, which returns it.
define void @jw_raise_pending() noreturn {
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  set -1, %act Activation.code
  call void @jw_jump(ptr %act)
  unreachable
}

; For the backtrace: the registers, and the stack from there to the entry.
define void @jw_save_stack(ptr %ts, ptr %act, ptr %registers) {
entry:
  %kept = field %ts ThreadState.trap_registers
  call void @llvm.memcpy.p0.p0.i64(ptr %kept, ptr %registers, i64 64, i1 false)
  %sp.p = getelementptr i8, ptr %registers, i64 <registers.rsp>
  %sp = load i64, ptr %sp.p
  %end.p = getelementptr i8, ptr %act, i64 <registers.rsp>
  %end = load i64, ptr %end.p
  %whole = sub i64 %end, %sp
  %large = icmp ugt i64 %whole, <TRAP_STACK>
  %size = select i1 %large, i64 <TRAP_STACK>, i64 %whole
  set %size, %ts ThreadState.trap_stack_size
  %copy = get %ts ThreadState.trap_stack
  %limit = get %ts ThreadState.stack_limit
  %low = icmp ult i64 %sp, %limit
  br i1 %low, label %careful, label %simple
simple:
  %from = inttoptr i64 %sp to ptr
  call void @llvm.memcpy.p0.p0.i64(ptr %copy, ptr %from, i64 %size, i1 false)
  ret void
careful:
  call void @jw_save_end_of_stack(ptr %ts, ptr %copy, i64 %sp, i64 %size)
  ret void
}

; The same at the stack's end: the pages at the stack pointer may be the ones that do not exist. The
; kernel tells what can be read, process_vm_readv; what cannot is taken for zeros.
define void @jw_save_end_of_stack(ptr %ts, ptr %copy, i64 %sp, i64 %size) {
entry:
  %local = alloca [2 x i64]
  %remote = alloca [2 x i64]
  %pid.32 = call i32 @getpid()
  %pid = zext i32 %pid.32 to i64
  call void @llvm.memset.p0.i64(ptr %copy, i8 0, i64 %size, i1 false)
  %end = add i64 %sp, %size
  br label %try
try:
  %from = phi i64 [ %sp, %entry ], [ %next, %failed ]
  %past = icmp uge i64 %from, %end
  br i1 %past, label %nothing, label %read
read:
  %skipped = sub i64 %from, %sp
  %length = sub i64 %end, %from
  %to = getelementptr i8, ptr %copy, i64 %skipped
  store ptr %to, ptr %local
  %local.size = getelementptr i8, ptr %local, i64 8
  store i64 %length, ptr %local.size
  store i64 %from, ptr %remote
  %remote.size = getelementptr i8, ptr %remote, i64 8
  store i64 %length, ptr %remote.size
  %rc = call i64 (i64, ...) @syscall(i64 310, i64 %pid, ptr %local, i64 1, ptr %remote, i64 1, i64 0)
  %done = icmp sgt i64 %rc, 0
  br i1 %done, label %out, label %failed
failed:
  %page = and i64 %from, -4096
  %next = add i64 %page, 4096
  br label %try
nothing:
  set 0, %ts ThreadState.trap_stack_size
  br label %out
out:
  ret void
}

; Set the exception of a trap, with the backtrace last noted. Its class is not called: that would cost
; more than all the rest.
define void @jw_set_trap(i64 %code) {
entry:
  %table = load ptr, ptr @jw_trap_table
  %at = shl i64 %code, 4
  %class.p = getelementptr i8, ptr %table, i64 %at
  %class = load ptr, ptr %class.p
  %args.p = getelementptr i8, ptr %class.p, i64 8
  %args = load ptr, ptr %args.p
  %new = load ptr, ptr @jw_trap_new
  %origin = call ptr @jw_origin(i64 %code)
  %no_origin = icmp eq ptr %origin, null
  br i1 %no_origin, label %done, label %make
make:
  %trap = call ptr %new(ptr %class, ptr %args, ptr null)
  %no_trap = icmp eq ptr %trap, null
  br i1 %no_trap, label %drop, label %fill
fill:
  %attribute = load ptr, ptr @jw_trap_attribute
  %rc = call i32 @PyObject_SetAttr(ptr %trap, ptr %attribute, ptr %origin)
  %filled = icmp eq i32 %rc, 0
  br i1 %filled, label %set, label %drop_trap
set:
  call void @PyErr_SetObject(ptr %class, ptr %trap)
  br label %drop_trap
drop_trap:
  call void @Py_DecRef(ptr %trap)
  br label %drop
drop:
  call void @Py_DecRef(ptr %origin)
  br label %done
done:
  ret void
}

; (find_frames, maps, code and registers and stack), or null with an exception set.
define ptr @jw_origin(i64 %code) {
entry:
  %ts = call ptr @jw_thread()
  %size = get %ts ThreadState.trap_stack_size
  set 0, %ts ThreadState.trap_stack_size
  %nothing = icmp eq i64 %size, 0
  %more = add i64 %size, 72
  %length = select i1 %nothing, i64 8, i64 %more
  %noted = call ptr @PyBytes_FromStringAndSize(ptr null, i64 %length)
  %no_bytes = icmp eq ptr %noted, null
  br i1 %no_bytes, label %fail, label %write
write:
  %to = call ptr @PyBytes_AsString(ptr %noted)
  store i64 %code, ptr %to, align 1
  br i1 %nothing, label %look, label %copy
copy:
  %registers = field %ts ThreadState.trap_registers
  %to.registers = getelementptr i8, ptr %to, i64 8
  call void @llvm.memcpy.p0.p0.i64(ptr %to.registers, ptr %registers, i64 64, i1 false)
  %stack = get %ts ThreadState.trap_stack
  %to.stack = getelementptr i8, ptr %to, i64 72
  call void @llvm.memcpy.p0.p0.i64(ptr %to.stack, ptr %stack, i64 %size, i1 false)
  br label %look
look:
  %maps.0 = load ptr, ptr @jw_maps
  %changed = icmp eq ptr %maps.0, null
  br i1 %changed, label %ask, label %known
ask:
  %hook = load ptr, ptr @jw_hook_maps
  %maps.1 = call ptr (ptr, ptr, ...) @PyObject_CallFunction(ptr %hook, ptr null)
  %no_maps = icmp eq ptr %maps.1, null
  br i1 %no_maps, label %drop, label %join
known:
  call void @Py_IncRef(ptr %maps.0)
  br label %join
join:
  %maps = phi ptr [ %maps.0, %known ], [ %maps.1, %ask ]
  %tuple = call ptr @PyTuple_New(i64 3)
  %no_tuple = icmp eq ptr %tuple, null
  br i1 %no_tuple, label %drop_maps, label %fill
fill:
  %find = load ptr, ptr @jw_hook_find_frames
  call void @Py_IncRef(ptr %find)
  %rc.0 = call i32 @PyTuple_SetItem(ptr %tuple, i64 0, ptr %find)
  %rc.1 = call i32 @PyTuple_SetItem(ptr %tuple, i64 1, ptr %maps)
  %rc.2 = call i32 @PyTuple_SetItem(ptr %tuple, i64 2, ptr %noted)
  ret ptr %tuple
drop_maps:
  call void @Py_DecRef(ptr %maps)
  br label %drop
drop:
  call void @Py_DecRef(ptr %noted)
  br label %fail
fail:
  ret ptr null
}

; Raise the exception that a hook made, if it did not raise itself.
define void @jw_set_exception(ptr %exception) {
entry:
  %none = icmp eq ptr %exception, null
  br i1 %none, label %done, label %set
set:
  %class = call ptr @PyObject_Type(ptr %exception)
  call void @PyErr_SetObject(ptr %class, ptr %exception)
  call void @Py_DecRef(ptr %class)
  call void @Py_DecRef(ptr %exception)
  br label %done
done:
  ret void
}

; After wasm code ended otherwise than by returning with the GIL held: take the GIL back, and
; tell whether there is an exception to return.
define i1 @jw_land(ptr %act) {
entry:
  %tstate = get %act Activation.tstate
  %held = icmp eq ptr %tstate, null
  br i1 %held, label %have, label %take
take:
  call void @PyEval_RestoreThread(ptr %tstate)
  call void @jw_hold_again()
  br label %have
have:
  %code = get %act Activation.code
  switch i64 %code, label %trap [
    i64 0, label %returned
    i64 -1, label %raised
  ]
trap:
  call void @jw_set_trap(i64 %code)
  br label %raised
raised:
  ret i1 true
returned:
  ret i1 false
}

; Py_XDECREF.
define void @jw_drop(ptr %obj) {
entry:
  %none = icmp eq ptr %obj, null
  br i1 %none, label %done, label %drop
drop:
  call void @Py_DecRef(ptr %obj)
  br label %done
done:
  ret void
}
