"""Numeric instructions but conversions (specification: Execution, "Numerics").

Where LLVM's instruction means the same, a row of a table says so; the functions are for those that
differ. Comparisons leave an i1 on the stack (stacks.py, `COND`).

Floats: LLVM may treat a signalling NaN like a quiet one, but the specification says that arithmetic
gives quiet NaNs. The machine does that, LLVM does not where it removes the instruction; so literal
operands that make it an identity are hidden from the optimiser.
"""

from __future__ import annotations

import struct

from jitwasm.frontend.emit.function import Entry, FunctionEmitter
from jitwasm.frontend.leb128 import read_signed
from jitwasm.frontend.stacks import COND, NOT
from jitwasm.trapcodes import TrapCode
from jitwasm.types import F32, F64, I32, I64, ValType

__all__ = ["ROWS", "fence"]

Row = tuple[ValType, str]
_INTS = (I32, I64)
_FLOATS = (F32, F64)
_ZEROS = frozenset({"0.0", "0x0000000000000000", "0x8000000000000000"})
_ONES = frozenset({"0x3FF0000000000000", "0xBFF0000000000000"})
_NEUTRAL: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "fadd": (_ZEROS, _ZEROS),
    "fsub": (frozenset({"0x8000000000000000"}), _ZEROS),
    "fmul": (_ONES, _ONES),
    "fdiv": (frozenset(), _ONES),
}
"""First and second operands with which LLVM sees an identity or a negation: `-0 - x` is `-x`."""

_ONE_BYTE = tuple(str(byte - ((byte & 0x40) << 1)) for byte in range(0x80))
"""The text of integers that take one byte."""


def _literal(val: str) -> int | None:
    """The value of a literal integer operand."""
    return None if val[0] in "%p" else int(val)


# -- constants -----------------------------------------------------------------------------------


def _int_const(f: FunctionEmitter, pos: int, row: tuple[ValType, int]) -> int:
    type_, bits = row
    code = f.code
    byte = code[pos]
    f.types.append(type_)
    if byte < 0x80:
        f.vals.append(_ONE_BYTE[byte])
        return pos + 1
    high = code[pos + 1]
    if high < 0x80:
        f.vals.append(str(byte & 0x7F | (high - ((high & 0x40) << 1)) << 7))
        return pos + 2
    value, pos = read_signed(code, pos, len(code), bits, f.base)
    f.vals.append(str(value))
    return pos


def _f32_const(f: FunctionEmitter, pos: int, row: None) -> int:
    bits = int.from_bytes(f.take(pos, 4), "little")
    if bits & 0x7FFFFFFF > 0x7F800000:
        # LLVM writes floats as doubles, and a conversion could change a NaN.
        val = f.op(f"bitcast i32 {bits} to float")
    else:
        (number,) = struct.unpack("<f", bits.to_bytes(4, "little"))
        val = f"0x{int.from_bytes(struct.pack('<d', number), 'little'):016X}"
    f.push(F32, val)
    return pos + 4


def _f64_const(f: FunctionEmitter, pos: int, row: None) -> int:
    f.push(F64, f"0x{int.from_bytes(f.take(pos, 8), 'little'):016X}")
    return pos + 8


# -- operations that LLVM has ------------------------------------------------------------------


def _binary(f: FunctionEmitter, pos: int, row: Row) -> int:
    type_, text = row
    types, vals = f.types, f.vals
    if types[-1] is type_ and types[-2] is type_:
        types.pop()
        b = vals.pop()
    else:
        b = f.pop(type_)
        f.push(type_, f.pop(type_))
    name = f.fresh()
    f.line(f"{name} = {text} {vals[-1]}, {b}")
    vals[-1] = name
    return pos


def _add(f: FunctionEmitter, pos: int, row: Row) -> int:
    """i32.add: notes sums with constants, for addresses (`plain_address`)."""
    types, vals = f.types, f.vals
    if types[-1] is I32 and types[-2] is I32 and vals[-1][0] not in "%p":
        addend, constant = vals[-2], int(vals[-1])
        pos = _binary(f, pos, row)
        root, known = f.sums.get(addend, (addend, 0))
        f.sums[vals[-1]] = root, known + constant
        return pos
    return _binary(f, pos, row)


