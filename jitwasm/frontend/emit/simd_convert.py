"""Conversions between shapes (specification: "Vector Instructions", vcvtop and narrow).

Float to integer saturates. `llvm.fptosi.sat` says just that, but LLVM 22 takes vectors apart for
it, so values are brought into the range first, or lanes that are out of it are replaced after:
a lane of `fptosi` that is poison is never selected.
"""

from __future__ import annotations

from jitwasm.frontend.emit.function import FunctionEmitter
from jitwasm.frontend.emit.simd_recipe import (
    LANES,
    Handler,
    Recipe,
    fence,
    half_mask,
    push_lanes,
    recipe,
    rows,
    shuffle_mask,
    view,
)
from jitwasm.types import V128

__all__ = ["HANDLERS", "TRUNC_SAT"]

_FIRST_TWO = shuffle_mask((0, 1))
_ZERO_UPPER = shuffle_mask((0, 1, 2, 3))
"""With a zero vector of two lanes as second operand: two lanes, then zeros."""

TRUNC_SAT: dict[str, Recipe] = {
    "i32x4.trunc_sat_f32x4_s": recipe(
        "f32x4 -> i32x4",
        # MAXPS; a NaN becomes the bound here and 0 in the end.
        "fcmp ogt <4 x float> $x, splat (float -2147483648.0)",
        "select <4 x i1> $0, <4 x float> $x, <4 x float> splat (float -2147483648.0)",
        "fptosi <4 x float> $1 to <4 x i32>",
        # 2**31 - 1 is not an f32, so the upper bound needs a select.
        "fcmp oge <4 x float> $x, splat (float 2147483648.0)",
        "select <4 x i1> $3, <4 x i32> splat (i32 2147483647), <4 x i32> $2",
        "fcmp ord <4 x float> $x, $x",
        "select <4 x i1> $5, <4 x i32> $4, <4 x i32> zeroinitializer",
    ),
    "i32x4.trunc_sat_f32x4_u": recipe(
        "f32x4 -> i32x4",
        # MAXPS, which makes 0 of a NaN.
        "fcmp ogt <4 x float> $x, zeroinitializer",
        "select <4 x i1> $0, <4 x float> $x, <4 x float> zeroinitializer",
        "fptoui <4 x float> $1 to <4 x i32>",
        "fcmp oge <4 x float> $x, splat (float 4294967296.0)",
        "select <4 x i1> $3, <4 x i32> splat (i32 -1), <4 x i32> $2",
    ),
    "i32x4.trunc_sat_f64x2_s_zero": recipe(
        "f64x2 -> i32x4",
        # MINPD takes its second operand where the first is a NaN: make that 0.
        "fcmp ord <2 x double> $x, $x",
        "select <2 x i1> $0, <2 x double> splat (double 2147483647.0), "
        "<2 x double> zeroinitializer",
        "fcmp olt <2 x double> $x, $1",
        "select <2 x i1> $2, <2 x double> $x, <2 x double> $1",
        "fcmp ogt <2 x double> $3, splat (double -2147483648.0)",
        "select <2 x i1> $4, <2 x double> $3, <2 x double> splat (double -2147483648.0)",
        "fptosi <2 x double> $5 to <2 x i32>",
        f"shufflevector <2 x i32> $6, <2 x i32> zeroinitializer, {_ZERO_UPPER}",
    ),
    "i32x4.trunc_sat_f64x2_u_zero": recipe(
        "f64x2 -> i32x4",
        "fcmp ogt <2 x double> $x, zeroinitializer",
        "select <2 x i1> $0, <2 x double> $x, <2 x double> zeroinitializer",
        "fcmp olt <2 x double> $1, splat (double 4294967295.0)",
        "select <2 x i1> $2, <2 x double> $1, <2 x double> splat (double 4294967295.0)",
        "fptoui <2 x double> $3 to <2 x i32>",
        f"shufflevector <2 x i32> $4, <2 x i32> zeroinitializer, {_ZERO_UPPER}",
    ),
}

