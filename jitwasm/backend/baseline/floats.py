"""Float instructions. SSE arithmetic gives quiet NaNs, as the specification wants."""

from __future__ import annotations

from typing import NamedTuple

from jitwasm.backend.baseline.assembler import INSTRUCTIONS, Condition, Instruction, imm8
from jitwasm.backend.baseline.control import condition
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.integers import LOCAL_TEE, target_of
from jitwasm.backend.baseline.operands import (
    F32,
    F64,
    I32,
    I64,
    KIND,
    LOCAL,
    PAYLOAD,
    SLOT,
    XMM,
)

__all__ = ["ROWS"]

_OR, _AND, _ANDN = (INSTRUCTIONS[name].rr for name in ("orps", "andps", "andnps"))
_XOR = INSTRUCTIONS["xorps"].rr
_ONES = INSTRUCTIONS["pcmpeqd"].rr
_TEST32 = INSTRUCTIONS["test32"].rr


class Arithmetic(NamedTuple):
    op: Instruction
    type: int


def arithmetic(f: FunctionCompiler, pos: int, row: Arithmetic) -> int:
    op, type_ = row
    stack = f.stack
    y = stack.pop()
    x = stack.pop()
    first = f.xreg(x)
    kind = y & KIND
    # The second operand may stay in memory.
    place = 0
    if kind == SLOT:
        place = f.slot_base - f.slot_size * (y >> PAYLOAD)
    elif kind == LOCAL and f.pins[y >> PAYLOAD] < 0:
        place = f.homes[y >> PAYLOAD]
    second = 0 if place else f.xreg(y)
    i = target_of(f, pos)
    if i >= 0:
        target = f.pins[i]
    f.xdrop(first)
    if not place:
        f.xdrop(second)
    if i < 0:
        target = f.xtmp()
    if place:
        f.out += op.spec.memory(target, 5, place, v=first)
    else:
        f.out += op.rr[first << 8 | target << 4 | second]
    if i < 0:
        stack.append(target << PAYLOAD | type_ << 3 | XMM)
        return pos
    if f.code[pos] == LOCAL_TEE:
        stack.append(f.locals[i])
    return pos + 2


class Comparison(NamedTuple):
    ucomi: dict[int, bytes]
    cc: int
    swap: bool


def compare(f: FunctionCompiler, pos: int, row: Comparison) -> int:
    """`above` conditions only: they are false for NaNs, which set the carry flag, and their
    negations are true."""
    ucomi, cc, swap = row
    y = f.stack.pop()
    x = f.stack.pop()
    if swap:
        x, y = y, x
    first, second = f.xreg(x), f.xreg(y)
    f.out += ucomi[first << 4 | second]
    f.xdrop(first)
    f.xdrop(second)
    return condition(f, pos, cc)


class Equality(NamedTuple):
    cmp: Instruction
    predicate: int


def equal(f: FunctionCompiler, pos: int, row: Equality) -> int:
    """Equality needs two flags, so a comparison by predicate is shorter."""
    y = f.stack.pop()
    x = f.stack.pop()
    first, second = f.xreg(x), f.xreg(y)
    f.xdrop(first)
    f.xdrop(second)
    mask = f.xtmp()
    reg = f.tmp()
    f.out += row.cmp.rr[first << 8 | mask << 4 | second] + imm8(row.predicate)
    f.out += INSTRUCTIONS["movd_from"].rr[mask << 4 | reg]
    f.xdrop(mask)
    if f.code[pos] in (0x0D, 0x04, 0x45, 0x1B):
        f.out += _TEST32[reg << 4 | reg]
        f.drop(reg)
        return condition(f, pos, Condition.NE)
    f.out += INSTRUCTIONS["and32i"].ri[1 << 4 | reg]
    f.push_reg(I32, reg)
    return pos


class Unary(NamedTuple):
    op: Instruction
    type: int
    immediate: int
    merges: bool


def unary(f: FunctionCompiler, pos: int, row: Unary) -> int:
    """`merges`: the upper lanes come from a further operand."""
    op, type_, immediate, merges = row
    source = f.xreg(f.stack.pop())
    f.xdrop(source)
    target = f.xtmp()
    f.out += op.rr[(source << 8 if merges else 0) | target << 4 | source]
    if immediate >= 0:
        f.out += imm8(immediate)
    f.push_xmm(type_, target)
    return pos


def _mask(f: FunctionCompiler, name: str, bits: int) -> int:
    """A register with ones shifted: the sign bit of a lane, or all others."""
    mask = f.xtmp()
    f.out += _ONES[mask << 8 | mask << 4 | mask]
    f.out += INSTRUCTIONS[name].rr[mask << 4 | mask] + imm8(bits)
    return mask


class Sign(NamedTuple):
    op: dict[int, bytes]
    shift: str
    bits: int
    type: int


def sign(f: FunctionCompiler, pos: int, row: Sign) -> int:
    """abs and neg: bitwise."""
    op, shift, bits, type_ = row
    source = f.xreg(f.stack.pop())
    target = _mask(f, shift, bits)
    f.out += op[source << 8 | target << 4 | target]
    f.xdrop(source)
    f.push_xmm(type_, target)
    return pos


