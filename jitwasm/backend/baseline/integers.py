"""Integer instructions. Where a `local.set` of a pinned local follows, the result goes straight
to its register."""

from __future__ import annotations

from jitwasm.backend.baseline.assembler import (
    INSTRUCTIONS,
    RAX,
    RCX,
    RDX,
    Condition,
    Instruction,
    imm8,
    move_immediate,
)
from jitwasm.backend.baseline.control import condition
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.isa import InstructionSet
from jitwasm.backend.baseline.operands import CONST, I32, I64, KIND, LOCAL, PAYLOAD, REG, SLOT
from jitwasm.trapcodes import TrapCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["LOCAL_SET", "LOCAL_TEE", "apply", "rows_of", "target_of"]

LOCAL_SET: Final = 0x21
LOCAL_TEE: Final = 0x22
LOW: Final = -0x80000000
HIGH: Final = 0x7FFFFFFF

_MOV32: Final = INSTRUCTIONS["mov32"].rr


class Addition:
    """lea: with a constant, and with an index."""

    __slots__ = ("rb", "sum")

    def __init__(self, op: Instruction) -> None:
        self.rb = op.rb
        self.sum: dict[int, bytes] = op.scaled(0)


class Arithmetic:
    """A two-operand instruction: its forms, its type code, whether it commutes, and whether the
    zero flag tells about its result."""

    __slots__ = ("commutes", "lea", "rf", "ri", "rr", "sets_zero", "type")

    def __init__(
        self,
        rr: dict[int, bytes],
        rf: dict[int, bytes],
        ri: dict[int, bytes],
        type: int,
        commutes: bool,
        lea: Addition | None,
        sets_zero: bool,
    ) -> None:
        self.rr = rr
        self.rf = rf
        self.ri = ri
        self.type = type
        self.commutes = commutes
        self.lea = lea
        self.sets_zero = sets_zero


def target_of(f: FunctionCompiler, pos: int) -> int:
    """The local that the instruction at `pos` sets, if it is pinned and two bytes say so, or -1.

    Other operands that stand for its present value are given registers of their own.
    """
    code = f.code
    if code[pos] != LOCAL_SET and code[pos] != LOCAL_TEE:
        return -1
    i = code[pos + 1]
    if i >= f.short_locals or f.pins[i] < 0:
        return -1
    local = f.locals[i]
    if local in f.stack:
        f.materialise(local)
    return i


def apply(f: FunctionCompiler, row: Arithmetic, target: int, operand: int) -> None:
    """`target op= operand`."""
    kind, payload = operand & KIND, operand >> PAYLOAD
    if kind == REG:
        f.out += row.rr[target << 4 | payload]
    elif kind == CONST:
        if LOW <= payload <= HIGH:
            f.out += row.ri[payload << 4 | target]
        else:
            reg = f.tmp()
            f.load(reg, operand)
            f.out += row.rr[target << 4 | reg]
            f.drop(reg)
    elif kind == LOCAL:
        pin = f.pins[payload]
        if pin >= 0:
            f.out += row.rr[target << 4 | pin]
        else:
            f.out += row.rf[f.homes[payload] << 4 | target]
    else:
        f.out += row.rf[(f.slot_base - f.slot_size * payload) << 4 | target]


