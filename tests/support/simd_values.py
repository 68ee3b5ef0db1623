"""Operands for tests of vector instructions: edge values of every lane width, and random bits."""

from __future__ import annotations

import random

from jitwasm.types import V128, ValType

__all__ = ["EDGES", "FLOAT_EDGES", "cases", "vector"]

_F32 = """
00000000 80000000 3f800000 bf800000 7f800000 ff800000 7fc00000 ffc00000 7f800001 ffa00000 7fc00001
00000001 80000001 007fffff 00800000 7f7fffff ff7fffff 3f000000 bf000000 3effffff 3fc00000 40200000
4b000001 4b800001 4effffff 4f000000 4f000001 cf000000 cf000001 4f7fffff 4f800000 bf7fffff 5f000000
"""
_F64 = """
0000000000000000 8000000000000000 3ff0000000000000 bff0000000000000 7ff0000000000000
fff0000000000000 7ff8000000000000 fff8000000000000 7ff0000000000001 fff4000000000000
7ff8000000000001 7ff0000010000000 0000000000000001 8000000000000001 000fffffffffffff
7fefffffffffffff 3fe0000000000000 bfe0000000000000 3fdfffffffffffff 3ff8000000000000
4004000000000000 4330000000000001 41dfffffffc00000 41dfffffffe00000 41e0000000000000
c1e0000000000000 c1e00000001fffff c1e0000000200000 41efffffffe00000 41effffffff00000
41f0000000000000 bfefffffffffffff 47efffffe0000000 47efffffefffffff 47effffff0000000
36a0000000000000 3690000000000000 3690000000000001 380fffffffffffff 43e0000000000000
"""

FLOAT_EDGES: dict[int, tuple[int, ...]] = {
    32: tuple(int(word, 16) for word in _F32.split()),
    64: tuple(int(word, 16) for word in _F64.split()),
}
"""Bits by width: zeros, ones, infinities, quiet and signalling NaNs, subnormal numbers, ties,
the ends of the integers' ranges and of the narrower format's."""

EDGES: dict[int, tuple[int, ...]] = {
    8: (0, 1, 2, 15, 16, 0x70, 0x7F, 0x80, 0x81, 0x8F, 0xF0, 0xFF),
    16: (0, 1, 0xFF, 0x100, 0x4000, 0x7FFF, 0x8000, 0x8001, 0xFF80, 0xFFFF),
    32: (1, 0x7FFF, 0x8000, 0x10000, 0x7FFFFFFF, 0xFFFF8000, 0xFFFFFFFF, *FLOAT_EDGES[32]),
    64: (1, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1, *FLOAT_EDGES[64]),
}


def vector(rng: random.Random, widths: tuple[int, ...] = (8, 16, 32, 64)) -> bytes:
    """A v128 with lanes of one of the widths: edge values and random bits, mixed."""
    bits = rng.choice(widths)
    lanes = (
        rng.choice(EDGES[bits]) if rng.random() < 0.6 else rng.getrandbits(bits)
        for _ in range(128 // bits)
    )
    return b"".join(lane.to_bytes(bits // 8, "little") for lane in lanes)


def cases(
    rng: random.Random, mnemonic: str, params: tuple[ValType, ...], count: int
) -> list[list[int | bytes]]:
    """Operands for an instruction; float instructions get float lanes only."""
    widths = tuple(bits for bits in (32, 64) if f"f{bits}" in mnemonic) or (8, 16, 32, 64)

    def operand(type_: ValType) -> int | bytes:
        value = vector(rng, widths)
        return value if type_ is V128 else int.from_bytes(value[: type_.size], "little")

    return [[operand(type_) for type_ in params] for _ in range(count)]
