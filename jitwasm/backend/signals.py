"""Signal handlers: faults in wasm code become traps, all others go where they would have gone (IR).

`jw_fault` handles SIGSEGV, SIGBUS, SIGFPE and SIGILL. A fault is a trap if the instruction lies in
wasm code and the thread is inside wasm; the handler then rewrites the interrupted context so that
the kernel resumes in the entry thunk, as `jw_jump` would. Besides, the stack may overflow in what
compiled code calls directly (the bulk operations, memmove): that is a trap too, as long as no host
function is on top, because such code holds nothing that would be lost.

Anything else is chained to the handler that was there before, or to the default action. Others may
install handlers after us, faulthandler for one. Ours must be first, or it would report a trap as a
crash; so at each thread's start, each load of code and each tick that is armed `jw_check_handlers`
puts ours on top again and chains to theirs. The two then form a ring, because theirs chains to ours
on its own: a second entry while a chained handler runs ends the process by the default action,
which needs SA_NODEFER to be delivered. Should faulthandler be first after all, it prints its report,
reinstates ours and raises the signal again: ours then ignores that, and the fault, which happens
again, is a trap.
"""

from __future__ import annotations

from jitwasm.backend.entry import REGISTERS
from jitwasm.backend.threads import SIGNALS
from jitwasm.trapcodes import TrapCode

__all__ = ["CONTEXT", "ir"]

_NUMBERS = "r8 r9 r10 r11 r12 r13 r14 r15 rdi rsi rbp rbx rdx rax rcx rsp rip".split()
_GREGS = 40  # offset of the general registers in a ucontext_t
CONTEXT = {name: _GREGS + 8 * i for i, name in enumerate([*_NUMBERS, "eflags"])}
_DIRECTION_AND_ALIGNMENT = 0x400 | 0x40000

_SIGACTION = 152  # glibc's struct sigaction: handler, 128 bytes of mask, flags, restorer
_SA_SIGINFO, _SA_ONSTACK, _SA_RESTART, _SA_NODEFER = 4, 0x08000000, 0x10000000, 0x40000000
_TICK_MASK = 1 << (SIGNALS["SIGURG"] - 1)
_SI_TKILL = -6

_NEAR = 65536
"""A fault this far below the stack pointer, or a page above it, is one of the stack."""


def ir() -> str:
    """Definitions of jw_fault, jw_cut and jw_check_handlers."""
    return _fault() + _chain() + _cut() + _install()


def _fault() -> str:
    return f"""
@jw_code_lo = global i64 0
@jw_code_hi = global i64 0
@jw_old = global [32 x [{_SIGACTION} x i8]] zeroinitializer
@jw_default = global [{_SIGACTION} x i8] zeroinitializer
@jw_chaining = global i64 0
declare i32 @sigaction(i32, ptr, ptr)
declare i32 @getpid()

define i1 @jw_in_wasm(i64 %pc) {{
  %lo = load i64, ptr @jw_code_lo
  %hi = load i64, ptr @jw_code_hi
  %above = icmp uge i64 %pc, %lo
  %below = icmp ult i64 %pc, %hi
  %both = and i1 %above, %below
  ret i1 %both
}}

; Whether a fault at %address is the stack's end: next to the stack pointer, which is at the end.
define i1 @jw_at_stack_end(ptr %ts, i64 %address, i64 %sp) {{
  %from = sub i64 %sp, {_NEAR}
  %distance = sub i64 %address, %from
  %near = icmp ult i64 %distance, {_NEAR + 4096}
  %low = get %ts ThreadState.stack_low
  %limit = get %ts ThreadState.stack_limit
  %lowest = sub i64 %low, 1048576
  %above = icmp uge i64 %sp, %lowest
  %below = icmp ult i64 %sp, %limit
  %inside = and i1 %above, %below
  %both = and i1 %near, %inside
  ret i1 %both
}}

define void @jw_fault(i32 %sig, ptr %info, ptr %context) {{
entry:
  %ts = call ptr @jw_thread()
  %stranger = icmp eq ptr %ts, null
  br i1 %stranger, label %chain, label %known
known:
  %act = get %ts ThreadState.top
  %outside = icmp eq ptr %act, null
  br i1 %outside, label %chain, label %inside
inside:
  %pc.p = getelementptr i8, ptr %context, i64 {CONTEXT["rip"]}
  %pc = load i64, ptr %pc.p
  %sp.p = getelementptr i8, ptr %context, i64 {CONTEXT["rsp"]}
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
    i32 {SIGNALS["SIGFPE"]}, label %arithmetic
    i32 {SIGNALS["SIGILL"]}, label %illegal
  ]
memory:
  %memory.code = select i1 %stack_end, i64 {int(TrapCode.STACK_OVERFLOW)}, i64 {int(TrapCode.OUT_OF_BOUNDS_MEMORY)}
  br label %trap
arithmetic:
  br label %trap
illegal:
  br label %trap
native:
  %in_host = get %act Activation.in_host
  %host = icmp ne i32 %in_host, 0
  br i1 %host, label %chain, label %helper
helper:
  %raised = icmp eq i32 %si_code, {_SI_TKILL}
  br i1 %raised, label %raised_again, label %real
raised_again:
  %tid.p = getelementptr i8, ptr %info, i64 16
  %from = load i32, ptr %tid.p
  %own = call i32 @getpid()
  %by_us = icmp eq i32 %from, %own
  br i1 %by_us, label %done, label %chain
real:
  %is_signal = icmp sle i32 %si_code, 0
  %is_memory = icmp eq i32 %sig, {SIGNALS["SIGSEGV"]}
  %is_bus = icmp eq i32 %sig, {SIGNALS["SIGBUS"]}
  %is_either = or i1 %is_memory, %is_bus
  %overflow.1 = and i1 %stack_end, %is_either
  %is_real = xor i1 %is_signal, true
  %overflow = and i1 %overflow.1, %is_real
  br i1 %overflow, label %trap, label %chain
trap:
  %code = phi i64 [ %memory.code, %memory ],
                  [ {int(TrapCode.INTEGER_DIVIDE_BY_ZERO)}, %arithmetic ],
                  [ {int(TrapCode.UNREACHABLE)}, %illegal ],
                  [ {int(TrapCode.STACK_OVERFLOW)}, %real ]
  call void @jw_cut(ptr %ts, ptr %act, ptr %context, i64 %code, i64 %address)
  br label %done
chain:
  call void @jw_chain(i32 %sig, ptr %info, ptr %context)
  br label %done
done:
  ret void
}}
"""


