"""Plain-Python reference semantics of the vector instructions, independent of the emitters.

A v128 is `bytes` of length 16, a scalar operand or result is an unsigned int (floats as their
bits). `ORACLE[mnemonic](*operands)` gives what the instruction must return: an int, `bytes`, or,
where NaNs are involved, `FloatLanes` with a NaN class in place of each lane that must be a NaN.
Relaxed instructions have the one behaviour that the project chose among those allowed.
"""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

V128 = bytes


class Nan(enum.Enum):
    """What a lane must be when it must be a NaN: any sign in both cases."""

    CANONICAL = "payload is exactly the quiet bit"
    ARITHMETIC = "the quiet bit is set"


@dataclass(frozen=True)
class Float:
    """One floating-point format: `bits` wide with `fraction` bits of fraction."""

    bits: int
    fraction: int

    @property
    def quiet(self) -> int:
        return 1 << (self.fraction - 1)

    @property
    def infinity(self) -> int:
        return (1 << (self.bits - 1)) - (1 << self.fraction)

    @property
    def sign(self) -> int:
        return 1 << (self.bits - 1)

    def is_nan(self, x: int) -> bool:
        return x & (self.sign - 1) > self.infinity

    def is_canonical(self, x: int) -> bool:
        return x & (self.sign - 1) == self.infinity | self.quiet

    def value(self, x: int) -> float:
        """The number with these bits (not a NaN)."""
        return float(struct.unpack("<f" if self.bits == 32 else "<d", self._pack(x))[0])

    def round(self, x: float) -> int:
        """Bits of the nearest number, ties to even; `x` is exact or innocuously rounded."""
        try:
            packed = struct.pack("<f" if self.bits == 32 else "<d", x)
        except OverflowError:
            return self.infinity | (self.sign if x < 0 else 0)
        return int.from_bytes(packed, "little")

    def round_exact(self, x: Fraction) -> int:
        """Bits of the number nearest to a non-zero rational, ties to even."""
        sign, x = (self.sign, -x) if x < 0 else (0, x)
        smallest = 2 - (1 << (self.bits - self.fraction - 2)) - self.fraction
        exponent = x.numerator.bit_length() - x.denominator.bit_length()
        exponent -= x < Fraction(2) ** exponent
        quantum = max(exponent - self.fraction, smallest)
        steps = round(x / Fraction(2) ** quantum)  # Python rounds ties to even
        # Adding the fraction's steps to the exponent field carries into it as IEEE 754 intends.
        bits = steps + ((quantum - smallest) << self.fraction)
        return sign | min(bits, self.infinity)

    def _pack(self, x: int) -> bytes:
        return x.to_bytes(self.bits // 8, "little")


F32, F64 = Float(32, 23), Float(64, 52)
FLOATS = {32: F32, 64: F64}
FloatLane = int | Nan


@dataclass(frozen=True)
class FloatLanes:
    """Expected floating-point lanes: bits, or the class of NaN that must be there."""

    format: Float
    lanes: tuple[FloatLane, ...]

    def matches(self, actual: V128) -> bool:
        got = lanes(actual, self.format.bits)
        return all(map(self._lane_matches, self.lanes, got))

    def _lane_matches(self, wanted: FloatLane, got: int) -> bool:
        if wanted is Nan.CANONICAL:
            return self.format.is_canonical(got)
        if wanted is Nan.ARITHMETIC:
            return self.format.is_nan(got) and bool(got & self.format.quiet)
        return wanted == got


Expected = int | V128 | FloatLanes
Oracle = Callable[..., Expected]


def matches(expected: Expected, actual: int | V128) -> bool:
    """Whether an actual result is what the oracle allows."""
    if isinstance(expected, FloatLanes):
        return isinstance(actual, bytes) and expected.matches(actual)
    return expected == actual


def lanes(v: V128, bits: int) -> list[int]:
    """The lanes as unsigned ints, lane 0 first."""
    step = bits // 8
    return [int.from_bytes(v[i : i + step], "little") for i in range(0, 16, step)]


def signed_lanes(v: V128, bits: int) -> list[int]:
    return [signed(x, bits) for x in lanes(v, bits)]


def signed(x: int, bits: int) -> int:
    return x - (1 << bits) if x >> (bits - 1) else x


def pack(values: Iterable[int], bits: int) -> V128:
    """Lanes (wrapped to `bits`) as a v128."""
    mask = (1 << bits) - 1
    return b"".join((x & mask).to_bytes(bits // 8, "little") for x in values)


def clamp(x: int, low: int, high: int) -> int:
    return max(low, min(high, x))


def saturate(x: int, bits: int, is_signed: bool) -> int:
    if is_signed:
        return clamp(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return clamp(x, 0, (1 << bits) - 1)


# --- integers -------------------------------------------------------------------------------------


def _unary(bits: int, op: Callable[[int], int]) -> Oracle:
    return lambda a: pack(map(op, signed_lanes(a, bits)), bits)


def _binary(bits: int, op: Callable[[int, int], int], is_signed: bool = True) -> Oracle:
    read = signed_lanes if is_signed else lanes
    return lambda a, b: pack(map(op, read(a, bits), read(b, bits)), bits)


def _compare(bits: int, op: Callable[[int, int], bool], is_signed: bool) -> Oracle:
    return _binary(bits, lambda x, y: -1 if op(x, y) else 0, is_signed)


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "gt": lambda x, y: x > y,
    "le": lambda x, y: x <= y,
    "ge": lambda x, y: x >= y,
}


def _shift(bits: int, op: Callable[[int, int], int], is_signed: bool) -> Oracle:
    read = signed_lanes if is_signed else lanes
    return lambda a, count: pack([op(x, count % bits) for x in read(a, bits)], bits)


def _bitmask(bits: int) -> Oracle:
    return lambda a: sum(1 << i for i, x in enumerate(signed_lanes(a, bits)) if x < 0)


def _integer_rows(shape: str, bits: int) -> dict[str, Oracle]:
    rows: dict[str, Oracle] = {
        "add": _binary(bits, lambda x, y: x + y),
        "sub": _binary(bits, lambda x, y: x - y),
        "mul": _binary(bits, lambda x, y: x * y),
        "neg": _unary(bits, lambda x: -x),
        "abs": _unary(bits, abs),
        "popcnt": _unary(bits, lambda x: bin(x & ((1 << bits) - 1)).count("1")),
        "shl": _shift(bits, lambda x, n: x << n, False),
        "shr_s": _shift(bits, lambda x, n: x >> n, True),
        "shr_u": _shift(bits, lambda x, n: x >> n, False),
        "all_true": lambda a: int(all(lanes(a, bits))),
        "bitmask": _bitmask(bits),
        "avgr_u": _binary(bits, lambda x, y: (x + y + 1) // 2, False),
        "splat": lambda x: pack([x] * (128 // bits), bits),
        "relaxed_laneselect": lambda a, b, m: pack(
            [
                x if s < 0 else y
                for x, y, s in zip(
                    lanes(a, bits), lanes(b, bits), signed_lanes(m, bits), strict=True
                )
            ],
            bits,
        ),
    }
    for name, op in COMPARISONS.items():
        rows[name] = _compare(bits, op, True)
    for letter, is_signed in (("s", True), ("u", False)):
        for name in ("lt", "gt", "le", "ge"):
            rows[f"{name}_{letter}"] = _compare(bits, COMPARISONS[name], is_signed)
        rows[f"min_{letter}"] = _binary(bits, min, is_signed)
        rows[f"max_{letter}"] = _binary(bits, max, is_signed)
        rows[f"add_sat_{letter}"] = _saturating(bits, is_signed, lambda x, y: x + y)
        rows[f"sub_sat_{letter}"] = _saturating(bits, is_signed, lambda x, y: x - y)
    return {f"{shape}.{name}": oracle for name, oracle in rows.items()}


def _saturating(bits: int, is_signed: bool, op: Callable[[int, int], int]) -> Oracle:
    return _binary(bits, lambda x, y: saturate(op(x, y), bits, is_signed), is_signed)


def _widening_rows(wide: str, narrow: str, bits: int) -> dict[str, Oracle]:
    """Instructions between lanes of `bits` and lanes of `2 * bits`."""
    rows: dict[str, Oracle] = {}
    half = 64 // bits
    for letter, is_signed in (("s", True), ("u", False)):
        read = signed_lanes if is_signed else lanes
        for name, part in (("low", slice(0, half)), ("high", slice(half, None))):
            rows[f"{wide}.extend_{name}_{narrow}_{letter}"] = lambda a, read=read, part=part: pack(
                read(a, bits)[part], 2 * bits
            )
            rows[f"{wide}.extmul_{name}_{narrow}_{letter}"] = lambda a, b, read=read, part=part: (
                pack(
                    [x * y for x, y in zip(read(a, bits)[part], read(b, bits)[part], strict=True)],
                    2 * bits,
                )
            )
        rows[f"{wide}.extadd_pairwise_{narrow}_{letter}"] = lambda a, read=read: pack(
            pair_sums(read(a, bits)), 2 * bits
        )
        rows[f"{narrow}.narrow_{wide}_{letter}"] = lambda a, b, is_signed=is_signed: pack(
            [
                saturate(x, bits, is_signed)
                for x in signed_lanes(a, 2 * bits) + signed_lanes(b, 2 * bits)
            ],
            bits,
        )
    return rows


def pair_sums(values: list[int]) -> list[int]:
    return [x + y for x, y in zip(values[::2], values[1::2], strict=True)]


def _dot(a: V128, b: V128) -> V128:
    products = [x * y for x, y in zip(signed_lanes(a, 16), signed_lanes(b, 16), strict=True)]
    return pack(pair_sums(products), 32)


def _relaxed_dot(a: V128, b: V128) -> V128:
    """As PMADDUBSW does it: the second operand is unsigned, sums saturate."""
    products = [x * y for x, y in zip(signed_lanes(a, 8), lanes(b, 8), strict=True)]
    return pack([saturate(x, 16, True) for x in pair_sums(products)], 16)


def _relaxed_dot_add(a: V128, b: V128, c: V128) -> V128:
    sums = pair_sums(signed_lanes(_relaxed_dot(a, b), 16))
    return pack([x + y for x, y in zip(sums, signed_lanes(c, 32), strict=True)], 32)


def _q15mulr(x: int, y: int) -> int:
    return saturate((x * y + 0x4000) >> 15, 16, True)


def _bits(op: Callable[..., int]) -> Oracle:
    def run(*operands: V128) -> V128:
        return pack([op(*(int.from_bytes(v, "little") for v in operands))], 128)

    return run


def _swizzle(a: V128, b: V128) -> V128:
    return bytes(a[i] if i < 16 else 0 for i in b)


def _relaxed_swizzle(a: V128, b: V128) -> V128:
    """As PSHUFB does it: the top bit gives 0, otherwise the index is taken modulo 16."""
    return bytes(0 if i >= 128 else a[i % 16] for i in b)


# --- floating point -------------------------------------------------------------------------------


def _arithmetic(fmt: Float, op: Callable[..., FloatLane], *inputs: int) -> FloatLane:
    """One lane of an instruction that follows the specification's "NaN Propagation"."""
    nans = [x for x in inputs if fmt.is_nan(x)]
    if nans:
        return Nan.CANONICAL if all(map(fmt.is_canonical, nans)) else Nan.ARITHMETIC
    return op(*inputs)


def _float_op(bits: int, op: Callable[..., FloatLane]) -> Oracle:
    fmt = FLOATS[bits]

    def run(*operands: V128) -> FloatLanes:
        rows = zip(*(lanes(v, bits) for v in operands), strict=True)
        return FloatLanes(fmt, tuple(_arithmetic(fmt, op, *row) for row in rows))

    return run


def _divide(x: float, y: float) -> float:
    if y:
        return x / y
    if x == 0:
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def _square_root(x: float) -> float:
    return math.nan if x < 0 else math.sqrt(x)


def _rounding(op: Callable[[float], int]) -> Callable[[float], float]:
    def run(x: float) -> float:
        return x if math.isinf(x) else math.copysign(float(op(x)), x)

    return run


def _min(x: float, y: float) -> float:
    return min(x, y, key=lambda v: (v, math.copysign(1.0, v)))


def _max(x: float, y: float) -> float:
    return max(x, y, key=lambda v: (v, math.copysign(1.0, v)))


def _multiply_add(fmt: Float, negate: bool) -> Callable[[int, int, int], FloatLane]:
    """Fused, one rounding."""

    def run(a: int, b: int, c: int) -> FloatLane:
        x, y, z = (fmt.value(v) for v in (a ^ fmt.sign if negate else a, b, c))
        if not all(map(math.isfinite, (x, y, z))):
            result = z if math.isinf(z) and math.isfinite(x) and math.isfinite(y) else x * y + z
            return Nan.CANONICAL if math.isnan(result) else fmt.round(result)
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        if exact:
            return fmt.round_exact(exact)
        product_is_negative = math.copysign(1.0, x) != math.copysign(1.0, y)
        both_negative = product_is_negative and math.copysign(1.0, z) < 0
        if Fraction(z):
            return 0
        return fmt.sign if both_negative else 0

    return run


FLOAT_OPS: dict[str, Callable[..., float]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": _divide,
    "sqrt": _square_root,
    "min": _min,
    "max": _max,
    "ceil": _rounding(math.ceil),
    "floor": _rounding(math.floor),
    "trunc": _rounding(math.trunc),
    "nearest": _rounding(round),
}


def _computed(fmt: Float, op: Callable[..., float]) -> Callable[..., FloatLane]:
    def run(*inputs: int) -> FloatLane:
        result = op(*map(fmt.value, inputs))
        return Nan.CANONICAL if math.isnan(result) else fmt.round(result)

    return run


def _pseudo(bits: int, choose: Callable[[float, float], bool]) -> Oracle:
    """pmin, pmax and the relaxed forms: the second operand's bits if `choose`, else the first's."""
    fmt = FLOATS[bits]

    def lane(x: int, y: int) -> int:
        if fmt.is_nan(x) or fmt.is_nan(y):
            return y if choose(math.nan, math.nan) else x
        return y if choose(fmt.value(x), fmt.value(y)) else x

    return lambda a, b: pack(map(lane, lanes(a, bits), lanes(b, bits)), bits)


def _float_compare(bits: int, name: str) -> Oracle:
    fmt = FLOATS[bits]

    def lane(x: int, y: int) -> int:
        if fmt.is_nan(x) or fmt.is_nan(y):
            return -1 if name == "ne" else 0
        return -1 if COMPARISONS[name](fmt.value(x), fmt.value(y)) else 0

    return lambda a, b: pack(map(lane, lanes(a, bits), lanes(b, bits)), bits)


def _float_rows(shape: str, bits: int) -> dict[str, Oracle]:
    fmt = FLOATS[bits]
    rows: dict[str, Oracle] = {
        name: _float_op(bits, _computed(fmt, op)) for name, op in FLOAT_OPS.items()
    }
    rows |= {name: _float_compare(bits, name) for name in COMPARISONS}
    rows |= {
        "abs": lambda a: pack([x & ~fmt.sign for x in lanes(a, bits)], bits),
        "neg": lambda a: pack([x ^ fmt.sign for x in lanes(a, bits)], bits),
        "pmin": _pseudo(bits, lambda x, y: y < x),
        "pmax": _pseudo(bits, lambda x, y: x < y),
        # As MINPS and MAXPS do it: the second operand unless the first is smaller (larger).
        "relaxed_min": _pseudo(bits, lambda x, y: not x < y),
        "relaxed_max": _pseudo(bits, lambda x, y: not x > y),
        "relaxed_madd": _float_op(bits, _multiply_add(fmt, False)),
        "relaxed_nmadd": _float_op(bits, _multiply_add(fmt, True)),
        "splat": lambda x: pack([x] * (128 // bits), bits),
    }
    return {f"{shape}.{name}": oracle for name, oracle in rows.items()}


# --- conversions ----------------------------------------------------------------------------------


def _trunc_sat(bits: int, is_signed: bool) -> Oracle:
    fmt = FLOATS[bits]

    def lane(x: int) -> int:
        if fmt.is_nan(x):
            return 0
        value = fmt.value(x)
        if math.isinf(value):
            return saturate(-(1 << 64) if value < 0 else 1 << 64, 32, is_signed)
        return saturate(math.trunc(value), 32, is_signed)

    return lambda a: pack([*map(lane, lanes(a, bits)), 0, 0][:4], 32)


def _relaxed_trunc_s(bits: int) -> Oracle:
    """As CVTTPS2DQ does it: NaNs and everything out of range give the smallest integer."""
    fmt = FLOATS[bits]

    def lane(x: int) -> int:
        if not fmt.is_nan(x) and abs(fmt.value(x)) < 2**40:
            result = math.trunc(fmt.value(x))
            if saturate(result, 32, True) == result:
                return result
        return -(1 << 31)

    return lambda a: pack([*map(lane, lanes(a, bits)), 0, 0][:4], 32)


def _convert(fmt: Float, is_signed: bool) -> Oracle:
    read = signed_lanes if is_signed else lanes
    count = 128 // fmt.bits
    return lambda a: pack([fmt.round(float(x)) for x in read(a, 32)[:count]], fmt.bits)


def _change_format(source: Float, target: Float, inputs: int) -> Oracle:
    def lane(x: int) -> FloatLane:
        if source.is_nan(x):
            return Nan.CANONICAL if source.is_canonical(x) else Nan.ARITHMETIC
        return target.round(source.value(x))

    def run(a: V128) -> FloatLanes:
        got = [lane(x) for x in lanes(a, source.bits)[:inputs]]
        return FloatLanes(target, tuple(got + [0] * (128 // target.bits - inputs)))

    return run


ORACLE: dict[str, Oracle] = {
    **_integer_rows("i8x16", 8),
    **_integer_rows("i16x8", 16),
    **_integer_rows("i32x4", 32),
    **_integer_rows("i64x2", 64),
    **_widening_rows("i16x8", "i8x16", 8),
    **_widening_rows("i32x4", "i16x8", 16),
    **_widening_rows("i64x2", "i32x4", 32),
    **_float_rows("f32x4", 32),
    **_float_rows("f64x2", 64),
    "v128.not": _bits(lambda x: ~x),
    "v128.and": _bits(lambda x, y: x & y),
    "v128.andnot": _bits(lambda x, y: x & ~y),
    "v128.or": _bits(lambda x, y: x | y),
    "v128.xor": _bits(lambda x, y: x ^ y),
    "v128.bitselect": _bits(lambda x, y, m: (x & m) | (y & ~m)),
    "v128.any_true": lambda a: int(any(a)),
    "i8x16.swizzle": _swizzle,
    "i8x16.relaxed_swizzle": _relaxed_swizzle,
    "i32x4.dot_i16x8_s": _dot,
    "i16x8.q15mulr_sat_s": _binary(16, _q15mulr),
    # As PMULHRSW does it: only -1 * -1 overflows, and wraps.
    "i16x8.relaxed_q15mulr_s": _binary(16, lambda x, y: (x * y + 0x4000) >> 15),
    "i16x8.relaxed_dot_i8x16_i7x16_s": _relaxed_dot,
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": _relaxed_dot_add,
    "i32x4.trunc_sat_f32x4_s": _trunc_sat(32, True),
    "i32x4.trunc_sat_f32x4_u": _trunc_sat(32, False),
    "i32x4.trunc_sat_f64x2_s_zero": _trunc_sat(64, True),
    "i32x4.trunc_sat_f64x2_u_zero": _trunc_sat(64, False),
    "i32x4.relaxed_trunc_f32x4_s": _relaxed_trunc_s(32),
    "i32x4.relaxed_trunc_f32x4_u": _trunc_sat(32, False),
    "i32x4.relaxed_trunc_f64x2_s_zero": _relaxed_trunc_s(64),
    "i32x4.relaxed_trunc_f64x2_u_zero": _trunc_sat(64, False),
    "f32x4.convert_i32x4_s": _convert(F32, True),
    "f32x4.convert_i32x4_u": _convert(F32, False),
    "f64x2.convert_low_i32x4_s": _convert(F64, True),
    "f64x2.convert_low_i32x4_u": _convert(F64, False),
    "f32x4.demote_f64x2_zero": _change_format(F64, F32, 2),
    "f64x2.promote_low_f32x4": _change_format(F32, F64, 2),
}
"""Every instruction that maps vectors (and a scalar) to a vector or a scalar without an
immediate. Shapes without an instruction (i8x16.mul) have a row too; nobody asks for it."""
