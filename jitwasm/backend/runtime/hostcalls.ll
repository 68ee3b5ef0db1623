; The base of host calls: what jw_host_base and jw_host_ctypes (hostcalls.s) do with the registers
; they have put in a frame. A hook in Python (host.py) does all the rest for any function type; it
; writes RETURNED to the frame's status, or RAISED with the exception, so that no frame of ours shows
; in the traceback.
;
; Called through ctypes, an exception that gets out of the hook would be swallowed; the status is then
; still PENDING. Nearly all of those are avoided by looking first for what may raise at its start:
; signal handlers, and the recursion limit, which a call of an empty Python function tests. What is left
; is a signal within some nanoseconds.

@jw_results_format = text "OOL"
@jw_dispatch_format = text "K"

; Through the C API.
define void @jw_host_dispatch(ptr %frame) {
entry:
  call void @jw_leave_for_host(ptr %frame)
  %hook = load ptr, ptr @jw_hook_dispatch
  %result = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_dispatch_format, ptr %frame)
  call void @jw_raise_if_null(ptr %result)
  call void @Py_DecRef(ptr %result)
  call void @jw_return_from_host(ptr %frame)
  ret void
}

; Through a ctypes callback.
define void @jw_ctypes_dispatch(ptr %frame) {
entry:
  call void @jw_leave_for_host(ptr %frame)
  %rc = call i32 @PyErr_CheckSignals()
  %ok = icmp eq i32 %rc, 0
  br i1 %ok, label %probe, label %raised
probe:
  %hook = load ptr, ptr @jw_hook_probe
  %result = call ptr (ptr, ptr, ...) @PyObject_CallFunction(ptr %hook, ptr null)
  call void @jw_raise_if_null(ptr %result)
  call void @Py_DecRef(ptr %result)
  %callback = load ptr, ptr @jw_host_callback
  call void %callback(ptr %frame)
  call void @jw_return_from_host(ptr %frame)
  ret void
raised:
  call void @jw_raise_pending()
  unreachable
}

define void @jw_raise_if_null(ptr %result) {
entry:
  %failed = icmp eq ptr %result, null
  br i1 %failed, label %raised, label %ok
raised:
  call void @jw_raise_pending()
  unreachable
ok:
  ret void
}

define void @jw_leave_for_host(ptr %frame) {
entry:
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  %sp = ptrtoint ptr %frame to i64
  %limit = get %ts ThreadState.stack_limit
  %room = icmp ugt i64 %sp, %limit
  br i1 %room, label %leave, label %no_stack
no_stack:
  call void @jw_trap(i32 <Trap.STACK_OVERFLOW>)
  unreachable
leave:
  set 1, %act Activation.in_host
  call void @jw_reacquire(ptr %ts, ptr %act)
  %status.p = getelementptr i8, ptr %frame, i64 <frame.status>
  store i64 <PENDING>, ptr %status.p
  ret void
}

define void @jw_return_from_host(ptr %frame) {
entry:
  %status.p = getelementptr i8, ptr %frame, i64 <frame.status>
  %status = load i64, ptr %status.p
  switch i64 %status, label %interrupted [
    i64 <RETURNED>, label %returned
    i64 <RAISED>, label %raised
  ]
interrupted:
  %class = load ptr, ptr @PyExc_KeyboardInterrupt
  call void @PyErr_SetNone(ptr %class)
  call void @jw_raise_pending()
  unreachable
raised:
  %error.p = getelementptr i8, ptr %frame, i64 <frame.error>
  %error = load ptr, ptr %error.p
  %type.p = getelementptr i8, ptr %error, i64 8
  %type = load ptr, ptr %type.p
  call void @Py_IncRef(ptr %type)
  %traceback = call ptr @PyException_GetTraceback(ptr %error)
  call void @PyErr_Restore(ptr %type, ptr %error, ptr %traceback)
  call void @jw_raise_pending()
  unreachable
returned:
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  set 0, %act Activation.in_host
  %want = get %act Activation.want
  %wanted = icmp ne i32 %want, 0
  br i1 %wanted, label %serve, label %done
serve:
  call void @jw_back_to_wasm()
  br label %done
done:
  ret void
}

; What a host function with several results returned, as a tuple of that length, or null.
define ptr @jw_result_tuple(ptr %target, ptr %obj, i64 %count) {
entry:
  %type.p = getelementptr i8, ptr %obj, i64 8
  %type = load ptr, ptr %type.p
  %exact = icmp eq ptr %type, @PyTuple_Type
  br i1 %exact, label %own, label %iterate
own:
  call void @Py_IncRef(ptr %obj)
  br label %have
iterate:
  %iterator = call ptr @PyObject_GetIter(ptr %obj)
  %no_iterable = icmp eq ptr %iterator, null
  br i1 %no_iterable, label %clear, label %collect
clear:
  call void @PyErr_Clear()
  br label %refuse
collect:
  %collected = call ptr @PySequence_Tuple(ptr %iterator)
  call void @Py_DecRef(ptr %iterator)
  %failed = icmp eq ptr %collected, null
  br i1 %failed, label %out, label %have
have:
  %tuple = phi ptr [ %obj, %own ], [ %collected, %collect ]
  %size = call i64 @PyTuple_Size(ptr %tuple)
  %right = icmp eq i64 %size, %count
  br i1 %right, label %good, label %wrong
good:
  ret ptr %tuple
wrong:
  call void @Py_DecRef(ptr %tuple)
  br label %refuse
refuse:
  %hook = load ptr, ptr @jw_hook_results
  %exception = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_results_format, ptr %target, ptr %obj, i64 %count)
  call void @jw_set_exception(ptr %exception)
  br label %out
out:
  ret ptr null
}
