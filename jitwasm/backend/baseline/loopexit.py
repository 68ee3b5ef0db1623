"""Leaving a function at a loop's header for optimised code that begins there.

At an `ENTRY_MARK` there are no operands, so the locals are all there is. The code made here puts
them into the overflow area, gives the frame up, and jumps to the other version of the function,
which returns to the caller.
"""

from __future__ import annotations

from jitwasm.abi import ENV, OVERFLOW_SLOT
from jitwasm.backend.baseline.assembler import (
    INSTRUCTIONS,
    RAX,
    RCX,
    RDI,
    VMCTX,
    move_immediate,
)
from jitwasm.backend.baseline.operands import V128
from jitwasm.backend.baseline.prologue import leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from jitwasm.backend.baseline.function import FunctionCompiler

__all__ = ["leave_loop"]

_MOV64: Final = INSTRUCTIONS["mov64"]
_STORE64: Final = INSTRUCTIONS["store64"].rb


def leave_loop(f: FunctionCompiler, target: int) -> bytes:
    """The code; the function has been compiled."""
    out = bytearray(_MOV64.rb[(ENV.offset["overflow"] << 4 | VMCTX) << 4 | RAX])
    for i, type_ in enumerate(f.types):
        pin, home, place = f.pins[i], f.homes[i], OVERFLOW_SLOT * i
        if pin >= 0:
            out += f.isa.stores[type_][(place << 4 | RAX) << 4 | pin]
            continue
        for part in (0, 8) if type_ == V128 else (0,):
            out += _MOV64.rf[(home + part) << 4 | RCX]
            out += _STORE64[(place + part << 4 | RAX) << 4 | RCX]
    out += _MOV64.rr[RDI << 4 | VMCTX]
    out += leave(f)
    out += move_immediate(RAX, target, True)
    return bytes(out + b"\xff\xe0")  # jmp rax
