"""Bitwise operations, tests, comparisons and shifts of integer lanes (specification: "Vector
Instructions", the operators vvunop to vvtestop, vitestop, virelop, vishiftop and bitmask).

A lane of a comparison is all ones or all zeros. Shift counts are taken modulo the lane's width,
which also keeps LLVM's shifts defined.
"""

from __future__ import annotations

from jitwasm.frontend.emit.simd_recipe import INT_SHAPES, Recipe, for_shapes, recipe, rows

__all__ = ["BITSELECT", "HANDLERS"]

BITSELECT = recipe(
    "v128 v128 v128 -> v128",
    "xor <2 x i64> $x, $y",
    "and <2 x i64> $0, $z",
    "xor <2 x i64> $1, $y",
)

_BITWISE: dict[str, Recipe] = {
    "v128.not": recipe("v128 -> v128", "xor <2 x i64> $x, splat (i64 -1)"),
    "v128.and": recipe("v128 v128 -> v128", "and <2 x i64> $x, $y"),
    "v128.andnot": recipe(
        "v128 v128 -> v128", "xor <2 x i64> $y, splat (i64 -1)", "and <2 x i64> $x, $0"
    ),
    "v128.or": recipe("v128 v128 -> v128", "or <2 x i64> $x, $y"),
    "v128.xor": recipe("v128 v128 -> v128", "xor <2 x i64> $x, $y"),
    "v128.bitselect": BITSELECT,
    # One integer of 128 bits: LLVM tests it with PTEST at every opt level.
    "v128.any_true": recipe("v128 -> i1", "bitcast <2 x i64> $x to i128", "icmp ne i128 $0, 0"),
}

_PREDICATES = {
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


def _shifts() -> dict[str, Recipe]:
    made: dict[str, Recipe] = {}
    for shape in INT_SHAPES:
        # Masked, the count fits the lane.
        cast = "zext" if shape.bits == 64 else "trunc" if shape.bits < 32 else "bitcast"
        for name, operation in (("shl", "shl"), ("shr_s", "ashr"), ("shr_u", "lshr")):
            made[f"{shape.name}.{name}"] = recipe(
                f"{shape.name} i32 -> {shape.name}",
                f"and i32 $y, {shape.bits - 1}",
                f"{cast} i32 $0 to {shape.lane}",
                f"insertelement {shape.ir} poison, {shape.lane} $1, i64 0",
                f"shufflevector {shape.ir} $2, {shape.ir} poison, "
                f"<{shape.count} x i32> zeroinitializer",
                f"{operation} {shape.ir} $x, $3",
            )
    return made


def _masks() -> dict[str, Recipe]:
    return {
        f"{shape.name}.bitmask": recipe(
            f"{shape.name} -> i32",
            f"icmp slt {shape.ir} $x, zeroinitializer",
            f"bitcast {shape.mask} $0 to i{shape.count}",
            f"zext i{shape.count} $1 to i32",
        )
        for shape in INT_SHAPES
    }


HANDLERS = rows(
    {
        **_BITWISE,
        **for_shapes(
            INT_SHAPES,
            "lanes lanes -> lanes",
            {
                name: (f"icmp {predicate} {{v}} $x, $y", "sext {m} $0 to {v}")
                for name, predicate in _PREDICATES.items()
            },
        ),
        **for_shapes(
            INT_SHAPES,
            "lanes -> i1",
            {
                "all_true": (
                    "icmp ne {v} $x, zeroinitializer",
                    "call i1 @llvm.vector.reduce.and.v{c}i1({m} $0)",
                )
            },
        ),
        **_shifts(),
        **_masks(),
    }
)
