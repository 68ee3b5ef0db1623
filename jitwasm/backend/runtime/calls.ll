; Calls of any function type in both directions, by the description of its Signature: nothing needs
; to be compiled for them. What is called often gets an adapter of its own type instead (thunks.py,
; trampolines.py), which nobody can tell from these but by speed. The order of what is done is
; theirs; it is explained there.

; Entry from Python: the function of an exported function's builtin.
define ptr @jw_entry(ptr %self, ptr %args, i64 %count) "probe-stack"="inline-asm" {
entry:
  %act = alloca [<Activation.size> x i8], align 16
  %frame = alloca [<frame.size> x i8], align 16
  %funcref = call ptr @jw_funcref_of(ptr %self)
  %signature = get %funcref FuncRef.signature
  %params = get %signature Signature.params
  %results = get %signature Signature.results
  %right = icmp eq i64 %count, %params
  br i1 %right, label %call, label %arity
arity:
  call void @jw_arity(ptr %self, i64 %count)
  br label %fail
call:
  %calls = get %funcref FuncRef.calls
  %calls.now = add i64 %calls, 1
  set %calls.now, %funcref FuncRef.calls
  %calls.low = and i64 %calls.now, <HOT_MASK>
  %often = icmp eq i64 %calls.low, 0
  br i1 %often, label %hot, label %counted
hot:
  %hot.failed = call i1 @jw_hot(ptr %self)
  br i1 %hot.failed, label %fail, label %counted
counted:
  %env = get %funcref FuncRef.env
  %places = getelementptr i8, ptr %signature, i64 <Signature.size>
  %result.at = mul i64 %params, <ValuePlace.size>
  %result.places = getelementptr i8, ptr %places, i64 %result.at
  %more_params = icmp ugt i64 %params, %results
  %room = select i1 %more_params, i64 %params, i64 %results
  %values = alloca [2 x i64], i64 %room, align 16
  %references = get %signature Signature.references
  %has_references = icmp ne i64 %references, 0
  br i1 %has_references, label %enter_first, label %convert_first
enter_first:
  %ts.1 = call ptr @jw_enter_env(ptr %env, ptr %act)
  %refused.1 = icmp eq ptr %ts.1, null
  br i1 %refused.1, label %fail, label %convert_inside
convert_inside:
  %wrong.1 = call i1 @jw_unbox_arguments(ptr %self, ptr %args, ptr %signature, ptr %env, ptr %values)
  br i1 %wrong.1, label %leave, label %inside
convert_first:
  %wrong.2 = call i1 @jw_unbox_arguments(ptr %self, ptr %args, ptr %signature, ptr %env, ptr %values)
  br i1 %wrong.2, label %fail, label %enter
enter:
  %ts.2 = call ptr @jw_enter_env(ptr %env, ptr %act)
  %refused.2 = icmp eq ptr %ts.2, null
  br i1 %refused.2, label %fail, label %inside
inside:
  %ts = phi ptr [ %ts.1, %convert_inside ], [ %ts.2, %enter ]
  %previous = get %ts ThreadState.top
  %code = get %funcref FuncRef.code
  %code.word = ptrtoint ptr %code to i64
  %env.word = ptrtoint ptr %env to i64
  set %previous, %act Activation.previous
  set 0, %act Activation.code
  set %env.word, %act Activation.address
  set null, %act Activation.tstate
  set 0, %act Activation.in_host
  set 0, %act Activation.want
  set %code.word, %act Activation.pc
  inc %ts ThreadState.sequence
  set %act, %ts ThreadState.top
  %armed = get %ts ThreadState.armed
  %off = icmp eq i64 %armed, 0
  br i1 %off, label %arm, label %armed.now
arm:
  call void @jw_wake(ptr %ts)
  br label %armed.now
armed.now:
  %release = get %signature Signature.release_gil
  %releases = icmp ne i64 %release, 0
  br i1 %releases, label %let_go, label %go
let_go:
  %saved = call ptr @PyEval_SaveThread()
  set %saved, %act Activation.tstate
  br label %go
go:
  %area = get %env Env.overflow
  call void @jw_place_values(ptr %places, i64 %params, ptr %values, ptr %frame, ptr %area)
  %frame.env = getelementptr i8, ptr %frame, i64 <frame.env>
  store ptr %env, ptr %frame.env
  call void @jw_enter_frame(ptr %frame, ptr %act)
  set %previous, %ts ThreadState.top
  %raised = call i1 @jw_land(ptr %act)
  br i1 %raised, label %unwound, label %returned
unwound:
  call void @jw_store_leave(ptr %env)
  br label %fail
returned:
  call void @jw_take_values(ptr %result.places, i64 %results, ptr %values, ptr %frame, ptr %area)
  br i1 %has_references, label %box_inside, label %box_outside
box_outside:
  call void @jw_store_leave(ptr %env)
  %object.2 = call ptr @jw_box_results(ptr %result.places, i64 %results, ptr %values)
  ret ptr %object.2
box_inside:
  %object = call ptr @jw_box_results(ptr %result.places, i64 %results, ptr %values)
  %unconverted = icmp eq ptr %object, null
  br i1 %unconverted, label %leave, label %finish
finish:
  %disturbed = call i1 @jw_store_leave_idle(ptr %env)
  br i1 %disturbed, label %discard, label %done
done:
  ret ptr %object
discard:
  call void @Py_DecRef(ptr %object)
  br label %fail
leave:
  call void @jw_store_leave(ptr %env)
  br label %fail
fail:
  ret ptr null
}

