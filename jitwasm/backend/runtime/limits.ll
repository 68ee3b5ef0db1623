; Calls with limits of their own (ImplementationLimits.call_seconds, stack_bytes).
;
; A builtin whose calls are limited has jw_limited_entry for its function; what they may take, and the
; thunk that enters wasm code, are in its Signature. Unlimited ones know nothing of this.
;
; The time is a deadline like any other (ticks.ll), if that is earlier than the one there is: so a
; call inside another one has what is left of that. The stack's bound is an address, `stack_floor`,
; with which functions compare the stack pointer when they have made their frames, if their module
; was compiled so; of nested calls the highest holds. Each is put back as it was when the call ends.

define ptr @jw_limited_entry(ptr %self, ptr %args, i64 %count) {
entry:
  %funcref = call ptr @jw_funcref_of(ptr %self)
  %signature = get %funcref FuncRef.signature
  %ts.0 = call ptr @jw_thread()
  %new = icmp eq ptr %ts.0, null
  br i1 %new, label %init, label %known
init:
  %ts.1 = call ptr @jw_thread_init()
  %failed = icmp eq ptr %ts.1, null
  br i1 %failed, label %fail, label %known
known:
  %ts = phi ptr [ %ts.0, %entry ], [ %ts.1, %init ]
  %floor = get %ts ThreadState.stack_floor
  %bytes = get %signature Signature.stack_bytes
  %frame = call ptr @llvm.frameaddress.p0(i32 0)
  %lowest = call i64 @jw_floor(i64 %floor, i64 %bytes, ptr %frame)
  set %lowest, %ts ThreadState.stack_floor
  %deadline = get %ts ThreadState.deadline
  %ns = get %signature Signature.call_ns
  %earlier = call i1 @jw_begin_time(ptr %ts, i64 %deadline, i64 %ns)
  %thunk = get %signature Signature.thunk
  %result = call ptr %thunk(ptr %self, ptr %args, i64 %count)
  set %floor, %ts ThreadState.stack_floor
  br i1 %earlier, label %restore, label %done
restore:
  set %deadline, %ts ThreadState.deadline
  ; As after a call that has released the GIL: the timer may follow the deadline that was.
  call void @jw_hold_again()
  br label %done
done:
  ret ptr %result
fail:
  ret ptr null
}

; The higher one of a floor and the end of so many bytes (0: no limit) below an address.
define i64 @jw_floor(i64 %floor, i64 %bytes, ptr %from) {
entry:
  %top = ptrtoint ptr %from to i64
  %end = call i64 @llvm.usub.sat.i64(i64 %top, i64 %bytes)
  %higher = call i64 @llvm.umax.i64(i64 %end, i64 %floor)
  %none = icmp eq i64 %bytes, 0
  %result = select i1 %none, i64 %floor, i64 %higher
  ret i64 %result
}

; Set a deadline in %ns nanoseconds (0: no limit), unless the present one is as early; whether it did.
define i1 @jw_begin_time(ptr %ts, i64 %present, i64 %ns) {
entry:
  %unlimited = icmp eq i64 %ns, 0
  br i1 %unlimited, label %no, label %compare
compare:
  %now = call i64 @jw_now()
  %at = add i64 %now, %ns
  %first = icmp eq i64 %present, 0
  %sooner = icmp slt i64 %at, %present
  %earlier = or i1 %first, %sooner
  br i1 %earlier, label %begin, label %no
begin:
  set %at, %ts ThreadState.deadline
  ; The thunk programs a timer that is off. One that ticks often enough may go on as it is: the first
  ; or second tick that finds this call releases the GIL, and plans for the deadline.
  %interval = get %ts ThreadState.interval
  %several = shl i64 %interval, 2
  %none = icmp eq i64 %interval, 0
  %short = icmp ult i64 %ns, %several
  %rarely = or i1 %none, %short
  br i1 %rarely, label %program, label %yes
program:
  set 0, %ts ThreadState.armed
  br label %yes
yes:
  ret i1 true
no:
  ret i1 false
}