_TO_FLOAT: dict[str, Recipe] = {
    "f32x4.convert_i32x4_s": recipe("i32x4 -> f32x4", "sitofp <4 x i32> $x to <4 x float>"),
    "f32x4.convert_i32x4_u": recipe("i32x4 -> f32x4", "uitofp <4 x i32> $x to <4 x float>"),
    "f64x2.convert_low_i32x4_s": recipe(
        "i32x4 -> f64x2",
        f"shufflevector <4 x i32> $x, <4 x i32> poison, {_FIRST_TWO}",
        "sitofp <2 x i32> $0 to <2 x double>",
    ),
    "f64x2.convert_low_i32x4_u": recipe(
        "i32x4 -> f64x2",
        f"shufflevector <4 x i32> $x, <4 x i32> poison, {_FIRST_TWO}",
        "uitofp <2 x i32> $0 to <2 x double>",
    ),
    "f64x2.promote_low_f32x4": recipe(
        "f32x4 -> f64x2",
        f"shufflevector <4 x float> $x, <4 x float> poison, {_FIRST_TWO}",
        "fpext <2 x float> $0 to <2 x double>",
    ),
}


def demote(f: FunctionEmitter, pos: int, row: object) -> int:
    """f32x4.demote_f64x2_zero.

    LLVM cancels a truncation against an extension it can see, through `neg` and `select` too, and
    a signalling NaN would come out as it went in. The fence hides the extension.
    """
    wide = LANES["f64x2"].ir
    val = fence(f, wide, view(f, f.pop(V128), wide))
    narrow = f.op(f"fptrunc {wide} {val} to <2 x float>")
    ir = LANES["f32x4"].ir
    lanes = f"shufflevector <2 x float> {narrow}, <2 x float> zeroinitializer, {_ZERO_UPPER}"
    push_lanes(f, f.op(lanes), ir)
    return pos


_WIDENINGS = (("i8x16", "i16x8"), ("i16x8", "i32x4"), ("i32x4", "i64x2"))


def _extensions() -> dict[str, Recipe]:
    made: dict[str, Recipe] = {}
    for narrow, wide in _WIDENINGS:
        source, target = LANES[narrow], LANES[wide]
        half = f"<{target.count} x {source.lane}>"
        for part, sign in (("low", "s"), ("low", "u"), ("high", "s"), ("high", "u")):
            extend = "sext" if sign == "s" else "zext"
            made[f"{wide}.extend_{part}_{narrow}_{sign}"] = recipe(
                f"{narrow} -> {wide}",
                f"shufflevector {source.ir} $x, {source.ir} poison, {half_mask(source, part)}",
                f"{extend} {half} $0 to {target.ir}",
            )
    return made


def _narrowings() -> dict[str, Recipe]:
    made: dict[str, Recipe] = {}
    for narrow, wide in _WIDENINGS[:2]:
        source, target = LANES[wide], LANES[narrow]
        both = f"<{target.count} x {source.lane}>"
        suffix = f"v{target.count}i{source.bits}"
        signed_range = (-(1 << (target.bits - 1)), (1 << (target.bits - 1)) - 1)
        for sign, (low, high) in (("s", signed_range), ("u", (0, (1 << target.bits) - 1))):
            made[f"{narrow}.narrow_{wide}_{sign}"] = recipe(
                f"{wide} {wide} -> {narrow}",
                f"shufflevector {source.ir} $x, {source.ir} $y, "
                + shuffle_mask(range(target.count)),
                f"call {both} @llvm.smax.{suffix}({both} $0, {both} {source.splat(low)})",
                f"call {both} @llvm.smin.{suffix}({both} $1, {both} {source.splat(high)})",
                f"trunc {both} $2 to {target.ir}",
            )
    return made


def _pack(narrow: str, wide: str, intrinsic: str) -> Recipe:
    source, target = LANES[wide].ir, LANES[narrow].ir
    return recipe(
        f"{wide} {wide} -> {narrow}",
        f"call {target} @llvm.x86.{intrinsic}({source} $x, {source} $y)",
    )


_X86: dict[str, Recipe] = {
    "i8x16.narrow_i16x8_s": _pack("i8x16", "i16x8", "sse2.packsswb.128"),
    "i8x16.narrow_i16x8_u": _pack("i8x16", "i16x8", "sse2.packuswb.128"),
    "i16x8.narrow_i32x4_s": _pack("i16x8", "i32x4", "sse2.packssdw.128"),
}
"""The unsigned one of i32x4 would need SSE4.1; LLVM finds PACKUSDW where it exists."""

HANDLERS: dict[str, tuple[Handler, object]] = {
    **rows({**TRUNC_SAT, **_TO_FLOAT, **_extensions(), **_narrowings()}, _X86),
    "f32x4.demote_f64x2_zero": (demote, None),
}
