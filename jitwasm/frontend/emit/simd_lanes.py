"""Constants, shuffles and single lanes (specification: "Vector Instructions", vconst, shuffle,
swizzle, splat, extract_lane and replace_lane).

These read their immediates themselves. Lane indices are checked here ("invalid lane index").
"""

from __future__ import annotations

import struct

from jitwasm.errors import InvalidError
from jitwasm.frontend.emit.function import FunctionEmitter
from jitwasm.frontend.emit.simd_recipe import (
    LANES,
    Handler,
    Lanes,
    Recipe,
    constant,
    push_lanes,
    recipe,
    rows,
    shuffle_mask,
    view,
)
from jitwasm.types import F64, V128, ValType

__all__ = ["HANDLERS", "lane_index", "splat_value"]

I8X16 = LANES["i8x16"].ir


def lane_index(f: FunctionEmitter, pos: int, shape: Lanes) -> int:
    """The lane index at `pos`."""
    lane = f.code[pos]
    if lane >= shape.count:
        raise InvalidError(f"invalid lane index {lane}")
    return lane


def const(f: FunctionEmitter, pos: int, row: None) -> int:
    f.push(V128, constant(f.take(pos, 16)))
    return pos + 16


def shuffle(f: FunctionEmitter, pos: int, row: None) -> int:
    picks = f.take(pos, 16)
    if max(picks) >= 32:
        raise InvalidError(f"invalid lane index {max(picks)}")
    y, x = f.pop(V128), f.pop(V128)
    # An operand without a lane in the result may be a load, which must still trap.
    if min(picks) >= 16 and x != y:
        f.keep(V128, x)
    if max(picks) < 16 and x != y:
        f.keep(V128, y)
    operands = f"{I8X16} {view(f, x, I8X16)}, {I8X16} {view(f, y, I8X16)}"
    push_lanes(f, f.op(f"shufflevector {operands}, {shuffle_mask(picks)}"), I8X16)
    return pos + 16


def splat(f: FunctionEmitter, pos: int, shape: Lanes) -> int:
    val = f.pop(shape.scalar)
    if val[0] == "%":
        push_lanes(f, splat_value(f, shape, _narrow(f, shape, val)), shape.ir)
    else:
        # A literal stays one, so that `emit_quieting` sees its lanes.
        bits = literal_bits(val, shape.scalar) & (1 << shape.bits) - 1
        f.push(V128, constant(bits.to_bytes(shape.bits // 8, "little") * shape.count))
    return pos


def splat_value(f: FunctionEmitter, shape: Lanes, val: str) -> str:
    """`val`, of the lane's type, in every lane."""
    one = f.op(f"insertelement {shape.ir} poison, {shape.lane} {val}, i64 0")
    zeros = f"<{shape.count} x i32> zeroinitializer"
    return f.op(f"shufflevector {shape.ir} {one}, {shape.ir} poison, {zeros}")


def literal_bits(val: str, type_: ValType) -> int:
    """The bits of a scalar literal; LLVM writes an f32 as the f64 of the same value."""
    if val in ("0.0", "poison"):
        return 0
    if not type_.is_float:
        return int(val)
    bits = int(val, 16)
    if type_ is F64:
        return bits
    (number,) = struct.unpack("<d", bits.to_bytes(8, "little"))
    return int.from_bytes(struct.pack("<f", number), "little")


def _narrow(f: FunctionEmitter, shape: Lanes, val: str) -> str:
    """A scalar operand as a lane: i8 and i16 lanes are i32 on the stack."""
    return f.op(f"trunc i32 {val} to {shape.lane}") if shape.bits < 32 else val


def extract_lane(f: FunctionEmitter, pos: int, row: tuple[Lanes, str]) -> int:
    shape, extend = row
    lane = lane_index(f, pos, shape)
    lanes = view(f, f.pop(V128), shape.ir)
    val = f.op(f"extractelement {shape.ir} {lanes}, i64 {lane}")
    if extend:
        val = f.op(f"{extend} {shape.lane} {val} to i32")
    f.push(shape.scalar, val)
    return pos + 1


def replace_lane(f: FunctionEmitter, pos: int, shape: Lanes) -> int:
    lane = lane_index(f, pos, shape)
    val = _narrow(f, shape, f.pop(shape.scalar))
    lanes = view(f, f.pop(V128), shape.ir)
    replaced = f"insertelement {shape.ir} {lanes}, {shape.lane} {val}, i64 {lane}"
    push_lanes(f, f.op(replaced), shape.ir)
    return pos + 1


def _permute(index: str) -> list[str]:
    """Steps 1 to 48 of a portable swizzle: lane $x[index] for each lane of the i8x16 step `index`.

    Lane by lane, as generic IR must. For x86 LLVM makes one PSHUFB of it at every opt level, for
    other targets it does not. The indices must be below 16.
    """
    steps: list[str] = []
    result = "poison"
    for lane in range(16):
        at = 1 + len(steps)
        steps.append(f"extractelement {I8X16} {index}, i64 {lane}")
        steps.append(f"extractelement {I8X16} $x, i8 ${at}")
        steps.append(f"insertelement {I8X16} {result}, i8 ${at + 1}, i64 {lane}")
        result = f"${at + 2}"
    return steps


def _swizzle(in_range: str) -> Recipe:
    return recipe(
        "i8x16 i8x16 -> i8x16",
        f"and {I8X16} $y, splat (i8 15)",
        *_permute("$0"),
        in_range,
        f"select <16 x i1> $49, {I8X16} $48, {I8X16} zeroinitializer",
    )


_PSHUFB = f"call {I8X16} @llvm.x86.ssse3.pshuf.b.128({I8X16} $x, {I8X16} {{0}})"
"""The lane's top bit gives 0; otherwise the index is taken modulo 16."""

_SWIZZLES = {
    "i8x16.swizzle": _swizzle(f"icmp ult {I8X16} $y, splat (i8 16)"),
    "i8x16.relaxed_swizzle": _swizzle(f"icmp sge {I8X16} $y, zeroinitializer"),
}
_SWIZZLES_X86 = {
    # The saturating sum sets the top bit of every index of 16 and more.
    "i8x16.swizzle": recipe(
        "i8x16 i8x16 -> i8x16",
        f"call {I8X16} @llvm.uadd.sat.v16i8({I8X16} $y, {I8X16} splat (i8 112))",
        _PSHUFB.format("$0"),
    ),
    "i8x16.relaxed_swizzle": recipe("i8x16 i8x16 -> i8x16", _PSHUFB.format("$y")),
}


def _lane_handlers() -> dict[str, tuple[Handler, object]]:
    made: dict[str, tuple[Handler, object]] = {}
    for name, shape in LANES.items():
        made[f"{name}.splat"] = (splat, shape)
        made[f"{name}.replace_lane"] = (replace_lane, shape)
        if shape.bits < 32:
            made[f"{name}.extract_lane_s"] = (extract_lane, (shape, "sext"))
            made[f"{name}.extract_lane_u"] = (extract_lane, (shape, "zext"))
        else:
            made[f"{name}.extract_lane"] = (extract_lane, (shape, ""))
    return made


HANDLERS: dict[str, tuple[Handler, object]] = {
    "v128.const": (const, None),
    "i8x16.shuffle": (shuffle, None),
    **_lane_handlers(),
    **rows(_SWIZZLES, _SWIZZLES_X86),
}
