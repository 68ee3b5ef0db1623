; Parking: at the end of the process a thread inside LLVM is stopped for good, since LLVM cannot be
; told to give up, and its destructors must not run while it works. The thread is sent SIGURG until it
; is met in LLVM's own code: there it holds no lock of the C library's or of Python's.

@jw_park_lo = global i64 0              ; LLVM's code, set before the first signal
@jw_park_hi = global i64 0
@jw_parked = global i64 0               ; kernel id of the thread that was parked last

; Send a thread the signal that parks it, if this is the moment.
define i32 @jw_park(i64 %tid) {
  %pid = call i32 @getpid()
  %pid.64 = zext i32 %pid to i64
  ; tgkill
  %rc = call i64 (i64, ...) @syscall(i64 234, i64 %pid.64, i64 %tid, i64 <SIGURG>)
  %rc.32 = trunc i64 %rc to i32
  ret i32 %rc.32
}

; In the handler of a SIGURG that no timer sent. Does not return if the thread is to be parked here.
define void @jw_park_here(i64 %pc) {
entry:
  %lo = load volatile i64, ptr @jw_park_lo
  %hi = load volatile i64, ptr @jw_park_hi
  %above = icmp uge i64 %pc, %lo
  %below = icmp ult i64 %pc, %hi
  %inside = and i1 %above, %below
  br i1 %inside, label %park, label %done
park:
  %tid = call i64 (i64, ...) @syscall(i64 186)
  store volatile i64 %tid, ptr @jw_parked
  br label %forever
forever:
  ; pause
  %rc = call i64 (i64, ...) @syscall(i64 34)
  br label %forever
done:
  ret void
}
