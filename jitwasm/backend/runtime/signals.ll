; Signal handlers: faults in wasm code become traps, all others go where they would have gone.
;
; jw_fault handles SIGSEGV, SIGBUS, SIGFPE and SIGILL. A fault is a trap if the instruction lies in
; wasm code and the thread is inside wasm; the handler then rewrites the interrupted context so that
; the kernel resumes in the entry thunk, as jw_jump would. Besides, the stack may overflow in what
; compiled code calls directly (the bulk operations, memmove): that is a trap too, as long as no
; host function is on top, because such code holds nothing that would be lost.
;
; Anything else is chained to the handler that was there before, or to the default action. Others
; may install handlers after us, faulthandler for one. Ours must be first, or it would report a trap
; as a crash; so at each thread's start, each load of code and each time the tick timer is turned on
; jw_check_handlers puts ours on top again and chains to theirs. The two then form a ring, because
; theirs chains to ours on its own: a second entry while a chained handler runs ends the process by
; the default action, which needs SA_NODEFER to be delivered. Should faulthandler be first after
; all, it prints its report, reinstates ours and raises the signal again: ours then ignores that,
; and the fault, which happens again, is a trap.

define i1 @jw_in_wasm(i64 %pc) {
  %lo = load i64, ptr @jw_code_lo
  %hi = load i64, ptr @jw_code_hi
  %above = icmp uge i64 %pc, %lo
  %below = icmp ult i64 %pc, %hi
  %both = and i1 %above, %below
  ret i1 %both
}

; Whether a fault at %address is the stack's end: next to the stack pointer, which is at the end.
define i1 @jw_at_stack_end(ptr %ts, i64 %address, i64 %sp) {
  %from = sub i64 %sp, 65536
  %distance = sub i64 %address, %from
  %near = icmp ult i64 %distance, 69632
  %low = get %ts ThreadState.stack_low
  %limit = get %ts ThreadState.stack_limit
  %lowest = sub i64 %low, 1048576
  %above = icmp uge i64 %sp, %lowest
  %below = icmp ult i64 %sp, %limit
  %inside = and i1 %above, %below
  %both = and i1 %near, %inside
  ret i1 %both
}

; Baseline code traps by `ud1 eax, [rax + code]`: 0f b9 40, then the TrapCode. The two halves are read
; one by one, because a shorter instruction may be the last of its page.
define i64 @jw_trap_operand(i64 %pc) {
entry:
  %first.p = inttoptr i64 %pc to ptr
  %first = load i16, ptr %first.p, align 1
  %is_ud1 = icmp eq i16 %first, -18161
  br i1 %is_ud1, label %operand, label %other
operand:
  %second.p = getelementptr i8, ptr %first.p, i64 2
  %second = load i16, ptr %second.p, align 1
  %low = and i16 %second, 255
  %is_code = icmp eq i16 %low, 64
  %code.16 = lshr i16 %second, 8
  %code = zext i16 %code.16 to i64
  br i1 %is_code, label %known, label %other
known:
  ret i64 %code
other:
  ret i64 <Trap.UNREACHABLE>
}

define void @jw_fault(i32 %sig, ptr %info, ptr %context) {
entry:
  %ts = call ptr @jw_thread()
  %stranger = icmp eq ptr %ts, null
  br i1 %stranger, label %chain, label %known
known:
  %act = get %ts ThreadState.top
  %outside = icmp eq ptr %act, null
  br i1 %outside, label %chain, label %inside
inside:
  %pc.p = getelementptr i8, ptr %context, i64 <context.rip>
  %pc = load i64, ptr %pc.p
  %sp.p = getelementptr i8, ptr %context, i64 <context.rsp>
  %sp = load i64, ptr %sp.p
  %address.p = getelementptr i8, ptr %info, i64 16
  %address = load i64, ptr %address.p
  %code.p = getelementptr i8, ptr %info, i64 8
  %si_code = load i32, ptr %code.p
  %stack_end = call i1 @jw_at_stack_end(ptr %ts, i64 %address, i64 %sp)
  %in_wasm = call i1 @jw_in_wasm(i64 %pc)
  br i1 %in_wasm, label %wasm, label %native
wasm:
  switch i32 %sig, label %memory [
    i32 <SIGFPE>, label %arithmetic
    i32 <SIGILL>, label %illegal
  ]
memory:
  %memory.code = select i1 %stack_end, i64 <Trap.STACK_OVERFLOW>, i64 <Trap.OUT_OF_BOUNDS_MEMORY>
  br label %trap
arithmetic:
  br label %trap
illegal:
  %illegal.code = call i64 @jw_trap_operand(i64 %pc)
  br label %trap
native:
  %in_host = get %act Activation.in_host
  %host = icmp ne i32 %in_host, 0
  br i1 %host, label %chain, label %helper
helper:
  %raised = icmp eq i32 %si_code, -6
  br i1 %raised, label %raised_again, label %real
raised_again:
  %tid.p = getelementptr i8, ptr %info, i64 16
  %from = load i32, ptr %tid.p
  %own = call i32 @getpid()
  %by_us = icmp eq i32 %from, %own
  br i1 %by_us, label %done, label %chain
real:
  %is_signal = icmp sle i32 %si_code, 0
  %is_memory = icmp eq i32 %sig, <SIGSEGV>
  %is_bus = icmp eq i32 %sig, <SIGBUS>
  %is_either = or i1 %is_memory, %is_bus
  %overflow.1 = and i1 %stack_end, %is_either
  %is_real = xor i1 %is_signal, true
  %overflow = and i1 %overflow.1, %is_real
  br i1 %overflow, label %trap, label %chain
trap:
  %code = phi i64 [ %memory.code, %memory ],
                  [ <Trap.INTEGER_DIVIDE_BY_ZERO>, %arithmetic ],
                  [ %illegal.code, %illegal ],
                  [ <Trap.STACK_OVERFLOW>, %real ]
  call void @jw_cut(ptr %ts, ptr %act, ptr %context, i64 %code, i64 %address)
  br label %done
chain:
  call void @jw_chain(i32 %sig, ptr %info, ptr %context)
  br label %done
done:
  ret void
}

