"""Float instructions. SSE arithmetic gives quiet NaNs, as the specification wants."""

from __future__ import annotations

from jitwasm.backend.baseline.allocator import CONSTANT_BYTES
from jitwasm.backend.baseline.assembler import INSTRUCTIONS, Condition, Instruction, imm8
from jitwasm.backend.baseline.control import condition
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.integers import LOCAL_TEE, target_of
from jitwasm.backend.baseline.isa import InstructionSet
from jitwasm.backend.baseline.operands import (
    CONST,
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["rows_of"]

_TEST32: Final = INSTRUCTIONS["test32"].rr


class Arithmetic:
    __slots__ = ("op", "type")

    def __init__(self, op: Instruction, type: int) -> None:
        self.op = op
        self.type = type


def arithmetic(f: FunctionCompiler, pos: int, row: Arithmetic) -> int:
    op, type_ = row.op, row.type
    stack = f.stack
    y = stack.pop()
    x = stack.pop()
    if x & KIND == CONST and op.spec.commutes:
        x, y = y, x
    first = f.xreg(x)
    kind = y & KIND
    # The second operand may stay in memory, and zero is better in a register.
    place = 0
    if kind == SLOT:
        place = f.slot_base - f.slot_size * (y >> PAYLOAD)
    elif kind == LOCAL and f.pins[y >> PAYLOAD] < 0:
        place = f.homes[y >> PAYLOAD]
    elif kind == CONST and y >> PAYLOAD:
        place = 1
    second = 0 if place else f.xreg(y)
    i = target_of(f, pos)
    if i >= 0:
        target = f.pins[i]
    f.xdrop(first)
    if not place:
        f.xdrop(second)
    if i < 0:
        target = f.xtmp()
    if place == 1:
        f.out += op.vl[first << 4 | target]
        f.literal(y >> PAYLOAD, CONSTANT_BYTES[type_])
    elif place:
        f.out += op.vf[(place << 4 | first) << 4 | target]
    else:
        f.out += op.rr[first << 8 | target << 4 | second]
    if i < 0:
        stack.append(target << PAYLOAD | type_ << 3 | XMM)
        return pos
    if f.code[pos] == LOCAL_TEE:
        stack.append(f.locals[i])
    return pos + 2


class Comparison:
    __slots__ = ("cc", "swap", "ucomi")

    def __init__(self, ucomi: dict[int, bytes], cc: int, swap: bool) -> None:
        self.ucomi = ucomi
        self.cc = cc
        self.swap = swap


def compare(f: FunctionCompiler, pos: int, row: Comparison) -> int:
    """`above` conditions only: they are false for NaNs, which set the carry flag, and their
    negations are true."""
    y = f.stack.pop()
    x = f.stack.pop()
    if row.swap:
        x, y = y, x
    first, second = f.xreg(x), f.xreg(y)
    f.out += row.ucomi[first << 4 | second]
    f.xdrop(first)
    f.xdrop(second)
    return condition(f, pos, row.cc)


class Equality:
    __slots__ = ("cmp", "predicate")

    def __init__(self, cmp: Instruction, predicate: int) -> None:
        self.cmp = cmp
        self.predicate = predicate


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
    f.out += f.isa.movd_from[mask << 4 | reg]
    f.xdrop(mask)
    if f.code[pos] in (0x0D, 0x04, 0x45, 0x1B):
        f.out += _TEST32[reg << 4 | reg]
        f.drop(reg)
        return condition(f, pos, Condition.NE)
    f.out += INSTRUCTIONS["and32i"].ri[1 << 4 | reg]
    f.push_reg(I32, reg)
    return pos


class Unary:
    __slots__ = ("immediate", "merges", "op", "type")

    def __init__(self, op: Instruction, type: int, immediate: int, merges: bool) -> None:
        self.op = op
        self.type = type
        self.immediate = immediate
        self.merges = merges


def unary(f: FunctionCompiler, pos: int, row: Unary) -> int:
    """`merges`: the upper lanes come from a further operand."""
    source = f.xreg(f.stack.pop())
    f.xdrop(source)
    target = f.xtmp()
    f.out += row.op.rr[(source << 8 if row.merges else 0) | target << 4 | source]
    if row.immediate >= 0:
        f.out += imm8(row.immediate)
    f.push_xmm(row.type, target)
    return pos


def _mask(f: FunctionCompiler, name: str, bits: int) -> int:
    """A register with ones shifted: the sign bit of a lane, or all others."""
    mask = f.xtmp()
    f.out += f.isa.pcmpeqd[mask << 8 | mask << 4 | mask]
    f.out += f.isa[name].rr[mask << 4 | mask] + imm8(bits)
    return mask


class Sign:
    __slots__ = ("bits", "op", "shift", "type")

    def __init__(self, op: dict[int, bytes], shift: str, bits: int, type: int) -> None:
        self.op = op
        self.shift = shift
        self.bits = bits
        self.type = type


def sign(f: FunctionCompiler, pos: int, row: Sign) -> int:
    """abs and neg: bitwise."""
    source = f.xreg(f.stack.pop())
    target = _mask(f, row.shift, row.bits)
    f.out += row.op[source << 8 | target << 4 | target]
    f.xdrop(source)
    f.push_xmm(row.type, target)
    return pos


def copysign(f: FunctionCompiler, pos: int, row: Sign) -> int:
    y = f.stack.pop()
    x = f.stack.pop()
    second, first = f.xreg(y), f.xreg(x)
    mask = _mask(f, row.shift, row.bits)
    target = f.xtmp()
    f.out += f.isa.andps[mask << 8 | target << 4 | second]
    f.out += f.isa.andnps[mask << 8 | mask << 4 | first]
    f.out += f.isa.orps[target << 8 | target << 4 | mask]
    f.xdrop(first)
    f.xdrop(second)
    f.xdrop(mask)
    f.push_xmm(row.type, target)
    return pos


class Extremum:
    __slots__ = ("add", "merge", "op", "type", "ucomi")

    def __init__(
        self,
        op: dict[int, bytes],
        merge: dict[int, bytes],
        add: dict[int, bytes],
        ucomi: dict[int, bytes],
        type: int,
    ) -> None:
        self.op = op
        self.merge = merge
        self.add = add
        self.ucomi = ucomi
        self.type = type


def extremum(f: FunctionCompiler, pos: int, row: Extremum) -> int:
    """x86's min and max give the second operand for zeros and NaNs. Either way round the bits of
    zeros are joined; a sum makes NaNs quiet."""
    y = f.stack.pop()
    x = f.stack.pop()
    second, first = f.xreg(y), f.xreg(x)
    target, other = f.xtmp(), f.xtmp()
    out = f.out
    out += row.add[first << 8 | target << 4 | second]
    out += row.ucomi[first << 4 | second]
    at = f.skip_if(Condition.P)
    out += row.op[first << 8 | other << 4 | second]
    out += row.op[second << 8 | target << 4 | first]
    out += row.merge[target << 8 | target << 4 | other]
    f.land(at)
    for reg in (first, second, other):
        f.xdrop(reg)
    f.push_xmm(row.type, target)
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


def rows_of(isa: InstructionSet) -> dict[str, Handler]:
    """The float instructions."""
    table = isa.table
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
        rows[f"{t}.neg"] = (sign, Sign(isa.xorps, f"psll{lane}i", top, type_))
        rows[f"{t}.abs"] = (sign, Sign(isa.andps, f"psrl{lane}i", 1, type_))
        rows[f"{t}.copysign"] = (copysign, Sign(isa.andps, f"psll{lane}i", top, type_))
        for name, merge in (("min", isa.orps), ("max", isa.andps)):
            op, add = table[f"{name}{s}"].rr, table[f"add{s}"].rr
            rows[f"{t}.{name}"] = (extremum, Extremum(op, merge, add, ucomi, type_))
    return rows
