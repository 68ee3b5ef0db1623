; Ticks: how a long call gives up the GIL, meets its deadline and sees Ctrl-C.
;
; A thread inside wasm has a POSIX timer that sends it SIGURG; no other thread is disturbed, and
; while it is outside the timer soon turns itself off. jw_tick, on the thread itself:
;
; * in wasm code, deadline passed: trap.
; * in wasm code for a whole interval, GIL held: release it. In wasm code no lock can be held, so
;   the handler may do it itself; returning from it restores every register. On the main thread
;   Python's signal handlers must be run too, and not in a signal handler, so the thread is led
;   through jw_interrupt, which saves all registers on the thread's own stack.
; * outside of wasm code (a host function, a bulk operation): it sets `want`; who returns to wasm
;   code looks at that and calls jw_back_to_wasm. Without it a loop of host calls might never be met
;   in wasm code.
;
; While something wants to know where the time goes (sampling.ll) ticks are more frequent than that;
; `due` then tells when the next tick does what is said above. The others only note where they fell.
;
; A released call goes on without the GIL. Its exit, a trap, and a call out take it back, and a call
; out keeps it then: releasing it after each would cost a switch interval (5 ms) per call while
; another thread is busy.

define i64 @jw_now() {
  %time = alloca [2 x i64]
  %rc = call i32 @clock_gettime(i32 1, ptr %time)
  %seconds = load i64, ptr %time
  %ns.p = getelementptr i8, ptr %time, i64 8
  %ns = load i64, ptr %ns.p
  %whole = mul i64 %seconds, 1000000000
  %now = add i64 %whole, %ns
  ret i64 %now
}

define i1 @jw_is_late(ptr %ts) {
entry:
  %deadline = get %ts ThreadState.deadline
  %none = icmp eq i64 %deadline, 0
  br i1 %none, label %no, label %compare
compare:
  %now = call i64 @jw_now()
  %late = icmp sge i64 %now, %deadline
  ret i1 %late
no:
  ret i1 false
}

; Tick first after %first ns, then every %interval; 0 turns the timer off. Where the system has no
; timer left the thread stays without ticks, and the next entry tries again.
define void @jw_arm(ptr %ts, i64 %first, i64 %interval) {
entry:
  %spec = alloca [4 x i64]
  %event = alloca [8 x i64]
  %id = alloca i32
  set %interval, %ts ThreadState.interval
  %timer.0 = get %ts ThreadState.timer
  %none = icmp eq i64 %timer.0, -1
  br i1 %none, label %create, label %program
create:
  store ptr @jw_key, ptr %event
  %signal.p = getelementptr i8, ptr %event, i64 8
  store i32 <SIGURG>, ptr %signal.p
  %notify.p = getelementptr i8, ptr %event, i64 12
  store i32 4, ptr %notify.p
  %tid = get %ts ThreadState.tid
  %tid.p = getelementptr i8, ptr %event, i64 16
  store i64 %tid, ptr %tid.p
  ; timer_create(CLOCK_MONOTONIC, SIGEV_THREAD_ID)
  %rc = call i64 (i64, ...) @syscall(i64 222, i64 1, ptr %event, ptr %id)
  %refused = icmp ne i64 %rc, 0
  br i1 %refused, label %done, label %created
created:
  %id.32 = load i32, ptr %id
  %id.64 = zext i32 %id.32 to i64
  set %id.64, %ts ThreadState.timer
  br label %program
program:
  %timer = get %ts ThreadState.timer
  %interval.s = udiv i64 %interval, 1000000000
  %interval.ns = urem i64 %interval, 1000000000
  %first.s = udiv i64 %first, 1000000000
  %first.ns = urem i64 %first, 1000000000
  store i64 %interval.s, ptr %spec
  %spec.1 = getelementptr i8, ptr %spec, i64 8
  store i64 %interval.ns, ptr %spec.1
  %spec.2 = getelementptr i8, ptr %spec, i64 16
  store i64 %first.s, ptr %spec.2
  %spec.3 = getelementptr i8, ptr %spec, i64 24
  store i64 %first.ns, ptr %spec.3
  %on.1 = icmp ne i64 %first, 0
  %on = zext i1 %on.1 to i64
  set %on, %ts ThreadState.armed
  ; timer_settime, relative
  %rc.2 = call i64 (i64, ...) @syscall(i64 223, i64 %timer, i64 0, ptr %spec, ptr null)
  br label %done
done:
  ret void
}