def binary(f: FunctionCompiler, pos: int, row: Arithmetic) -> int:
    stack = f.stack
    y = stack.pop()
    x = stack.pop()
    commutes = row.commutes
    if commutes and x & KIND == CONST:
        x, y = y, x
    code = f.code
    following = code[pos]
    if LOCAL_SET <= following <= LOCAL_TEE and code[pos + 1] < f.short_locals:
        i = code[pos + 1]
        pin = f.pins[i]
        if pin >= 0:
            local = f.locals[i]
            if y == local and x != local and commutes:
                x, y = y, x
            if y != local or x == local:
                if local in stack:
                    f.materialise(local)
                if x == local:
                    apply(f, row, pin, y)
                    f.note_flags(pin, row.sets_zero)
                elif row.lea is None or not _lea(f, row.lea, pin, x, y):
                    f.load(pin, x)
                    apply(f, row, pin, y)
                    f.note_flags(pin, row.sets_zero)
                f.release(x)
                f.release(y)
                if following == LOCAL_TEE:
                    stack.append(local)
                return pos + 2
    if x & KIND == REG:
        reg = x >> PAYLOAD
        apply(f, row, reg, y)
        f.note_flags(reg, row.sets_zero)
        f.release(y)
    elif commutes and y & KIND == REG:
        reg = y >> PAYLOAD
        apply(f, row, reg, x)
        f.note_flags(reg, row.sets_zero)
    else:
        reg = f.tmp()
        if row.lea is None or not _lea(f, row.lea, reg, x, y):
            f.load(reg, x)
            apply(f, row, reg, y)
            f.note_flags(reg, row.sets_zero)
        f.release(y)
    stack.append(reg << PAYLOAD | row.type << 3 | REG)
    return pos


def _lea(f: FunctionCompiler, lea: Addition, target: int, x: int, y: int) -> bool:
    """`target = x + y` in one instruction, if x is in a register and y in one or a constant."""
    if x & KIND == REG:
        base = x >> PAYLOAD
    elif x & KIND == LOCAL and f.pins[x >> PAYLOAD] >= 0:
        base = f.pins[x >> PAYLOAD]
    else:
        return False
    kind, payload = y & KIND, y >> PAYLOAD
    if kind == CONST:
        if not LOW <= payload <= HIGH:
            return False
        f.out += lea.rb[(payload << 4 | base) << 4 | target]
        return True
    if kind == REG:
        index = payload
    elif kind == LOCAL and f.pins[payload] >= 0:
        index = f.pins[payload]
    else:
        return False
    f.out += lea.sum[(index << 4 | base) << 4 | target]
    return True


class Comparison:
    __slots__ = ("cc", "cmp", "test")

    def __init__(self, cmp: Arithmetic, test: dict[int, bytes], cc: int) -> None:
        self.cmp = cmp
        self.test = test
        self.cc = cc


_SWAPPED: Final = {
    Condition.E: Condition.E,
    Condition.NE: Condition.NE,
    Condition.L: Condition.G,
    Condition.G: Condition.L,
    Condition.LE: Condition.GE,
    Condition.GE: Condition.LE,
    Condition.B: Condition.A,
    Condition.A: Condition.B,
    Condition.BE: Condition.AE,
    Condition.AE: Condition.BE,
}
"""The condition for exchanged operands."""


def compare(f: FunctionCompiler, pos: int, row: Comparison) -> int:
    stack = f.stack
    y = stack.pop()
    x = stack.pop()
    cc = row.cc
    kind = y & KIND
    if x & KIND == CONST or (kind != CONST and _is_in_memory(f, x) and not _is_in_memory(f, y)):
        # A constant, or what is in memory, can be the second operand.
        x, y = y, x
        cc = _SWAPPED[cc]
    reg = f.reg(x)
    if y & KIND == CONST and not y >> PAYLOAD:
        f.out += row.test[reg << 4 | reg]
    else:
        apply(f, row.cmp, reg, y)
        f.release(y)
    f.drop(reg)
    return condition(f, pos, cc)


def _is_in_memory(f: FunctionCompiler, operand: int) -> bool:
    kind = operand & KIND
    return kind == SLOT or (kind == LOCAL and f.pins[operand >> PAYLOAD] < 0)


def eqz(f: FunctionCompiler, pos: int, row: dict[int, bytes]) -> int:
    operand = f.stack.pop()
    reg = f.reg(operand)
    if not f.has_zero_flag(reg):
        f.out += row[reg << 4 | reg]
    f.drop(reg)
    return condition(f, pos, Condition.E)