define void @jw_chain(i32 %sig, ptr %info, ptr %context) {
entry:
  %code.p = getelementptr i8, ptr %info, i64 8
  %si_code = load i32, ptr %code.p
  %sent = icmp sle i32 %si_code, 0
  %number = zext i32 %sig to i64
  %old = getelementptr [152 x i8], ptr @jw_old, i64 %number
  %handler = load i64, ptr %old
  %chaining = load volatile i64, ptr @jw_chaining
  %again = icmp ne i64 %chaining, 0
  br i1 %again, label %die, label %first
first:
  switch i64 %handler, label %call [
    i64 0, label %die
    i64 1, label %ignored
  ]
ignored:
  br i1 %sent, label %done, label %die
call:
  store volatile i64 1, ptr @jw_chaining
  %function = inttoptr i64 %handler to ptr
  call void %function(i32 %sig, ptr %info, ptr %context)
  store volatile i64 0, ptr @jw_chaining
  br label %done
die:
  %rc = call i32 @sigaction(i32 %sig, ptr @jw_default, ptr null)
  br i1 %sent, label %resend, label %done
resend:
  %pid = call i32 @getpid()
  %pid.long = zext i32 %pid to i64
  %tid = call i64 (i64, ...) @syscall(i64 186)
  %rc.2 = call i64 (i64, ...) @syscall(i64 234, i64 %pid.long, i64 %tid, i64 %number)
  br label %done
done:
  ret void
}

; Make the interrupted thread go on in its entry thunk, with a trap.
define void @jw_cut(ptr %ts, ptr %act, ptr %context, i64 %code, i64 %address) {
  %registers = alloca [8 x i64]
  %pc.p = getelementptr i8, ptr %context, i64 <context.rip>
  %pc = load i64, ptr %pc.p
  set %code, %act Activation.code
  set %address, %act Activation.address
  set %pc, %act Activation.pc
  call void @jw_exchange(ptr %act, ptr %context, ptr %registers)
  call void @jw_save_stack(ptr %ts, ptr %act, ptr %registers)
  ; The direction flag and the alignment check may be set where it stopped.
  %flags.p = getelementptr i8, ptr %context, i64 <context.eflags>
  %flags = load i64, ptr %flags.p
  %clear = and i64 %flags, -263169
  store i64 %clear, ptr %flags.p
  ret void
}

; Install a handler if it is not the present one, and note the one it replaces.
define void @jw_check_handler(i32 %sig, ptr %handler, i64 %mask, i32 %flags) {
entry:
  %new = alloca [152 x i8], align 8
  %old = alloca [152 x i8], align 8
  %rc = call i32 @sigaction(i32 %sig, ptr null, ptr %old)
  %present = load ptr, ptr %old
  %ours = icmp eq ptr %present, %handler
  br i1 %ours, label %done, label %install
install:
  call void @llvm.memset.p0.i64(ptr %new, i8 0, i64 152, i1 false)
  store ptr %handler, ptr %new
  %mask.p = getelementptr i8, ptr %new, i64 8
  store i64 %mask, ptr %mask.p
  %flags.p = getelementptr i8, ptr %new, i64 136
  store i32 %flags, ptr %flags.p
  %number = zext i32 %sig to i64
  %slot = getelementptr [152 x i8], ptr @jw_old, i64 %number
  ; Noted before the handler can run.
  call void @llvm.memcpy.p0.p0.i64(ptr %slot, ptr %old, i64 152, i1 false)
  %rc.2 = call i32 @sigaction(i32 %sig, ptr %new, ptr null)
  br label %done
done:
  ret void
}

define void @jw_check_handlers() {
  call void @jw_check_handler(i32 <SIGSEGV>, ptr @jw_fault, i64 <TICK_MASK>, i32 <FAULT_FLAGS>)
  call void @jw_check_handler(i32 <SIGBUS>, ptr @jw_fault, i64 <TICK_MASK>, i32 <FAULT_FLAGS>)
  call void @jw_check_handler(i32 <SIGFPE>, ptr @jw_fault, i64 <TICK_MASK>, i32 <FAULT_FLAGS>)
  call void @jw_check_handler(i32 <SIGILL>, ptr @jw_fault, i64 <TICK_MASK>, i32 <FAULT_FLAGS>)
  call void @jw_check_handler(i32 <SIGURG>, ptr @jw_tick, i64 0, i32 <TICK_FLAGS>)
  ret void
}
