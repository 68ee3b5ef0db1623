"""Stubs of functions that are compiled at their first call.

Every function has 16 bytes of code: at first a jump through its slot, for whoever holds a pointer
to the function (a FuncRef, an importing instance); behind it what the slot leads to at first. That
calls a host function with the function's index and vmctx, and jumps to the address it returns,
with the arguments as they were. So everything a host call has to mind, the GIL first of all, is
taken care of. The host function stores the address in the slot.

A start that finds its functions in the cache needs stubs too: they are written here without the
compiler's tables, which take longer to import than all the rest.
"""

from __future__ import annotations

import struct

from jitwasm.abi import VMLayout

__all__ = ["LAZY", "STUB", "stub_code"]

STUB = 16
"""Bytes of a stub."""
LAZY = 6
"""Offset of the part that a slot leads to at first."""

_ROW = struct.Struct("<HiBiBi")  # jmp *slot(%rdi); mov $funcidx, %eax; jmp common
_JMP_SLOT, _MOV_EAX, _JMP = 0xA7FF, 0xB8, 0xE9
_FRAME = 192
_RDX, _RCX, _RSI, _RDI = 2, 1, 6, 7
_KEPT = (_RDI, _RSI, _RDX, _RCX, 8, 9)


def stub_code(layout: VMLayout, code: int, env: int) -> tuple[bytearray, int]:
    """The stubs of all functions of a module, and where the first one begins.

    Args:
        layout: of its vmctx.
        code, env: of the host function (funcidx: i32, vmctx: i64) -> i64.
    """
    out = bytearray(_call_host(code, env))
    out += bytes(-len(out) % STUB)
    start, pack = len(out), _ROW.pack
    first, count = layout.imported_functions, layout.defined_functions
    slot = layout.function_slot(first)
    out += b"".join(
        [
            pack(_JMP_SLOT, slot + 8 * i, _MOV_EAX, first + i, _JMP, -start - STUB * (i + 1))
            for i in range(count)
        ]
    )
    return out, start


def _call_host(code: int, env: int) -> bytes:
    """The function's index is in eax."""
    return b"".join(
        [
            b"\x55\x48\x89\xe5",  # push %rbp; mov %rsp, %rbp
            b"\x48\x81\xec" + struct.pack("<i", _FRAME),  # sub $FRAME, %rsp
            _move_arguments(0x89, 0x11),
            b"\x48\x89\xc6\x48\x89\xfa",  # mov %rax, %rsi; mov %rdi, %rdx
            b"\x48\xbf" + struct.pack("<Q", env),  # mov $env, %rdi
            b"\x48\xb8" + struct.pack("<Q", code),  # mov $code, %rax
            b"\xff\xd0",  # call *%rax
            _move_arguments(0x8B, 0x10),
            b"\xc9\xff\xe0",  # leave; jmp *%rax
        ]
    )


def _move_arguments(mov: int, vmovups: int) -> bytes:
    """All registers that may hold arguments to the frame, or back: these opcodes tell."""
    out = b""
    for i, reg in enumerate(_KEPT):
        out += bytes((0x48 | reg >> 3 << 2, mov, 0x85 | (reg & 7) << 3))
        out += struct.pack("<i", -8 - 8 * i)
    for xmm in range(8):
        out += bytes((0xC5, 0xF8, vmovups, 0x85 | xmm << 3)) + struct.pack("<i", -64 - 16 * xmm)
    return out