# -- shifts and rotations ------------------------------------------------------------------------


class Shift:
    """By a constant, and by a register: BMI2's three-operand form, or by cl."""

    __slots__ = ("bits", "by_cl", "immediate", "type", "variable")

    def __init__(
        self,
        immediate: dict[int, bytes],
        variable: dict[int, bytes] | None,
        by_cl: dict[int, bytes],
        type: int,
        bits: int,
    ) -> None:
        self.immediate = immediate
        self.variable = variable
        self.by_cl = by_cl
        self.type = type
        self.bits = bits


def shift(f: FunctionCompiler, pos: int, row: Shift) -> int:
    stack = f.stack
    y = stack.pop()
    x = stack.pop()
    variable = row.variable
    if y & KIND == CONST:
        i = target_of(f, pos)
        if i >= 0:
            pin = f.pins[i]
            f.load(pin, x)
            f.release(x)
            f.out += row.immediate[pin] + imm8((y >> PAYLOAD) % row.bits)
            if f.code[pos] == LOCAL_TEE:
                stack.append(f.locals[i])
            return pos + 2
        reg = f.own(x)
        f.out += row.immediate[reg] + imm8((y >> PAYLOAD) % row.bits)
    elif variable is not None:
        count, source = f.reg(y), f.reg(x)
        f.drop(count)
        f.drop(source)
        reg = f.tmp()
        f.out += variable[count << 8 | reg << 4 | source]
    else:
        reg = _rotate(f, x, y, row.by_cl)
    stack.append(reg << PAYLOAD | row.type << 3 | REG)
    return pos


def _rotate(f: FunctionCompiler, x: int, y: int, by_cl: dict[int, bytes]) -> int:
    """By a variable count, which has to be in rcx."""
    if x & KIND == REG and x >> PAYLOAD != RCX:
        reg = x >> PAYLOAD
    else:
        reg = f.tmp_except(1 << RCX)
        f.load(reg, x)
        f.release(x)
    if not (y & KIND == REG and y >> PAYLOAD == RCX):
        f.take(RCX)
        f.load(RCX, y)
        f.release(y)
    f.out += by_cl[reg]
    f.drop(RCX)
    return reg


# -- counting bits, extension --------------------------------------------------------------------


class Unary:
    """A two-operand instruction whose source may be in memory."""

    __slots__ = ("op", "type")

    def __init__(self, op: Instruction, type: int) -> None:
        self.op = op
        self.type = type


def unary(f: FunctionCompiler, pos: int, row: Unary) -> int:
    op = row.op
    operand = f.stack.pop()
    if operand & KIND == LOCAL and f.pins[operand >> PAYLOAD] < 0:
        reg = f.tmp()
        f.out += op.rf[f.homes[operand >> PAYLOAD] << 4 | reg]
    else:
        source = f.reg(operand)
        f.drop(source)
        reg = f.tmp()
        f.out += op.rr[reg << 4 | source]
    f.push_reg(row.type, reg)
    return pos


class BitScan:
    """bsr or bsf, which leave their target alone where the source is 0: `empty` is what it
    becomes then, and `flip` what the index is xored with."""

    __slots__ = ("cmov", "empty", "flip", "op", "type", "xor")

    def __init__(self, op: Instruction, cmov: Instruction, xor: Instruction, type: int) -> None:
        backwards = op.name.startswith("bsr")
        bits = 64 if type == I64 else 32
        self.op = op
        self.cmov = cmov.rr
        self.xor = xor.ri
        self.type = type
        self.empty = 2 * bits - 1 if backwards else bits
        self.flip = bits - 1 if backwards else 0


