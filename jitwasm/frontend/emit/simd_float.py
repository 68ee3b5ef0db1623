"""Floating-point lanes (specification: "Vector Instructions", the operators vfunop, vfbinop and
vfrelop).

`neg`, `abs`, `pmin` and `pmax` move bits; everything else quiets NaNs, which the machine's
instructions do by themselves.
"""

from __future__ import annotations

from jitwasm.frontend.emit.simd_recipe import LANES, Lanes, Recipe, for_shapes, recipe, rows

__all__ = ["HANDLERS", "min_max"]

_SHAPES = (LANES["f32x4"], LANES["f64x2"])

_BITS: dict[str, Recipe] = {
    **for_shapes(
        _SHAPES,
        "lanes -> lanes",
        {"abs": "call {v} @llvm.fabs.{s}({v} $x)", "neg": "fneg {v} $x"},
    ),
    **for_shapes(
        _SHAPES,
        "lanes lanes -> lanes",
        {
            "pmin": ("fcmp olt {v} $y, $x", "select {m} $0, {v} $y, {v} $x"),
            "pmax": ("fcmp olt {v} $x, $y", "select {m} $0, {v} $y, {v} $x"),
        },
    ),
}


def min_max(shape: Lanes, name: str, x: str, y: str) -> str:
    """The step MINPS (MAXPS, …) of two operands: `x < y ? x : y`, so `y` for NaNs and zeros.

    LLVM finds it in a comparison and a select too, but not where it has turned the select into
    one of integers, as it does for f64x2.
    """
    intrinsic = {32: "sse.{}.ps", 64: "sse2.{}.pd"}[shape.bits].format(name)
    v = shape.ir
    return f"call {v} @llvm.x86.{intrinsic}({v} {x}, {v} {y})"


def _bits_x86() -> dict[str, Recipe]:
    return {
        f"{shape.name}.p{name}": recipe(
            f"{shape.name} {shape.name} -> {shape.name}", min_max(shape, name, "$y", "$x")
        )
        for shape in _SHAPES
        for name in ("min", "max")
    }


def _comparisons() -> dict[str, Recipe]:
    predicates = ("oeq", "une", "olt", "ogt", "ole", "oge")
    made: dict[str, Recipe] = {}
    for shape in _SHAPES:
        # fcmp has no vector result of the lane's width; the integer shape has.
        target = LANES["i32x4" if shape.bits == 32 else "i64x2"]
        for predicate in predicates:
            made[f"{shape.name}.{predicate[1:]}"] = recipe(
                f"{shape.name} {shape.name} -> {target.name}",
                f"fcmp {predicate} {shape.ir} $x, $y",
                f"sext {shape.mask} $0 to {target.ir}",
            )
    return made


_ARITHMETIC: dict[str, Recipe] = {
    **for_shapes(
        _SHAPES,
        "lanes -> lanes",
        {
            "sqrt": "call {v} @llvm.sqrt.{s}({v} $x)",
            "ceil": "call {v} @llvm.ceil.{s}({v} $x)",
            "floor": "call {v} @llvm.floor.{s}({v} $x)",
            "trunc": "call {v} @llvm.trunc.{s}({v} $x)",
            "nearest": "call {v} @llvm.roundeven.{s}({v} $x)",
        },
    ),
    **for_shapes(
        _SHAPES,
        "lanes lanes -> lanes",
        {
            "add": "fadd {v} $x, $y",
            "sub": "fsub {v} $x, $y",
            "mul": "fmul {v} $x, $y",
            "div": "fdiv {v} $x, $y",
        },
    ),
}


def _minima(x86: bool) -> dict[str, Recipe]:
    """Six machine instructions: MINPS both ways, ORPS, ADDPS, CMPUNORDPS and a blend.

    MINPS takes its second operand if the two are equal, so both ways together see both zeros: the
    smaller is the one whose sign bit is set in either (OR), the larger that in both (AND). Where
    an operand is a NaN the sum is what the specification wants. LLVM's own expansion of
    `llvm.minimum` is longer, and would need another step for signalling NaNs.
    """
    made: dict[str, Recipe] = {}
    for shape in _SHAPES:
        v, m = shape.ir, shape.mask
        bits = LANES["i32x4" if shape.bits == 32 else "i64x2"].ir
        for name, predicate, join in (("min", "olt", "or"), ("max", "ogt", "and")):
            if x86:
                both = [min_max(shape, name, "$x", "$y"), min_max(shape, name, "$y", "$x")]
            else:
                both = [
                    f"fcmp {predicate} {v} $x, $y",
                    f"fcmp {predicate} {v} $y, $x",
                    f"select {m} $0, {v} $x, {v} $y",
                    f"select {m} $1, {v} $y, {v} $x",
                ]
            n = len(both)
            made[f"{shape.name}.{name}"] = recipe(
                f"{shape.name} {shape.name} -> {shape.name}",
                *both,
                f"bitcast {v} ${n - 2} to {bits}",
                f"bitcast {v} ${n - 1} to {bits}",
                f"{join} {bits} ${n}, ${n + 1}",
                f"bitcast {bits} ${n + 2} to {v}",
                f"fadd {v} $x, $y",
                f"fcmp uno {v} $x, $y",
                f"select {m} ${n + 5}, {v} ${n + 4}, {v} ${n + 3}",
            )
    return made


HANDLERS = {
    **rows({**_BITS, **_comparisons()}, _bits_x86()),
    **rows({**_ARITHMETIC, **_minima(x86=False)}, _minima(x86=True), quieting=True),
}
