"""Loops over pairs of doubles, taken apart again so that LLVM may vectorise them wider.

A producer that vectorises has 128 bits, whatever the machine has; and LLVM's vectoriser takes no
loop that has vectors. So an innermost loop of one block that only loads and stores packed `f64x2`,
with additions, subtractions, multiplications and divisions between, is written with scalars: it
then looks like one that was unrolled by two. Each address must advance by 16 bytes for each turn,
and all constants in addresses must be multiples of eight (see `SKEWED`), so that no two accesses
overlap by a part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from jitwasm.ir import TBAA_MEMORY

__all__ = ["unpacked"]

_MOST_LINES = 200
_LEAST_ENTRIES = 4
"""The header's label, one that does something, the branch back, the label behind it."""
_STRIDE = 16
_PAIR = "<2 x double>"
_LOAD = re.compile(rf"(%\w+) = load <2 x i64>, ptr (%\w+), align 1{re.escape(TBAA_MEMORY)}$")
_STORE = re.compile(rf"store <2 x i64> (.+), ptr (%\w+), align 1{re.escape(TBAA_MEMORY)}$")
_CAST = re.compile(r"(%\w+) = bitcast <2 x (i64|double)> (%\w+) to <2 x (?:i64|double)>$")
_ARITHMETIC = re.compile(r"(%\w+) = (fadd|fsub|fmul|fdiv) <2 x double> (.+)$")
_SUM = re.compile(r"(%\w+) = add i32 (%?-?\w+), (%?-?\w+)$")
_DIFFERENCE = re.compile(r"(%\w+) = sub i32 (%\w+), (-?\d+)$")
_EXTEND = re.compile(r"(%\w+) = zext i32 (%\w+) to i64$")
_ADDRESS = re.compile(r"(%\w+) = getelementptr inbounds nuw i8, ptr (%[\w.]+), i64 (%\w+|\d+)$")
_CONDITION = re.compile(r"%\w+ = icmp \w+ i32 %?-?\w+, %?-?\w+$")
_PHI = re.compile(r"(%\w+) = phi i32 \[ \S+, %\w+ \], \[ (%\w+), %\w+ \]$")
_CONSTANT = re.compile(
    r"bitcast \(<2 x i64> (?:<i64 (\d+), i64 (\d+)>|zeroinitializer) to <2 x double>\)"
)
_OPERAND = re.compile(rf"{_CONSTANT.pattern}|%\w+")


class _NotPackedError(Exception):
    """The loop is not one of those."""


def unpacked(label: str, entries: Sequence[str], phis: Sequence[str]) -> tuple[str, list[str]]:
    """What comes in front of the loop, and its new entries, or nothing if the loop has to stay.

    `entries` are the loop's lines, of which one may have several, from its header's label to the
    label behind it; `phis` are its header's.
    """
    if len(entries) > _MOST_LINES or not any(e.startswith("store <2 x i64> ") for e in entries):
        return "", []
    try:
        loop = _Loop(label, phis)
        lines = loop.entries(entries)
    except _NotPackedError:
        return "", []
    return loop.before(), lines