def copysign(f: FunctionCompiler, pos: int, row: Sign) -> int:
    _, shift, bits, type_ = row
    y = f.stack.pop()
    x = f.stack.pop()
    second, first = f.xreg(y), f.xreg(x)
    mask = _mask(f, shift, bits)
    target = f.xtmp()
    f.out += _AND[mask << 8 | target << 4 | second]
    f.out += _ANDN[mask << 8 | mask << 4 | first]
    f.out += _OR[target << 8 | target << 4 | mask]
    f.xdrop(first)
    f.xdrop(second)
    f.xdrop(mask)
    f.push_xmm(type_, target)
    return pos


class Extremum(NamedTuple):
    op: dict[int, bytes]
    merge: dict[int, bytes]
    add: dict[int, bytes]
    ucomi: dict[int, bytes]
    type: int


def extremum(f: FunctionCompiler, pos: int, row: Extremum) -> int:
    """x86's min and max give the second operand for zeros and NaNs. Either way round the bits of
    zeros are joined; a sum makes NaNs quiet."""
    op, merge, add, ucomi, type_ = row
    y = f.stack.pop()
    x = f.stack.pop()
    second, first = f.xreg(y), f.xreg(x)
    target, other = f.xtmp(), f.xtmp()
    out = f.out
    out += add[first << 8 | target << 4 | second]
    out += ucomi[first << 4 | second]
    at = f.skip_if(Condition.P)
    out += op[first << 8 | other << 4 | second]
    out += op[second << 8 | target << 4 | first]
    out += merge[target << 8 | target << 4 | other]
    f.land(at)
    for reg in (first, second, other):
        f.xdrop(reg)
    f.push_xmm(type_, target)
    return pos


def reinterpret_to_int(f: FunctionCompiler, pos: int, row: tuple[Instruction, int]) -> int:
    op, type_ = row
    source = f.xreg(f.stack.pop())
    f.xdrop(source)
    reg = f.tmp()
    f.out += op.rr[source << 4 | reg]
    f.push_reg(type_, reg)
    return pos


def reinterpret_to_float(f: FunctionCompiler, pos: int, row: tuple[Instruction, int]) -> int:
    op, type_ = row
    source = f.reg(f.stack.pop())
    f.drop(source)
    reg = f.xtmp()
    f.out += op.rr[reg << 4 | source]
    f.push_xmm(type_, reg)
    return pos


def _rows() -> dict[str, Handler]:
    table = INSTRUCTIONS
    rows: dict[str, Handler] = {
        "i32.reinterpret_f32": (reinterpret_to_int, (table["movd_from"], I32)),
        "i64.reinterpret_f64": (reinterpret_to_int, (table["movq_from"], I64)),
        "f32.reinterpret_i32": (reinterpret_to_float, (table["movd_to"], F32)),
        "f64.reinterpret_i64": (reinterpret_to_float, (table["movq_to"], F64)),
        "f64.promote_f32": (unary, Unary(table["cvtss2sd"], F64, -1, True)),
        "f32.demote_f64": (unary, Unary(table["cvtsd2ss"], F32, -1, True)),
    }
    for t, type_, s, lane in (("f32", F32, "ss", "d"), ("f64", F64, "sd", "q")):
        top = 31 if type_ == F32 else 63
        for name in ("add", "sub", "mul", "div"):
            rows[f"{t}.{name}"] = (arithmetic, Arithmetic(table[f"{name}{s}"], type_))
        ucomi = table[f"ucomi{s}"].rr
        for name, cc, swap in (
            ("gt", Condition.A, False),
            ("ge", Condition.AE, False),
            ("lt", Condition.A, True),
            ("le", Condition.AE, True),
        ):
            rows[f"{t}.{name}"] = (compare, Comparison(ucomi, cc, swap))
        rows[f"{t}.eq"] = (equal, Equality(table[f"cmp{s}"], 0))
        rows[f"{t}.ne"] = (equal, Equality(table[f"cmp{s}"], 4))
        rows[f"{t}.sqrt"] = (unary, Unary(table[f"sqrt{s}"], type_, -1, True))
        for name, mode in (("nearest", 8), ("floor", 9), ("ceil", 10), ("trunc", 11)):
            rows[f"{t}.{name}"] = (unary, Unary(table[f"round{s}"], type_, mode, True))
        rows[f"{t}.neg"] = (sign, Sign(_XOR, f"psll{lane}i", top, type_))
        rows[f"{t}.abs"] = (sign, Sign(_AND, f"psrl{lane}i", 1, type_))
        rows[f"{t}.copysign"] = (copysign, Sign(_AND, f"psll{lane}i", top, type_))
        for name, merge in (("min", _OR), ("max", _AND)):
            op, add = table[f"{name}{s}"].rr, table[f"add{s}"].rr
            rows[f"{t}.{name}"] = (extremum, Extremum(op, merge, add, ucomi, type_))
    return rows


ROWS: dict[str, Handler] = _rows()
