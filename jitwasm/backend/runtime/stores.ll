; Entering and leaving a store: one thread at a time is inside.
;
; Entry and exit hold the GIL, so plain loads and stores of StoreState suffice; what runs without
; the GIL in between only reads them. The uncontended case is inline in the thunk; here is the rest.
;
; A thread that finds another one inside waits without the GIL, on a futex over the low half of
; `depth`, looking up now and then: for signals on the main thread, for its deadline, for a store
; that was merged into another. Waiting for each other across stores is found, not waited for: with
; the GIL held the graph of who waits for whom stands still. A store whose owner did not survive a
; fork is free.

@jw_interrupted_store = text "a signal handler cannot enter an instance that it has interrupted"
@jw_deadlock = text "deadlock: threads wait for instances that are in use by each other"

; The environment's store, for this thread: 0, or -1 with an exception set.
define i32 @jw_store_enter(ptr %env, ptr %ts) {
entry:
  %timeout = alloca [2 x i64]
  store i64 0, ptr %timeout
  %timeout.ns = getelementptr i8, ptr %timeout, i64 8
  store i64 50000000, ptr %timeout.ns
  br label %again
again:
  %store = get %env Env.store
  %owner = get %store StoreState.owner
  %free = icmp eq ptr %owner, null
  br i1 %free, label %take, label %owned
take:
  set %ts, %store StoreState.owner
  set 1, %store StoreState.depth
  ret i32 0
owned:
  %mine = icmp eq ptr %owner, %ts
  br i1 %mine, label %nest, label %others
nest:
  %act = get %ts ThreadState.top
  %outside = icmp eq ptr %act, null
  br i1 %outside, label %again_inside, label %nested
nested:
  %in_host = get %act Activation.in_host
  %interrupted = icmp eq i32 %in_host, 2
  br i1 %interrupted, label %whose, label %again_inside
whose:
  %act.env.word = get %act Activation.address
  %act.env = inttoptr i64 %act.env.word to ptr
  %act.store = get %act.env Env.store
  %same = icmp eq ptr %act.store, %store
  br i1 %same, label %refuse, label %again_inside
refuse:
  %class.2 = load ptr, ptr @PyExc_RuntimeError
  call void @PyErr_SetString(ptr %class.2, ptr @jw_interrupted_store)
  ret i32 -1
again_inside:
  inc %store StoreState.depth
  ret i32 0
others:
  %owner.generation = get %owner ThreadState.generation
  %generation = load i64, ptr @jw_generation
  %alive = icmp eq i64 %owner.generation, %generation
  br i1 %alive, label %search, label %abandoned
abandoned:
  set 0, %store StoreState.waiters
  br label %take
search:
  %thread = phi ptr [ %owner, %others ], [ %next, %follow ]
  %for = get %thread ThreadState.waiting
  %busy = icmp eq ptr %for, null
  br i1 %busy, label %wait, label %follow
follow:
  %next = get %for StoreState.owner
  %circle = icmp eq ptr %next, %ts
  %nobody = icmp eq ptr %next, null
  %stop = or i1 %circle, %nobody
  br i1 %stop, label %found, label %search
found:
  br i1 %circle, label %deadlock, label %wait
deadlock:
  %class = load ptr, ptr @PyExc_RuntimeError
  call void @PyErr_SetString(ptr %class, ptr @jw_deadlock)
  ret i32 -1
wait:
  %waiters = get %store StoreState.waiters
  %more = add i64 %waiters, 1
  set %more, %store StoreState.waiters
  set %store, %ts ThreadState.waiting
  %depth = get %store StoreState.depth
  %word = field %store StoreState.depth
  %saved = call ptr @PyEval_SaveThread()
  ; futex(word, FUTEX_WAIT_PRIVATE, depth, timeout)
  %rc = call i64 (i64, ...) @syscall(i64 202, ptr %word, i64 128, i64 %depth, ptr %timeout, ptr null, i64 0)
  call void @PyEval_RestoreThread(ptr %saved)
  %left = get %store StoreState.waiters
  %none_left = icmp eq i64 %left, 0
  %less = sub i64 %left, 1
  %now_waiting = select i1 %none_left, i64 0, i64 %less
  set %now_waiting, %store StoreState.waiters
  set null, %ts ThreadState.waiting
  %signals = call i32 @PyErr_CheckSignals()
  %raised = icmp ne i32 %signals, 0
  br i1 %raised, label %give_up, label %look_at_clock
look_at_clock:
  %deadline = get %ts ThreadState.deadline
  %has_deadline = icmp ne i64 %deadline, 0
  br i1 %has_deadline, label %compare, label %again
compare:
  %now = call i64 @jw_now()
  %late = icmp sge i64 %now, %deadline
  br i1 %late, label %too_late, label %again
too_late:
  call void @jw_set_trap(i64 <Trap.DEADLINE>)
  br label %give_up
give_up:
  ret i32 -1
}

