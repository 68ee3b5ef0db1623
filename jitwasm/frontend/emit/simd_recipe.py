"""Recipes: how a vector instruction without immediates becomes LLVM IR.

A v128 is `<2 x i64>` between instructions; each instruction views it as the lanes it works on. A
recipe names those views and lists the few LLVM operations that the semantics needs, so that LLVM
selects the machine's vector instructions at every optimisation level. Rows look like

    "i16x8.add": recipe("i16x8 i16x8 -> i16x8", "add <8 x i16> $x, $y")

where $x, $y, $z are the operands and $0, $1, … the results of earlier steps; the last step is the
result. Declarations of intrinsics derive from the `call` steps. `for_shapes` makes such rows for
several shapes at once.

A family's `PORTABLE` rows are target-independent. Its `X86` rows replace some of them where LLVM
does not find the instruction by itself at every level; they need SSSE3 and compute the same bits.
`Config.portable_ir` chooses.

Stack: operands are popped, one result is pushed. Nothing here traps. Float operations of the
specification's "NaN Propagation" must give quiet NaNs, see `emit_quieting`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jitwasm.frontend.emit.function import FunctionEmitter
from jitwasm.frontend.opcodes_simd import SIMD_OPCODES
from jitwasm.frontend.stacks import COND
from jitwasm.records import record
from jitwasm.types import F32, F64, I32, I64, V128, ValType

__all__ = [
    "INT_SHAPES",
    "LANES",
    "Handler",
    "Lanes",
    "Recipe",
    "constant",
    "emit",
    "fence",
    "for_shapes",
    "half_mask",
    "push_lanes",
    "recipe",
    "rows",
    "shuffle_mask",
    "view",
]


@record(frozen=True)
class Lanes:
    """One shape: how many lanes of which LLVM type, and which value type holds one lane."""

    name: str
    count: int
    bits: int
    lane: str
    scalar: ValType

    @property
    def ir(self) -> str:
        return f"<{self.count} x {self.lane}>"

    @property
    def suffix(self) -> str:
        """How the names of overloaded intrinsics end."""
        kind = "f" if self.scalar.is_float else "i"
        return f"v{self.count}{kind}{self.bits}"

    @property
    def mask(self) -> str:
        """The type of a comparison's result."""
        return f"<{self.count} x i1>"

    def splat(self, constant: object) -> str:
        """The constant vector with `constant` in every lane."""
        return f"splat ({self.lane} {constant})"

    def fill(self, signature: str, steps: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """The signature and steps of a template of `for_shapes`, for this shape."""
        names = {"v": self.ir, "s": self.suffix, "m": self.mask, "c": self.count}
        lines = tuple(step.format(**names) for step in steps)
        return signature.replace("lanes", self.name), lines


LANES: dict[str, Lanes] = {
    shape.name: shape
    for shape in (
        Lanes("i8x16", 16, 8, "i8", I32),
        Lanes("i16x8", 8, 16, "i16", I32),
        Lanes("i32x4", 4, 32, "i32", I32),
        Lanes("i64x2", 2, 64, "i64", I64),
        Lanes("f32x4", 4, 32, "float", F32),
        Lanes("f64x2", 2, 64, "double", F64),
    )
}
INT_SHAPES = tuple(shape for shape in LANES.values() if not shape.scalar.is_float)

_OPERANDS = {"v128": (V128, ""), "i32": (I32, ""), "i1": (COND, "")}
_OPERANDS |= {name: (V128, shape.ir) for name, shape in LANES.items()}
_OPERANDS["i64x2"] = (V128, "")  # what a v128 is anyway


class Recipe:
    """One way to emit an instruction. What emission needs is worked out when it is first used:
    there are hundreds of recipes, and most modules have no vectors.

    Attributes:
        template: the lines, over the names of the operands and then of the lines; "" before.
        params: the value types to pop.
        views: for each parameter, the LLVM type of the lanes the steps want, or "" for none.
        lines: as many as there are lines.
        result: the value type to push (`COND` for an i1).
        lanes: LLVM type of the line before the last, if that is only the cast to v128; or "".
        declares: declarations of the intrinsics it calls.
    """

    __slots__ = (
        "_shape",
        "_signature",
        "_steps",
        "declares",
        "lanes",
        "lines",
        "params",
        "result",
        "template",
        "views",
    )

    params: tuple[ValType, ...]
    views: tuple[str, ...]
    lines: range
    result: ValType
    lanes: str
    declares: frozenset[str]

    def __init__(self, signature: str, steps: tuple[str, ...], shape: Lanes | None) -> None:
        self._signature = signature
        self._steps = steps
        self._shape = shape
        self.template = ""

    def prepare(self) -> None:
        """Work the attributes out."""
        signature, steps = self._signature, self._steps
        if self._shape is not None:
            signature, steps = self._shape.fill(signature, steps)
        inputs, _, output = signature.partition(" -> ")
        operands = [_OPERANDS[word] for word in inputs.split()]
        self.params = tuple(type_ for type_, _ in operands)
        self.views = tuple(lanes for _, lanes in operands)
        self.result, self.lanes = _OPERANDS[output]
        self.declares = frozenset(map(_declaration, filter(_CALL.match, steps)))
        if self.lanes:
            steps = (*steps, f"bitcast {self.lanes} ${len(steps) - 1} to {V128.ir}")
        self.lines = range(len(steps))
        first = len(operands)
        lines = [f"{{{first + i}}} = {_positional(s, first)}" for i, s in enumerate(steps)]
        # Last, because threads may do this at the same time.
        self.template = "\n  ".join(lines)


def recipe(signature: str, *steps: str) -> Recipe:
    """A recipe; `signature` is in shapes, as in "i16x8 i16x8 -> i32x4"."""
    return Recipe(signature, steps, None)


def for_shapes(
    shapes: Iterable[Lanes], signature: str, templates: Mapping[str, str | tuple[str, ...]]
) -> dict[str, Recipe]:
    """Recipes of the instructions `<shape>.<name>` that exist, for each template.

    In a template {v} is the shape's LLVM type, {s} its suffix of intrinsics, {m} the type of its
    comparisons, {c} the number of lanes; "lanes" in the signature is the shape.
    """
    return {
        f"{shape.name}.{name}": Recipe(
            signature, (steps,) if isinstance(steps, str) else steps, shape
        )
        for shape in shapes
        for name, steps in templates.items()
        if f"{shape.name}.{name}" in _EXISTING
    }


_EXISTING = frozenset(op.mnemonic for op in SIMD_OPCODES)
_FIELD = re.compile(r"\$(\d+|[xyz])")
_CALL = re.compile(r"call (<[^>]*>|\w+) @([\w.]+)\((.*)\)$")
_ARGUMENT_TYPE = re.compile(r"(?:^|, )(<[^>]*>|\w+) ")


def _positional(step: str, operands: int) -> str:
    """The template with every name replaced by its place in `[*operands, *steps]`."""

    def place(match: re.Match[str]) -> str:
        name = match[1]
        return f"{{{'xyz'.index(name) if name in 'xyz' else operands + int(name)}}}"

    return _FIELD.sub(place, step)


def _declaration(step: str) -> str:
    match = _CALL.match(step)
    assert match is not None, step
    result, name, arguments = match.groups()
    return f"declare {result} @{name}({', '.join(_ARGUMENT_TYPE.findall(arguments))})"


def shuffle_mask(lanes: Iterable[int]) -> str:
    """The mask operand of `shufflevector` that picks these lanes."""
    picks = [f"i32 {lane}" for lane in lanes]
    return f"<{len(picks)} x i32> <{', '.join(picks)}>"


def half_mask(shape: Lanes, part: str) -> str:
    """The mask that takes the "low" or "high" half of the lanes."""
    first = 0 if part == "low" else shape.count // 2
    return shuffle_mask(range(first, first + shape.count // 2))


def view(f: FunctionEmitter, val: str, ir: str) -> str:
    """The v128 operand `val` as lanes of type `ir`; casting to the type it has is harmless.

    A value that was just computed as such lanes, or viewed so before, is found again instead of
    cast again; LLVM would clean that up, but at a price, and not at opt level 0.
    """
    if val[0] != "%":
        return f"bitcast ({V128.ir} {val} to {ir})"
    known = f.pointers
    found = known.get((val, ir))
    if found is None:
        found = known[val, ir] = f.op(f"bitcast {V128.ir} {val} to {ir}")
    return found


def push_lanes(f: FunctionEmitter, name: str, ir: str) -> None:
    """Push the lanes `name`, of type `ir`, as a v128."""
    if ir != V128.ir:
        lanes = name
        name = f.op(f"bitcast {ir} {lanes} to {V128.ir}")
        f.pointers[name, ir] = lanes
    f.push(V128, name)


def emit(f: FunctionEmitter, pos: int, row: Recipe) -> int:
    """Handler: pop the operands, emit the steps, push the result."""
    if not row.template:
        row.prepare()
    names = f.pop_vals(row.params)
    known = f.pointers
    for i, lanes in enumerate(row.views):
        if lanes:
            val = names[i]
            names[i] = known.get((val, lanes)) or view(f, val, lanes)
    _finish(f, row, names)
    return pos


def emit_by_target(f: FunctionEmitter, pos: int, rows: tuple[Recipe, Recipe]) -> int:
    """Handler for an instruction that has a (portable, x86) pair of recipes."""
    return emit(f, pos, rows[not f.module.config.portable_ir])


def emit_quieting(f: FunctionEmitter, pos: int, row: Recipe) -> int:
    """Handler for an operation whose result must be a quiet NaN if an operand is any NaN.

    The machine does that, but LLVM may fold `x * 1`, `x + -0`, `x / -1` and the like to `x`,
    although x may be a signalling NaN. So a literal operand with such a lane is hidden from the
    optimiser. `llvm.arithmetic.fence` costs no instruction.
    """
    if not row.template:
        row.prepare()
    for val in f.vals[-len(row.views) :]:
        if val[:1] != "%":
            break
    else:
        return emit(f, pos, row)
    names = f.pop_vals(row.params)
    for i, lanes in enumerate(row.views):
        val = names[i]
        names[i] = view(f, val, lanes)
        if val[0] != "%" and _has_identity(val, lanes):
            names[i] = fence(f, lanes, names[i])
    _finish(f, row, names)
    return pos


def emit_quieting_by_target(f: FunctionEmitter, pos: int, rows: tuple[Recipe, Recipe]) -> int:
    """`emit_quieting` for an instruction that has a (portable, x86) pair of recipes."""
    return emit_quieting(f, pos, rows[not f.module.config.portable_ir])


def fence(f: FunctionEmitter, ir: str, name: str) -> str:
    """The same float lanes, but nothing is known about them."""
    symbol = f"@llvm.arithmetic.fence.{_FLOAT_SUFFIX[ir]}"
    f.declare(f"declare {ir} {symbol}({ir})")
    return f.op(f"call {ir} {symbol}({ir} {name})")


_FLOAT_SUFFIX = {LANES[name].ir: LANES[name].suffix for name in ("f32x4", "f64x2")}
_MAGNITUDES = {
    LANES["f32x4"].ir: (32, frozenset({0, 0x3F80_0000})),
    LANES["f64x2"].ir: (64, frozenset({0, 0x3FF0_0000_0000_0000})),
}
"""For each float shape: bits of a lane, and the patterns of 0 and 1 without their sign."""


def _has_identity(val: str, ir: str) -> bool:
    """Whether a lane of a literal is 0, -0, 1 or -1."""
    bits, magnitudes = _MAGNITUDES[ir]
    literal = constant_bits(val)
    mask = (1 << (bits - 1)) - 1
    return any(literal >> shift & mask in magnitudes for shift in range(0, 128, bits))


def constant(data: bytes) -> str:
    """The literal of a v128, given as its 16 bytes."""
    low, high = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")
    return f"<i64 {low}, i64 {high}>" if low or high else "zeroinitializer"


def constant_bits(val: str) -> int:
    """The 128 bits of a literal made by `constant` (0 for `poison`)."""
    if val[0] != "<":
        return 0
    low, high = val[1:-1].replace("i64", "").split(",")
    return int(low) | int(high) << 64


def _finish(f: FunctionEmitter, row: Recipe, names: list[str]) -> None:
    """Emit the lines over the operands `names`, push the result."""
    if row.declares:
        f.declares.update(row.declares)
    fresh = f.fresh
    names += [fresh() for _ in row.lines]
    f.line(row.template.format(*names))
    val = names[-1]
    if row.lanes:
        f.pointers[val, row.lanes] = names[-2]
    f.types.append(row.result)
    f.vals.append(val)


Handler = Callable[[FunctionEmitter, int, Any], int]


def rows(
    portable: Mapping[str, Recipe],
    x86: Mapping[str, Recipe] | None = None,
    quieting: bool = False,
) -> dict[str, tuple[Handler, object]]:
    """The (handler, row) of each instruction of a family."""
    x86 = x86 or {}
    single = emit_quieting if quieting else emit
    double = emit_quieting_by_target if quieting else emit_by_target
    return {
        mnemonic: (double, (row, x86[mnemonic])) if mnemonic in x86 else (single, row)
        for mnemonic, row in portable.items()
    }