def _compare(f: FunctionEmitter, pos: int, row: Row) -> int:
    type_, text = row
    types, vals = f.types, f.vals
    if types[-1] is type_ and types[-2] is type_:
        types.pop()
        b = vals.pop()
    else:
        b = f.pop(type_)
        f.push(type_, f.pop(type_))
    name = f.fresh()
    f.line(f"{name} = {text} {vals[-1]}, {b}")
    vals[-1] = name
    types[-1] = COND
    return pos


def _unary(f: FunctionEmitter, pos: int, row: tuple[ValType, str, str]) -> int:
    """A template with one operand, and the declaration it needs."""
    type_, text, declaration = row
    val = f.pop(type_)
    if declaration:
        f.declare(declaration)
    f.push(type_, f.op(text.format(val)))
    return pos


def _intrinsic(f: FunctionEmitter, pos: int, row: tuple[ValType, str, str]) -> int:
    """A template with two operands, and the declaration it needs."""
    type_, text, declaration = row
    b, a = f.pop(type_), f.pop(type_)
    f.declare(declaration)
    f.push(type_, f.op(text.format(a, b)))
    return pos


# -- integers ------------------------------------------------------------------------------------


def _eqz(f: FunctionEmitter, pos: int, row: Row) -> int:
    type_, text = row
    found = f.types[-1]
    if found is COND and type_ is I32:
        f.types[-1] = NOT
    elif found is NOT and type_ is I32:
        f.types[-1] = COND
    else:
        f.push(COND, f.op(f"{text} {f.pop(type_)}, 0"))
    return pos


def _is_condition(type_: ValType) -> bool:
    return type_ is COND or type_ is NOT


def _logic(f: FunctionEmitter, pos: int, row: Row) -> int:
    """i32.and, or, xor: on two conditions the result is a condition, as is `condition & 1`."""
    second, first = f.types[-1], f.types[-2]
    if _is_condition(first):
        if _is_condition(second):
            b, a = _pop_i1(f), _pop_i1(f)
            f.push(COND, f.op(f"{row[1].replace('i32', 'i1')} {a}, {b}"))
            return pos
        if second is I32 and f.vals[-1] == "1" and row[1].startswith("and"):
            f.pop(I32)
            return pos
    return _binary(f, pos, row)


def _pop_i1(f: FunctionEmitter) -> str:
    val, negated = f.pop_cond()
    return f.op(f"xor i1 {val}, true") if negated else val


def _shift(f: FunctionEmitter, pos: int, row: Row) -> int:
    """The count is modulo the width; LLVM's result is undefined from the width on."""
    type_, text = row
    bits = type_.size * 8
    count = f.pop(type_)
    literal = _literal(count)
    masked = f"and {type_.ir} {count}, {bits - 1}"
    count = f.op(masked) if literal is None else str(literal % bits)
    f.push(type_, f.op(f"{text} {f.pop(type_)}, {count}"))
    return pos


def _rotate(f: FunctionEmitter, pos: int, row: Row) -> int:
    """A funnel shift of the value with itself; the intrinsic takes the count modulo the width."""
    type_, name = row
    ir = type_.ir
    count = f.pop(type_)
    val = f.pop(type_)
    f.declare(f"declare {ir} @llvm.{name}.{ir}({ir}, {ir}, {ir})")
    f.push(type_, f.op(f"call {ir} @llvm.{name}.{ir}({ir} {val}, {ir} {val}, {ir} {count})"))
    return pos


def _trap_if_zero(f: FunctionEmitter, ir: str, divisor: str) -> None:
    if _literal(divisor) in (None, 0):
        zero = f.op(f"icmp eq {ir} {divisor}, 0")
        f.trap_if(zero, TrapCode.INTEGER_DIVIDE_BY_ZERO)


