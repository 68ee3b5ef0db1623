"""What a module declares: everything but its function bodies.

The decoder fills a `ModuleInfo` section by section. When the code section begins, all of it is
final except what comes behind the code: `data`, `names` and later custom sections. After that it
is read-only, and it pickles.

Index spaces count imports first (specification: Modules, "Indices").
"""

from __future__ import annotations

from functools import cached_property

from jitwasm.abi import VMLayout
from jitwasm.frontend.names import NameSection, read_name_section
from jitwasm.records import member, record
from jitwasm.types import (
    DefType,
    ExternType,
    FuncType,
    GlobalType,
    MemoryType,
    RefType,
    TableType,
    TagType,
    ValType,
)

__all__ = [
    "ConstExpr",
    "CustomSection",
    "DataSegment",
    "ElementSegment",
    "Export",
    "ExternKind",
    "Import",
    "ModuleInfo",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    ExternKind = Literal["function", "table", "memory", "global", "tag"]
else:
    ExternKind = str


@record(frozen=True, slots=True)
class CustomSection:
    """A custom section. `offset` is the module offset of its payload."""

    name: str
    offset: int
    payload: bytes


@record(frozen=True, slots=True)
class ConstExpr:
    """A valid constant expression in postfix order.

    Attributes:
        ops: (mnemonic, operand) pairs, without the final `end`. Operands: an int for `i32.const`
            and `i64.const` (signed), for `f32.const` and `f64.const` (the bits), `global.get` and
            `ref.func` (an index); 16 bytes for `v128.const`; the heap type of `ref.null`; the
            `DefType` of `struct.new`, `struct.new_default`, `array.new` and `array.new_default`; a
            (DefType, count) pair for `array.new_fixed`; else None.
        type: the type of its value.
    """

    ops: tuple[tuple[str, Any], ...]
    type: ValType


@record(frozen=True, slots=True)
class Import:
    """`desc` says the kind by its class: a `DefType` is a function."""

    module: str
    name: str
    desc: ExternType


@record(frozen=True, slots=True)
class Export:
    name: str
    kind: ExternKind
    index: int
    type: ExternType


@record(frozen=True, slots=True)
class ElementSegment:
    """An element segment.

    Attributes:
        mode: how it is used.
        tableidx, offset: where an active one goes; 0 and None for others.
        type: type of the elements.
        items: the elements: an int is `ref.func` of that function.
    """

    mode: Literal["active", "passive", "declarative"]
    tableidx: int
    offset: ConstExpr | None
    type: RefType
    items: tuple[int | ConstExpr, ...]


@record(frozen=True, slots=True)
class DataSegment:
    """A data segment; `memidx` and `offset` are 0 and None for a passive one."""

    mode: Literal["active", "passive"]
    memidx: int
    offset: ConstExpr | None
    payload: bytes


@record()
class ModuleInfo:
    """The declarations of one module.

    Attributes:
        types: the defined types by typeidx.
        imports: in the order of the import section.
        functions, tables, memories, globals, tags: the type of each member of the index space.
        imported_functions, …: how many of them are imports.
        table_inits: initial value of the elements of the tables that declare one, by tableidx.
        global_inits: initial values of the defined globals.
        exports: in the order of the export section; names are unique.
        start: funcidx of the start function.
        data_count: what the data count section says; without it, bodies cannot name segments.
        declared_functions: functions that occur outside of bodies, so `ref.func` may name them.
        custom_sections: all of them, in order.
    """

    types: list[DefType] = member(default_factory=list)
    imports: list[Import] = member(default_factory=list)
    functions: list[DefType] = member(default_factory=list)
    tables: list[TableType] = member(default_factory=list)
    memories: list[MemoryType] = member(default_factory=list)
    globals: list[GlobalType] = member(default_factory=list)
    tags: list[TagType] = member(default_factory=list)
    imported_functions: int = 0
    imported_tables: int = 0
    imported_memories: int = 0
    imported_globals: int = 0
    imported_tags: int = 0
    table_inits: dict[int, ConstExpr] = member(default_factory=dict)
    global_inits: list[ConstExpr] = member(default_factory=list)
    exports: list[Export] = member(default_factory=list)
    start: int | None = None
    elements: list[ElementSegment] = member(default_factory=list)
    data: list[DataSegment] = member(default_factory=list)
    data_count: int | None = None
    declared_functions: set[int] = member(default_factory=set)
    custom_sections: list[CustomSection] = member(default_factory=list)
    _name_section: CustomSection | None = member(default=None, init=False, repr=False)
    _names: NameSection | None = member(default=None, init=False, repr=False, compare=False)

    @cached_property
    def layout(self) -> VMLayout:
        """The layout of the module's vmctx. Ask for it once the code section has begun."""
        return VMLayout(
            memories=len(self.memories),
            tables=len(self.tables),
            types=len(self.types),
            imported_functions=self.imported_functions,
            defined_functions=len(self.functions) - self.imported_functions,
            imported_globals=self.imported_globals,
            defined_globals=len(self.globals) - self.imported_globals,
            # Code can refer to data segments only if there is a data count section.
            data_segments=self.data_count or 0,
            elem_segments=len(self.elements),
            tags=len(self.tags),
        )

    def add_custom_section(self, section: CustomSection) -> None:
        """Append a custom section (decoder only)."""
        self.custom_sections.append(section)
        if section.name == "name" and self._name_section is None:
            self._name_section = section

    @property
    def names(self) -> NameSection:
        """The name section, as much of it as is there and can be read; decoded at first use."""
        if self._names is None:
            if self._name_section is None:
                return NameSection()
            self._names = read_name_section(self._name_section.payload, len(self.functions))
        return self._names

    def func_type(self, funcidx: int) -> FuncType:
        """The type of a function."""
        comp = self.functions[funcidx].comp
        assert isinstance(comp, FuncType)
        return comp

    def function_name(self, funcidx: int) -> str | None:
        """A name to show: from the name section, else of an export, else of the import."""
        name = self.names.functions.get(funcidx)
        return name if name is not None else self._link_names.get(funcidx)

    @cached_property
    def _link_names(self) -> dict[int, str]:
        names: dict[int, str] = {}
        for export in self.exports:
            if export.kind == "function":
                names.setdefault(export.index, export.name)
        imported = [i.name for i in self.imports if isinstance(i.desc, DefType)]
        for funcidx, name in enumerate(imported):
            names.setdefault(funcidx, name)
        return names
