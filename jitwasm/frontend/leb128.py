"""LEB128 integers (specification: Binary Format, "Integers").

Every function takes the bytes, where to start and where the data ends, and returns the value and
the position behind it. An N-bit integer takes at most ceil(N / 7) bytes, and the bits of the last
byte that do not fit must be zeros, or copies of the sign: anything else is malformed.

`base` is the module offset of `data[0]`; it serves error messages only.
"""

from __future__ import annotations

from jitwasm.errors import MalformedError

__all__ = ["UNEXPECTED_END", "read_signed", "read_unsigned"]

UNEXPECTED_END = "unexpected end of section or function"


def read_unsigned(
    data: bytes, pos: int, end: int, bits: int = 32, base: int = 0
) -> tuple[int, int]:
    """An unsigned integer of `bits` bits: (value, position behind it)."""
    start = pos
    result = shift = 0
    while pos < end:
        byte = data[pos]
        pos += 1
        if byte < 0x80:
            if shift + 7 > bits and byte >> (bits - shift):
                raise MalformedError("integer too large", base + start)
            return result | byte << shift, pos
        result |= (byte & 0x7F) << shift
        shift += 7
        if shift >= bits:
            raise MalformedError("integer representation too long", base + start)
    raise MalformedError(UNEXPECTED_END, base + end)


def read_signed(data: bytes, pos: int, end: int, bits: int = 32, base: int = 0) -> tuple[int, int]:
    """A signed integer of `bits` bits: (value, position behind it)."""
    start = pos
    result = shift = 0
    while pos < end:
        byte = data[pos]
        pos += 1
        if byte < 0x80:
            # Seven bits, sign-extended, so that what does not fit must equal the sign.
            part = byte - ((byte & 0x40) << 1)
            if shift + 7 > bits and part >> (bits - shift - 1) not in (0, -1):
                raise MalformedError("integer too large", base + start)
            return result | part << shift, pos
        result |= (byte & 0x7F) << shift
        shift += 7
        if shift >= bits:
            raise MalformedError("integer representation too long", base + start)
    raise MalformedError(UNEXPECTED_END, base + end)