def scan(f: FunctionCompiler, pos: int, row: BitScan) -> int:
    """clz and ctz where there is no lzcnt and tzcnt."""
    source = f.reg(f.stack.pop())
    reg, empty = f.tmp(), f.tmp()
    f.out += move_immediate(empty, row.empty, False)
    f.out += row.op.rr[reg << 4 | source]
    f.out += row.cmov[reg << 4 | empty]
    if row.flip:
        f.out += row.xor[row.flip << 4 | reg]
    f.drop(source)
    f.drop(empty)
    f.push_reg(row.type, reg)
    return pos


def wrap(f: FunctionCompiler, pos: int, row: None) -> int:
    operand = f.stack.pop()
    if operand & KIND == CONST:
        value = operand >> PAYLOAD & 0xFFFFFFFF
        f.stack.append((value ^ 1 << 31) - (1 << 31) << PAYLOAD | I32 << 3 | CONST)
        return pos
    source = f.reg(operand)
    f.drop(source)
    reg = f.tmp()
    f.out += _MOV32[reg << 4 | source]
    f.push_reg(I32, reg)
    return pos


def extend_u(f: FunctionCompiler, pos: int, row: None) -> int:
    """Nothing to do: the upper half is zero."""
    operand = f.stack.pop()
    if operand & KIND == REG:
        f.stack.append(operand | I64 << 3)
    elif operand & KIND == CONST:
        f.stack.append((operand >> PAYLOAD & 0xFFFFFFFF) << PAYLOAD | I64 << 3 | CONST)
    else:
        f.push_reg(I64, f.own(operand))
    return pos


# -- division ------------------------------------------------------------------------------------


class Division:
    __slots__ = ("cmp", "neg", "op", "remainder", "signed", "test", "type")

    def __init__(
        self,
        op: Instruction,
        test: dict[int, bytes],
        cmp: dict[int, bytes],
        neg: dict[int, bytes],
        type: int,
        signed: bool,
        remainder: bool,
    ) -> None:
        self.op = op
        self.test = test
        self.cmp = cmp
        self.neg = neg
        self.type = type
        self.signed = signed
        self.remainder = remainder


def divide(f: FunctionCompiler, pos: int, row: Division) -> int:
    """A zero divisor makes the machine fault, which is the trap. What else would fault or be
    wrong, dividing by -1, is done apart."""
    stack = f.stack
    y = stack.pop()
    x = stack.pop()
    divisor = y >> PAYLOAD if y & KIND == REG else -1
    if y & KIND == LOCAL:
        divisor = f.pins[y >> PAYLOAD]
    if divisor < 0 or divisor in (RAX, RDX):
        divisor = f.tmp_except(1 << RAX | 1 << RDX)
        f.load(divisor, y)
        f.release(y)
    if x & KIND == REG and x >> PAYLOAD == RAX:
        f.take(RDX)
    else:
        f.take(RAX)
        f.load(RAX, x)
        f.release(x)
        f.take(RDX)
    out = f.out
    is_constant = y & KIND == CONST
    minus_one = is_constant and y >> PAYLOAD == -1
    special = row.signed and (not is_constant or minus_one)
    if special:
        out += row.cmp[-1 << 4 | divisor]
        normal = f.skip_if(Condition.NE)
        if row.remainder:
            out += b"\x31\xd2"  # xor edx, edx
        else:
            out += row.neg[RAX]
            f.trap_if(Condition.O, TrapCode.INTEGER_OVERFLOW)
        done = f.skip()
        f.land(normal)
    if not row.signed:
        out += b"\x31\xd2"
    else:
        out += b"\x48\x99" if row.type == I64 else b"\x99"  # cqo, cdq
    out += row.op.rr[divisor]
    if special:
        f.land(done)
    f.drop(divisor)
    result, other = (RDX, RAX) if row.remainder else (RAX, RDX)
    f.drop(other)
    f.push_reg(row.type, result)
    return pos


# -- rows ----------------------------------------------------------------------------------------

