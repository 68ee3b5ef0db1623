"""Lines, blocks and SSA form of one function, made on the fly: no allocas, no second pass.

Locals: the method of Braun et al., "Simple and Efficient Construction of Static Single Assignment
Form" (CC 2013), for structured control flow. `locals` has the value of each local; where control
flow merges and the edges differ it is None: the value at the region's top, not looked up yet.
Looking up makes the phi, so a local that nobody reads gets none. The header of a loop has edges
that are still unknown, but a scan before (prescan.py) told which locals the loop assigns; the
others have the value from before the loop.

Unreachable code is emitted like any other, into lists that nobody reads.

Invariants:
* The lines are LLVM instructions without indentation; labels start with `|`.
* Numbered values (`%7`) are defined in increasing order of their numbers, as LLVM wants it. Phis
  of locals come to a block's top late, so they have names (`%p7`).
* `block` is the label of the LLVM block being filled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, compress, count, islice
from operator import is_not

from jitwasm.frontend.stacks import NOT, Edge, Region, Stacks
from jitwasm.types import ValType

__all__ = ["ENTRY", "LOCAL_BITS", "SSABuilder"]

ENTRY = "b0"
LOCAL_BITS = 16
_NAMES = tuple(f"%{i}" for i in range(10_000))


def _numbered(first: int) -> Callable[[], str]:
    """A function that gives %first, %first+1, …; in C all the way."""
    start = max(first, len(_NAMES))
    return chain(islice(_NAMES, first, None), map("%".__add__, map(str, count(start)))).__next__


class SSABuilder(Stacks):
    """Output of a function's body.

    Attributes:
        fresh: gives the next numbered name.
        lines: the code so far; while unreachable, a list that is thrown away.
        line: appends an instruction to it.
        reachable: whether code is kept now.
        block: label of the current LLVM block.
        region: the region it belongs to.
        locals: value of each local, None where it must be looked up.
        unread: values assigned to locals and not read since -> line of the assignment
            `<< LOCAL_BITS | local`. Those left at the end are dead, but loads must still trap.
        pointers: (memory, index operand) -> pointer, defined where control must have passed; in
            unreachable code, something that is thrown away.
        anchors: root of addresses -> (constant, pointer) of sums that must have been accessed.
    """

    __slots__ = (
        "_anchored",
        "_body",
        "_dead_locals",
        "_incomplete",
        "_labels",
        "_phis",
        "_pointers",
        "_regions",
        "_unread",
        "anchors",
        "block",
        "fresh",
        "line",
        "lines",
        "local_types",
        "locals",
        "pointers",
        "reachable",
        "region",
        "unread",
    )

    def __init__(self, local_types: list[ValType], values: list[str], params: int) -> None:
        super().__init__()
        self.fresh = _numbered(params)
        self._body: list[str] = []
        self.lines = self._body
        self.line: Callable[[str], None] = self._body.append
        self.reachable = True
        self.block = ENTRY
        self.region = Region(ENTRY, 0, [])
        self.local_types = local_types
        self.locals: list[str | None] = [*values]
        self._dead_locals: list[str | None] = []
        self._labels = 0
        self._phis = 0
        self._regions: list[Region] = []
        self._incomplete: list[tuple[Region, str, int]] = []
        self._unread: dict[str, int] = {}
        self.unread = self._unread
        self._pointers: dict[object, str] = {}
        self.pointers = self._pointers
        self.anchors: dict[str, list[tuple[int, str]]] = {}
        self._anchored: list[str] = []

    # -- values ----------------------------------------------------------------------------------

    def op(self, rhs: str) -> str:
        """Emit `%n = rhs` and give `%n`."""
        name = self.fresh()
        self.line(f"{name} = {rhs}")
        return name

    def as_i32(self, type_: ValType, val: str) -> str:
        if type_ is NOT:
            val = self.op(f"xor i1 {val}, true")
        return self.op(f"zext i1 {val} to i32")

    def as_cond(self, val: str) -> str:
        return self.op(f"icmp ne i32 {val}, 0")

    # -- blocks ----------------------------------------------------------------------------------

    def new_label(self) -> str:
        self._labels += 1
        return f"b{self._labels}"

    def start_block(self, label: str) -> None:
        """Begin an LLVM block with the current one as its only predecessor."""
        self.line(f"|{label}:")
        self.block = label

    def die(self) -> None:
        """What follows is unreachable."""
        self.reachable = False
        self.lines = []
        self.line = self.lines.append
        if not self._dead_locals:
            self._dead_locals = ["poison"] * len(self.locals)
        self.locals = self._dead_locals
        self.unread = {}
        self.pointers = {}

    def _revive(self, label: str, locals_: list[str | None], region: Region) -> None:
        self.reachable = True
        self.lines = self._body
        self.line = self._body.append
        self.locals = locals_
        self.region = region
        self.unread = self._unread
        self.pointers = self._pointers
        self.start_block(label)

    def known(self) -> tuple[int, int]:
        """What `forget` goes back to."""
        return len(self._pointers), len(self._anchored)

    def forget(self, known: tuple[int, int]) -> None:
        """Control may have passed by what was added to `pointers` and `anchors` since then."""
        pointers, anchors = known
        while len(self._pointers) > pointers:
            self._pointers.popitem()
        while len(self._anchored) > anchors:
            self.anchors[self._anchored.pop()].pop()

    def anchor(self, root: str, constant: int, pointer: str) -> None:
        """`root + constant` is accessed, through this pointer."""
        if self.reachable:
            self.anchors.setdefault(root, []).append((constant, pointer))
            self._anchored.append(root)

    def edge(self, vals: Sequence[str] = (), final: bool = False) -> Edge:
        """A jump from here. `final`: this block does not go on after it."""
        locals_ = self.locals if final else self.locals[:]
        return Edge(self.block, locals_, self.region, vals)

    def patch(self, line: int, old: str, new: str) -> None:
        """Change a line of the body that is out already."""
        self._body[line] = self._body[line].replace(old, new, 1)

    def enter(self, edge: Edge, label: str) -> None:
        """Begin a block that only `edge` goes to."""
        self._revive(label, edge.locals[:], edge.region)

    def join(self, edges: list[Edge], label: str, types: Sequence[ValType]) -> Sequence[str]:
        """Begin the block `label`, to which `edges` go; give the operands for `types`."""
        if len(edges) == 1:
            self.enter(edges[0], label)
            return edges[0].vals
        region = Region(label, len(self._body), edges)
        self._regions.append(region)
        self._revive(label, _common(edges), region)
        if not types:
            return ()
        columns = zip(*(edge.vals for edge in edges), strict=True)
        return [
            self._merge(edges, type_.ir, operands)
            for type_, operands in zip(types, columns, strict=True)
        ]

    def _merge(self, edges: list[Edge], ir: str, operands: Sequence[str]) -> str:
        first = operands[0]
        if operands.count(first) == len(operands):
            return first
        name = self.fresh()
        self.line(f"{name} = {_phi(ir, operands, edges)}")
        return name

    # -- loops -----------------------------------------------------------------------------------

    @property
    def loop_count(self) -> int:
        """How many loops have been started."""
        return sum(region.assigned is not None for region in self._regions)

    def start_loop(self, label: str, assigned: frozenset[int], vals: Sequence[str]) -> Region:
        """Begin a loop's header; its first edge is from here, with `vals`."""
        edge = self.edge(vals, final=True)
        self.line(f"br label %{label}")
        region = Region(label, len(self._body), [edge], assigned)
        self._regions.append(region)
        locals_ = edge.locals[:]
        for local in assigned:
            locals_[local] = None
        self._revive(label, locals_, region)
        return region

    def loop_param(self, region: Region, ir: str) -> str:
        """The value of the header's next parameter."""
        region.params.append((len(self._body), ir))
        return self.op("")

    def end_loop(self, region: Region) -> None:
        """All edges to the header are known now."""
        region.open = False
        self._incomplete.extend((region, name, local) for name, local in region.pending)
        region.pending.clear()
        for k, (line, ir) in enumerate(region.params):
            operands = [edge.vals[k] for edge in region.edges]
            self._body[line] += _phi(ir, operands, region.edges)
        self._complete_phis()

    # -- locals ----------------------------------------------------------------------------------

    def read_local(self, local: int) -> str:
        """The value of a local that is not known in this region yet."""
        value = self.region.values.get(local)
        if value is None:
            value = self._value_at(self.region, local)
            if self._incomplete:
                self._complete_phis()
        self.locals[local] = value
        return value

    def _value_at(self, region: Region, local: int) -> str:
        """The value of a local at a region's top. A worklist: regions nest and follow deeply."""
        work = [region]
        while work:
            top = work[-1]
            if local in top.values:
                work.pop()
            elif top.assigned is None:
                self._look_up(top, local, top.edges, work)
            elif local not in top.assigned:
                self._look_up(top, local, top.edges[:1], work)
            else:
                name = top.values[local] = self._new_phi()
                if top.open:
                    top.pending.append((name, local))
                else:
                    self._incomplete.append((top, name, local))
                work.pop()
        return region.values[local]

    def _look_up(self, region: Region, local: int, edges: list[Edge], work: list[Region]) -> None:
        """Find the value from the edges, or put regions that must be asked first into `work`."""
        operands: list[str] = []
        known = True
        unread = self._unread
        for edge in edges:
            value = edge.locals[local]
            if value is None:
                value = edge.region.values.get(local)
                if value is None:
                    work.append(edge.region)
                    known = False
                    continue
            elif value in unread:
                del unread[value]
            operands.append(value)
        if known:
            work.pop()
            first = operands[0]
            if operands.count(first) != len(operands):
                name = self._new_phi()
                region.phis.append(f"{name} = {_phi(self.local_types[local].ir, operands, edges)}")
                first = name
            region.values[local] = first

    def _complete_phis(self) -> None:
        """Give the phis of closed loops their operands; looking those up may bring more phis."""
        while self._incomplete:
            region, name, local = self._incomplete.pop()
            operands: list[str] = []
            for edge in region.edges:
                value = edge.locals[local]
                if value is None:
                    value = self._value_at(edge.region, local)
                elif value in self._unread:
                    del self._unread[value]
                operands.append(value)
            ir = self.local_types[local].ir
            region.phis.append(f"{name} = {_phi(ir, operands, region.edges)}")

    def _new_phi(self) -> str:
        self._phis += 1
        return f"%p{self._phis}"

    # -- the end ---------------------------------------------------------------------------------

    def body_text(self) -> str:
        """All lines of the body, indented."""
        body = self._body
        for region in self._regions:
            if region.phis:
                body[region.line] += "\n  " + "\n  ".join(region.phis)
        return ("  " + "\n  ".join(body)).replace("  |", "")


def _common(edges: list[Edge]) -> list[str | None]:
    """The locals behind a merge: None where the edges differ, or do not know."""
    first = edges[0].locals
    merged = first[:]
    for edge in edges:
        if edge.locals is not first:
            # Only where they differ there is work for the interpreter.
            for local in compress(count(), map(is_not, first, edge.locals)):
                merged[local] = None
    return merged


def _phi(ir: str, operands: Sequence[str], edges: Sequence[Edge]) -> str:
    incoming = [f"[ {val}, %{edge.block} ]" for val, edge in zip(operands, edges, strict=True)]
    return f"phi {ir} {', '.join(incoming)}"
