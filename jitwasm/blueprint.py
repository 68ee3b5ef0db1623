"""What all instances of one module have in common, prepared once.

Most of an instance does not depend on it: code pointers, run-time types, initial values, the
elements of small tables. A blueprint holds an image of all that as one block of memory, so that
making an instance copies it and turns offsets into addresses, instead of looping over what the
module declares.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from jitwasm.abi import FUNCREF, TABLE_RECORD, VMLayout
from jitwasm.backend.native import HostTypes
from jitwasm.block import address_of_bytes
from jitwasm.config import Config
from jitwasm.constants import function_named, literal
from jitwasm.exports import hiding_methods
from jitwasm.frontend.moduleinfo import ConstExpr, ElementSegment, Export, ModuleInfo
from jitwasm.memory import MemoryShape, shape_of
from jitwasm.module import CompiledModule
from jitwasm.records import record
from jitwasm.rtt import rtt_address
from jitwasm.segments import DataPlan, ElementPlan, plan_data
from jitwasm.table import TableShape, table_shape_of
from jitwasm.types import MemoryType

__all__ = ["Blueprint", "MemoryPlan", "TablePlan", "blueprint_of"]

FUNCREF_WORDS = FUNCREF.size // 8
_ALIGN = 16


@record(frozen=True)
class MemoryPlan:
    """A memory that each instance has of its own.

    Attributes:
        shape: its sizes.
        slot, record: which words of the block are its base in the vmctx and its MemoryRecord.
        data: its active segments, if they may lie there from the start: if nothing that goes before
            them, which is all observable, can trap.
    """

    shape: MemoryShape
    slot: int
    record: int
    data: DataPlan | None


@record(frozen=True)
class TablePlan:
    """A table that each instance has of its own.

    Attributes:
        shape: its sizes.
        slot, record: which words of the block are its base in the vmctx and its TableRecord. The
            elements of a small table follow.
        init: what its elements are at first, where the block does not say.
    """

    shape: TableShape
    slot: int
    record: int
    init: ConstExpr | None


@record(frozen=True)
class Blueprint:
    """Templates for the instances of a module.

    Attributes:
        layout: of the vmctx.
        template: words of an instance's block, as far as all agree: the vmctx, the FuncRefs of the
            functions in `positions`, MemoryRecords, TableRecords, elements of small tables.
            Pointers into it are offsets.
        pointers: which words are such pointers.
        state: ranges of words that running code changes, and that a reset copies again.
        state_pointers: those of `pointers` that lie there.
        codes: which word is the first slot of a defined function.
        funcrefs: offset of the FuncRefs.
        positions: place in the FuncRefs of each defined function that outside code may name.
        imported: declared functions that are imports: each instance finds their FuncRefs.
        memories, tables: that the module defines, in order.
        globals: (index, expression) of those whose first values the template does not have.
        elements: (index, segment, plan) of those that each instance places itself.
        data: the active segments; None if not all addresses are constants.
        exports: by name.
        hiding: those that are called like methods of a mapping.
        is_uneven: whether there are `globals` or `init`s of tables.
        host_types: of the imported functions, in order.
    """

    layout: VMLayout
    template: array[int]
    pointers: array[int]
    state: tuple[tuple[int, int], ...]
    state_pointers: array[int]
    codes: int
    funcrefs: int
    positions: dict[int, int]
    imported: tuple[int, ...]
    memories: tuple[MemoryPlan, ...]
    tables: tuple[TablePlan, ...]
    globals: tuple[tuple[int, ConstExpr], ...]
    elements: tuple[tuple[int, ElementSegment, ElementPlan], ...]
    data: dict[int, DataPlan] | None
    exports: dict[str, Export]
    hiding: tuple[str, ...]
    is_uneven: bool
    host_types: HostTypes


def blueprint_of(module: CompiledModule) -> Blueprint:
    """The blueprint of a module, made with its first instance.

    Raises:
        MemoryError: its memories or tables are beyond a limit.
    """
    found = module.blueprint
    if found is None:
        codes = module.entry_points()
        found = module.blueprint = _Builder(module.info, module.config, codes).build()
    assert isinstance(found, Blueprint)
    return found


class _Builder:
    """A blueprint being made."""

    def __init__(self, info: ModuleInfo, config: Config, codes: Sequence[int]) -> None:
        self._info, self._config, self._codes = info, config, codes
        self._layout = layout = info.layout
        self._words = array("Q", bytes(-(-layout.size // _ALIGN) * _ALIGN))
        self._pointers: list[int] = []
        self._state_pointers: list[int] = []  # those in words that running code changes
        exported = {e.index for e in info.exports if e.kind == "function"}
        started = set() if info.start is None else {info.start}
        first = info.imported_functions
        self._named = [
            i for i in sorted(info.declared_functions | exported | started) if i >= first
        ]
        self._positions = {funcidx: place for place, funcidx in enumerate(self._named)}
        self._funcrefs = 8 * len(self._words)
        self._data = plan_data(info)

    def build(self) -> Blueprint:
        info, layout = self._info, self._layout
        self._add_types_and_code()
        self._add_funcrefs()
        self._words.extend([0] * (len(self._words) % 2))
        memories = self._add_memories()
        tables, small = self._add_tables()
        inits = self._add_globals()
        elements = self._add_elements(tables)
        for dataidx, row in enumerate(info.data[: layout.data_segments]):
            if row.mode == "passive":
                word = layout.data_segment(dataidx) // 8
                self._words[word : word + 2] = array(
                    "Q", (address_of_bytes(row.payload), len(row.payload))
                )
        if self._config.fuel is not None:
            self._words[layout.fuel // 8] = self._config.fuel
        own = info.imported_globals
        ranges = (
            (layout.data_segment(0) // 8, layout.tag(0) // 8),
            (layout.global_cell(own) // 8, layout.func_ref(0) // 8),
            (layout.fuel // 8, layout.fuel // 8 + 1),
            (small, len(self._words)),
        )
        exports = {export.name: export for export in info.exports}
        state = tuple(row for row in ranges if row[0] < row[1])
        return Blueprint(
            layout,
            self._words,
            array("I", self._pointers + self._state_pointers),
            state,
            array("I", self._state_pointers),
            layout.function_slot(info.imported_functions) // 8,
            self._funcrefs,
            self._positions,
            tuple(i for i in info.declared_functions if i not in self._positions),
            memories,
            tables,
            inits,
            elements,
            self._data,
            exports,
            hiding_methods(exports),
            bool(inits) or any(plan.init is not None for plan in tables),
            HostTypes([info.func_type(funcidx) for funcidx in range(info.imported_functions)]),
        )

    def _point(self, word: int, offset: int) -> None:
        """Let a word be a pointer to an offset in the block."""
        self._words[word] = offset
        self._pointers.append(word)

    def _add_types_and_code(self) -> None:
        info, layout, codes = self._info, self._layout, self._codes
        for typeidx, type_ in enumerate(info.types):
            self._words[layout.type_rtt(typeidx) // 8] = rtt_address(type_)
        if codes:
            slot = layout.function_slot(info.imported_functions) // 8
            self._words[slot : slot + len(codes)] = array("Q", codes)
        for funcidx in info.declared_functions:
            if funcidx in self._positions:
                self._point(layout.func_ref(funcidx) // 8, self._funcref(funcidx))

    def _funcref(self, funcidx: int) -> int:
        """The offset of a defined function's FuncRef."""
        return self._funcrefs + FUNCREF.size * self._positions[funcidx]

    def _add_funcrefs(self) -> None:
        info, named = self._info, self._named
        words = array("Q", bytes(FUNCREF.size * len(named)))
        for field, values in (
            ("code", [self._codes[funcidx - info.imported_functions] for funcidx in named]),
            ("type", [rtt_address(info.functions[funcidx]) for funcidx in named]),
            ("funcidx", named),
        ):
            words[FUNCREF.offset[field] // 8 :: FUNCREF_WORDS] = array("Q", values)
        # The environment of all is the vmctx: offset 0.
        first = (self._funcrefs + FUNCREF.offset["env"]) // 8
        self._words.extend(words)
        self._pointers.extend(range(first, first + FUNCREF_WORDS * len(named), FUNCREF_WORDS))

    def _add_memories(self) -> tuple[MemoryPlan, ...]:
        info, layout = self._info, self._layout
        defined = info.memories[info.imported_memories :]
        spare = _spare_memory(defined, self._config.limits.memory_bytes)
        certain = self._is_certain()
        plans: list[MemoryPlan] = []
        for memidx, type_ in enumerate(defined, info.imported_memories):
            size = type_.limits.minimum * type_.page_size
            shape = shape_of(type_, None if spare is None else size + spare)
            record = len(self._words)
            self._words.extend(shape.record)
            self._point(layout.memory_record(memidx) // 8, 8 * record)
            data = self._data.get(memidx) if self._data is not None and certain else None
            plans.append(MemoryPlan(shape, layout.memory_base(memidx) // 8, record, data))
        self._words.extend([0] * (len(self._words) % 2))
        return tuple(plans)

    def _is_certain(self) -> bool:
        """Whether all active segments fit, whatever the imports."""
        info = self._info
        for row in info.elements:
            start = None if row.offset is None else literal(row.offset)
            if row.offset is not None and (
                start is None
                or row.tableidx < info.imported_tables
                or start + len(row.items) > info.tables[row.tableidx].limits.minimum
            ):
                return False
        return all(
            memidx >= info.imported_memories
            and plan.end <= (type_ := info.memories[memidx]).limits.minimum * type_.page_size
            for memidx, plan in (self._data or {}).items()
        )

    def _add_tables(self) -> tuple[tuple[TablePlan, ...], int]:
        """The plans, and where small tables begin: behind the records of the others."""
        info = self._info
        defined = range(info.imported_tables, len(info.tables))
        shapes = {tableidx: table_shape_of(info.tables[tableidx]) for tableidx in defined}
        plans: dict[int, TablePlan] = {}
        small = len(self._words)
        for own in (False, True):
            small = len(self._words)
            for tableidx, shape in shapes.items():
                if shape.is_small == own:
                    plans[tableidx] = self._add_table(tableidx, shape)
        return tuple(plans[tableidx] for tableidx in defined), small

    def _add_table(self, tableidx: int, shape: TableShape) -> TablePlan:
        layout, words = self._layout, self._words
        init = self._info.table_inits.get(tableidx)
        slot, record = layout.table_base(tableidx) // 8, len(self._words)
        self._words.extend(shape.record)
        self._point(layout.table_record(tableidx) // 8, 8 * record)
        if shape.is_small:
            base = record + TABLE_RECORD.size // 8
            self._point(slot, 8 * base)
            words[record] = 8 * base
            self._state_pointers.append(record)
            self._words.extend([0] * (shape.maximum + shape.maximum % 2))
            if init is not None and all(
                self._set_reference(base + index, init) for index in range(shape.size)
            ):
                init = None
        return TablePlan(shape, slot, record, init)

    def _set_reference(self, word: int, item: int | ConstExpr) -> bool:
        """Let a word be a reference that is the same for all instances, if it is."""
        words = self._words
        funcidx = item if isinstance(item, int) else function_named(item)
        if funcidx is None:
            return not isinstance(item, int) and literal(item) == 0 and not words[word]
        place = self._positions.get(funcidx)
        if place is None:
            return False
        if not words[word]:  # else this replaces another
            self._state_pointers.append(word)
        words[word] = self._funcrefs + FUNCREF.size * place
        return True

    def _add_globals(self) -> tuple[tuple[int, ConstExpr], ...]:
        info, words = self._info, self._words
        others: list[tuple[int, ConstExpr]] = []
        for globalidx, expression in enumerate(info.global_inits, info.imported_globals):
            word, bits = self._layout.global_cell(globalidx) // 8, literal(expression)
            if bits is not None:
                words[word] = bits & (1 << 64) - 1
                words[word + 1] = bits >> 64
            elif function_named(expression) is None or not self._set_reference(word, expression):
                others.append((globalidx, expression))
        return tuple(others)

    def _add_elements(
        self, tables: Sequence[TablePlan]
    ) -> tuple[tuple[int, ElementSegment, ElementPlan], ...]:
        """The segments that are not part of the template: one that each instance places itself,
        and all behind it, for they overwrite it."""
        info = self._info
        own = {info.imported_tables + index: plan for index, plan in enumerate(tables)}
        rows = [row for row in enumerate(info.elements) if row[1].mode != "declarative"]
        while rows:
            segment = rows[0][1]
            table = own.get(segment.tableidx) if segment.offset is not None else None
            start = None if segment.offset is None else literal(segment.offset)
            if table is None or start is None or not table.shape.is_small or table.init is not None:
                break
            if start + len(segment.items) > table.shape.size:
                break
            if not self._place(segment, table.record + TABLE_RECORD.size // 8 + start):
                break
            del rows[0]
        return tuple((i, row, ElementPlan(row, self._positions)) for i, row in rows)

    def _place(self, segment: ElementSegment, word: int) -> bool:
        return all(self._set_reference(word + i, item) for i, item in enumerate(segment.items))


def _spare_memory(types: Sequence[MemoryType], limit: int | None) -> int | None:
    """By how much each of an instance's memories may grow under a limit for all of them."""
    if limit is None or not types:
        return None
    spare = limit - sum(row.limits.minimum * row.page_size for row in types)
    if spare < 0:
        raise MemoryError(f"the module's memory is larger than the limit of {limit} bytes")
    return spare // len(types)