; When to tick next: the interval while the GIL is held, an eighth of it for a while after a
; release (a thread that makes one long call makes more); after a release 50 ms on the main thread,
; to look for signals, and never on others. But not later than the deadline, and every millisecond
; after it, until the thread is met in wasm code.
define void @jw_plan(ptr %ts) {
entry:
  %wanted = call i64 @jw_next_tick(ptr %ts)
  %base = call i64 @jw_sampling_tick(ptr %ts, i64 %wanted)
  %deadline = get %ts ThreadState.deadline
  %unlimited = icmp eq i64 %deadline, 0
  br i1 %unlimited, label %compare, label %limited
compare:
  %present = get %ts ThreadState.interval
  %armed = get %ts ThreadState.armed
  %same = icmp eq i64 %present, %base
  %on = icmp ne i64 %armed, 0
  %off = xor i1 %on, true
  %never = icmp eq i64 %base, 0
  %runs = and i1 %same, %on
  %rests = and i1 %never, %off
  %as_is = or i1 %runs, %rests
  br i1 %as_is, label %done, label %change
change:
  call void @jw_arm(ptr %ts, i64 %base, i64 %base)
  br label %done
limited:
  %now = call i64 @jw_now()
  %rest = sub i64 %deadline, %now
  %ahead = icmp sgt i64 %rest, 1000
  %soon = select i1 %ahead, i64 %rest, i64 1000
  %endless = icmp eq i64 %base, 0
  %earlier = icmp ult i64 %soon, %base
  %by_deadline = or i1 %endless, %earlier
  %first = select i1 %by_deadline, i64 %soon, i64 %base
  %interval = select i1 %by_deadline, i64 1000000, i64 %base
  call void @jw_arm(ptr %ts, i64 %first, i64 %interval)
  br label %done
done:
  ret void
}

; jw_plan without the deadline: nanoseconds, or 0 for never.
define i64 @jw_next_tick(ptr %ts) {
entry:
  %act = get %ts ThreadState.top
  %outside = icmp eq ptr %act, null
  br i1 %outside, label %held, label %inside
inside:
  %tstate = get %act Activation.tstate
  %released = icmp ne ptr %tstate, null
  br i1 %released, label %free, label %held
free:
  %released.sequence = get %ts ThreadState.sequence
  set %released.sequence, %ts ThreadState.last_sequence
  %main = get %ts ThreadState.is_main
  %is_main = icmp ne i64 %main, 0
  %poll = load i64, ptr @jw_poll_ns
  %free.ns = select i1 %is_main, i64 %poll, i64 0
  ret i64 %free.ns
held:
  ; A whole interval begins now: the first tick may release already.
  %sequence = get %ts ThreadState.sequence
  set %sequence, %ts ThreadState.last_sequence
  %tick = load i64, ptr @jw_tick_ns
  %eager = get %ts ThreadState.eager
  %calm = icmp eq i64 %eager, 0
  %short = lshr i64 %tick, 3
  %held.ns = select i1 %calm, i64 %tick, i64 %short
  ret i64 %held.ns
}

; At an entry, where the timer is off.
define void @jw_wake(ptr %ts) {
  call void @jw_check_handlers()
  call void @jw_plan(ptr %ts)
  ret void
}

; Set this thread's deadline (CLOCK_MONOTONIC ns, 0: none); returns the one before, or -1 with an
; exception set.
define i64 @jw_set_deadline(i64 %deadline) {
entry:
  %ts.0 = call ptr @jw_thread()
  %new = icmp eq ptr %ts.0, null
  br i1 %new, label %init, label %known
init:
  %ts.1 = call ptr @jw_thread_init()
  %failed = icmp eq ptr %ts.1, null
  br i1 %failed, label %out, label %known
known:
  %ts = phi ptr [ %ts.0, %entry ], [ %ts.1, %init ]
  %old = get %ts ThreadState.deadline
  set %deadline, %ts ThreadState.deadline
  %armed = get %ts ThreadState.armed
  %on = icmp ne i64 %armed, 0
  br i1 %on, label %again, label %done
again:
  ; The timer follows the old deadline: program it anew even if nothing else changed.
  set 0, %ts ThreadState.armed
  call void @jw_plan(ptr %ts)
  br label %done
done:
  ret i64 %old
out:
  ret i64 -1
}

