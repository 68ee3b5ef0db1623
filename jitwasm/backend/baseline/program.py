"""What the compiler of functions knows about a module: declarations and tables, all plain data.

The layer above hands in the module's declarations (anything with the attributes of
`Declarations`) and the rows of the instruction table.
"""

from __future__ import annotations

from collections.abc import Iterable

from jitwasm.abi import call_conv
from jitwasm.backend.baseline.isa import InstructionSet
from jitwasm.backend.baseline.operands import ARGUMENTS, type_code
from jitwasm.backend.baseline.operands import V128 as V128_CODE
from jitwasm.types import I64, V128, DefType, FuncType, TableType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from jitwasm.backend.baseline.declarations import Declarations

__all__ = ["FLOAT", "INT", "OVERFLOW", "CallPlan", "InstructionRow", "Program"]

InstructionRow = tuple[int, str, tuple[str, ...]]
"""Code (prefixed: `prefix << 12 | sub`), mnemonic, kinds of immediates."""


INT: Final = 0
FLOAT: Final = 1
OVERFLOW: Final = 2


class CallPlan:
    """How a function type is called: for each parameter and result (type code, where, number).

    `where` is INT or FLOAT, the number then counts registers, or OVERFLOW with a slot. `targets`:
    where each parameter goes: a general register, 16 plus a vector register's number, or -1.
    """

    __slots__ = (
        "overflow_params",
        "overflow_results",
        "params",
        "result_types",
        "results",
        "targets",
    )

    def __init__(
        self,
        params: tuple[tuple[int, int, int], ...],
        results: tuple[tuple[int, int, int], ...],
        overflow_params: int,
        overflow_results: int,
        targets: tuple[int, ...],
        result_types: tuple[int, ...],
    ) -> None:
        self.params = params
        self.results = results
        self.overflow_params = overflow_params
        self.overflow_results = overflow_results
        self.targets = targets
        self.result_types = result_types


def call_plan(type_: FuncType) -> CallPlan:
    conv = call_conv(type_)
    sides = []
    for locs in (conv.params, conv.results):
        used = [0, 0]
        places = []
        for loc in locs:
            code, where = type_code(loc.type), FLOAT if loc.type.is_float else INT
            if loc.slot is not None:
                places.append((code, OVERFLOW, loc.slot))
            else:
                places.append((code, where, used[where]))
                used[where] += 1
        sides.append(tuple(places))
    targets = tuple(
        -1 if where == OVERFLOW else ARGUMENTS[number] if where == INT else 16 + number
        for _, where, number in sides[0]
    )
    types = tuple(type_ for type_, _, _ in sides[1])
    return CallPlan(sides[0], sides[1], conv.overflow_params, conv.overflow_results, targets, types)


def _fixed_size(table: TableType) -> int:
    limits = table.limits
    return limits.minimum if limits.minimum == limits.maximum and limits.minimum < 1 << 31 else -1


class Program:
    """A module, prepared for compiling its functions.

    Attributes:
        isa: the instructions of the processor.
        declarations, layout: of the module.
        plans: a CallPlan for each funcidx.
        globals: type codes by globalidx.
        memory_base: offset in vmctx of memory 0's base, if accesses to it are guarded by pages
            and indexed by i32; else -1.
        explicit: whether accesses are checked by comparisons.
        entries: handler and row by first byte (see dispatch.py).
        kinds: how the handlers are called by machine code (direct.py), likewise.
        callees: how functions are called, by `funcidx << 1 | tail` (calls.py).
        indirect: how they are through tables, by `typeidx << 32 | tableidx` (likewise).
        table_records, table_bases, first_rtt: offsets in vmctx.
        table_sizes: of tables that cannot grow, and -1 of others.
        immediates: kinds of immediates by opcode, prefixed ones too.
        limits_stack: whether functions compare the stack pointer with the thread's `stack_floor`.
        vectors: whether a v128 may come into a function from outside: calls and globals bring them
            where there is no vector instruction.
    """

    def __init__(
        self,
        declarations: Declarations,
        explicit: bool,
        rows: Iterable[InstructionRow],
        isa: InstructionSet,
    ) -> None:
        self.isa = isa
        self.declarations = declarations
        self.layout = declarations.layout
        self.explicit = explicit
        self._plans: dict[FuncType, CallPlan] = {}
        self.plans: list[CallPlan] = [self.plan(type_) for type_ in declarations.functions]
        self.globals: list[int] = [type_code(row.value) for row in declarations.globals]
        memories = declarations.memories
        plain = bool(memories) and memories[0].addr is not I64 and not explicit
        self.memory_base = self.layout.memory_base(0) if plain else -1
        self.immediates: dict[int, tuple[str, ...]] = {code: kinds for code, _, kinds in rows}
        self.callees: dict[int, Any] = {}
        self.indirect: dict[int, Any] = {}
        tables = range(len(declarations.tables))
        self.table_records: list[int] = [self.layout.table_record(i) for i in tables]
        self.table_bases: list[int] = [self.layout.table_base(i) for i in tables]
        self.table_sizes: list[int] = [_fixed_size(table) for table in declarations.tables]
        self.first_rtt: int = self.layout.type_rtt(0)
        self.block_types: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self.entries: tuple[tuple[Any, Any], ...] = ()
        self.kinds: bytes = b""
        self.limits_stack: bool = False
        self.vectors: bool = V128_CODE in self.globals or any(
            V128 in type_.comp.params or V128 in type_.comp.results
            for type_ in declarations.types
            if isinstance(type_.comp, FuncType)
        )

    def plan(self, type_: DefType) -> CallPlan:
        """How functions of a type are called."""
        comp = type_.comp
        assert isinstance(comp, FuncType)
        found = self._plans.get(comp)
        if found is None:
            found = self._plans[comp] = call_plan(comp)
        return found

    def block_type(self, typeidx: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Type codes of the parameters and results of a block with a type index."""
        found = self.block_types.get(typeidx)
        if found is None:
            comp = self.declarations.types[typeidx].comp
            assert isinstance(comp, FuncType)
            found = self.block_types[typeidx] = (
                tuple(map(type_code, comp.params)),
                tuple(map(type_code, comp.results)),
            )
        return found
