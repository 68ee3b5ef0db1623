"""Operands of the abstract value stack: small ints, `payload << 6 | type << 3 | kind`.

    CONST   payload is the value: signed for integers, the bits for floats and vectors
    REG     a general register, one of `TEMPS`, owned by the operand
    XMM     a vector register, one of the first eight, owned by the operand
    LOCAL   the present value of a local, which lies in its home; not yet read
    SLOT    the stack position's own slot in the frame (payload: the position)

Invariant: an i32 in a register, home or slot has its upper half zero where it is read as 64 bits.
"""

from __future__ import annotations

from jitwasm.backend.baseline.assembler import (
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    RAX,
    RBX,
    RCX,
    RDI,
    RDX,
    RSI,
)
from jitwasm.types import F32 as F32_TYPE
from jitwasm.types import F64 as F64_TYPE
from jitwasm.types import I32 as I32_TYPE
from jitwasm.types import V128 as V128_TYPE
from jitwasm.types import ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = [
    "ARGUMENTS",
    "CALLEE_SAVED",
    "CONST",
    "F32",
    "F64",
    "I32",
    "I64",
    "INT_RESULTS",
    "KIND",
    "LOCAL",
    "PAYLOAD",
    "PINS",
    "REG",
    "SLOT",
    "TEMPS",
    "TEMP_MASK",
    "V128",
    "XMM",
    "XMM_MASK",
    "type_code",
]

CONST: Final = 0
REG: Final = 1
XMM: Final = 2
LOCAL: Final = 3
SLOT: Final = 4
KIND: Final = 7
I32: Final = 0
I64: Final = 1
F32: Final = 2
F64: Final = 3
V128: Final = 4
PAYLOAD: Final = 6

TEMPS: Final = (RAX, RCX, RDX, RSI, RDI, R8, R9)
TEMP_MASK: Final = 0x3C7
"""Their bits."""
XMM_MASK: Final = 0xFF
PINS: Final = (RBX, R12, R13, R10, R11)
"""Registers that hold locals; those that calls preserve come first."""
CALLEE_SAVED: Final = 3
"""How many of them."""
ARGUMENTS: Final = (RSI, RDX, RCX, R8, R9)
"""Where integer arguments travel, behind the environment in rdi; floats in xmm0 to xmm7."""
INT_RESULTS: Final = (RAX, RDX, RCX)


def type_code(type_: ValType) -> int:
    """A value type's number here; references are I64."""
    if type_ is I32_TYPE:
        return I32
    if type_ is F32_TYPE:
        return F32
    if type_ is F64_TYPE:
        return F64
    return V128 if type_ is V128_TYPE else I64
