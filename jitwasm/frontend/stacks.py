"""The value stack and the control stack of the validation algorithm (Appendix, "Validation
Algorithm"), with the operands of the emitted code beside the types.

`types` and `vals` are parallel lists. The bottom of each control frame is a `FRAME` entry, so that
the handlers' fast path, "the top has exactly the type I want", also is the check for underflow:
everything else goes through `pop`. In unreachable code a pop from an empty frame gives `BOT`, and
the operand is `poison`; nothing that is emitted there is kept.

A comparison's result is kept as an i1 until someone needs the i32: `COND` is the type of such an
entry, `NOT` of one that stands for its negation. Both are i32 to the rules of validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_

from jitwasm.errors import InvalidError
from jitwasm.types import BOT, I32, RefType, ValType, matches, ref_type

__all__ = ["COND", "FRAME", "NOT", "ControlFrame", "Edge", "Region", "Stacks", "mismatch"]

COND = ValType("i32", "i1", 4)
NOT = ValType("i32", "i1", 4)
FRAME = ValType("nothing", "", 0)


class Region:
    """A piece of the function that is entered only at its top, at a merge of control flow.

    Blocks inside have one predecessor each, so a local's value is known along the way unless it
    was not assigned or read since the top; `values` has those that were looked up there.

    Attributes:
        label: LLVM label of the top.
        line: index of the label's line; the phis are put behind it at the end.
        edges: where control may come from.
        values: local -> its value at the top.
        phis: their lines.
        assigned: for a loop's header, the locals assigned in the loop; None for other merges.
        open: whether edges are still to come (a loop that has not ended).
        pending: of an open loop: (phi, local) to be completed at its end.
        params: of a loop: (line, LLVM type) of its parameters' phis.
    """

    __slots__ = (
        "assigned",
        "edges",
        "label",
        "line",
        "open",
        "params",
        "pending",
        "phis",
        "values",
    )

    def __init__(
        self, label: str, line: int, edges: list[Edge], assigned: frozenset[int] | None = None
    ) -> None:
        self.label = label
        self.line = line
        self.edges = edges
        self.values: dict[int, str] = {}
        self.phis: list[str] = []
        self.assigned = assigned
        self.open = assigned is not None
        self.pending: list[tuple[str, int]] = []
        self.params: list[tuple[int, str]] = []


class Edge:
    """A jump: from which LLVM block, with which locals and operands."""

    __slots__ = ("block", "locals", "region", "vals")

    def __init__(
        self, block: str, locals_: list[str | None], region: Region, vals: Sequence[str]
    ) -> None:
        self.block = block
        self.locals = locals_
        self.region = region
        self.vals = vals


class ControlFrame:
    """`ctrl_frame` of the appendix, and what emission needs.

    Attributes:
        opcode: of the instruction that opened it (the function body counts as a block).
        start_types, end_types: parameters and results.
        height: of the value stack at its start, the `FRAME` entry included.
        unreachable: whether the rest of the frame is unreachable.
        init_height: of the list of initialised locals at its start.
        known: what was known at its start (`SSABuilder.known`).
        label: LLVM label that branches go to; empty as long as there are none.
        edges: the branches so far (for a loop, all edges to its header).
        region: the header of a loop, if that is reachable.
        otherwise: of a reachable `if` before its `else`, the edge taken when the condition is 0.
        fork: index of the line that branches on the condition of an `if`.
    """

    __slots__ = (
        "edges",
        "end_types",
        "fork",
        "height",
        "init_height",
        "known",
        "label",
        "opcode",
        "otherwise",
        "region",
        "start_types",
        "unreachable",
    )

    def __init__(
        self,
        opcode: int,
        start_types: tuple[ValType, ...],
        end_types: tuple[ValType, ...],
        height: int,
    ) -> None:
        self.opcode = opcode
        self.start_types = start_types
        self.end_types = end_types
        self.height = height
        self.unreachable = False
        self.init_height = 0
        self.known = (0, 0)
        self.label = ""
        self.edges: list[Edge] = []
        self.region: Region | None = None
        self.otherwise: Edge | None = None
        self.fork = 0


def mismatch(expected: object, found: object) -> InvalidError:
    return InvalidError(f"type mismatch: expected {expected}, found {found}")


class Stacks:
    """Value stack and control stack."""

    __slots__ = ("frames", "types", "vals")

    def __init__(self) -> None:
        # Two more entries below the first frame's, so that looking at the top three never fails.
        self.types: list[ValType] = [FRAME, FRAME]
        self.vals: list[str] = ["", ""]
        self.frames: list[ControlFrame] = []

    def as_i32(self, type_: ValType, val: str) -> str:
        """The i32 operand of a `COND` or `NOT` entry."""
        raise NotImplementedError

    def as_cond(self, val: str) -> str:
        """The i1 operand "this i32 is not 0"."""
        raise NotImplementedError

    def push(self, type_: ValType, val: str) -> None:
        """`push_val`."""
        self.types.append(type_)
        self.vals.append(val)

    def pop_any(self) -> tuple[ValType, str]:
        """`pop_val()`: any value."""
        type_ = self.types[-1]
        if type_ is FRAME:
            if not self.frames[-1].unreachable:
                raise mismatch("a value", "nothing")
            return BOT, "poison"
        self.types.pop()
        val = self.vals.pop()
        if type_ is COND or type_ is NOT:
            return I32, self.as_i32(type_, val)
        return type_, val

    def pop(self, expect: ValType) -> str:
        """`pop_val(expect)`: the operand of a value of type `expect`."""
        if self.types[-1] is expect:
            self.types.pop()
            return self.vals.pop()
        return self.pop_as(expect)[1]

    def pop_as(self, expect: ValType) -> tuple[ValType, str]:
        """The same with the value's actual type."""
        type_, val = self.pop_any()
        if type_ is expect or type_ is BOT or matches(type_, expect):
            return type_, val
        raise mismatch(expect, type_)

    def pop_ref(self) -> tuple[RefType, str]:
        """A reference of any type."""
        type_, val = self.pop_any()
        if type_ is BOT:
            return ref_type(False, "bot"), val
        if not isinstance(type_, RefType):
            raise mismatch("a reference", type_)
        return type_, val

    def pop_cond(self) -> tuple[str, bool]:
        """An i32 used as a condition: an i1 operand, and whether it is the negation."""
        type_ = self.types[-1]
        if type_ is COND or type_ is NOT:
            self.types.pop()
            return self.vals.pop(), type_ is NOT
        return self.as_cond(self.pop(I32)), False

    def push_vals(self, types: Sequence[ValType], vals: Sequence[str]) -> None:
        self.types.extend(types)
        self.vals.extend(vals)

    def pop_vals(self, expect: Sequence[ValType]) -> list[str]:
        """The operands of values of these types, in the order of the types."""
        count = len(expect)
        if not count:
            return []
        tail = self.types[-count:]
        if len(tail) == count and all(map(is_, tail, expect)):
            vals = self.vals[-count:]
            del self.types[-count:], self.vals[-count:]
            return vals
        vals = [self.pop(type_) for type_ in reversed(expect)]
        vals.reverse()
        return vals

    def check_top(self, expect: Sequence[ValType]) -> None:
        """Pop values of these types and push them again, with the types they have."""
        count = len(expect)
        tail = self.types[len(self.types) - count :]
        if not all(map(is_, tail, expect)):
            popped = [self.pop_as(type_) for type_ in reversed(expect)]
            for type_, val in reversed(popped):
                self.push(type_, val)

    def push_ctrl(
        self,
        opcode: int,
        start_types: tuple[ValType, ...],
        end_types: tuple[ValType, ...],
        vals: Sequence[str],
    ) -> ControlFrame:
        """Open a frame; `vals` are the operands of its parameters."""
        self.types.append(FRAME)
        self.vals.append("")
        frame = ControlFrame(opcode, start_types, end_types, len(self.types))
        self.frames.append(frame)
        if start_types:
            self.push_vals(start_types, vals)
        return frame

    def end_vals(self) -> Sequence[str]:
        """The operands of the results where the current frame ends; nothing else may be left."""
        frame = self.frames[-1]
        vals = self.pop_vals(frame.end_types) if frame.end_types else ()
        if len(self.types) != frame.height:
            left = len(self.types) - frame.height
            raise InvalidError(f"type mismatch: {left} values remain at the end of a block")
        return vals

    def pop_ctrl(self, vals: Sequence[str]) -> None:
        """Close the current frame; `vals` are the operands of its results."""
        frame = self.frames.pop()
        self.types.pop()
        self.vals.pop()
        if frame.end_types:
            self.push_vals(frame.end_types, vals)

    def unreachable(self) -> None:
        """`unreachable()`: the rest of the current frame is not executed."""
        frame = self.frames[-1]
        del self.types[frame.height :], self.vals[frame.height :]
        frame.unreachable = True