_CONDITIONS: Final = {
    "eq": Condition.E,
    "ne": Condition.NE,
    "lt_s": Condition.L,
    "lt_u": Condition.B,
    "gt_s": Condition.G,
    "gt_u": Condition.A,
    "le_s": Condition.LE,
    "le_u": Condition.BE,
    "ge_s": Condition.GE,
    "ge_u": Condition.AE,
}


def rows_of(isa: InstructionSet) -> dict[str, Handler]:
    """The integer instructions."""
    rows: dict[str, Handler] = {"i32.wrap_i64": (wrap, None), "i64.extend_i32_u": (extend_u, None)}
    for t, type_, bits in (("i32", I32, 32), ("i64", I64, 64)):
        for name, handler in _two_operands(type_, bits, isa).items():
            rows[f"{t}.{name}"] = handler
        for name, handler in _one_operand(type_, bits, isa).items():
            rows[f"{t}.{name}"] = handler
    movsxd = isa["movsxd"]
    rows["i64.extend_i32_s"] = rows["i64.extend32_s"] = (unary, Unary(movsxd, I64))
    return rows


def _two_operands(type_: int, bits: int, isa: InstructionSet) -> dict[str, Handler]:
    table = isa.table
    rows: dict[str, Handler] = {}
    for name in ("add", "sub", "and", "or", "xor", "mul"):
        x86 = "imul" if name == "mul" else name
        op, imm = table[f"{x86}{bits}"], table[f"{x86}{bits}i"]
        lea = Addition(table[f"lea{bits}"]) if name == "add" else None
        row = Arithmetic(op.rr, op.rf, imm.ri, type_, name != "sub", lea, name != "mul")
        rows[name] = (binary, row)
    op, imm, test = table[f"cmp{bits}"], table[f"cmp{bits}i"], table[f"test{bits}"].rr
    cmp = Arithmetic(op.rr, op.rf, imm.ri, type_, False, None, False)
    for name, cc in _CONDITIONS.items():
        rows[name] = (compare, Comparison(cmp, test, cc))
    for name, x86, three in (
        ("shl", "shl", "shlx"),
        ("shr_s", "sar", "sarx"),
        ("shr_u", "shr", "shrx"),
        ("rotl", "rol", ""),
        ("rotr", "ror", ""),
    ):
        variable = table[f"{three}{bits}"].rr if isa.has(f"{three}{bits}") else None
        immediate, by_cl = table[f"{x86}{bits}i"].rr, table[f"{x86}{bits}c"].rr
        rows[name] = (shift, Shift(immediate, variable, by_cl, type_, bits))
    neg = table[f"neg{bits}"].rr
    for name, x86, signed, remainder in (
        ("div_s", "idiv", True, False),
        ("div_u", "div", False, False),
        ("rem_s", "idiv", True, True),
        ("rem_u", "div", False, True),
    ):
        op = table[f"{x86}{bits}"]
        rows[name] = (divide, Division(op, test, imm.ri, neg, type_, signed, remainder))
    return rows


def _one_operand(type_: int, bits: int, isa: InstructionSet) -> dict[str, Handler]:
    table = isa.table
    rows: dict[str, Handler] = {"eqz": (eqz, table[f"test{bits}"].rr)}
    for name, x86 in (
        ("popcnt", f"popcnt{bits}"),
        ("extend8_s", f"movsx8_{bits}"),
        ("extend16_s", f"movsx16_{bits}"),
    ):
        rows[name] = (unary, Unary(table[x86], type_))
    for name, x86, older in (("clz", "lzcnt", "bsr"), ("ctz", "tzcnt", "bsf")):
        if isa.has(f"{x86}{bits}"):
            rows[name] = (unary, Unary(table[f"{x86}{bits}"], type_))
        else:
            op, cmov = table[f"{older}{bits}"], table[f"cmov{bits}_{Condition.E}"]
            rows[name] = (scan, BitScan(op, cmov, table[f"xor{bits}i"], type_))
    return rows
