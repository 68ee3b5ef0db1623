"""Contexts: the native side of an instance (specification: "Module Instances").

A `VMContext` owns the vmctx that compiled code gets as its first argument, the FuncRefs of its
functions and the environments of its host imports, and keeps alive everything their pointers
lead to. It never holds its store (see store.py) nor a public object that holds a store.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Iterable

from jitwasm.abi import ENV, FUNCREF, MEMORY_RECORD, TABLE_RECORD
from jitwasm.backend.native import CodeImage, HostFunction, HostFunctions, native
from jitwasm.backend.ranges import RecycledRange
from jitwasm.block import Block, read_word
from jitwasm.blueprint import Blueprint
from jitwasm.config import Config
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.func import FunctionAnchor, FunctionSpace, make_funcref
from jitwasm.globals import GlobalCell
from jitwasm.memory import Memory
from jitwasm.records import record
from jitwasm.store import Linked, Member, References, Store
from jitwasm.table import TableCore
from jitwasm.tag import Tag
from jitwasm.types import RefType
from jitwasm.values import is_function_heap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ImportedFunction", "VMContext", "WasmImport", "wasm_import"]

_OVERFLOW, _STORE = ENV.offset["overflow"] // 8, ENV.offset["store"] // 8
_BYTES, _SIZE = MEMORY_RECORD.offset["bytes"] // 8, TABLE_RECORD.offset["size"] // 8
_WORD = (1 << 64) - 1


@record(frozen=True)
class WasmImport:
    """An imported function of another instance: its FuncRef and who owns that."""

    funcref: int
    code: int
    env: int
    context: Member


def wasm_import(anchor: FunctionAnchor) -> WasmImport:
    """The import of an exported function: compiled code will call it directly."""
    code = read_word(anchor.funcref + FUNCREF.offset["code"])
    env = read_word(anchor.funcref + FUNCREF.offset["env"])
    return WasmImport(anchor.funcref, code, env, anchor.context)


# A Python callable or a C function has an environment that belongs to the importer.
ImportedFunction = WasmImport | HostFunction


class VMContext(FunctionSpace):
    """One instance as compiled code sees it.

    What the module defines becomes a Python object when it is first asked for.

    Attributes:
        info: the module's declarations.
        tags: its tags, in order.
        address: of the vmctx.
        blueprint: what the module's instances have in common.
        has_images: whether all active data segments lie in the memories from the start.
    """

    __slots__ = (
        "_block",
        "_extra_funcrefs",
        "_functions",
        "_globals",
        "_hosts",
        "_image",
        "_made",
        "_memories",
        "_reservations",
        "_segments",
        "_tables",
        "address",
        "blueprint",
        "has_images",
        "info",
        "tags",
    )

    def __init__(
        self, info: ModuleInfo, config: Config, image: CodeImage, blueprint: Blueprint
    ) -> None:
        super().__init__(config)
        self.info = info
        self._image = image
        self.blueprint = blueprint
        self._block = block = Block(0, blueprint.template)
        self.address = address = block.address
        pointers, count = blueprint.pointers.buffer_info()
        native().relocate(address, pointers, count, address)
        # Imports; what is not a Python callable, by index.
        self._hosts: HostFunctions | None = None
        self._functions: dict[int, ImportedFunction] = {}
        self._memories: list[Memory] = []
        self._tables: list[TableCore] = []
        self._globals: list[GlobalCell] = []
        self.tags: list[Tag] = []
        # What the module defines: the objects that have been made.
        self._made: dict[tuple[str, int], Any] = {}
        self._reservations: list[RecycledRange | None] = []
        self._segments: list[tuple[RefType, Block]] = []
        self.has_images = False
        self._extra_funcrefs: dict[int, Block] = {}

    @property
    def funcrefs(self) -> int:
        """Address of the FuncRefs of its own functions."""
        return self.address + self.blueprint.funcrefs

    def set_word(self, offset: int, value: int) -> None:
        """Write one field of the vmctx."""
        self._block.words[offset // 8] = value

    def set_code(self, codes: array[int]) -> None:
        """Use this code for the defined functions, in order."""
        first = self.blueprint.codes
        self._block.words[first : first + len(codes)] = codes

    @property
    def fuel(self) -> int:
        """Units of fuel that are left."""
        word = self._block.words[self.info.layout.fuel // 8]
        return 0 if word >> 63 else word

    @fuel.setter
    def fuel(self, units: int) -> None:
        self.set_word(self.info.layout.fuel, units)

    def enter_store(self, store: Store) -> None:
        """Point the environment to its store, from now on and through merges."""
        self._block.words[_OVERFLOW] = store.overflow
        self._block.words[_STORE] = store.state
        store.add_environment(self.address, self)

    def set_functions(
        self, hosts: HostFunctions | None, others: dict[int, ImportedFunction]
    ) -> None:
        """Keep the imported functions: Python callables, which are bound already, and the others
        by index, which are bound here."""
        self._hosts, self._functions = hosts, others
        words, first = self._block.words, self.info.layout.import_slot(0) // 8
        for index, row in others.items():
            slot = first + 2 * index
            words[slot], words[slot + 1] = row.code, row.env

    @property
    def import_slots(self) -> int:
        """Address of the slots of imported functions."""
        return self.address + self.info.layout.import_slot(0)

    def _imported_function(self, funcidx: int) -> ImportedFunction:
        found = self._functions.get(funcidx)
        if found is None:
            assert self._hosts is not None
            found = self._hosts[funcidx]
        return found

    @property
    def environments(self) -> Iterable[int]:
        found = [row.env for row in self._functions.values() if isinstance(row, HostFunction)]
        return found if self._hosts is None else [*found, *self._hosts.environments()]

    # Memories, tables, globals and tags: imports are added in order, before all that are defined.

    def add_imported_memory(self, memory: Memory) -> None:
        layout, memidx = self.info.layout, len(self._memories)
        self.set_word(layout.memory_base(memidx), memory.base)
        self.set_word(layout.memory_record(memidx), memory.record)
        self._memories.append(memory)

    def add_imported_table(self, table: TableCore) -> None:
        layout, tableidx = self.info.layout, len(self._tables)
        self.set_word(layout.table_base(tableidx), table.base)
        self.set_word(layout.table_record(tableidx), table.record)
        self._tables.append(table)

    def add_imported_global(self, cell: GlobalCell) -> None:
        self.set_word(self.info.layout.imported_global(len(self._globals)), cell.address)
        self._globals.append(cell)

    def add_tag(self, tag: Tag) -> None:
        self.set_word(self.info.layout.tag(len(self.tags)), tag.address)
        self.tags.append(tag)

    def reserve(self) -> None:
        """Give the memories and large tables that the module defines their address space."""
        words, blueprint = self._block.words, self.blueprint
        mapped = 0
        for memory in blueprint.memories:
            image = 0 if memory.data is None else memory.data.image()
            reservation = memory.shape.reserve(image)
            mapped += reservation.image != 0
            words[memory.slot] = words[memory.record] = reservation.base
            self._reservations.append(reservation)
        self.has_images = mapped > 0 and mapped == len(blueprint.data or ())
        for table in blueprint.tables:
            if table.shape.is_small:
                self._reservations.append(None)
            else:
                reservation = table.shape.reserve()
                words[table.slot] = words[table.record] = reservation.base
                self._reservations.append(reservation)

    def memory(self, memidx: int) -> Memory:
        """The Python object of a memory."""
        if memidx < len(self._memories):
            return self._memories[memidx]
        memory: Memory = self._member("memory", memidx, self._make_memory)
        return memory

    def table(self, tableidx: int) -> TableCore:
        """The object of a table."""
        if tableidx < len(self._tables):
            return self._tables[tableidx]
        table: TableCore = self._member("table", tableidx, self._make_table)
        return table

    def global_cell(self, globalidx: int) -> GlobalCell:
        """The object of a global."""
        if globalidx < len(self._globals):
            return self._globals[globalidx]
        cell: GlobalCell = self._member("global", globalidx, self._make_cell)
        return cell

    def _member(self, kind: str, index: int, make: Callable[[int], Linked]) -> Any:
        found = self._made.get((kind, index))
        if found is None:
            made = make(index)
            made.join(Store.of_environment(self.address))
            found = self._made.setdefault((kind, index), made)
        return found

    def _make_memory(self, memidx: int) -> Memory:
        place = memidx - self.info.imported_memories
        reservation = self._reservations[place]
        assert reservation is not None
        record = self.blueprint.memories[place].record
        return Memory._from_record(self.info.memories[memidx], reservation, self._block, record)

    def _make_table(self, tableidx: int) -> TableCore:
        place = tableidx - self.info.imported_tables
        reservation = self._reservations[len(self.blueprint.memories) + place]
        plan = self.blueprint.tables[place]
        type_ = self.info.tables[tableidx]
        return TableCore(type_, plan.shape, self._block, plan.record, reservation)

    def _make_cell(self, globalidx: int) -> GlobalCell:
        offset = self.info.layout.global_cell(globalidx)
        return GlobalCell(self.info.globals[globalidx], self._block, offset)

    def memory_base(self, memidx: int) -> int:
        """The address of a memory."""
        return self._block.words[self.info.layout.memory_base(memidx) // 8]

    def memory_size(self, memidx: int) -> int:
        """The size of a memory in bytes."""
        record = self._block.words[self.info.layout.memory_record(memidx) // 8]
        return read_word(record + MEMORY_RECORD.offset["bytes"])

    def own_range(self, memidx: int) -> RecycledRange | None:
        """The address space of a memory, if the module defines it."""
        place = memidx - self.info.imported_memories
        return self._reservations[place] if place >= 0 else None

    def table_extent(self, tableidx: int) -> tuple[int, int]:
        """The address of a table's elements, and how many there are."""
        words, layout = self._block.words, self.info.layout
        record = words[layout.table_record(tableidx) // 8]
        return words[layout.table_base(tableidx) // 8], read_word(record + 8 * _SIZE)

    def global_bits(self, globalidx: int) -> int:
        """The content of a global."""
        if globalidx < len(self._globals):
            return self._globals[globalidx].bits
        return self._make_cell(globalidx).bits

    def define_global(self, globalidx: int, bits: int) -> None:
        """Give a global that the module defines its first value."""
        word = self.info.layout.global_cell(globalidx) // 8
        self._block.words[word] = bits & _WORD
        self._block.words[word + 1] = bits >> 64

    # Segments, and what a reset does.

    def set_elem_segment(self, elemidx: int, block: Block, count: int) -> None:
        """Make a passive element segment available: `count` reference words."""
        offset = self.info.layout.elem_segment(elemidx)
        self.set_word(offset, block.address)
        self.set_word(offset + 8, count)
        self._segments.append((self.info.elements[elemidx].type, block))

    def reset(self) -> None:
        """Let memories, tables, globals and segments be as the template has them."""
        blueprint, words = self.blueprint, self._block.words
        for index, memory in enumerate(blueprint.memories):
            reservation, size = self._reservations[index], memory.shape.size
            assert reservation is not None
            reservation.clear(words[memory.record + _BYTES], size)
            if memory.data is not None:
                memory.data.image()  # one is made now if this is the second use
            words[memory.record + _BYTES] = size
            made = self._made.get(("memory", self.info.imported_memories + index))
            if made is not None:
                made._view = None
        for index, table in enumerate(blueprint.tables, len(blueprint.memories)):
            reservation = self._reservations[index]
            if reservation is not None:
                reservation.clear(8 * words[table.record + _SIZE], 8 * table.shape.size)
                words[table.record + _SIZE] = table.shape.size
        for first, end in blueprint.state:
            words[first:end] = blueprint.template[first:end]
        pointers, count = blueprint.state_pointers.buffer_info()
        native().relocate(self.address, pointers, count, self.address)
        self._segments.clear()

    def publish_funcrefs(self) -> None:
        """Fill in the pointers that `ref.func` loads for imports, once they are bound."""
        for funcidx in self.blueprint.imported:
            self.set_word(self.info.layout.func_ref(funcidx), self.funcref(funcidx))

    def funcref(self, funcidx: int) -> int:
        """The address of a function's FuncRef: an imported wasm function keeps its own."""
        place = self.blueprint.positions.get(funcidx)
        if place is not None:
            return self.address + self.blueprint.funcrefs + FUNCREF.size * place
        imported = self._imported_function(funcidx)
        if isinstance(imported, WasmImport):
            return imported.funcref
        block = self._extra_funcrefs.get(funcidx)
        if block is None:
            made = make_funcref(imported.code, imported.env, self.info.functions[funcidx], funcidx)
            block = self._extra_funcrefs.setdefault(funcidx, made)
            Store.of_environment(self.address).add_environment(imported.env, self)
        return block.address

    def neighbours(self) -> Iterable[Member | Linked]:
        info = self.info
        imported = [f.context for f in self._functions.values() if isinstance(f, WasmImport)]
        tables = map(self.table, range(len(info.tables)))
        # Other globals lead to nothing.
        globals_ = [i for i, type_ in enumerate(info.globals) if type_.value.is_ref]
        return itertools.chain(imported, tables, map(self.global_cell, globals_))

    def references(self) -> References:
        functions: list[int] = []
        others: list[int] = []
        for type_, block in self._segments:
            found = functions if is_function_heap(type_.heap) else others
            found.extend(block.words.tolist())
        return References(functions, others)

    def describe_function(self, funcidx: int) -> tuple[str, str]:
        name = self.info.function_name(funcidx) or str(funcidx)
        type_ = self.info.func_type(funcidx)
        params = [f"p{i}" for i in range(len(type_.params))]
        signature = ", ".join([*params, "/"] if params else [])
        # CPython takes the first line for `inspect.signature`; of a dotted name it wants the end.
        line = f"{name.rpartition('.')[2]}({signature})"
        return name, f"{line}\n--\n\nWebAssembly function {type_}."
