"""The assembly of the runtime: entering wasm code, coming back by a trap, calling out.

`jw_enter` is the asymmetric half of a setjmp. A thunk calls it like the wasm function itself, with
the activation as a hidden argument in %r10; it notes the callee-saved registers and the return
address and jumps to the function. So the function returns to the thunk, and a trap does the same:
`jw_jump` restores what was noted and "returns" a second time is never seen: the call returns
exactly once, one way or the other, and `Activation.code` says which. For the compiler it is an
ordinary call.

`jw_trap` is called by compiled code: it notes the registers of its caller, for the backtrace.

`jw_host_base` and `jw_c_call` are called by compiled code in the wasm calling convention, with a
HostEnv in %rdi, for any function type (see trampolines.py).

`jw_interrupt` continues a signal handler outside of it (see ticks.py).
"""

from __future__ import annotations

from jitwasm.abi import ACTIVATION, HOST_ENV, STORE_STATE, THREAD_STATE
from jitwasm.trapcodes import TrapCode

__all__ = ["HOST_FRAME", "REGISTERS", "assembly", "module_asm", "wasm_assembly"]

REGISTERS = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp", "rip")
"""What an activation and a trap's record hold, in this order."""

_SAVED = tuple(enumerate(REGISTERS[:6]))
_RSP, _RIP = 48, 56

HOST_FRAME = {"env": 0, "ints": 8, "status": 48, "error": 56, "floats": 64, "size": 200}
"""What `jw_host_base` leaves on the stack: the argument registers, where results go too."""

_XSAVE_AREA = 4096
_XSAVE_MASK = 0x800E7
"""x87, SSE, AVX, AVX-512, PKRU and the 16 more registers of APX: all that code may hold."""


def module_asm(text: str) -> str:
    """Assembly as part of an LLVM module."""
    return "\n".join(f'module asm "{line.strip()}"' for line in text.splitlines() if line.strip())


def _save(base: str) -> str:
    return "\n".join(f"movq %{name}, {8 * i}({base})" for i, name in _SAVED)


def _restore(base: str) -> str:
    return "\n".join(f"movq {8 * i}({base}), %{name}" for i, name in _SAVED)


def _function(name: str, body: str) -> str:
    return f".globl {name}\n.p2align 4\n.type {name},@function\n{name}:\n{body}\n.size {name},.-{name}"


def assembly() -> str:
    """All of the runtime's assembly."""
    return "\n".join(
        [".text", _enter(), _jump(), _trap(), _host_jump(), _host_base(), _c_call(), _interrupt()]
    )


def _enter() -> str:
    return _function(
        "jw_enter",
        f"""
        {_save("%r10")}
        leaq 8(%rsp), %r11
        movq %r11, {_RSP}(%r10)
        movq (%rsp), %r11
        movq %r11, {_RIP}(%r10)
        jmpq *{ACTIVATION.offset["pc"]}(%r10)
        """,
    )


def _jump() -> str:
    return _function(
        "jw_jump",
        f"""
        {_restore("%rdi")}
        movq {_RSP}(%rdi), %rsp
        jmpq *{_RIP}(%rdi)
        """,
    )


def _trap() -> str:
    return _function(
        "jw_trap",
        f"""
        subq $72, %rsp
        {_save("%rsp")}
        leaq 80(%rsp), %rax
        movq %rax, {_RSP}(%rsp)
        movq 72(%rsp), %rax
        movq %rax, {_RIP}(%rsp)
        movl %edi, %edi
        movq %rsp, %rsi
        callq jw_raise
        """,
    )


def _host_jump() -> str:
    # An indirection, so that a host function's code can be replaced while it is linked.
    return _function("jw_host_jump", f'jmpq *{HOST_ENV.offset["scratch"]}(%rdi)')


