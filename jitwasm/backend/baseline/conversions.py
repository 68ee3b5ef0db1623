"""Conversions between integers and floats. The machine's truncation gives the lowest integer for
what does not fit; the code beside it finds out what that was."""

from __future__ import annotations

import struct

from jitwasm.backend.baseline.assembler import (
    INSTRUCTIONS,
    Condition,
    Instruction,
    imm8,
    move_immediate,
)
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.isa import InstructionSet
from jitwasm.backend.baseline.operands import CONST, F32, F64, I32, I64, PAYLOAD
from jitwasm.trapcodes import TrapCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["rows_of"]

_MOV32: Final = INSTRUCTIONS["mov32"].rr
_MOV64: Final = INSTRUCTIONS["mov64"].rr
_CMP64: Final = INSTRUCTIONS["cmp64"].rr
_TEST64: Final = INSTRUCTIONS["test64"].rr
_XOR64: Final = INSTRUCTIONS["xor64"].rr
_MOVSXD: Final = INSTRUCTIONS["movsxd"].rr


class Truncation:
    """Of a float: its type code, the instructions for it, and the integer wanted."""

    __slots__ = ("convert", "saturating", "signed", "source", "sub", "target", "ucomi")

    def __init__(
        self,
        source: int,
        convert: dict[int, bytes],
        ucomi: dict[int, bytes],
        sub: dict[int, bytes],
        target: int,
        signed: bool,
        saturating: bool,
    ) -> None:
        self.source = source
        self.convert = convert
        self.ucomi = ucomi
        self.sub = sub
        self.target = target
        self.signed = signed
        self.saturating = saturating


def _float_bits(type_: int, value: float) -> int:
    return int.from_bytes(struct.pack("<f" if type_ == F32 else "<d", value), "little")


def truncate(f: FunctionCompiler, pos: int, row: Truncation) -> int:
    source = f.xreg(f.stack.pop())
    # All registers are taken before the first jump: taking one may spill an operand, which has to
    # happen on every path.
    reg, spare = f.tmp(), f.tmp()
    bound, zero = f.xtmp(), f.xtmp()
    if row.target == I32:
        _to_i32(f, row, source, reg, spare, zero)
    elif row.signed:
        _to_i64(f, row, source, reg, bound, zero)
    else:
        _to_u64(f, row, source, reg, spare, bound, zero)
    f.drop(spare)
    f.xdrop(bound)
    f.xdrop(zero)
    f.xdrop(source)
    f.push_reg(row.target, reg)
    return pos


def _to_i32(
    f: FunctionCompiler, row: Truncation, source: int, reg: int, check: int, zero: int
) -> None:
    """Through a 64-bit integer, which must be the extension of its lower half."""
    out = f.out
    out += row.convert[reg << 4 | source]
    out += (_MOVSXD if row.signed else _MOV32)[check << 4 | reg]
    out += _CMP64[check << 4 | reg]
    fits = f.skip_if(Condition.E)
    if row.signed:
        _out_of_range(f, row, source, reg, zero, -0x80000000, 0x7FFFFFFF)
    else:
        _out_of_range(f, row, source, reg, zero, 0, 0xFFFFFFFF)
    f.land(fits)
    out += _MOV32[reg << 4 | reg]


def _to_i64(
    f: FunctionCompiler, row: Truncation, source: int, reg: int, lowest: int, zero: int
) -> None:
    out = f.out
    out += row.convert[reg << 4 | source]
    out += INSTRUCTIONS["cmp64i"].ri[1 << 4 | reg]
    fits = f.skip_if(Condition.NO)
    # It is the lowest integer: right if that is what the float says.
    f.xload(lowest, _float_bits(row.source, -(2.0**63)) << PAYLOAD | row.source << 3 | CONST)
    out += row.ucomi[source << 4 | lowest]
    other = f.skip_if(Condition.P)
    right = f.skip_if(Condition.E)
    f.land(other)
    _out_of_range(f, row, source, reg, zero, -(1 << 63), (1 << 63) - 1)
    f.land(right)
    f.land(fits)


