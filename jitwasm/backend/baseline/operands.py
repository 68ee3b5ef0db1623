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
    INSTRUCTIONS,
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

__all__ = [
    "ARGUMENTS",
    "CALLEE_SAVED",
    "CONST",
    "F32",
    "F64",
    "FRAME_LOAD",
    "FRAME_STORE",
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
    "XMM_PINS",
    "type_code",
]

CONST, REG, XMM, LOCAL, SLOT = range(5)
KIND = 7
I32, I64, F32, F64, V128 = range(5)
PAYLOAD = 6

TEMPS = (RAX, RCX, RDX, RSI, RDI, R8, R9)
TEMP_MASK = sum(1 << reg for reg in TEMPS)
XMM_MASK = 0xFF
PINS = (RBX, R12, R13, R10, R11)
"""Registers that hold locals; those that calls preserve come first."""
CALLEE_SAVED = 3
"""How many of them."""
XMM_PINS = tuple(range(8, 16))
ARGUMENTS = (RSI, RDX, RCX, R8, R9)
"""Where integer arguments travel, behind the environment in rdi; floats in xmm0 to xmm7."""
INT_RESULTS = (RAX, RDX, RCX)

FRAME_LOAD = tuple(
    INSTRUCTIONS[name].rf for name in ("mov32", "mov64", "load_f32", "load_f64", "load_v128")
)
FRAME_STORE = tuple(
    INSTRUCTIONS[name].rf for name in ("store32", "store64", "store_f32", "store_f64", "store_v128")
)


def type_code(type_: ValType) -> int:
    """A value type's number here; references are I64."""
    if type_ is I32_TYPE:
        return I32
    if type_ is F32_TYPE:
        return F32
    if type_ is F64_TYPE:
        return F64
    return V128 if type_ is V128_TYPE else I64
