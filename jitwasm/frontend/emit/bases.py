"""Several names for the memory's base in innermost loops.

LLVM decides about vectorising a loop by looking at the objects it accesses. Within one object it
must know all distances; between two it may compare ranges before the loop. Arrays in linear memory
are one object to it, so in a loop that stores, each address that is not derived from another gets a
base of its own: the same pointer, from an empty `asm` that LLVM does not look through.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.abi import DERIVED_REACH

__all__ = ["LoopBases"]

_MOST = 8
"""Bases in one loop; each may need a register."""
_LOOK_BACK = 8
"""Addresses with the same root that are looked at."""


class LoopBases:
    """The bases in one loop.

    Attributes:
        line: index of the line before which they are defined.
        at_entry: whether they are to be defined at the function's entry instead.
        innermost: whether no loop has been seen inside.
    """

    __slots__ = (
        "_bases",
        "_count",
        "_derived",
        "_first",
        "_label",
        "_uses_outer",
        "at_entry",
        "innermost",
        "line",
    )

    def __init__(self, label: str, line: int, first: int, at_entry: bool = False) -> None:
        """`first` is the lowest number of a value that the loop may define."""
        self._label = label
        self._first = first
        self._uses_outer = False
        self._bases: dict[str, list[tuple[int, str]]] = {}
        self._count = 0
        self.line = line
        self.at_entry = at_entry
        self.innermost = True
        self._derived: dict[str, int] = {}

    def base(self, root: str, constant: int) -> str:
        """The base for an address, an operand plus a constant: its own or that of a near one."""
        near = self._bases.setdefault(root, [])
        for known, base in near[-_LOOK_BACK:]:
            if abs(constant - known) <= DERIVED_REACH:
                return base
        number = self._count % _MOST
        self._count += 1
        base = f"%m0.{self._label}.{number}"
        near.append((constant, base))
        return base

    def use(self, pointer: str) -> None:
        """A known pointer is used. If it comes from outside its base is the memory's own, and no
        address inside may have that."""
        if int(pointer[1:]) < self._first:
            self._uses_outer = True

    def derive(self, pointer: str) -> None:
        """An address was derived from this one."""
        self.use(pointer)
        self._derived[pointer] = self._derived.get(pointer, 0) + 1

    @property
    def unrolled(self) -> bool:
        """Whether the loop looks as if its producer had unrolled it, by a power of two."""
        copies = {count + 1 for count in self._derived.values()}
        return self.innermost and bool(copies) and copies <= {2, 4, 8, 16}

    def definitions(self, lines: Sequence[str]) -> str:
        """What defines them, each with a line end, given the loop's lines. In loops where they
        would do no good, they are the base by another name."""
        apart = self.innermost and _stores_without_calls(lines)
        text = ""
        for number in range(min(self._count, _MOST)):
            rhs = "getelementptr i8, ptr %m0, i64 0"
            if apart and (number or self._uses_outer):
                # A number in each text keeps LLVM from taking them for equal.
                key = f"{self._label[1:]}{number}"
                rhs = f'call ptr asm "", "=r,0,i"(ptr %m0, i64 {key}) memory(none) nounwind'
            text += f"%m0.{self._label}.{number} = {rhs}\n  "
        return text


def _stores_without_calls(lines: Sequence[str]) -> bool:
    stores = False
    for line in lines:
        if line.startswith("store "):
            stores = True
        elif "call " in line and "@llvm." not in line:
            return False
    return stores
