"""Integer arithmetic on lanes, from `add` to dot products (specification: "Vector Instructions",
the operators viunop, vibinop, viminmaxop, visatbinop, vextunop and vextbinop).

Everything wraps; no step carries a no-wrap flag, so no lane is ever poison.
"""

from __future__ import annotations

from jitwasm.frontend.emit.simd_recipe import (
    INT_SHAPES,
    LANES,
    Recipe,
    for_shapes,
    half_mask,
    recipe,
    rows,
)

__all__ = ["HANDLERS", "PMADDUBSW", "PMADDWD", "PMULHRSW"]

PMADDUBSW = "call <8 x i16> @llvm.x86.ssse3.pmadd.ub.sw.128(<16 x i8> {0}, <16 x i8> {1})"
"""Products of unsigned {0} and signed {1}; saturating sums of pairs."""
PMADDWD = "call <4 x i32> @llvm.x86.sse2.pmadd.wd(<8 x i16> {0}, <8 x i16> {1})"
PMULHRSW = "call <8 x i16> @llvm.x86.ssse3.pmul.hr.sw.128(<8 x i16> $x, <8 x i16> $y)"
"""(x * y + 2**14) >> 15; -1 * -1 wraps to -1, all in Q15."""

_WIDENINGS = (("i8x16", "i16x8"), ("i16x8", "i32x4"), ("i32x4", "i64x2"))
"""Each shape with the one that has half as many lanes of twice the width."""


def _extended_products() -> dict[str, Recipe]:
    made: dict[str, Recipe] = {}
    for narrow, wide in _WIDENINGS:
        source, target = LANES[narrow], LANES[wide]
        half = f"<{target.count} x {source.lane}>"
        for part, sign in (("low", "s"), ("low", "u"), ("high", "s"), ("high", "u")):
            mask = half_mask(source, part)
            extend = "sext" if sign == "s" else "zext"
            made[f"{wide}.extmul_{part}_{narrow}_{sign}"] = recipe(
                f"{narrow} {narrow} -> {wide}",
                f"shufflevector {source.ir} $x, {source.ir} poison, {mask}",
                f"shufflevector {source.ir} $y, {source.ir} poison, {mask}",
                f"{extend} {half} $0 to {target.ir}",
                f"{extend} {half} $1 to {target.ir}",
                f"mul {target.ir} $2, $3",
            )
    return made


def _pairwise_sums() -> dict[str, Recipe]:
    """A pair of lanes is one wide lane; its halves are extended in place, without a shuffle."""
    made: dict[str, Recipe] = {}
    for narrow, wide in _WIDENINGS[:2]:
        v, by = LANES[wide].ir, LANES[wide].splat(LANES[narrow].bits)
        low = LANES[wide].splat((1 << LANES[narrow].bits) - 1)
        signature = f"{wide} -> {wide}"
        made[f"{wide}.extadd_pairwise_{narrow}_s"] = recipe(
            signature,
            f"shl {v} $x, {by}",
            f"ashr {v} $0, {by}",
            f"ashr {v} $x, {by}",
            f"add {v} $1, $2",
        )
        made[f"{wide}.extadd_pairwise_{narrow}_u"] = recipe(
            signature, f"and {v} $x, {low}", f"lshr {v} $x, {by}", f"add {v} $0, $1"
        )
    return made


def _averages() -> dict[str, Recipe]:
    """Rounding average in twice the width: the form in which LLVM recognises PAVGB and PAVGW."""
    made: dict[str, Recipe] = {}
    for name in ("i8x16", "i16x8"):
        shape = LANES[name]
        wide, one = f"<{shape.count} x i{2 * shape.bits}>", f"splat (i{2 * shape.bits} 1)"
        made[f"{name}.avgr_u"] = recipe(
            f"{name} {name} -> {name}",
            f"zext {shape.ir} $x to {wide}",
            f"zext {shape.ir} $y to {wide}",
            f"add {wide} $0, $1",
            f"add {wide} $2, {one}",
            f"lshr {wide} $3, {one}",
            f"trunc {wide} $4 to {shape.ir}",
        )
    return made