class _Loop:
    """The translation of one loop."""

    def __init__(self, label: str, phis: Sequence[str]) -> None:
        self._label = label
        self._next: dict[str, str] = {}
        for phi in phis:
            match = _matched(_PHI, phi)
            self._next[match[1]] = match[2]
        self._sums: dict[str, tuple[str, str]] = {}
        self._indices: list[str] = []
        self._stores = 0
        self._strides: dict[str, int] = {}
        self._wide: set[str] = set()
        self._pointers: set[str] = set()
        self._scalars: dict[str, tuple[str, str]] = {}
        self._outside: list[str] = []

    def before(self) -> str:
        """What takes apart the values from outside."""
        return "".join(f"{line}\n  " for line in self._outside)

    def entries(self, entries: Sequence[str]) -> list[str]:
        if len(entries) < _LEAST_ENTRIES:
            raise _NotPackedError
        first, *body, branch, last = entries
        if not (branch.startswith("br i1 ") and f"label %{self._label}," in f"{branch},"):
            raise _NotPackedError
        result = [self._entry(entry) for entry in body]
        if any(self._stride(index) != _STRIDE for index in self._indices):
            raise _NotPackedError
        return [first, *result, branch, last]

    def _entry(self, entry: str) -> str:
        return "\n  ".join([self._line(line) for line in entry.split("\n  ")])

    def _line(self, line: str) -> str:
        """A line's translation. Those of vectors stay too, for uses behind the loop."""
        if match := _SUM.fullmatch(line):
            self._sums[match[1]] = match[2], match[3]
        elif match := _DIFFERENCE.fullmatch(line):
            self._sums[match[1]] = match[2], str(-int(match[3]))
        elif match := _EXTEND.fullmatch(line):
            self._wide.add(match[1])
            self._indices.append(match[2])
        elif match := _ADDRESS.fullmatch(line):
            self._add_pointer(*match.groups())
        elif match := _LOAD.fullmatch(line):
            return self._load(line, *match.groups())
        elif match := _CAST.fullmatch(line):
            self._scalars[match[1]] = self._operand(match[3], match[2])
        elif match := _ARITHMETIC.fullmatch(line):
            return f"{line}\n  {self._arithmetic(*match.groups())}"
        elif match := _STORE.fullmatch(line):
            return self._store(*match.groups())
        elif not _CONDITION.fullmatch(line):
            raise _NotPackedError
        return line

    def _add_pointer(self, name: str, base: str, offset: str) -> None:
        if base in self._pointers:
            if offset[0] == "%" or int(offset) % 8:
                raise _NotPackedError
        elif offset not in self._wide:
            raise _NotPackedError
        self._pointers.add(name)

    def _second(self, pointer: str, name: str) -> str:
        if pointer not in self._pointers:
            raise _NotPackedError
        return f"{name} = getelementptr inbounds nuw i8, ptr {pointer}, i64 8"

    def _load(self, line: str, name: str, pointer: str) -> str:
        low, high = self._scalars[name] = _names(name)
        second = f"%at{name[1:]}"
        joined, both = f"%in{name[1:]}", f"%of{name[1:]}"
        return "\n  ".join(
            [
                f"{low} = load double, ptr {pointer}, align 1{TBAA_MEMORY}",
                self._second(pointer, second),
                f"{high} = load double, ptr {second}, align 1{TBAA_MEMORY}",
                f"{joined} = insertelement {_PAIR} poison, double {low}, i64 0",
                f"{both} = insertelement {_PAIR} {joined}, double {high}, i64 1",
                f"{name} = bitcast {_PAIR} {both} to <2 x i64>",
            ]
        )

    def _store(self, val: str, pointer: str) -> str:
        low, high = self._operand(val, "i64")
        self._stores += 1
        second = f"%at{self._label}.{self._stores}"
        return "\n  ".join(
            [
                f"store double {low}, ptr {pointer}, align 1{TBAA_MEMORY}",
                self._second(pointer, second),
                f"store double {high}, ptr {second}, align 1{TBAA_MEMORY}",
            ]
        )

    def _arithmetic(self, name: str, operation: str, operands: str) -> str:
        matches = [match[0] for match in _OPERAND.finditer(operands)]
        if len(matches) != 2 or ", ".join(matches) != operands:
            raise _NotPackedError
        left, right = (self._operand(operand, "double") for operand in matches)
        names = self._scalars[name] = _names(name)
        return "\n  ".join(
            f"{n} = {operation} double {x}, {y}" for n, x, y in zip(names, left, right, strict=True)
        )

    def _operand(self, val: str, lane: str) -> tuple[str, str]:
        """The two doubles of a vector, of which the lanes have this type."""
        known = self._scalars.get(val)
        if known is not None:
            return known
        if val == "zeroinitializer":
            return "0.0", "0.0"
        if match := _CONSTANT.fullmatch(val):
            low, high = match[1] or "0", match[2] or "0"
            return f"bitcast (i64 {low} to double)", f"bitcast (i64 {high} to double)"
        if val[0] != "%" or val in self._next:
            raise _NotPackedError
        names = self._scalars[val] = _names(f"{val}.{self._label}")
        for i, name in enumerate(names):
            lane_name = name if lane == "double" else f"{name}.l"
            self._outside.append(f"{lane_name} = extractelement <2 x {lane}> {val}, i64 {i}")
            if lane != "double":
                self._outside.append(f"{name} = bitcast i64 {lane_name} to double")
        return names

    def _stride(self, val: str) -> int:
        """By how much an i32 grows with each turn."""
        known = self._strides.get(val)
        if known is None:
            known = self._strides[val] = self._new_stride(val)
        return known

    def _new_stride(self, val: str) -> int:
        if val in self._next:
            left, right = self._sums.get(self._next[val], ("", "%"))
            if left != val or right[0] == "%":
                raise _NotPackedError
            return int(right)
        if val not in self._sums:
            return 0
        left, right = self._sums[val]
        if right[0] == "%":
            return self._stride(left) + self._stride(right)
        if int(right) % 8:
            raise _NotPackedError
        return self._stride(left)


def _names(val: str) -> tuple[str, str]:
    return f"%lo{val[1:]}", f"%hi{val[1:]}"


def _matched(pattern: re.Pattern[str], line: str) -> re.Match[str]:
    match = pattern.fullmatch(line)
    if match is None:
        raise _NotPackedError
    return match
