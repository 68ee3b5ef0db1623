"""Entering a function at a loop's header: on-stack replacement.

A call that runs in unoptimised code goes on in a second version of its function, which begins at
the header of the loop it is in. That version is emitted like the function itself; what is in front
of the loop is unreachable, and LLVM drops it. The locals come in the environment's overflow area,
one in each slot, and are one more edge into the loop's header. Around that loop every local may
then have another value than the code in front says, so the loop and those around it count as
assigning all of them. There must be no operands on the stack, which compilers never leave there.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.abi import ENV, OVERFLOW_SLOT, OVERFLOW_SLOTS
from jitwasm.frontend.stacks import Edge, Region
from jitwasm.ir import INVARIANT, TBAA_VM
from jitwasm.types import ValType

__all__ = ["START", "LoopEntry", "NoLoopEntry"]

START = "start"
"""The label of the code that the function would begin with."""


class NoLoopEntry(Exception):
    """The function cannot be entered at this loop."""


class LoopEntry:
    """The entry at one loop of a function.

    Attributes:
        loops: positions in the body of the loop and those around it, from outside in.
        label: of the loop's header, once it has been emitted.
        definitions: lines for the function's entry.
    """

    def __init__(self, loops: Sequence[int], local_types: Sequence[ValType]) -> None:
        if len(local_types) > OVERFLOW_SLOTS:
            raise NoLoopEntry("too many locals")
        self.loops = loops
        self.label = ""
        self.definitions: list[str] = []
        self.assigned = frozenset(range(len(local_types)))
        self._types = local_types

    def enter(self, region: Region, block: str) -> None:
        """Let the entry `block` lead to the header that begins with `region`."""
        values: list[str | None] = [f"%e{i}" for i in range(len(self._types))]
        region.edges.append(Edge(block, values, region, ()))
        self.label = region.label

    def loads(self, vm: str) -> list[str]:
        """Instructions that fetch the locals; first of all, before anyone writes there."""
        lines = [
            f"%ov.p = getelementptr i8, ptr {vm}, i64 {ENV.offset['overflow']}",
            f"%ov = load ptr, ptr %ov.p{INVARIANT}",
        ]
        for i, type_ in enumerate(self._types):
            lines.append(f"%e{i}.p = getelementptr i8, ptr %ov, i64 {OVERFLOW_SLOT * i}")
            lines.append(f"%e{i} = load {type_.ir}, ptr %e{i}.p{TBAA_VM}")
        return lines