define void @jw_tick(i32 %sig, ptr %info, ptr %context) {
entry:
  %code.p = getelementptr i8, ptr %info, i64 8
  %si_code = load i32, ptr %code.p
  %value.p = getelementptr i8, ptr %info, i64 24
  %value = load ptr, ptr %value.p
  %by_timer = icmp eq i32 %si_code, -2
  %by_key = icmp eq ptr %value, @jw_key
  %is_ours = and i1 %by_timer, %by_key
  br i1 %is_ours, label %ours, label %foreign
foreign:
  ; SI_TKILL: from jw_park, or from anybody else.
  %by_thread = icmp eq i32 %si_code, -6
  br i1 %by_thread, label %parking, label %urgent
parking:
  %foreign.pc.p = getelementptr i8, ptr %context, i64 <context.rip>
  %foreign.pc = load i64, ptr %foreign.pc.p
  call void @jw_park_here(i64 %foreign.pc)
  br label %urgent
urgent:
  ; Urgent data on a socket, for somebody else. The default is to ignore it.
  %old = getelementptr [152 x i8], ptr @jw_old, i64 <SIGURG>
  %handler = load i64, ptr %old
  %is_function = icmp ugt i64 %handler, 1
  br i1 %is_function, label %forward, label %done
forward:
  %function = inttoptr i64 %handler to ptr
  call void %function(i32 %sig, ptr %info, ptr %context)
  br label %done
ours:
  %ts = call ptr @jw_thread()
  %gone = icmp eq ptr %ts, null
  br i1 %gone, label %done, label %known
known:
  inc %ts ThreadState.ticks
  %act = get %ts ThreadState.top
  %outside = icmp eq ptr %act, null
  br i1 %outside, label %idle, label %inside
inside:
  %pc.p = getelementptr i8, ptr %context, i64 <context.rip>
  %pc = load i64, ptr %pc.p
  %in_wasm = call i1 @jw_in_wasm(i64 %pc)
  br i1 %in_wasm, label %note, label %look
note:
  call void @jw_sample(i64 %pc)
  br label %look
look:
  %early = call i1 @jw_is_early(ptr %ts)
  br i1 %early, label %done, label %act_on
act_on:
  br i1 %in_wasm, label %wasm, label %native
wasm:
  call void @jw_tick_in_wasm(ptr %ts, ptr %act, ptr %context)
  br label %done
native:
  set 1, %act Activation.want
  %in_host = get %act Activation.in_host
  %host = icmp ne i32 %in_host, 0
  br i1 %host, label %idle, label %done
idle:
  call void @jw_tick_idle(ptr %ts)
  br label %done
done:
  ret void
}

; Outside of wasm: after three ticks without an entry the timer goes off.
define void @jw_tick_idle(ptr %ts) {
entry:
  %sequence = get %ts ThreadState.sequence
  %last = get %ts ThreadState.last_sequence
  %quiet = icmp eq i64 %sequence, %last
  br i1 %quiet, label %count, label %busy
busy:
  set %sequence, %ts ThreadState.last_sequence
  set 0, %ts ThreadState.idle
  ret void
count:
  %idle = get %ts ThreadState.idle
  inc %ts ThreadState.idle
  %enough = icmp uge i64 %idle, 2
  br i1 %enough, label %turn_off, label %done
turn_off:
  set 0, %ts ThreadState.idle
  call void @jw_arm(ptr %ts, i64 0, i64 0)
  br label %done
done:
  ret void
}

define void @jw_tick_in_wasm(ptr %ts, ptr %act, ptr %context) {
entry:
  set 0, %ts ThreadState.idle
  set 0, %act Activation.want
  %late = call i1 @jw_is_late(ptr %ts)
  br i1 %late, label %cut, label %in_time
cut:
  call void @jw_cut(ptr %ts, ptr %act, ptr %context, i64 <Trap.DEADLINE>, i64 0)
  ret void
in_time:
  %main = get %ts ThreadState.is_main
  %is_main = icmp ne i64 %main, 0
  %sequence = get %ts ThreadState.sequence
  %last = get %ts ThreadState.last_sequence
  %whole = icmp eq i64 %sequence, %last
  %tstate = get %act Activation.tstate
  %released = icmp ne ptr %tstate, null
  br i1 %released, label %free, label %held
free:
  ; A call entered with `release_gil` after the last tick ticks as one that holds it: plan first.
  %settled = and i1 %is_main, %whole
  br i1 %settled, label %lead, label %plan
held:
  br i1 %whole, label %release, label %young
release:
  br i1 %is_main, label %lead, label %here
here:
  call void @jw_release(ptr %ts, ptr %act)
  ret void
lead:
  call void @jw_lead_through(ptr %ts, ptr %context)
  ret void
young:
  ; It was entered after the last tick, so it is younger than an interval.
  set %sequence, %ts ThreadState.last_sequence
  %eager = get %ts ThreadState.eager
  %calm = icmp eq i64 %eager, 0
  br i1 %calm, label %done, label %calmer
calmer:
  %less = sub i64 %eager, 1
  set %less, %ts ThreadState.eager
  %calmed = icmp eq i64 %less, 0
  br i1 %calmed, label %plan, label %done
plan:
  call void @jw_plan(ptr %ts)
  br label %done
done:
  ret void
}

