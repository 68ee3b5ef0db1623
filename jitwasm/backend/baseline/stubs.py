"""Stubs of functions that are compiled at their first call.

Every function has 16 bytes of code: at first a jump through its slot, for whoever holds a pointer
to the function (a FuncRef, an importing instance); behind it what the slot leads to at first. That
calls a host function with the function's index and vmctx, and jumps to the address it returns,
with the arguments as they were. So everything a host call has to mind, the GIL first of all, is
taken care of. The host function stores the address in the slot.
"""

from __future__ import annotations

from jitwasm.abi import VMLayout, function_symbol
from jitwasm.backend.baseline.assembler import (
    INSTRUCTIONS,
    R8,
    R9,
    RAX,
    RCX,
    RDI,
    RDX,
    RSI,
    RSP,
    imm32,
    move_immediate,
)
from jitwasm.backend.baseline.objectfile import write_object

__all__ = ["lazy_symbol", "stub_object"]

STUB = 16
FRAME = 192
_KEPT = (RDI, RSI, RDX, RCX, R8, R9)
_JMP = INSTRUCTIONS["jmp"]


def lazy_symbol(funcidx: int) -> str:
    """The symbol of what a function's slot leads to before the function has been compiled."""
    return f"s{funcidx}"


def stub_object(layout: VMLayout, code: int, env: int) -> bytes:
    """An object with the stubs of all functions of a module.

    Args:
        layout: of its vmctx.
        code, env: of the host function (funcidx: i32, vmctx: i64) -> i64.
    """
    out = bytearray(_call_host(code, env))
    out += bytes(-len(out) % STUB)
    labels: dict[str, int] = {}
    first = layout.imported_functions
    for funcidx in range(first, first + layout.defined_functions):
        labels[function_symbol(funcidx)] = len(out)
        out += _JMP.spec.memory(0, RDI, layout.function_slot(funcidx))
        out += bytes(-len(out) % 2)
        labels[lazy_symbol(funcidx)] = len(out)
        out += move_immediate(RAX, funcidx, False)
        out += b"\xe9" + imm32(-len(out) - 5)
        out += bytes(-len(out) % STUB)
    return write_object([("lazy", bytes(out))], labels)


def _call_host(code: int, env: int) -> bytes:
    """The function's index is in eax."""
    store, load = INSTRUCTIONS["store64"].rf, INSTRUCTIONS["mov64"].rf
    xstore, xload = INSTRUCTIONS["store_v128"].rf, INSTRUCTIONS["load_v128"].rf
    move = INSTRUCTIONS["mov64"].rr
    out = b"\x55\x48\x89\xe5" + INSTRUCTIONS["sub64i"].ri[FRAME << 4 | RSP]
    for i, reg in enumerate(_KEPT):
        out += store[(-8 - 8 * i) << 4 | reg]
    for xmm in range(8):
        out += xstore[(-64 - 16 * xmm) << 4 | xmm]
    out += move[RSI << 4 | RAX] + move[RDX << 4 | RDI]
    out += move_immediate(RDI, env, True) + move_immediate(RAX, code, True) + b"\xff\xd0"
    for i, reg in enumerate(_KEPT):
        out += load[(-8 - 8 * i) << 4 | reg]
    for xmm in range(8):
        out += xload[(-64 - 16 * xmm) << 4 | xmm]
    return out + b"\xc9\xff\xe0"  # leave; jmp rax
