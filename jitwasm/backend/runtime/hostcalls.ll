; Calls of Python functions through a ctypes callback: what jw_host_ctypes (hostcalls.s) does with
; the registers that it has put in a frame. A hook in Python (host.py) does all the rest for any
; function type. It returns None, or the exception to raise, so that no frame of ours shows in the
; traceback.
;
; An exception that gets out of the hook would be swallowed. Nearly all of those are avoided by
; looking first for what may raise at its start: signal handlers, and the recursion limit, which the
; probe tests. What is left is a signal within some nanoseconds.

@jw_results_format = text "OOL"

define void @jw_ctypes_dispatch(ptr %frame) {
entry:
  call void @jw_leave_for_host(ptr %frame)
  %rc = call i32 @PyErr_CheckSignals()
  %ok = icmp eq i32 %rc, 0
  br i1 %ok, label %probe, label %raised
probe:
  %hook = load ptr, ptr @jw_hook_probe
  %result = call ptr (ptr, ptr, ...) @PyObject_CallFunction(ptr %hook, ptr null)
  %failed = icmp eq ptr %result, null
  br i1 %failed, label %raised, label %call
call:
  call void @Py_DecRef(ptr %result)
  %callback = load ptr, ptr @jw_host_callback
  %outcome = call ptr %callback(ptr %frame)
  %swallowed = icmp eq ptr %outcome, null
  br i1 %swallowed, label %interrupted, label %done
interrupted:
  %class = load ptr, ptr @PyExc_KeyboardInterrupt
  call void @PyErr_SetNone(ptr %class)
  br label %raised
raised:
  call void @jw_raise_pending()
  unreachable
done:
  call void @jw_return_from_host(ptr %outcome)
  ret void
}

; To a host function, with the stack pointer about %here: stack, activation, GIL.
define void @jw_leave_for_host(ptr %here) {
entry:
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  %sp = ptrtoint ptr %here to i64
  %limit = get %ts ThreadState.stack_limit
  %room = icmp ugt i64 %sp, %limit
  br i1 %room, label %leave, label %no_stack
no_stack:
  call void @jw_trap(i32 <Trap.STACK_OVERFLOW>)
  unreachable
leave:
  set 1, %act Activation.in_host
  call void @jw_reacquire(ptr %ts, ptr %act)
  ret void
}

define void @jw_return_from_host(ptr %outcome) {
entry:
  %fine = icmp eq ptr %outcome, @_Py_NoneStruct
  br i1 %fine, label %returned, label %raised
raised:
  ; Restored as it is, with its own traceback. All three references are given away.
  %class = call ptr @PyObject_Type(ptr %outcome)
  %traceback = call ptr @PyException_GetTraceback(ptr %outcome)
  call void @PyErr_Restore(ptr %class, ptr %outcome, ptr %traceback)
  call void @jw_raise_pending()
  unreachable
returned:
  call void @Py_DecRef(ptr %outcome)
  call void @jw_back_from_host()
  ret void
}

; A host function has returned: wasm code goes on.
define void @jw_back_from_host() {
entry:
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
  %type = call ptr @PyObject_Type(ptr %obj)
  call void @Py_DecRef(ptr %type)
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
