"""Relaxed vector instructions (specification: "Vector Instructions", relaxed operators).

The specification leaves some results to the implementation. Here each has one result on every
machine and at every opt level, the one that x86 computes with the fewest instructions:

    relaxed_swizzle       PSHUFB: index >= 128 gives 0, otherwise it is taken modulo 16
    relaxed_trunc  signed CVTTPS2DQ: NaN and out of range give the smallest integer
                 unsigned saturates, as trunc_sat does: x86 has no instruction before AVX-512
    relaxed_madd, nmadd   fused, one rounding
    relaxed_laneselect    BLENDV: the mask lane's top bit decides
    relaxed_min, max      MINPS: the second operand unless the first is smaller
    relaxed_q15mulr       PMULHRSW: -1 * -1 wraps
    relaxed_dot           PMADDUBSW: the second operand is unsigned, sums of pairs saturate
"""

from __future__ import annotations

from jitwasm.frontend.emit.simd_convert import TRUNC_SAT
from jitwasm.frontend.emit.simd_float import min_max
from jitwasm.frontend.emit.simd_integer import PMADDUBSW, PMADDWD, PMULHRSW
from jitwasm.frontend.emit.simd_recipe import (
    INT_SHAPES,
    LANES,
    Recipe,
    for_shapes,
    recipe,
    rows,
    shuffle_mask,
)

__all__ = ["HANDLERS"]

_FLOATS = (LANES["f32x4"], LANES["f64x2"])

_SELECTS: dict[str, Recipe] = {
    **for_shapes(
        INT_SHAPES,
        "lanes lanes lanes -> lanes",
        {
            "relaxed_laneselect": (
                "icmp slt {v} $z, zeroinitializer",
                "select {m} $0, {v} $x, {v} $y",
            )
        },
    ),
    **for_shapes(
        _FLOATS,
        "lanes lanes -> lanes",
        {
            "relaxed_min": ("fcmp olt {v} $x, $y", "select {m} $0, {v} $x, {v} $y"),
            "relaxed_max": ("fcmp ogt {v} $x, $y", "select {m} $0, {v} $x, {v} $y"),
        },
    ),
}

# Not llvm.fmuladd: it fuses where the machine can, and constants everywhere, so the two would
# differ on a machine without FMA.
_MULTIPLY_ADDS = for_shapes(
    _FLOATS,
    "lanes lanes lanes -> lanes",
    {
        "relaxed_madd": "call {v} @llvm.fma.{s}({v} $x, {v} $y, {v} $z)",
        "relaxed_nmadd": ("fneg {v} $x", "call {v} @llvm.fma.{s}({v} $0, {v} $y, {v} $z)"),
    },
)

_DOT_STEPS = (
    # The bytes of a 16-bit lane, extended in place: even and odd ones of each operand.
    "shl <8 x i16> $0, splat (i16 8)",
    "ashr <8 x i16> $2, splat (i16 8)",
    "and <8 x i16> $1, splat (i16 255)",
    "mul <8 x i16> $3, $4",
    "ashr <8 x i16> $0, splat (i16 8)",
    "lshr <8 x i16> $1, splat (i16 8)",
    "mul <8 x i16> $6, $7",
    "call <8 x i16> @llvm.sadd.sat.v8i16(<8 x i16> $5, <8 x i16> $8)",
)
_DOT_VIEWS = ("bitcast <16 x i8> $x to <8 x i16>", "bitcast <16 x i8> $y to <8 x i16>")

_PORTABLE: dict[str, Recipe] = {
    "i32x4.relaxed_trunc_f32x4_s": recipe(
        "f32x4 -> i32x4",
        "fcmp oge <4 x float> $x, splat (float -2147483648.0)",
        "fcmp olt <4 x float> $x, splat (float 2147483648.0)",
        "and <4 x i1> $0, $1",
        "fptosi <4 x float> $x to <4 x i32>",
        "select <4 x i1> $2, <4 x i32> $3, <4 x i32> splat (i32 -2147483648)",
    ),
    "i32x4.relaxed_trunc_f64x2_s_zero": recipe(
        "f64x2 -> i32x4",
        "fcmp ogt <2 x double> $x, splat (double -2147483649.0)",
        "fcmp olt <2 x double> $x, splat (double 2147483648.0)",
        "and <2 x i1> $0, $1",
        "fptosi <2 x double> $x to <2 x i32>",
        "select <2 x i1> $2, <2 x i32> $3, <2 x i32> splat (i32 -2147483648)",
        "shufflevector <2 x i32> $4, <2 x i32> zeroinitializer, " + shuffle_mask(range(4)),
    ),
    "i32x4.relaxed_trunc_f32x4_u": TRUNC_SAT["i32x4.trunc_sat_f32x4_u"],
    "i32x4.relaxed_trunc_f64x2_u_zero": TRUNC_SAT["i32x4.trunc_sat_f64x2_u_zero"],
    "i16x8.relaxed_q15mulr_s": recipe(
        "i16x8 i16x8 -> i16x8",
        "sext <8 x i16> $x to <8 x i32>",
        "sext <8 x i16> $y to <8 x i32>",
        "mul <8 x i32> $0, $1",
        "add <8 x i32> $2, splat (i32 16384)",
        "ashr <8 x i32> $3, splat (i32 15)",
        "trunc <8 x i32> $4 to <8 x i16>",
    ),
    "i16x8.relaxed_dot_i8x16_i7x16_s": recipe("i8x16 i8x16 -> i16x8", *_DOT_VIEWS, *_DOT_STEPS),
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": recipe(
        "i8x16 i8x16 i32x4 -> i32x4",
        *_DOT_VIEWS,
        *_DOT_STEPS,
        "bitcast <8 x i16> $9 to <4 x i32>",
        "shl <4 x i32> $10, splat (i32 16)",
        "ashr <4 x i32> $11, splat (i32 16)",
        "ashr <4 x i32> $10, splat (i32 16)",
        "add <4 x i32> $12, $13",
        "add <4 x i32> $14, $z",
    ),
}

_X86: dict[str, Recipe] = {
    **{
        f"{shape.name}.relaxed_{name}": recipe(
            f"{shape.name} {shape.name} -> {shape.name}", min_max(shape, name, "$x", "$y")
        )
        for shape in _FLOATS
        for name in ("min", "max")
    },
    "i32x4.relaxed_trunc_f32x4_s": recipe(
        "f32x4 -> i32x4", "call <4 x i32> @llvm.x86.sse2.cvttps2dq(<4 x float> $x)"
    ),
    "i32x4.relaxed_trunc_f64x2_s_zero": recipe(
        "f64x2 -> i32x4", "call <4 x i32> @llvm.x86.sse2.cvttpd2dq(<2 x double> $x)"
    ),
    "i16x8.relaxed_q15mulr_s": recipe("i16x8 i16x8 -> i16x8", PMULHRSW),
    "i16x8.relaxed_dot_i8x16_i7x16_s": recipe("i8x16 i8x16 -> i16x8", PMADDUBSW.format("$y", "$x")),
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": recipe(
        "i8x16 i8x16 i32x4 -> i32x4",
        PMADDUBSW.format("$y", "$x"),
        PMADDWD.format("$0", "splat (i16 1)"),
        "add <4 x i32> $1, $z",
    ),
}

HANDLERS = {
    **rows({**_SELECTS, **_PORTABLE}, _X86),
    **rows(_MULTIPLY_ADDS, quieting=True),
}