def _div_u(f: FunctionEmitter, pos: int, row: Row) -> int:
    """udiv and urem: undefined in LLVM for 0."""
    type_, text = row
    divisor, val = f.pop(type_), f.pop(type_)
    _trap_if_zero(f, type_.ir, divisor)
    f.push(type_, f.op(f"{text} {val}, {divisor}"))
    return pos


def _div_s(f: FunctionEmitter, pos: int, row: Row) -> int:
    """`INT_MIN / -1` traps; sdiv is undefined there."""
    type_, text = row
    ir = type_.ir
    divisor, val = f.pop(type_), f.pop(type_)
    _trap_if_zero(f, ir, divisor)
    if _literal(divisor) in (None, -1):
        least = f.op(f"icmp eq {ir} {val}, {-(1 << type_.size * 8 - 1)}")
        minus_one = f.op(f"icmp eq {ir} {divisor}, -1")
        f.trap_if(f.op(f"and i1 {least}, {minus_one}"), TrapCode.INTEGER_OVERFLOW)
    f.push(type_, f.op(f"{text} {val}, {divisor}"))
    return pos


def _rem_s(f: FunctionEmitter, pos: int, row: Row) -> int:
    """`INT_MIN % -1` is 0, where srem is undefined and x86 faults. `x % 1` is 0 like `x % -1`."""
    type_, text = row
    ir = type_.ir
    divisor, val = f.pop(type_), f.pop(type_)
    _trap_if_zero(f, ir, divisor)
    if _literal(divisor) in (None, -1):
        minus_one = f.op(f"icmp eq {ir} {divisor}, -1")
        divisor = f.op(f"select i1 {minus_one}, {ir} 1, {ir} {divisor}")
    f.push(type_, f.op(f"{text} {val}, {divisor}"))
    return pos


# -- floats --------------------------------------------------------------------------------------


def fence(f: FunctionEmitter, type_: ValType, val: str) -> str:
    """The value, of which the optimiser knows nothing. This costs no instruction."""
    ir, name = type_.ir, type_.name
    f.declare(f"declare {ir} @llvm.arithmetic.fence.{name}({ir})")
    return f.op(f"call {ir} @llvm.arithmetic.fence.{name}({ir} {val})")


def _float_binary(f: FunctionEmitter, pos: int, row: Row) -> int:
    type_, text = row
    types, vals = f.types, f.vals
    if types[-1] is type_ and types[-2] is type_:
        types.pop()
        b = vals.pop()
    else:
        b = f.pop(type_)
        f.push(type_, f.pop(type_))
    a = vals[-1]
    if b[0] == "0" or a[0] == "0":
        first, second = _NEUTRAL[text[:4]]
        if a in first:
            a = fence(f, type_, a)
        elif b in second:
            b = fence(f, type_, b)
    vals[-1] = f.op(f"{text} {a}, {b}")
    return pos


def _min_max(f: FunctionEmitter, pos: int, row: Row) -> int:
    """llvm.minimum orders zeros as we do, but may pass on a signalling NaN; an addition not."""
    type_, name = row
    ir = type_.ir
    b, a = f.pop(type_), f.pop(type_)
    intrinsic = f"@llvm.{name}.{type_.name}"
    f.declare(f"declare {ir} {intrinsic}({ir}, {ir})")
    nan = f.op(f"fcmp uno {ir} {a}, {b}")
    left = fence(f, type_, a) if a in _ZEROS else a
    right = fence(f, type_, b) if b in _ZEROS else b
    quiet = f.op(f"fadd {ir} {left}, {right}")
    number = f.op(f"call {ir} {intrinsic}({ir} {a}, {ir} {b})")
    f.push(type_, f.op(f"select i1 {nan}, {ir} {quiet}, {ir} {number}"))
    return pos


# -- the rows ------------------------------------------------------------------------------------

