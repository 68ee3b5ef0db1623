"""Contexts: the native side of an instance (specification: "Module Instances").

A `VMContext` owns the vmctx that compiled code gets as its first argument, the FuncRefs of its
functions and the environments of its host imports, and keeps alive everything their pointers
lead to. It never holds its store (see store.py) nor a public object that holds a store.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable

from jitwasm.abi import ENV, FUNCREF
from jitwasm.backend.native import CodeImage, HostFunction, native
from jitwasm.block import Block, address_of_bytes, read_word
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

__all__ = ["ImportedFunction", "VMContext", "WasmImport", "wasm_import"]

_OVERFLOW, _STORE = ENV.offset["overflow"] // 8, ENV.offset["store"] // 8


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

    Attributes:
        info: the module's declarations.
        functions: the imported functions.
        memories, tables, globals, tags: the members of the index spaces, in order.
        address: of the vmctx.
        blueprint: what the module's instances have in common.
    """

    __slots__ = (
        "_block",
        "_extra_funcrefs",
        "_image",
        "_segments",
        "address",
        "blueprint",
        "functions",
        "globals",
        "info",
        "memories",
        "tables",
        "tags",
    )

    def __init__(
        self, info: ModuleInfo, config: Config, image: CodeImage, blueprint: Blueprint
    ) -> None:
        super().__init__(config)
        self.info = info
        self._image = image
        self.blueprint = blueprint
        # The vmctx, and the FuncRefs of its functions.
        self._block = block = Block(len(blueprint.vmctx), blueprint.vmctx)
        self.address = block.address
        pointers, count = blueprint.pointers.buffer_info()
        if count:
            native().relocate(block.address, pointers, count, block.address)
        self._extra_funcrefs: dict[int, Block] = {}
        self._segments: list[tuple[RefType, Block]] = []
        self.functions: list[ImportedFunction] = []
        self.memories: list[Memory] = []
        self.tables: list[TableCore] = []
        self.globals: list[GlobalCell] = []
        self.tags: list[Tag] = []
        if config.fuel is not None:
            self.fuel = config.fuel

    @property
    def funcrefs(self) -> int:
        """Address of the FuncRefs of its own functions."""
        return self.address + self.blueprint.funcrefs

    def set_word(self, offset: int, value: int) -> None:
        """Write one field of the vmctx."""
        self._block.words[offset // 8] = value

    def set_code(self, codes: array[int]) -> None:
        """Use this code for the defined functions, in order."""
        first = self.info.layout.function_slot(self.info.imported_functions) // 8
        self._block.words[first : first + len(codes)] = memoryview(codes).cast("B").cast("Q")

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

    def set_functions(self, imported: list[ImportedFunction]) -> None:
        """Bind the imported functions: all of them, in order."""
        self.functions = imported
        if imported:
            codes = array("Q", [word for row in imported for word in (row.code, row.env)])
            first = self.info.layout.import_slot(0) // 8
            self._block.words[first : first + len(codes)] = memoryview(codes).cast("B").cast("Q")
            self.environments = [row.env for row in imported if isinstance(row, HostFunction)]

    def add_memory(self, memory: Memory) -> None:
        memidx = len(self.memories)
        layout, record = self.info.layout, memory.record
        self.set_word(layout.memory_base(memidx), memory.base)
        self.set_word(layout.memory_record(memidx), record)
        self.memories.append(memory)

    def add_table(self, table: TableCore) -> None:
        tableidx = len(self.tables)
        layout = self.info.layout
        self.set_word(layout.table_base(tableidx), table.base)
        self.set_word(layout.table_record(tableidx), table.record.address)
        self.tables.append(table)

    def add_imported_global(self, cell: GlobalCell) -> None:
        self.set_word(self.info.layout.imported_global(len(self.globals)), cell.address)
        self.globals.append(cell)

    def add_defined_global(self, bits: int) -> None:
        """Define the next global, with its initial value."""
        globalidx = len(self.globals)
        offset = self.info.layout.global_cell(globalidx)
        cell = GlobalCell(self.info.globals[globalidx], self._block, offset)
        cell.bits = bits
        self.globals.append(cell)

    def add_tag(self, tag: Tag) -> None:
        self.set_word(self.info.layout.tag(len(self.tags)), tag.address)
        self.tags.append(tag)

    def set_data_segment(self, dataidx: int, payload: bytes) -> None:
        """Make a passive data segment available."""
        offset = self.info.layout.data_segment(dataidx)
        self.set_word(offset, address_of_bytes(payload))
        self.set_word(offset + 8, len(payload))

    def set_elem_segment(self, elemidx: int, block: Block, count: int) -> None:
        """Make a passive element segment available: `count` reference words."""
        offset = self.info.layout.elem_segment(elemidx)
        self.set_word(offset, block.address)
        self.set_word(offset + 8, count)
        self._segments.append((self.info.elements[elemidx].type, block))

    def drop_segments(self) -> None:
        """Forget the passive segments, which are then to be set again."""
        layout, words = self.info.layout, self._block.words
        first, end = layout.data_segment(0) // 8, layout.tag(0) // 8
        words[first:end] = memoryview(bytes(8 * (end - first))).cast("Q")
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
        imported = self.functions[funcidx]
        if isinstance(imported, WasmImport):
            return imported.funcref
        block = self._extra_funcrefs.get(funcidx)
        if block is None:
            made = make_funcref(imported.code, imported.env, self.info.functions[funcidx], funcidx)
            block = self._extra_funcrefs.setdefault(funcidx, made)
            Store.of_environment(self.address).add_environment(imported.env, self)
        return block.address

    def neighbours(self) -> Iterable[Member | Linked]:
        imported = [f.context for f in self.functions if isinstance(f, WasmImport)]
        return itertools.chain(imported, self.tables, self.globals)

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
