; Threads: the record each one has, made at its first entry and freed when it ends.
;
; One mapping holds all of it, from low to high addresses:
;
;     guard page | alternate signal stack | copy of the stack at the last trap | ThreadState
;
; This is native code, not a Python callback, so that nothing (no pending KeyboardInterrupt either)
; can go wrong inside. jw_fork_child runs in a forked child: POSIX timers are not inherited, the
; only thread left is Python's main thread, and `generation` tells records of threads that no
; longer exist from the others.

define ptr @jw_thread() {
  %key = load i32, ptr @jw_key
  %ts = call ptr @pthread_getspecific(i32 %key)
  ret ptr %ts
}

define ptr @jw_thread_init() {
entry:
  %alt = load i64, ptr @jw_altstack_size
  %size = add i64 %alt, <MAP_EXTRA>
  %map = call ptr @mmap(ptr null, i64 %size, i32 0, i32 34, i32 -1, i64 0)
  %failed = icmp eq ptr %map, inttoptr (i64 -1 to ptr)
  br i1 %failed, label %no_memory, label %mapped
mapped:
  %low = getelementptr i8, ptr %map, i64 4096
  %usable = sub i64 %size, 4096
  %rc = call i32 @mprotect(ptr %low, i64 %usable, i32 3)
  %refused = icmp ne i32 %rc, 0
  br i1 %refused, label %give_back, label %usable_now
give_back:
  %rc.2 = call i32 @munmap(ptr %map, i64 %size)
  br label %no_memory
no_memory:
  %ignored = call ptr @PyErr_NoMemory()
  ret ptr null
usable_now:
  %copy = getelementptr i8, ptr %low, i64 %alt
  %ts = getelementptr i8, ptr %copy, i64 <TRAP_STACK>
  set %copy, %ts ThreadState.trap_stack
  set -1, %ts ThreadState.timer
  %generation = load i64, ptr @jw_generation
  set %generation, %ts ThreadState.generation
  %tid = call i64 (i64, ...) @syscall(i64 186)
  set %tid, %ts ThreadState.tid
  %main = load i64, ptr @jw_main_tid
  %is_main.1 = icmp eq i64 %tid, %main
  %is_main = zext i1 %is_main.1 to i64
  set %is_main, %ts ThreadState.is_main
  call void @jw_find_stack(ptr %ts)
  call void @jw_use_altstack(ptr %ts, ptr %low, i64 %alt)
  call void @jw_unblock()
  %key = load i32, ptr @jw_key
  %rc.3 = call i32 @pthread_setspecific(i32 %key, ptr %ts)
  call void @jw_check_handlers()
  ret ptr %ts
}

define void @jw_find_stack(ptr %ts) {
entry:
  %attr = alloca [64 x i8], align 16
  %base = alloca i64
  %size = alloca i64
  %self = call i64 @pthread_self()
  %rc = call i32 @pthread_getattr_np(i64 %self, ptr %attr)
  %ok = icmp eq i32 %rc, 0
  br i1 %ok, label %known, label %done
known:
  %rc.2 = call i32 @pthread_attr_getstack(ptr %attr, ptr %base, ptr %size)
  %rc.3 = call i32 @pthread_attr_destroy(ptr %attr)
  %low = load i64, ptr %base
  %bytes = load i64, ptr %size
  %high = add i64 %low, %bytes
  %half = lshr i64 %bytes, 1
  %small = icmp ult i64 %half, <RED_ZONE>
  %zone = select i1 %small, i64 %half, i64 <RED_ZONE>
  %limit = add i64 %low, %zone
  set %low, %ts ThreadState.stack_low
  set %high, %ts ThreadState.stack_high
  set %limit, %ts ThreadState.stack_limit
  br label %done
done:
  ret void
}

; An alternate stack that is there already (faulthandler's) is kept if it is large enough.
define void @jw_use_altstack(ptr %ts, ptr %low, i64 %alt) {
entry:
  %old = alloca [3 x i64]
  %new = alloca [3 x i64]
  %rc = call i32 @sigaltstack(ptr null, ptr %old)
  %flags.p = getelementptr i8, ptr %old, i64 8
  %flags = load i32, ptr %flags.p
  %off = and i32 %flags, 2
  %is_off = icmp ne i32 %off, 0
  %size.p = getelementptr i8, ptr %old, i64 16
  %size = load i64, ptr %size.p
  %enough = lshr i64 %alt, 1
  %small = icmp ult i64 %size, %enough
  %ours = or i1 %is_off, %small
  br i1 %ours, label %install, label %done
install:
  store ptr %low, ptr %new
  %new.flags = getelementptr i8, ptr %new, i64 8
  store i64 0, ptr %new.flags
  %new.size = getelementptr i8, ptr %new, i64 16
  store i64 %alt, ptr %new.size
  %rc.2 = call i32 @sigaltstack(ptr %new, ptr null)
  set 1, %ts ThreadState.own_altstack
  br label %done
done:
  ret void
}

; A thread that blocks SIGSEGV would die of a trap, one that blocks SIGURG keep the GIL.
define void @jw_unblock() {
  %set = alloca [16 x i64]
  call void @llvm.memset.p0.i64(ptr %set, i8 0, i64 128, i1 false)
  store i64 <UNBLOCK>, ptr %set
  %rc = call i32 @pthread_sigmask(i32 1, ptr %set, ptr null)
  ret void
}

define void @jw_thread_exit(ptr %ts) {
entry:
  %off = alloca [3 x i64]
  %timer = get %ts ThreadState.timer
  %has_timer = icmp ne i64 %timer, -1
  br i1 %has_timer, label %delete, label %stack
delete:
  %rc = call i64 (i64, ...) @syscall(i64 226, i64 %timer)
  br label %stack
stack:
  %alt = load i64, ptr @jw_altstack_size
  %own = get %ts ThreadState.own_altstack
  %is_own = icmp ne i64 %own, 0
  br i1 %is_own, label %disable, label %free
disable:
  store i64 0, ptr %off
  %flags = getelementptr i8, ptr %off, i64 8
  store i64 2, ptr %flags
  %size = getelementptr i8, ptr %off, i64 16
  store i64 %alt, ptr %size
  %rc.2 = call i32 @sigaltstack(ptr %off, ptr null)
  br label %free
free:
  %below = add i64 %alt, <BELOW_RECORD>
  %back = sub i64 0, %below
  %map = getelementptr i8, ptr %ts, i64 %back
  %all = add i64 %below, 4096
  %rc.3 = call i32 @munmap(ptr %map, i64 %all)
  ret void
}

define void @jw_fork_child() {
entry:
  %tid = call i64 (i64, ...) @syscall(i64 186)
  store i64 %tid, ptr @jw_main_tid
  %generation = load i64, ptr @jw_generation
  %next = add i64 %generation, 1
  store i64 %next, ptr @jw_generation
  %ts = call ptr @jw_thread()
  %none = icmp eq ptr %ts, null
  br i1 %none, label %done, label %mine
mine:
  set %next, %ts ThreadState.generation
  set %tid, %ts ThreadState.tid
  set 1, %ts ThreadState.is_main
  set -1, %ts ThreadState.timer
  set 0, %ts ThreadState.armed
  %act = get %ts ThreadState.top
  %outside = icmp eq ptr %act, null
  br i1 %outside, label %done, label %inside
inside:
  call void @jw_plan(ptr %ts)
  br label %done
done:
  ret void
}