; Go on at jw_interrupt, which returns to where it stopped: below the red zone, 128 bytes that leaf
; functions use under the stack pointer. Not where Python's handlers would have too little stack.
define void @jw_lead_through(ptr %ts, ptr %context) {
entry:
  %xsave = load i64, ptr @jw_has_xsave
  %can = icmp ne i64 %xsave, 0
  br i1 %can, label %measure, label %done
measure:
  %pc.p = getelementptr i8, ptr %context, i64 <context.rip>
  %pc = load i64, ptr %pc.p
  %sp.p = getelementptr i8, ptr %context, i64 <context.rsp>
  %sp = load i64, ptr %sp.p
  %limit = get %ts ThreadState.stack_limit
  %room = icmp uge i64 %sp, %limit
  br i1 %room, label %lead, label %done
lead:
  %sp.new = sub i64 %sp, 136
  %return = inttoptr i64 %sp.new to ptr
  store i64 %pc, ptr %return
  store i64 %sp.new, ptr %sp.p
  store ptr @jw_interrupt, ptr %pc.p
  br label %done
done:
  ret void
}

define void @jw_release(ptr %ts, ptr %act) {
  inc %ts ThreadState.releases
  set 16, %ts ThreadState.eager
  %tstate = call ptr @PyEval_SaveThread()
  set %tstate, %act Activation.tstate
  call void @jw_plan(ptr %ts)
  ret void
}

; Take the GIL back inside a call out of wasm code.
define void @jw_reacquire(ptr %ts, ptr %act) {
entry:
  %tstate = get %act Activation.tstate
  %held = icmp eq ptr %tstate, null
  br i1 %held, label %done, label %take
take:
  call void @PyEval_RestoreThread(ptr %tstate)
  set null, %act Activation.tstate
  inc %ts ThreadState.reacquires
  ; The release had turned the timer off.
  call void @jw_plan(ptr %ts)
  br label %done
done:
  ret void
}

; A call that had released the GIL has ended, holding it. The timer may be programmed for a released
; one: program it for the call around it, or let the next entry do so. One that was shorter than a
; tick left the timer as it was, and so do we: a system call costs more than such a call.
define void @jw_hold_again() {
entry:
  %ts = call ptr @jw_thread()
  %outer = get %ts ThreadState.top
  %outermost = icmp eq ptr %outer, null
  br i1 %outermost, label %compare, label %now
compare:
  %wanted = call i64 @jw_next_tick(ptr %ts)
  %base = call i64 @jw_sampling_tick(ptr %ts, i64 %wanted)
  %present = get %ts ThreadState.interval
  %same = icmp eq i64 %present, %base
  %deadline = get %ts ThreadState.deadline
  %unlimited = icmp eq i64 %deadline, 0
  %as_is = and i1 %same, %unlimited
  br i1 %as_is, label %done, label %later
later:
  set 0, %ts ThreadState.armed
  ret void
now:
  call void @jw_plan(ptr %ts)
  ret void
done:
  ret void
}

; Called by jw_interrupt, between two instructions of wasm code. Signal handlers may not enter this
; store (2): the instance may be anywhere in an update of its memory or of the overflow area.
define void @jw_interrupted() {
  call void @jw_serve(i32 2)
  ret void
}

; Run Python's signal handlers (main thread), then release the GIL. %state is for `in_host`.
define void @jw_serve(i32 %state) {
entry:
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  set %state, %act Activation.in_host
  %tstate = get %act Activation.tstate
  %held = icmp eq ptr %tstate, null
  br i1 %held, label %have, label %take
take:
  call void @PyEval_RestoreThread(ptr %tstate)
  set null, %act Activation.tstate
  br label %have
have:
  %rc = call i32 @PyErr_CheckSignals()
  %ok = icmp eq i32 %rc, 0
  br i1 %ok, label %release, label %raised
raised:
  call void @jw_raise_pending()
  unreachable
release:
  set 0, %act Activation.in_host
  call void @jw_release(ptr %ts, ptr %act)
  ret void
}

; A tick fell into what is now returning to wasm code: do what it would have done.
define void @jw_back_to_wasm() {
entry:
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  set 0, %act Activation.want
  %late = call i1 @jw_is_late(ptr %ts)
  br i1 %late, label %cut, label %in_time
cut:
  call void @jw_trap(i32 <Trap.DEADLINE>)
  unreachable
in_time:
  %frame = call ptr @llvm.frameaddress.p0(i32 0)
  %sp = ptrtoint ptr %frame to i64
  %limit = get %ts ThreadState.stack_limit
  %room = icmp uge i64 %sp, %limit
  br i1 %room, label %look, label %done
look:
  %tstate = get %act Activation.tstate
  %released = icmp ne ptr %tstate, null
  %main = get %ts ThreadState.is_main
  %is_worker = icmp eq i64 %main, 0
  %nothing = and i1 %released, %is_worker
  br i1 %nothing, label %plan, label %serve
serve:
  call void @jw_serve(i32 1)
  br label %done
plan:
  call void @jw_plan(ptr %ts)
  br label %done
done:
  ret void
}