def _host_base() -> str:
    ints, floats, size = HOST_FRAME["ints"], HOST_FRAME["floats"], HOST_FRAME["size"]
    params = [
        f"movq %{name}, {ints + 8 * i}(%rsp)"
        for i, name in enumerate(("rsi", "rdx", "rcx", "r8", "r9"))
    ]
    params += [f"movaps %xmm{i}, {floats + 16 * i}(%rsp)" for i in range(8)]
    results = [
        f"movq {ints + 8 * i}(%rsp), %{name}" for i, name in enumerate(("rax", "rdx", "rcx"))
    ]
    results += [f"movaps {floats + 16 * i}(%rsp), %xmm{i}" for i in range(4)]
    lines = [
        f"subq ${size}, %rsp",
        "movq %rdi, (%rsp)",
        *params,
        "movq %rsp, %rdi",
        "callq jw_host_dispatch",
        *results,
        f"addq ${size}, %rsp",
        "ret",
    ]
    return _function("jw_host_base", "\n".join(lines))


def _c_call() -> str:
    # The thread is found through the store, which it is inside of: no call, one nanosecond.
    # %al: a variadic function wants to know how many vector registers are in use.
    return _function(
        "jw_c_call",
        f"""
        movq {HOST_ENV.offset["store"]}(%rdi), %rax
        movq {STORE_STATE.offset["owner"]}(%rax), %rax
        cmpq {THREAD_STATE.offset["stack_limit"]}(%rax), %rsp
        jb 1f
        pushq %rbx
        movq {THREAD_STATE.offset["top"]}(%rax), %rbx
        movl $1, {ACTIVATION.offset["in_host"]}(%rbx)
        movq {HOST_ENV.offset["target"]}(%rdi), %r11
        movq %rsi, %rdi
        movq %rdx, %rsi
        movq %rcx, %rdx
        movq %r8, %rcx
        movq %r9, %r8
        movl $8, %eax
        callq *%r11
        movl $0, {ACTIVATION.offset["in_host"]}(%rbx)
        cmpl $0, {ACTIVATION.offset["want"]}(%rbx)
        jne 2f
        popq %rbx
        ret
        1:
        movl ${int(TrapCode.STACK_OVERFLOW)}, %edi
        jmp jw_trap
        2:
        subq $32, %rsp
        movq %rax, (%rsp)
        movups %xmm0, 16(%rsp)
        callq jw_back_to_wasm
        movq (%rsp), %rax
        movups 16(%rsp), %xmm0
        addq $32, %rsp
        popq %rbx
        ret
        """,
    )


def _interrupt() -> str:
    general = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")
    header = "\n".join(f"movq %rax, {at}(%rsp)" for at in range(512, 576, 8))
    return _function(
        "jw_interrupt",
        f"""
        pushfq
        pushq %rbp
        movq %rsp, %rbp
        {chr(10).join(f"pushq %{name}" for name in general)}
        movq %rsp, %rbx
        subq ${_XSAVE_AREA}, %rsp
        andq $-64, %rsp
        xorl %eax, %eax
        {header}
        movl ${_XSAVE_MASK}, %eax
        xorl %edx, %edx
        xsave (%rsp)
        cld
        callq jw_interrupted
        movl ${_XSAVE_MASK}, %eax
        xorl %edx, %edx
        xrstor (%rsp)
        movq %rbx, %rsp
        {chr(10).join(f"popq %{name}" for name in reversed(general))}
        popq %rbp
        popfq
        retq $128
        """,
    )


def wasm_assembly() -> str:
    """memcpy, memmove and memset for wasm code.

    LLVM may turn a loop of accesses to linear memory into a call of one of these. A fault in there
    must be a trap like any other, so they lie in the arena's wasm part.
    """
    copy = """
        movq %rdi, %rax
        movq %rdx, %rcx
        rep movsb
        ret
        """
    move = f"""
        movq %rdi, %rax
        subq %rsi, %rax
        cmpq %rdx, %rax
        jb 1f
        {copy}
        1:
        movq %rdi, %rax
        movq %rdx, %rcx
        leaq -1(%rsi,%rdx), %rsi
        leaq -1(%rdi,%rdx), %rdi
        std
        rep movsb
        cld
        ret
        """
    fill = """
        movq %rdi, %r8
        movl %esi, %eax
        movq %rdx, %rcx
        rep stosb
        movq %r8, %rax
        ret
        """
    return "\n".join(
        [".text", _function("memcpy", copy), _function("memmove", move), _function("memset", fill)]
    )
