"""Reference semantics of every scalar numeric instruction, in plain Python.

Specification: "Numerics". Values are bits (unsigned integers); real numbers are `Fraction`s, so
that every rounding is exact and nothing depends on the host's floating point. Written to be
compared with the specification line by line, and independent of how the engine emits code.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from tests.support.floats import F32, F64, FloatFormat

__all__ = ["INSTRUCTIONS", "Instruction", "NanResult", "Result", "TrapResult", "edge_values"]


class NanResult(enum.Enum):
    """A NaN of either sign: the canonical one, or any with the quiet bit set."""

    CANONICAL = "nan:canonical"
    ARITHMETIC = "nan:arithmetic"


@dataclass(frozen=True)
class TrapResult:
    """The instruction traps with this message."""

    message: str


Result = int | NanResult | TrapResult
Function = Callable[..., Result]


@dataclass(frozen=True)
class Instruction:
    """One instruction: the types of its operands and result, and its meaning on bits."""

    mnemonic: str
    params: tuple[str, ...]
    result: str
    evaluate: Function


DIVIDE_BY_ZERO = TrapResult("integer divide by zero")
OVERFLOW = TrapResult("integer overflow")
INVALID_CONVERSION = TrapResult("invalid conversion to integer")


# Integers


def signed(n: int, i: int) -> int:
    """The signed integer that `n` bits stand for."""
    return i - (1 << n) if i >> (n - 1) else i


def _truncated_quotient(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _div_s(n: int, a: int, b: int) -> Result:
    if b == 0:
        return DIVIDE_BY_ZERO
    quotient = _truncated_quotient(signed(n, a), signed(n, b))
    return OVERFLOW if quotient == 1 << (n - 1) else quotient % (1 << n)


def _rem_s(n: int, a: int, b: int) -> Result:
    if b == 0:
        return DIVIDE_BY_ZERO
    x, y = signed(n, a), signed(n, b)
    return (x - y * _truncated_quotient(x, y)) % (1 << n)


def _clz(n: int, a: int) -> int:
    return n - a.bit_length()


def _ctz(n: int, a: int) -> int:
    return (a & -a).bit_length() - 1 if a else n


def _rotl(n: int, a: int, b: int) -> int:
    k = b % n
    return (a << k | a >> (n - k)) % (1 << n)


def _extend(n: int, bits: int, a: int) -> int:
    return signed(bits, a % (1 << bits)) % (1 << n)


def _integer_instructions(name: str, n: int) -> list[Instruction]:
    m = 1 << n

    def s(i: int) -> int:
        return signed(n, i)

    unary: dict[str, Function] = {
        "clz": lambda a: _clz(n, a),
        "ctz": lambda a: _ctz(n, a),
        "popcnt": lambda a: bin(a).count("1"),
        "extend8_s": lambda a: _extend(n, 8, a),
        "extend16_s": lambda a: _extend(n, 16, a),
    }
    if n == 64:
        unary["extend32_s"] = lambda a: _extend(n, 32, a)
    binary: dict[str, Function] = {
        "add": lambda a, b: (a + b) % m,
        "sub": lambda a, b: (a - b) % m,
        "mul": lambda a, b: a * b % m,
        "div_s": lambda a, b: _div_s(n, a, b),
        "div_u": lambda a, b: a // b if b else DIVIDE_BY_ZERO,
        "rem_s": lambda a, b: _rem_s(n, a, b),
        "rem_u": lambda a, b: a % b if b else DIVIDE_BY_ZERO,
        "and": lambda a, b: a & b,
        "or": lambda a, b: a | b,
        "xor": lambda a, b: a ^ b,
        "shl": lambda a, b: (a << b % n) % m,
        "shr_s": lambda a, b: (s(a) >> b % n) % m,
        "shr_u": lambda a, b: a >> b % n,
        "rotl": lambda a, b: _rotl(n, a, b),
        "rotr": lambda a, b: _rotl(n, a, n - b % n),
    }
    comparisons: dict[str, Function] = {
        "eq": lambda a, b: int(a == b),
        "ne": lambda a, b: int(a != b),
        "lt_s": lambda a, b: int(s(a) < s(b)),
        "lt_u": lambda a, b: int(a < b),
        "gt_s": lambda a, b: int(s(a) > s(b)),
        "gt_u": lambda a, b: int(a > b),
        "le_s": lambda a, b: int(s(a) <= s(b)),
        "le_u": lambda a, b: int(a <= b),
        "ge_s": lambda a, b: int(s(a) >= s(b)),
        "ge_u": lambda a, b: int(a >= b),
    }
    rows = [Instruction(f"{name}.{op}", (name,), name, f) for op, f in unary.items()]
    rows += [Instruction(f"{name}.{op}", (name, name), name, f) for op, f in binary.items()]
    rows += [Instruction(f"{name}.{op}", (name, name), "i32", f) for op, f in comparisons.items()]
    rows.append(Instruction(f"{name}.eqz", (name,), "i32", lambda a: int(a == 0)))
    return rows


# Floating point


def _nan_of(result: FloatFormat, *operands: tuple[FloatFormat, int]) -> NanResult:
    """nans_N{...}: canonical unless an operand is a NaN that is not canonical."""
    for number_format, bits in operands:
        if number_format.is_nan(bits) and not number_format.is_canonical_nan(bits):
            return NanResult.ARITHMETIC
    return NanResult.CANONICAL


def _add(f: FloatFormat, a: int, b: int) -> Result:
    if f.is_nan(a) or f.is_nan(b):
        return _nan_of(f, (f, a), (f, b))
    if f.is_infinite(a):
        opposite = f.is_infinite(b) and a != b
        return NanResult.CANONICAL if opposite else a
    if f.is_infinite(b):
        return b
    both_negative = f.is_negative(a) and f.is_negative(b)
    return f.round(f.value(a) + f.value(b), negative_zero=both_negative)


def _sub(f: FloatFormat, a: int, b: int) -> Result:
    if f.is_nan(a) or f.is_nan(b):
        return _nan_of(f, (f, a), (f, b))
    return _add(f, a, b ^ f.sign_mask)


def _mul(f: FloatFormat, a: int, b: int) -> Result:
    if f.is_nan(a) or f.is_nan(b):
        return _nan_of(f, (f, a), (f, b))
    sign = (a ^ b) & f.sign_mask
    if f.is_infinite(a) or f.is_infinite(b):
        zero = f.is_zero(a) or f.is_zero(b)
        return NanResult.CANONICAL if zero else sign | f.infinity
    return f.round(f.value(a) * f.value(b), negative_zero=bool(sign))


def _div(f: FloatFormat, a: int, b: int) -> Result:
    if f.is_nan(a) or f.is_nan(b):
        return _nan_of(f, (f, a), (f, b))
    sign = (a ^ b) & f.sign_mask
    if f.is_infinite(a):
        return NanResult.CANONICAL if f.is_infinite(b) else sign | f.infinity
    if f.is_infinite(b):
        return sign
    if f.is_zero(b):
        return NanResult.CANONICAL if f.is_zero(a) else sign | f.infinity
    return f.round(f.value(a) / f.value(b), negative_zero=bool(sign))


def _less(f: FloatFormat, a: int, b: int) -> bool:
    if f.is_infinite(a) or f.is_infinite(b):
        negative_a = f.is_infinite(a) and f.is_negative(a)
        positive_b = f.is_infinite(b) and not f.is_negative(b)
        return a != b and (negative_a or positive_b)
    return f.value(a) < f.value(b)


def _equal(f: FloatFormat, a: int, b: int) -> bool:
    return a == b or (f.is_zero(a) and f.is_zero(b))


def _min(f: FloatFormat, a: int, b: int) -> Result:
    if f.is_nan(a) or f.is_nan(b):
        return _nan_of(f, (f, a), (f, b))
    if f.is_zero(a) and f.is_zero(b):
        return a | b
    return a if _less(f, a, b) else b


def _max(f: FloatFormat, a: int, b: int) -> Result:
    if f.is_nan(a) or f.is_nan(b):
        return _nan_of(f, (f, a), (f, b))
    if f.is_zero(a) and f.is_zero(b):
        return a & b
    return b if _less(f, a, b) else a


def _to_integral(f: FloatFormat, a: int, convert: Callable[[Fraction], int]) -> Result:
    """ceil, floor, trunc and nearest: the sign of the operand is kept for a zero result."""
    if f.is_nan(a):
        return _nan_of(f, (f, a))
    if f.is_infinite(a):
        return a
    return f.round(convert(f.value(a)), negative_zero=f.is_negative(a))


def _sqrt(f: FloatFormat, a: int) -> Result:
    if f.is_nan(a):
        return _nan_of(f, (f, a))
    if f.is_zero(a):
        return a
    if f.is_negative(a):
        return NanResult.CANONICAL
    if f.is_infinite(a):
        return a
    # Scale by an even power of two so that the integer root has more bits than the result; a
    # sticky bit below them stands for the rest.
    shift = 0
    scaled = f.value(a)
    while scaled.denominator != 1 or scaled.numerator.bit_length() < 4 * f.width:
        shift += 2 * f.width
        scaled = f.value(a) * (1 << shift)
    root = math.isqrt(scaled.numerator)
    sticky = 0 if root * root == scaled else 1
    return f.round(Fraction(2 * root + sticky, 2) / Fraction(2) ** (shift // 2))


def _compare(f: FloatFormat, a: int, b: int, test: Callable[[int, int], bool]) -> int:
    return 0 if f.is_nan(a) or f.is_nan(b) else int(test(a, b))


def _float_instructions(f: FloatFormat) -> list[Instruction]:
    name = f.name
    unary: dict[str, Function] = {
        "abs": lambda a: f.magnitude(a),
        "neg": lambda a: a ^ f.sign_mask,
        "ceil": lambda a: _to_integral(f, a, math.ceil),
        "floor": lambda a: _to_integral(f, a, math.floor),
        "trunc": lambda a: _to_integral(f, a, math.trunc),
        "nearest": lambda a: _to_integral(f, a, round),  # Fraction rounds ties to even
        "sqrt": lambda a: _sqrt(f, a),
    }
    binary: dict[str, Function] = {
        "add": lambda a, b: _add(f, a, b),
        "sub": lambda a, b: _sub(f, a, b),
        "mul": lambda a, b: _mul(f, a, b),
        "div": lambda a, b: _div(f, a, b),
        "min": lambda a, b: _min(f, a, b),
        "max": lambda a, b: _max(f, a, b),
        "copysign": lambda a, b: f.magnitude(a) | b & f.sign_mask,
    }
    comparisons: dict[str, Function] = {
        "eq": lambda a, b: _compare(f, a, b, lambda x, y: _equal(f, x, y)),
        "ne": lambda a, b: 1 - _compare(f, a, b, lambda x, y: _equal(f, x, y)),
        "lt": lambda a, b: _compare(f, a, b, lambda x, y: _less(f, x, y)),
        "gt": lambda a, b: _compare(f, a, b, lambda x, y: _less(f, y, x)),
        "le": lambda a, b: _compare(f, a, b, lambda x, y: _less(f, x, y) or _equal(f, x, y)),
        "ge": lambda a, b: _compare(f, a, b, lambda x, y: _less(f, y, x) or _equal(f, x, y)),
    }
    rows = [Instruction(f"{name}.{op}", (name,), name, g) for op, g in unary.items()]
    rows += [Instruction(f"{name}.{op}", (name, name), name, g) for op, g in binary.items()]
    rows += [Instruction(f"{name}.{op}", (name, name), "i32", g) for op, g in comparisons.items()]
    return rows


# Conversions


def _range(n: int, is_signed: bool) -> tuple[int, int]:
    return (-(1 << (n - 1)), (1 << (n - 1)) - 1) if is_signed else (0, (1 << n) - 1)


def _trunc(f: FloatFormat, n: int, is_signed: bool, a: int) -> Result:
    if f.is_nan(a):
        return INVALID_CONVERSION
    if f.is_infinite(a):
        return OVERFLOW
    number = math.trunc(f.value(a))
    low, high = _range(n, is_signed)
    return number % (1 << n) if low <= number <= high else OVERFLOW


def _trunc_sat(f: FloatFormat, n: int, is_signed: bool, a: int) -> Result:
    if f.is_nan(a):
        return 0
    low, high = _range(n, is_signed)
    if f.is_infinite(a):
        number = low if f.is_negative(a) else high
    else:
        number = min(max(math.trunc(f.value(a)), low), high)
    return number % (1 << n)


def _convert(f: FloatFormat, n: int, is_signed: bool, a: int) -> Result:
    return f.round(signed(n, a) if is_signed else a)


def _resize(source: FloatFormat, target: FloatFormat, a: int) -> Result:
    """promote and demote."""
    if source.is_nan(a):
        return _nan_of(target, (source, a))
    if source.is_infinite(a):
        return target.infinity | (target.sign_mask if source.is_negative(a) else 0)
    return target.round(source.value(a), negative_zero=source.is_negative(a))


def _between(
    operation: Callable[[FloatFormat, int, bool, int], Result],
    number_format: FloatFormat,
    width: int,
    is_signed: bool,
) -> Function:
    return lambda a: operation(number_format, width, is_signed, a)


def _conversions() -> list[Instruction]:
    rows = [
        Instruction("i32.wrap_i64", ("i64",), "i32", lambda a: a % (1 << 32)),
        Instruction("i64.extend_i32_s", ("i32",), "i64", lambda a: signed(32, a) % (1 << 64)),
        Instruction("i64.extend_i32_u", ("i32",), "i64", lambda a: a),
        Instruction("f32.demote_f64", ("f64",), "f32", lambda a: _resize(F64, F32, a)),
        Instruction("f64.promote_f32", ("f32",), "f64", lambda a: _resize(F32, F64, a)),
    ]
    pairs = [("i32", "f32"), ("f32", "i32"), ("i64", "f64"), ("f64", "i64")]
    rows += [Instruction(f"{to}.reinterpret_{a}", (a,), to, lambda a: a) for to, a in pairs]
    for integer, width in (("i32", 32), ("i64", 64)):
        for f in (F32, F64):
            for suffix, is_signed in (("s", True), ("u", False)):
                for name, operation in (("trunc", _trunc), ("trunc_sat", _trunc_sat)):
                    meaning = _between(operation, f, width, is_signed)
                    mnemonic = f"{integer}.{name}_{f.name}_{suffix}"
                    rows.append(Instruction(mnemonic, (f.name,), integer, meaning))
                meaning = _between(_convert, f, width, is_signed)
                mnemonic = f"{f.name}.convert_{integer}_{suffix}"
                rows.append(Instruction(mnemonic, (integer,), f.name, meaning))
    return rows


INSTRUCTIONS: dict[str, Instruction] = {
    row.mnemonic: row
    for row in (
        *_integer_instructions("i32", 32),
        *_integer_instructions("i64", 64),
        *_float_instructions(F32),
        *_float_instructions(F64),
        *_conversions(),
    )
}
"""Every scalar numeric instruction but the constants, by mnemonic."""


# Edge values


@functools.cache
def edge_values(type_: str) -> tuple[int, ...]:
    """Bits at the borders of every rule: signs, overflow, shifts, ties, subnormals, NaNs."""
    if type_ in ("i32", "i64"):
        return _integer_edges(32 if type_ == "i32" else 64)
    return _float_edges(F32 if type_ == "f32" else F64)


def _integer_edges(n: int) -> tuple[int, ...]:
    near = [0, 1, 2, 3, 7, 8, n - 1, n, n + 1, 127, 128, 255, 256, 32767, 32768, 65535]
    middle = [1 << (n // 2), (1 << (n // 2)) - 1, 0x55555555, 0x12345678, 10**9 + 7]
    high = [1 << (n - 1), (1 << (n - 1)) - 1, (1 << (n - 1)) + 1, (1 << (n - 2))]
    if n == 64:
        # Where conversion to floating point rounds, and ties.
        middle += [1 << 31, 1 << 32, 1 << 53, (1 << 53) + 1, (1 << 24) + 1, 0x7FFFFF4000000001]
        high += [0xFFFFFFFFFFFFFBFF, 0xFFFFFFFFFFFFFC00, 0x8000004000000001, 0x20000020000001]
    else:
        middle += [1 << 24, (1 << 24) + 1, (1 << 24) + 3, 0x7FFFFFBF, 0x7FFFFFC0, 0xFFFFFF7F]
    values = [*near, *middle, *high]
    values += [-v % (1 << n) for v in values]
    return tuple(dict.fromkeys(values))


def _float_edges(f: FloatFormat) -> tuple[int, ...]:
    one = f.round(1)
    magnitudes = [
        0,
        1,  # smallest subnormal
        (1 << f.fraction_bits) - 1,  # largest subnormal
        1 << f.fraction_bits,  # smallest normal
        f.infinity - 1,  # largest finite
        f.infinity,
        f.canonical_nan,
        f.canonical_nan | 1,
        f.infinity | 1,  # signalling
        f.canonical_nan - 1,  # signalling
        f.infinity | ((1 << f.fraction_bits) - 1),
        one - 1,
        one,
        one + 1,
    ]
    halves = [Fraction(k, 2) for k in (1, 3, 4, 5, 7)] + [Fraction(1, 3), Fraction(255)]
    magnitudes += [f.round(number) for number in halves]
    magnitudes += [f.round(Fraction(1, 2)) - 1, f.round(Fraction(1, 2)) + 1]
    # Borders of the integer types, and where the format's spacing reaches 1/2, 1 and 2.
    for power in (31, 32, 63, 64, f.fraction_bits - 1, f.fraction_bits, f.fraction_bits + 1):
        border = f.round(1 << power)
        magnitudes += [border - 1, border, border + 1]
    if f is F64:
        magnitudes += [f.round(Fraction(k, 2)) for k in (2**32 - 1, 2**32 - 3, 2**33 - 1)]
        magnitudes += [f.round((1 << 31) + 1), f.round((1 << 32) + 1)]
        magnitudes += _demotion_edges()
    magnitudes = list(dict.fromkeys(magnitudes))
    return tuple(magnitudes + [m | f.sign_mask for m in magnitudes])


def _demotion_edges() -> list[int]:
    """f64 values around what f32 rounds: overflow, ties, subnormals, underflow, payloads."""
    largest = F32.value(F32.infinity - 1)
    half_ulp = Fraction(2) ** 103
    tiny = Fraction(2) ** -149
    numbers = [largest, largest + half_ulp, largest + half_ulp - Fraction(2) ** 75]
    numbers += [1 + Fraction(2) ** -24, 1 + 3 * Fraction(2) ** -24, 1 + Fraction(2) ** -24 * 5 / 4]
    numbers += [tiny, tiny / 2, tiny / 2 + Fraction(2) ** -200, tiny * 3 / 2, tiny / 4]
    return [F64.round(number) for number in numbers] + [F64.infinity | 1 << 29, F64.infinity | 1]
