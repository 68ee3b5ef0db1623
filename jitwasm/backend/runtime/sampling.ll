; Sampling: where wasm code spends its time, found at the ticks.
;
; While jw_sampling_ns is set, threads inside wasm tick that often, and the handler notes the
; interrupted instruction in a ring. Every few samples it wakes whoever evaluates them. What else
; ticks do keeps its pace: `due` says when.

@jw_sampling_ns = global i64 0          ; interval while somebody samples; 0: nobody does
@jw_sample_count = global i64 0         ; samples so far; the next one's place, modulo the ring
@jw_samples = global [1024 x i64] zeroinitializer
@jw_sampled = global [4 x i64] zeroinitializer  ; sem_t, initialised by sampling.py

; The timer's interval, given the one that GIL and signals want (0: none).
define i64 @jw_sampling_tick(ptr %ts, i64 %wanted) {
entry:
  %interval = load volatile i64, ptr @jw_sampling_ns
  %off = icmp eq i64 %interval, 0
  br i1 %off, label %plain, label %compare
compare:
  %never = icmp eq i64 %wanted, 0
  %slower = icmp ult i64 %interval, %wanted
  %sampled = or i1 %never, %slower
  br i1 %sampled, label %mixed, label %plain
mixed:
  %now = call i64 @jw_now()
  %then = add i64 %now, %wanted
  %due = select i1 %never, i64 9223372036854775807, i64 %then
  set %due, %ts ThreadState.due
  ret i64 %interval
plain:
  set 0, %ts ThreadState.due
  ret i64 %wanted
}

; Whether this tick came for sampling only.
define i1 @jw_is_early(ptr %ts) {
entry:
  %due = get %ts ThreadState.due
  %plain = icmp eq i64 %due, 0
  br i1 %plain, label %no, label %timed
timed:
  %late = call i1 @jw_is_late(ptr %ts)
  br i1 %late, label %no, label %compare
compare:
  %now = call i64 @jw_now()
  %early = icmp slt i64 %now, %due
  br i1 %early, label %yes, label %next
yes:
  %deadline = get %ts ThreadState.deadline
  %unlimited = icmp eq i64 %deadline, 0
  br i1 %unlimited, label %go_on, label %limited
limited:
  ; Meet it as exactly as without sampling.
  %rest = sub i64 %deadline, %now
  %interval = get %ts ThreadState.interval
  %near = icmp slt i64 %rest, %interval
  br i1 %near, label %shorten, label %go_on
shorten:
  call void @jw_arm(ptr %ts, i64 %rest, i64 1000000)
  br label %go_on
go_on:
  ret i1 true
next:
  ; Whoever acts plans anew, or leaves the timer as it is: then the next one is an interval away.
  %tick = load i64, ptr @jw_tick_ns
  %eager = get %ts ThreadState.eager
  %calm = icmp eq i64 %eager, 0
  %short = lshr i64 %tick, 3
  %step = select i1 %calm, i64 %tick, i64 %short
  %then = add i64 %now, %step
  set %then, %ts ThreadState.due
  ret i1 false
no:
  ret i1 false
}

define void @jw_sample(i64 %pc) {
entry:
  %interval = load volatile i64, ptr @jw_sampling_ns
  %off = icmp eq i64 %interval, 0
  br i1 %off, label %done, label %note
note:
  %number = atomicrmw add ptr @jw_sample_count, i64 1 monotonic
  %place = and i64 %number, 1023
  %slot = getelementptr [1024 x i64], ptr @jw_samples, i64 0, i64 %place
  store volatile i64 %pc, ptr %slot
  %phase = and i64 %number, 7
  %full = icmp eq i64 %phase, 7
  br i1 %full, label %wake, label %done
wake:
  %rc = call i32 @sem_post(ptr @jw_sampled)
  br label %done
done:
  ret void
}
