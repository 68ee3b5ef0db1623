"""IEEE 754 binary32 and binary64 as bit patterns, rounded exactly.

Everything is an integer (the bits) or a `Fraction` (the real number), so nothing here depends on
what the host's floating point does with NaN payloads, double rounding or subnormal numbers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["F32", "F64", "FloatFormat", "f32_of_python", "python_of_f32", "python_of_f64"]


@dataclass(frozen=True)
class FloatFormat:
    """One binary interchange format of `width` bits with `fraction_bits` of them stored."""

    name: str
    width: int
    fraction_bits: int

    @property
    def exponent_bits(self) -> int:
        return self.width - 1 - self.fraction_bits

    @property
    def bias(self) -> int:
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def sign_mask(self) -> int:
        return 1 << (self.width - 1)

    @property
    def infinity(self) -> int:
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    @property
    def quiet_bit(self) -> int:
        return 1 << (self.fraction_bits - 1)

    @property
    def canonical_nan(self) -> int:
        return self.infinity | self.quiet_bit

    def magnitude(self, bits: int) -> int:
        return bits & (self.sign_mask - 1)

    def is_negative(self, bits: int) -> bool:
        return bool(bits & self.sign_mask)

    def is_nan(self, bits: int) -> bool:
        return self.magnitude(bits) > self.infinity

    def is_infinite(self, bits: int) -> bool:
        return self.magnitude(bits) == self.infinity

    def is_zero(self, bits: int) -> bool:
        return self.magnitude(bits) == 0

    def is_canonical_nan(self, bits: int) -> bool:
        return self.magnitude(bits) == self.canonical_nan

    def is_arithmetic_nan(self, bits: int) -> bool:
        return self.is_nan(bits) and bool(bits & self.quiet_bit)

    def value(self, bits: int) -> Fraction:
        """The real number that finite `bits` stand for (both zeros are 0)."""
        magnitude = self.magnitude(bits)
        if magnitude >= self.infinity:
            raise ValueError(f"{bits:#x} is not finite")
        exponent = magnitude >> self.fraction_bits
        fraction = magnitude & ((1 << self.fraction_bits) - 1)
        if exponent:
            fraction |= 1 << self.fraction_bits
        scale = max(exponent, 1) - self.bias - self.fraction_bits
        number = Fraction(fraction) * (Fraction(2) ** scale)
        return -number if self.is_negative(bits) else number

    def round(self, number: Fraction | int, negative_zero: bool = False) -> int:
        """The bits nearest to `number`, ties to even; too large a number becomes infinity.

        A zero result has the sign of `number`, or of `negative_zero` where `number` is 0.
        """
        number = Fraction(number)
        sign = self.sign_mask if number < 0 or (number == 0 and negative_zero) else 0
        number = abs(number)
        if number == 0:
            return sign
        return sign | self._round_magnitude(number)

    def _round_magnitude(self, number: Fraction) -> int:
        # 2**exponent <= number < 2**(exponent + 1)
        exponent = number.numerator.bit_length() - number.denominator.bit_length()
        if Fraction(2) ** exponent > number:
            exponent -= 1
        exponent = max(exponent, 1 - self.bias)
        scaled = number / (Fraction(2) ** (exponent - self.fraction_bits))
        fraction = round(scaled)  # Fraction rounds ties to even
        # A subnormal number has no implicit bit; a carry out of the fraction moves to the next
        # exponent by plain addition, and from the largest one to infinity.
        bits = ((exponent + self.bias - 1) << self.fraction_bits) + fraction
        return min(bits, self.infinity)

    def parse(self, text: str) -> int:
        """The bits of a number in the text format: decimal, hexadecimal, inf, nan, nan:0x…"""
        sign = self.sign_mask if text.startswith("-") else 0
        body = text.lstrip("+-").replace("_", "")
        if body == "inf":
            return sign | self.infinity
        if body == "nan":
            return sign | self.canonical_nan
        if body.startswith("nan:0x"):
            return sign | self.infinity | int(body[4:], 16)
        return sign | self.round(_parse_real(body))


F32 = FloatFormat("f32", 32, 23)
F64 = FloatFormat("f64", 64, 52)


def _parse_real(text: str) -> Fraction:
    if not text.lower().startswith("0x"):
        whole, _, exponent = text.lower().partition("e")
        return _digits(whole, 10) * Fraction(10) ** int(exponent or 0)
    whole, _, exponent = text[2:].lower().partition("p")
    return _digits(whole, 16) * Fraction(2) ** int(exponent or 0)


def _digits(text: str, base: int) -> Fraction:
    whole, _, fraction = text.partition(".")
    return Fraction(int((whole + fraction) or "0", base), base ** len(fraction))


def python_of_f64(bits: int) -> float:
    """The Python float with these bits (a copy: payloads and the quiet bit survive)."""
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


def python_of_f32(bits: int) -> float:
    """The Python float that stands for an f32: a NaN's payload goes to the payload's top bits.

    Widening by a conversion instruction would set the quiet bit, so NaNs are widened here by bits.
    """
    if F32.is_nan(bits):
        sign = (bits & F32.sign_mask) << 32
        return python_of_f64(sign | F64.infinity | (bits & 0x7FFFFF) << 29)
    value: float = struct.unpack("<f", struct.pack("<I", bits))[0]
    return value


def f32_of_python(value: float) -> int:
    """The bits of the f32 that a Python float stands for; the inverse of `python_of_f32`."""
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    if F64.is_nan(bits):
        payload = (bits >> 29) & 0x7FFFFF
        return (bits >> 32) & F32.sign_mask | F32.infinity | (payload or F32.quiet_bit)
    if F64.is_infinite(bits):
        return (bits >> 32) & F32.sign_mask | F32.infinity
    return F32.round(F64.value(bits), negative_zero=F64.is_negative(bits))