; A builtin's self is a ctypes structure over the FuncRef, or where objects lie otherwise than known
; an int with its address.
define ptr @jw_funcref_of(ptr %self) {
entry:
  %wrapped = load i64, ptr @jw_wrapped
  %is_wrapped = icmp ne i64 %wrapped, 0
  br i1 %is_wrapped, label %direct, label %number
direct:
  %p = getelementptr i8, ptr %self, i64 16
  %funcref = load ptr, ptr %p
  ret ptr %funcref
number:
  %address = call ptr @PyLong_AsVoidPtr(ptr %self)
  ret ptr %address
}

define i1 @jw_unbox_arguments(ptr %self, ptr %args, ptr %signature, ptr %env, ptr %values) {
entry:
  %places = getelementptr i8, ptr %signature, i64 <Signature.size>
  %count = get %signature Signature.params
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %good ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %convert
convert:
  %place.at = mul i64 %i, <ValuePlace.size>
  %place = getelementptr i8, ptr %places, i64 %place.at
  %value.at = mul i64 %i, 16
  %value = getelementptr i8, ptr %values, i64 %value.at
  %obj.p = getelementptr ptr, ptr %args, i64 %i
  %obj = load ptr, ptr %obj.p
  %failed = call i1 @jw_unbox_value(
      ptr %obj, ptr %place, ptr %self, i64 %i, ptr %env, ptr %value)
  br i1 %failed, label %fail, label %good
good:
  %more = add i64 %i, 1
  br label %next
done:
  ret i1 false
fail:
  ret i1 true
}

; Enter a store, with the stack pointer about %here; this thread's record, or null with an exception.
define ptr @jw_enter_env(ptr %env, ptr %here) {
entry:
  %ts.0 = call ptr @jw_thread()
  %new = icmp eq ptr %ts.0, null
  br i1 %new, label %init, label %known
init:
  %ts.1 = call ptr @jw_thread_init()
  %failed = icmp eq ptr %ts.1, null
  br i1 %failed, label %fail, label %known
known:
  %ts = phi ptr [ %ts.0, %entry ], [ %ts.1, %init ]
  %sp = ptrtoint ptr %here to i64
  %limit = get %ts ThreadState.stack_limit
  %room = icmp ugt i64 %sp, %limit
  br i1 %room, label %enter, label %no_stack
no_stack:
  call void @jw_set_trap(i64 <Trap.STACK_OVERFLOW>)
  br label %fail
enter:
  %rc = call i32 @jw_store_enter(ptr %env, ptr %ts)
  %refused = icmp ne i32 %rc, 0
  br i1 %refused, label %fail, label %done
done:
  ret ptr %ts
fail:
  ret ptr null
}

@jw_hot_host_format = text "K"

; A Python function called from wasm code: what jw_host_call (hostcalls.s) does with the registers
; that it has put in a frame.
define void @jw_call_host(ptr %frame) "probe-stack"="inline-asm" {
entry:
  %env.p = getelementptr i8, ptr %frame, i64 <frame.env>
  %env = load ptr, ptr %env.p
  %signature = get %env HostEnv.signature
  %params = get %signature Signature.params
  %results = get %signature Signature.results
  %places = getelementptr i8, ptr %signature, i64 <Signature.size>
  %result.at = mul i64 %params, <ValuePlace.size>
  %result.places = getelementptr i8, ptr %places, i64 %result.at
  %more_params = icmp ugt i64 %params, %results
  %room = select i1 %more_params, i64 %params, i64 %results
  %values = alloca [2 x i64], i64 %room, align 16
  %slots = add i64 %params, 1
  %array = alloca ptr, i64 %slots, align 16
  %area = get %env Env.overflow
  call void @jw_take_values(ptr %places, i64 %params, ptr %values, ptr %frame, ptr %area)
  call void @jw_leave_for_host(ptr %array)
  %calls = get %env HostEnv.calls
  %calls.now = add i64 %calls, 1
  set %calls.now, %env HostEnv.calls
  %calls.low = and i64 %calls.now, <HOT_MASK>
  %often = icmp eq i64 %calls.low, 0
  br i1 %often, label %hot, label %box
hot:
  %hook = load ptr, ptr @jw_hook_hot_host
  %told = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_hot_host_format, ptr %env)
  %hot.failed = icmp eq ptr %told, null
  br i1 %hot.failed, label %raise, label %hot.done
