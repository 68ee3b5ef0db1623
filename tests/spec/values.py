"""Constants and result patterns of scripts, independent of any engine.

A numeric value is its bits, never a Python float: NaN payloads, the sign of zero and the choice of
the nearest f32 are then exact whatever the engine's API does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tests.spec.sexpr import Form, Node, ScriptError
from tests.support.floats import F32, F64, FloatFormat

__all__ = ["Either", "Exact", "Lanes", "Nan", "Pattern", "Ref", "RefPattern", "Value"]

_WIDTHS = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "f32": 32, "f64": 64}
_FORMATS = {"f32": F32, "f64": F64}


@dataclass(frozen=True)
class Value:
    """A number: `type` is i32, i64, f32, f64 or v128, `bits` is unsigned (lane 0 lowest)."""

    type: str
    bits: int

    def __str__(self) -> str:
        return f"{self.type}:{self.bits:#0{_DIGITS[self.type]}x}"


_DIGITS = {"i32": 10, "f32": 10, "i64": 18, "f64": 18, "v128": 34}


@dataclass(frozen=True)
class Ref:
    """A reference: kind null, func, extern, host, i31, struct, array, eq, any or exn.

    `payload` is the number of an extern or host reference or the value of an i31; of a null
    reference, the heap type it was written with (which results do not know).
    """

    kind: str
    payload: int | str | None = None

    def __str__(self) -> str:
        return f"ref.{self.kind}" + ("" if self.payload is None else f" {self.payload}")


@dataclass(frozen=True)
class Exact:
    """Exactly this number."""

    value: Value

    def matches(self, result: Value | Ref) -> bool:
        return result == self.value

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Nan:
    """`nan:canonical` or `nan:arithmetic`, of either sign."""

    type: str
    kind: str

    def matches(self, result: Value | Ref) -> bool:
        if not isinstance(result, Value) or result.type != self.type:
            return False
        number_format = _FORMATS[self.type]
        if self.kind == "nan:canonical":
            return number_format.is_canonical_nan(result.bits)
        return number_format.is_arithmetic_nan(result.bits)

    def __str__(self) -> str:
        return f"{self.type}:{self.kind}"


@dataclass(frozen=True)
class Lanes:
    """A vector with a pattern for each lane."""

    shape: str
    lanes: tuple[Exact | Nan, ...]

    def matches(self, result: Value | Ref) -> bool:
        if not isinstance(result, Value) or result.type != "v128":
            return False
        lane_type = self.shape.partition("x")[0]
        width = _WIDTHS[lane_type]
        mask = (1 << width) - 1
        return all(
            pattern.matches(Value(lane_type, result.bits >> (i * width) & mask))
            for i, pattern in enumerate(self.lanes)
        )

    def __str__(self) -> str:
        return f"{self.shape}({' '.join(map(str, self.lanes))})"


# What `(ref.KIND)` without a payload accepts besides KIND itself (subtyping of heap types).
_SUBKINDS = {
    "any": {"any", "eq", "i31", "struct", "array", "host"},
    "eq": {"eq", "i31", "struct", "array"},
}


@dataclass(frozen=True)
class RefPattern:
    """`(ref.null …)`, `(ref.extern N)`, `(ref.func)`, …; a payload of None accepts any."""

    kind: str
    payload: int | None

    def matches(self, result: Value | Ref) -> bool:
        if not isinstance(result, Ref):
            return False
        if self.payload is not None:
            return result.kind == self.kind and result.payload == self.payload
        return result.kind in _SUBKINDS.get(self.kind, {self.kind})

    def __str__(self) -> str:
        return f"ref.{self.kind}" + ("" if self.payload is None else f" {self.payload}")


@dataclass(frozen=True)
class Either:
    """Any of several patterns."""

    choices: tuple[Pattern, ...]

    def matches(self, result: Value | Ref) -> bool:
        return any(choice.matches(result) for choice in self.choices)

    def __str__(self) -> str:
        return f"either({' '.join(map(str, self.choices))})"


Pattern = Exact | Nan | Lanes | RefPattern | Either


def argument(form: Form) -> Value | Ref:
    """An argument of an invocation."""
    if form.head.startswith("ref."):
        kind = form.head[4:]
        if kind == "null":
            return Ref("null", _atom(form, 1))
        return Ref(kind, _integer(_atom(form, 1), 32) if len(form) > 1 else None)
    pattern = result_pattern(form)
    if isinstance(pattern, Exact):
        return pattern.value
    raise ScriptError(f"not a constant: {form}")


def result_pattern(form: Form) -> Pattern:
    """An expected result."""
    head = form.head
    if head == "either":
        return Either(tuple(result_pattern(choice) for choice in _forms(form[1:])))
    if head == "v128.const":
        atoms = tuple(str(atom) for atom in form[2:])
        return _vector(_atom(form, 1), atoms)
    if head.startswith("ref."):
        kind = head[4:]
        with_payload = len(form) > 1 and kind in ("extern", "host", "i31", "func")
        return RefPattern(kind, _integer(_atom(form, 1), 32) if with_payload else None)
    type_, _, suffix = head.partition(".")
    if suffix == "const" and type_ in _WIDTHS:
        return _scalar(type_, _atom(form, 1))
    raise ScriptError(f"unknown constant or pattern: {form}")


@lru_cache(maxsize=1 << 14)
def _scalar(type_: str, text: str) -> Exact | Nan:
    number_format: FloatFormat | None = _FORMATS.get(type_)
    if number_format is None:
        return Exact(Value(type_, _integer(text, _WIDTHS[type_])))
    if text in ("nan:canonical", "nan:arithmetic"):
        return Nan(type_, text)
    return Exact(Value(type_, number_format.parse(text)))


def _vector(shape: str, atoms: tuple[str, ...]) -> Exact | Lanes:
    lane_type, _, count = shape.partition("x")
    if len(atoms) != int(count):
        raise ScriptError(f"{shape} with {len(atoms)} lanes")
    lanes = tuple(_scalar(lane_type, atom) for atom in atoms)
    bits = 0
    for i, lane in enumerate(lanes):
        if isinstance(lane, Nan):
            return Lanes(shape, lanes)
        bits |= lane.value.bits << (i * _WIDTHS[lane_type])
    return Exact(Value("v128", bits))


def _integer(text: str, width: int) -> int:
    number = int(text.replace("_", ""), 0) if "x" in text else int(text.replace("_", ""))
    return number & ((1 << width) - 1)


def _atom(form: Form, index: int) -> str:
    atom = form[index] if index < len(form) else None
    if not isinstance(atom, str):
        if form.head == "ref.null" and atom is None:
            return "any"
        raise ScriptError(f"{form.head} wants a word at position {index}")
    return atom


def _forms(nodes: list[Node]) -> list[Form]:
    if any(not isinstance(node, Form) for node in nodes):
        raise ScriptError(f"forms expected, not {nodes}")
    return [node for node in nodes if isinstance(node, Form)]