def _chain() -> str:
    return f"""
define void @jw_chain(i32 %sig, ptr %info, ptr %context) {{
entry:
  %code.p = getelementptr i8, ptr %info, i64 8
  %si_code = load i32, ptr %code.p
  %sent = icmp sle i32 %si_code, 0
  %number = zext i32 %sig to i64
  %at = mul i64 %number, {_SIGACTION}
  %old = getelementptr i8, ptr @jw_old, i64 %at
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
}}
"""


def _cut() -> str:
    read = "".join(
        f"""
  %from.{name} = getelementptr i8, ptr %context, i64 {CONTEXT[name]}
  %old.{name} = load i64, ptr %from.{name}
  %keep.{name} = getelementptr i8, ptr %registers, i64 {8 * i}
  store i64 %old.{name}, ptr %keep.{name}"""
        for i, name in enumerate(REGISTERS)
    )
    write = "".join(
        f"""
  %saved.{name} = getelementptr i8, ptr %act, i64 {8 * i}
  %new.{name} = load i64, ptr %saved.{name}
  store i64 %new.{name}, ptr %from.{name}"""
        for i, name in enumerate(REGISTERS)
    )
    return f"""
; Make the interrupted thread go on in its entry thunk, with a trap.
define void @jw_cut(ptr %ts, ptr %act, ptr %context, i64 %code, i64 %address) {{
  %registers = alloca [8 x i64]
{read}
  set %code, %act Activation.code
  set %address, %act Activation.address
  set %old.rip, %act Activation.pc
  call void @jw_save_stack(ptr %ts, ptr %act, ptr %registers)
{write}
  %flags.p = getelementptr i8, ptr %context, i64 {CONTEXT["eflags"]}
  %flags = load i64, ptr %flags.p
  %clear = and i64 %flags, {~_DIRECTION_AND_ALIGNMENT}
  store i64 %clear, ptr %flags.p
  ret void
}}
declare void @jw_save_stack(ptr, ptr, ptr)
"""


def _install() -> str:
    fault_flags = _SA_SIGINFO | _SA_ONSTACK | _SA_NODEFER
    tick_flags = _SA_SIGINFO | _SA_ONSTACK | _SA_RESTART
    checks = "".join(
        f"""
  call void @jw_check_handler(i32 {number}, ptr @{"jw_tick" if name == "SIGURG" else "jw_fault"},
      i64 {0 if name == "SIGURG" else _TICK_MASK},
      i32 {tick_flags if name == "SIGURG" else fault_flags})"""
        for name, number in SIGNALS.items()
    )
    return f"""
declare void @jw_tick(i32, ptr, ptr)

; Install a handler if it is not the present one, and note the one it replaces.
define void @jw_check_handler(i32 %sig, ptr %handler, i64 %mask, i32 %flags) {{
entry:
  %new = alloca [{_SIGACTION} x i8], align 8
  %old = alloca [{_SIGACTION} x i8], align 8
  %rc = call i32 @sigaction(i32 %sig, ptr null, ptr %old)
  %present = load ptr, ptr %old
  %ours = icmp eq ptr %present, %handler
  br i1 %ours, label %done, label %install
install:
  call void @llvm.memset.p0.i64(ptr %new, i8 0, i64 {_SIGACTION}, i1 false)
  store ptr %handler, ptr %new
  %mask.p = getelementptr i8, ptr %new, i64 8
  store i64 %mask, ptr %mask.p
  %flags.p = getelementptr i8, ptr %new, i64 136
  store i32 %flags, ptr %flags.p
  %number = zext i32 %sig to i64
  %at = mul i64 %number, {_SIGACTION}
  %slot = getelementptr i8, ptr @jw_old, i64 %at
  ; Noted before the handler can run.
  call void @llvm.memcpy.p0.p0.i64(ptr %slot, ptr %old, i64 {_SIGACTION}, i1 false)
  %rc.2 = call i32 @sigaction(i32 %sig, ptr %new, ptr null)
  br label %done
done:
  ret void
}}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define void @jw_check_handlers() {{{checks}
  ret void
}}
"""