; The same for Python code that must be alone in a store: builtins that take the environment's address.
define ptr @jw_python_enters(ptr %self, ptr %args, i64 %n) {
entry:
  %env = call ptr @jw_pointer_argument(ptr %args, i64 0)
  %ts.0 = call ptr @jw_thread()
  %new = icmp eq ptr %ts.0, null
  br i1 %new, label %init, label %known
init:
  %ts.1 = call ptr @jw_thread_init()
  %failed = icmp eq ptr %ts.1, null
  br i1 %failed, label %fail, label %known
known:
  %ts = phi ptr [ %ts.0, %entry ], [ %ts.1, %init ]
  %rc = call i32 @jw_store_enter(ptr %env, ptr %ts)
  %refused = icmp ne i32 %rc, 0
  br i1 %refused, label %fail, label %inside
inside:
  %none = call ptr @jw_none()
  ret ptr %none
fail:
  ret ptr null
}

define ptr @jw_python_leaves(ptr %self, ptr %args, i64 %n) {
  %env = call ptr @jw_pointer_argument(ptr %args, i64 0)
  call void @jw_store_leave(ptr %env)
  %none = call ptr @jw_none()
  ret ptr %none
}

@jw_idle_format = text "O"

; The same as jw_store_leave, and then lets the runtime objects collect references if that is due
; and nobody is inside any more; whether that raised an exception.
define i1 @jw_store_leave_idle(ptr %env) {
entry:
  call void @jw_store_leave(ptr %env)
  %store = get %env Env.store
  %due = get %store StoreState.due
  %calm = icmp eq i64 %due, 0
  br i1 %calm, label %done, label %look
look:
  %owner = get %store StoreState.owner
  %busy = icmp ne ptr %owner, null
  br i1 %busy, label %done, label %collect
collect:
  %hook = load ptr, ptr @jw_hook_idle
  %object = get %store StoreState.object
  %result = call ptr (ptr, ptr, ...) @PyObject_CallFunction(ptr %hook, ptr @jw_idle_format, ptr %object)
  %failed = icmp eq ptr %result, null
  br i1 %failed, label %raised, label %drop
drop:
  call void @Py_DecRef(ptr %result)
  br label %done
done:
  ret i1 false
raised:
  ret i1 true
}

define void @jw_store_leave(ptr %env) {
entry:
  %store = get %env Env.store
  %depth = get %store StoreState.depth
  %less = sub i64 %depth, 1
  set %less, %store StoreState.depth
  %inside = icmp ne i64 %less, 0
  br i1 %inside, label %done, label %out
out:
  set null, %store StoreState.owner
  %waiters = get %store StoreState.waiters
  %nobody = icmp eq i64 %waiters, 0
  br i1 %nobody, label %done, label %wake
wake:
  %word = field %store StoreState.depth
  ; futex(word, FUTEX_WAKE_PRIVATE, 1)
  %rc = call i64 (i64, ...) @syscall(i64 202, ptr %word, i64 129, i64 1, ptr null, ptr null, i64 0)
  br label %done
done:
  ret void
}
