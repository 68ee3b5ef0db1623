"""Several names for the memory's base in innermost loops.

LLVM decides about vectorising a loop by looking at the objects it accesses. Within one object it
must know all distances; between two it may compare ranges before the loop. Arrays in linear memory
are one object to it, so in a loop that stores, each address that is computed apart gets a base of
its own: the same pointer, from an empty `asm` that LLVM does not look through.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LoopBases"]

_MOST = 8
"""Bases in one loop; each may need a register."""


class LoopBases:
    """The bases in one loop.

    Attributes:
        line: index of the line before which they are defined.
        at_entry: whether they are to be defined at the function's entry instead.
        innermost: whether no loop has been seen inside.
    """

    __slots__ = ("_bases", "_label", "at_entry", "innermost", "line")

    def __init__(self, label: str, line: int, at_entry: bool = False) -> None:
        self._label = label
        self._bases: dict[str, str] = {}
        self.line = line
        self.at_entry = at_entry
        self.innermost = True

    def base(self, root: str) -> str:
        """The base for addresses that are computed from the operand `root`."""
        found = self._bases.get(root)
        if found is None:
            number = len(self._bases) % _MOST
            found = f"%m0.{self._label}.{number}" if number else "%m0"
            self._bases[root] = found
        return found

    def definitions(self, lines: Sequence[str]) -> str:
        """What defines them, each with a line end, given the loop's lines. In loops where they
        would do no good, they are the base by another name."""
        names = dict.fromkeys(self._bases.values())
        names.pop("%m0", None)
        apart = bool(names) and self.innermost and _stores_without_calls(lines)
        # A number in each text keeps LLVM from taking them for equal.
        rhs = "getelementptr i8, ptr %m0, i64 0"
        text = ""
        for name in names:
            if apart:
                number = f"{self._label[1:]}{name[-1]}"
                rhs = f'call ptr asm "", "=r,0,i"(ptr %m0, i64 {number}) memory(none) nounwind'
            text += f"{name} = {rhs}\n  "
        return text


def _stores_without_calls(lines: Sequence[str]) -> bool:
    stores = False
    for line in lines:
        if line.startswith("store "):
            stores = True
        elif "call " in line and "@llvm." not in line:
            return False
    return stores