_INT_BINARY = ("add", "sub", "mul", "and", "or", "xor")
_SHIFTS = {"shl": "shl", "shr_s": "ashr", "shr_u": "lshr"}
_ROTATES = {"rotl": "fshl", "rotr": "fshr"}
_INT_COMPARE = {
    "eq": "eq",
    "ne": "ne",
    "lt_s": "slt",
    "lt_u": "ult",
    "gt_s": "sgt",
    "gt_u": "ugt",
    "le_s": "sle",
    "le_u": "ule",
    "ge_s": "sge",
    "ge_u": "uge",
}
_FLOAT_COMPARE = {"eq": "oeq", "ne": "une", "lt": "olt", "gt": "ogt", "le": "ole", "ge": "oge"}
_BIT_COUNTS = {"clz": "ctlz", "ctz": "cttz"}
_FLOAT_BINARY = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_FLOAT_UNARY = {
    "abs": "fabs",
    "ceil": "ceil",
    "floor": "floor",
    "trunc": "trunc",
    "nearest": "roundeven",
    "sqrt": "sqrt",
}


def _rows() -> dict[str, Entry]:
    rows: dict[str, Entry] = {
        "i32.const": (_int_const, (I32, 32)),
        "i64.const": (_int_const, (I64, 64)),
        "f32.const": (_f32_const, None),
        "f64.const": (_f64_const, None),
    }
    for type_ in _INTS:
        t = type_.ir
        rows[f"{t}.eqz"] = _eqz, (type_, f"icmp eq {t}")
        for name in _INT_BINARY:
            logic = type_ is I32 and name in ("and", "or", "xor")
            rows[f"{t}.{name}"] = _logic if logic else _binary, (type_, f"{name} {t}")
        rows["i32.add"] = _add, (I32, "add i32")
        for name, llvm in _SHIFTS.items():
            rows[f"{t}.{name}"] = _shift, (type_, f"{llvm} {t}")
        for name, llvm in _ROTATES.items():
            rows[f"{t}.{name}"] = _rotate, (type_, llvm)
        for name, llvm in _INT_COMPARE.items():
            rows[f"{t}.{name}"] = _compare, (type_, f"icmp {llvm} {t}")
        for name, llvm in _BIT_COUNTS.items():
            call = f"call {t} @llvm.{llvm}.{t}({t} {{}}, i1 false)"
            declaration = f"declare {t} @llvm.{llvm}.{t}({t}, i1 immarg)"
            rows[f"{t}.{name}"] = _unary, (type_, call, declaration)
        declaration = f"declare {t} @llvm.ctpop.{t}({t})"
        call = f"call {t} @llvm.ctpop.{t}({t} {{}})"
        rows[f"{t}.popcnt"] = _unary, (type_, call, declaration)
        rows[f"{t}.div_s"] = _div_s, (type_, f"sdiv {t}")
        rows[f"{t}.div_u"] = _div_u, (type_, f"udiv {t}")
        rows[f"{t}.rem_s"] = _rem_s, (type_, f"srem {t}")
        rows[f"{t}.rem_u"] = _div_u, (type_, f"urem {t}")
    for type_ in _FLOATS:
        t, ir = type_.name, type_.ir
        for name, llvm in _FLOAT_COMPARE.items():
            rows[f"{t}.{name}"] = _compare, (type_, f"fcmp {llvm} {ir}")
        for name, llvm in _FLOAT_BINARY.items():
            rows[f"{t}.{name}"] = _float_binary, (type_, f"{llvm} {ir}")
        rows[f"{t}.neg"] = _unary, (type_, f"fneg {ir} {{}}", "")
        for name, llvm in _FLOAT_UNARY.items():
            call = f"call {ir} @llvm.{llvm}.{t}({ir} {{}})"
            rows[f"{t}.{name}"] = _unary, (type_, call, f"declare {ir} @llvm.{llvm}.{t}({ir})")
        call = f"call {ir} @llvm.copysign.{t}({ir} {{}}, {ir} {{}})"
        declaration = f"declare {ir} @llvm.copysign.{t}({ir}, {ir})"
        rows[f"{t}.copysign"] = _intrinsic, (type_, call, declaration)
        rows[f"{t}.min"] = _min_max, (type_, "minimum")
        rows[f"{t}.max"] = _min_max, (type_, "maximum")
    return rows


ROWS = _rows()
"""mnemonic -> (handler, row)"""
