"""The universal prototype: all registers of the calling convention as parameters.

LLVM 22.1 miscompiles a `musttail` call with arguments on the stack, and wants equal prototypes of
caller and callee. So a function that contains a tail call is defined with this prototype. It has
its parameters in the registers where those of its own type are, so callers need not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jitwasm.abi import FLOAT_REGISTERS, INT_REGISTERS, CallConv
from jitwasm.types import F32, V128, ValType

__all__ = ["NAMED_PARAMS", "PARAMS", "pack", "unpack"]

PARAMS = ", ".join(["ptr"] + ["i64"] * INT_REGISTERS + ["<2 x i64>"] * FLOAT_REGISTERS)
NAMED_PARAMS = ", ".join(
    ["ptr %vm"]
    + [f"i64 %i{i}" for i in range(INT_REGISTERS)]
    + [f"<2 x i64> %x{i}" for i in range(FLOAT_REGISTERS)]
)

_FROM_WORD = {
    "i32": "trunc i64 {} to i32",
    "i64": "bitcast i64 {} to i64",
    "ptr": "inttoptr i64 {} to ptr",
}
_TO_WORD = {"i32": "zext i32 {} to i64", "ptr": "ptrtoint ptr {} to i64"}


def unpack(conv: CallConv) -> list[str]:
    """Lines that define the parameters `%0`, `%1`, … of a function from the registers."""
    lines: list[str] = []
    ints = floats = 0
    for i, loc in enumerate(conv.params):
        if loc.slot is not None:
            continue
        if loc.type.is_float:
            lines += _from_vector(f"%{i}", f"%x{floats}", loc.type)
            floats += 1
        else:
            lines.append(f"%{i} = {_FROM_WORD[loc.type.ir].format(f'%i{ints}')}")
            ints += 1
    return lines


def _from_vector(name: str, register: str, type_: ValType) -> list[str]:
    if type_ is V128:
        return [f"{name} = bitcast <2 x i64> {register} to <2 x i64>"]
    vector = _vector_of(type_)
    return [
        f"{register}.v = bitcast <2 x i64> {register} to {vector}",
        f"{name} = extractelement {vector} {register}.v, i64 0",
    ]


def _vector_of(type_: ValType) -> str:
    return "<4 x float>" if type_ is F32 else "<2 x double>"


def pack(op: Callable[[str], str], conv: CallConv, registers: Sequence[str]) -> str:
    """The arguments behind the environment, for a callee that takes these in registers."""
    words = ["poison"] * INT_REGISTERS
    vectors = ["poison"] * FLOAT_REGISTERS
    ints = floats = 0
    types = [loc.type for loc in conv.params if loc.slot is None]
    for type_, val in zip(types, registers, strict=True):
        if type_.is_float:
            vectors[floats] = _to_vector(op, val, type_)
            floats += 1
        else:
            words[ints] = op(_TO_WORD[type_.ir].format(val)) if type_.ir in _TO_WORD else val
            ints += 1
    return "".join([*(f", i64 {w}" for w in words), *(f", <2 x i64> {v}" for v in vectors)])


def _to_vector(op: Callable[[str], str], val: str, type_: ValType) -> str:
    if type_ is V128:
        return val
    vector = _vector_of(type_)
    filled = op(f"insertelement {vector} poison, {type_.ir} {val}, i64 0")
    return op(f"bitcast {vector} {filled} to <2 x i64>")