hot.done:
  call void @Py_DecRef(ptr %told)
  br label %box
box:
  %first = getelementptr i8, ptr %array, i64 8
  %unmade = call i1 @jw_box_arguments(ptr %places, i64 %params, ptr %values, ptr %first)
  br i1 %unmade, label %raise, label %call
call:
  %target = get %env HostEnv.target
  %flags = or i64 %params, -9223372036854775808
  %outcome = call ptr @PyObject_Vectorcall(ptr %target, ptr %first, i64 %flags, ptr null)
  call void @jw_drop_all(ptr %first, i64 %params)
  %failed = icmp eq ptr %outcome, null
  br i1 %failed, label %raise, label %convert
convert:
  switch i64 %results, label %several [
    i64 0, label %converted
    i64 1, label %one
  ]
one:
  %wrong = call i1 @jw_unbox_value(
      ptr %outcome, ptr %result.places, ptr %target, i64 -1, ptr %env, ptr %values)
  br i1 %wrong, label %drop, label %converted
several:
  %unfit = call i1 @jw_unbox_results(ptr %env, ptr %outcome, ptr %values)
  br i1 %unfit, label %drop, label %converted
drop:
  call void @Py_DecRef(ptr %outcome)
  br label %raise
raise:
  call void @jw_raise_pending()
  unreachable
converted:
  call void @Py_DecRef(ptr %outcome)
  call void @jw_back_from_host()
  ; The last: what ran since the conversion may have used the area, too.
  call void @jw_place_values(ptr %result.places, i64 %results, ptr %values, ptr %frame, ptr %area)
  ret void
}

; Make the objects of a host function's arguments; whether that failed. None is left then.
define i1 @jw_box_arguments(ptr %places, i64 %count, ptr %values, ptr %objects) {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %good ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %make
make:
  %place.at = mul i64 %i, <ValuePlace.size>
  %place = getelementptr i8, ptr %places, i64 %place.at
  %value.at = mul i64 %i, 16
  %value = getelementptr i8, ptr %values, i64 %value.at
  %obj = call ptr @jw_box_value(ptr %value, ptr %place)
  %missing = icmp eq ptr %obj, null
  br i1 %missing, label %fail, label %good
good:
  %obj.p = getelementptr ptr, ptr %objects, i64 %i
  store ptr %obj, ptr %obj.p
  %more = add i64 %i, 1
  br label %next
done:
  ret i1 false
fail:
  call void @jw_drop_all(ptr %objects, i64 %i)
  ret i1 true
}

define void @jw_drop_all(ptr %objects, i64 %count) {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %drop ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %drop
drop:
  %obj.p = getelementptr ptr, ptr %objects, i64 %i
  %obj = load ptr, ptr %obj.p
  call void @Py_DecRef(ptr %obj)
  %more = add i64 %i, 1
  br label %next
done:
  ret void
}

; Convert several results of a host function; whether that failed.
define i1 @jw_unbox_results(ptr %env, ptr %outcome, ptr %values) {
entry:
  %target = get %env HostEnv.target
  %signature = get %env HostEnv.signature
  %params = get %signature Signature.params
  %count = get %signature Signature.results
  %places.at.0 = mul i64 %params, <ValuePlace.size>
  %places.at = add i64 %places.at.0, <Signature.size>
  %places = getelementptr i8, ptr %signature, i64 %places.at
  %tuple = call ptr @jw_result_tuple(ptr %target, ptr %outcome, i64 %count)
  %wrong = icmp eq ptr %tuple, null
  br i1 %wrong, label %fail, label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %good ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %convert
convert:
  %place.at = mul i64 %i, <ValuePlace.size>
  %place = getelementptr i8, ptr %places, i64 %place.at
  %value.at = mul i64 %i, 16
  %value = getelementptr i8, ptr %values, i64 %value.at
  %item = call ptr @PyTuple_GetItem(ptr %tuple, i64 %i)
  %index = sub i64 -1, %i
  %failed = call i1 @jw_unbox_value(
      ptr %item, ptr %place, ptr %target, i64 %index, ptr %env, ptr %value)
  br i1 %failed, label %drop, label %good
good:
  %more = add i64 %i, 1
  br label %next
done:
  call void @Py_DecRef(ptr %tuple)
  ret i1 false
drop:
  call void @Py_DecRef(ptr %tuple)
  br label %fail
fail:
  ret i1 true
}