_EVEN = "<4 x i32> <i32 0, i32 2, i32 4, i32 6>"
_ODD = "<4 x i32> <i32 1, i32 3, i32 5, i32 7>"

PORTABLE: dict[str, Recipe] = {
    **for_shapes(
        INT_SHAPES,
        "lanes -> lanes",
        {
            "abs": "call {v} @llvm.abs.{s}({v} $x, i1 false)",
            "neg": "sub {v} zeroinitializer, $x",
            "popcnt": "call {v} @llvm.ctpop.{s}({v} $x)",
        },
    ),
    **for_shapes(
        INT_SHAPES,
        "lanes lanes -> lanes",
        {
            "add": "add {v} $x, $y",
            "sub": "sub {v} $x, $y",
            "mul": "mul {v} $x, $y",
            "min_s": "call {v} @llvm.smin.{s}({v} $x, {v} $y)",
            "min_u": "call {v} @llvm.umin.{s}({v} $x, {v} $y)",
            "max_s": "call {v} @llvm.smax.{s}({v} $x, {v} $y)",
            "max_u": "call {v} @llvm.umax.{s}({v} $x, {v} $y)",
            "add_sat_s": "call {v} @llvm.sadd.sat.{s}({v} $x, {v} $y)",
            "add_sat_u": "call {v} @llvm.uadd.sat.{s}({v} $x, {v} $y)",
            "sub_sat_s": "call {v} @llvm.ssub.sat.{s}({v} $x, {v} $y)",
            "sub_sat_u": "call {v} @llvm.usub.sat.{s}({v} $x, {v} $y)",
        },
    ),
    **_extended_products(),
    **_pairwise_sums(),
    **_averages(),
    "i32x4.dot_i16x8_s": recipe(
        "i16x8 i16x8 -> i32x4",
        "sext <8 x i16> $x to <8 x i32>",
        "sext <8 x i16> $y to <8 x i32>",
        "mul <8 x i32> $0, $1",
        f"shufflevector <8 x i32> $2, <8 x i32> poison, {_EVEN}",
        f"shufflevector <8 x i32> $2, <8 x i32> poison, {_ODD}",
        "add <4 x i32> $3, $4",
    ),
    "i16x8.q15mulr_sat_s": recipe(
        "i16x8 i16x8 -> i16x8",
        "sext <8 x i16> $x to <8 x i32>",
        "sext <8 x i16> $y to <8 x i32>",
        "mul <8 x i32> $0, $1",
        "add <8 x i32> $2, splat (i32 16384)",
        "ashr <8 x i32> $3, splat (i32 15)",
        # Only -1 * -1 overflows, upwards.
        "call <8 x i32> @llvm.smin.v8i32(<8 x i32> $4, <8 x i32> splat (i32 32767))",
        "trunc <8 x i32> $5 to <8 x i16>",
    ),
}

X86: dict[str, Recipe] = {
    "i16x8.extadd_pairwise_i8x16_s": recipe(
        "i8x16 -> i16x8", PMADDUBSW.format("splat (i8 1)", "$x")
    ),
    "i16x8.extadd_pairwise_i8x16_u": recipe(
        "i8x16 -> i16x8", PMADDUBSW.format("$x", "splat (i8 1)")
    ),
    "i32x4.extadd_pairwise_i16x8_s": recipe(
        "i16x8 -> i32x4", PMADDWD.format("$x", "splat (i16 1)")
    ),
    "i32x4.dot_i16x8_s": recipe("i16x8 i16x8 -> i32x4", PMADDWD.format("$x", "$y")),
    "i16x8.q15mulr_sat_s": recipe(
        "i16x8 i16x8 -> i16x8",
        PMULHRSW,
        # The one product that wraps is the only one that gives -32768; flip it to 32767.
        "icmp eq <8 x i16> $0, splat (i16 -32768)",
        "sext <8 x i1> $1 to <8 x i16>",
        "xor <8 x i16> $0, $2",
    ),
}

HANDLERS = rows(PORTABLE, X86)