def _to_u64(
    f: FunctionCompiler, row: Truncation, source: int, reg: int, high: int, bound: int, zero: int
) -> None:
    """From 2^63 on by subtracting that before and adding it after."""
    out = f.out
    out += row.convert[reg << 4 | source]
    out += _TEST64[reg << 4 | reg]
    fits = f.skip_if(Condition.NS)
    f.xload(bound, _float_bits(row.source, 2.0**63) << PAYLOAD | row.source << 3 | CONST)
    out += row.ucomi[source << 4 | bound]
    small = f.skip_if(Condition.B)  # also NaN
    out += row.sub[source << 8 | bound << 4 | bound]
    out += row.convert[reg << 4 | bound]
    out += _TEST64[reg << 4 | reg]
    large = f.skip_if(Condition.S)
    out += move_immediate(high, 1 << 63, True) + _XOR64[reg << 4 | high]
    done = f.skip()
    f.land(small)
    f.land(large)
    _out_of_range(f, row, source, reg, zero, 0, (1 << 64) - 1)
    f.land(done)
    f.land(fits)


def _out_of_range(
    f: FunctionCompiler, row: Truncation, source: int, reg: int, zero: int, low: int, high: int
) -> None:
    """A NaN, or out of range: trap, or make it 0 or the nearest bound."""
    out = f.out
    out += row.ucomi[source << 4 | source]
    if not row.saturating:
        number = f.skip_if(Condition.NP)
        f.trap(TrapCode.INVALID_CONVERSION)
        f.land(number)
        f.trap(TrapCode.INTEGER_OVERFLOW)
        return
    out += move_immediate(reg, 0, False)
    nan = f.skip_if(Condition.P)
    out += f.isa.xorps[zero << 8 | zero << 4 | zero] + row.ucomi[source << 4 | zero]
    out += move_immediate(reg, low, True)
    below = f.skip_if(Condition.B)
    out += move_immediate(reg, high, True)
    f.land(below)
    f.land(nan)


class Conversion:
    """Of an integer: instructions for 32 and 64 bits, the integer's and the float's type code."""

    __slots__ = ("add", "narrow", "signed", "source", "target", "wide")

    def __init__(
        self,
        narrow: Instruction,
        wide: Instruction,
        source: int,
        signed: bool,
        target: int,
        add: dict[int, bytes],
    ) -> None:
        self.narrow = narrow
        self.wide = wide
        self.source = source
        self.signed = signed
        self.target = target
        self.add = add


def convert(f: FunctionCompiler, pos: int, row: Conversion) -> int:
    operand = f.stack.pop()
    source = f.reg(operand)
    target = f.xtmp()
    out = f.out
    # The conversion keeps the upper lanes: make it independent of what was there.
    out += f.isa.xorps[target << 8 | target << 4 | target]
    op = row.narrow if row.source == I32 and row.signed else row.wide
    if row.source == I64 and not row.signed:
        _convert_u64(f, row, source, target)
    else:
        out += op.rr[target << 8 | target << 4 | source]
    f.drop(source)
    f.push_xmm(row.target, target)
    return pos


def _convert_u64(f: FunctionCompiler, row: Conversion, source: int, target: int) -> None:
    """From 2^63 on: halved, the lost bit kept for the rounding, and doubled."""
    out = f.out
    half, bit = f.tmp(), f.tmp()
    out += _TEST64[source << 4 | source]
    large = f.skip_if(Condition.S)
    out += row.wide.rr[target << 8 | target << 4 | source]
    done = f.skip()
    f.land(large)
    out += _MOV64[half << 4 | source] + INSTRUCTIONS["shr64i"].rr[half] + imm8(1)
    out += _MOV32[bit << 4 | source] + INSTRUCTIONS["and32i"].ri[1 << 4 | bit]
    out += INSTRUCTIONS["or64"].rr[half << 4 | bit]
    out += row.wide.rr[target << 8 | target << 4 | half]
    out += row.add[target << 8 | target << 4 | target]
    f.land(done)
    f.drop(half)
    f.drop(bit)


def rows_of(isa: InstructionSet) -> dict[str, Handler]:
    """The conversions."""
    rows: dict[str, Handler] = {}
    table = isa.table
    for t, integer in (("i32", I32), ("i64", I64)):
        for x, type_, s in (("f32", F32, "ss"), ("f64", F64, "sd")):
            for sign, signed in (("s", True), ("u", False)):
                for name, saturating in (("trunc", False), ("trunc_sat", True)):
                    rows[f"{t}.{name}_{x}_{sign}"] = (
                        truncate,
                        Truncation(
                            type_,
                            table[f"cvtt{s}2si"].rr,
                            table[f"ucomi{s}"].rr,
                            table[f"sub{s}"].rr,
                            integer,
                            signed,
                            saturating,
                        ),
                    )
                rows[f"{x}.convert_{t}_{sign}"] = (
                    convert,
                    Conversion(
                        table[f"cvtsi2{s}32"],
                        table[f"cvtsi2{s}64"],
                        integer,
                        signed,
                        type_,
                        table[f"add{s}"].rr,
                    ),
                )
    return rows
