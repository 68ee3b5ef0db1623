"""Section payloads to `ModuleInfo`, and the validation of everything outside of function bodies.

Specification: Binary Format, "Modules"; Validation, "Modules". One method for each section. The
stream parser sees to the order of sections; references to index spaces are valid or not by what
has been declared up to then, which the order of sections makes the specification's rule.
"""

from __future__ import annotations

from collections.abc import Callable

from jitwasm.config import Features, ImplementationLimits
from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.constexpr import is_defaultable, read_const_expr
from jitwasm.frontend.moduleinfo import (
    ConstExpr,
    DataSegment,
    ElementSegment,
    Export,
    ExternKind,
    Import,
    ModuleInfo,
)
from jitwasm.frontend.reader import Reader, read_ref_type, read_val_type, require_feature
from jitwasm.frontend.typesection import read_mutability, read_types
from jitwasm.types import (
    FUNCREF,
    I32,
    I64,
    DefType,
    ExternType,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    RefType,
    TableType,
    TagType,
    ValType,
    matches,
    ref_type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

__all__ = ["CODE", "CUSTOM", "ORDER", "SectionDecoder"]

CUSTOM = 0
TYPE = 1
IMPORT = 2
FUNCTION = 3
TABLE = 4
MEMORY = 5
GLOBAL = 6
EXPORT = 7
START = 8
ELEMENT = 9
CODE = 10
DATA = 11
DATA_COUNT = 12
TAG = 13

ORDER = {
    section: place
    for place, section in enumerate(
        (
            TYPE,
            IMPORT,
            FUNCTION,
            TABLE,
            MEMORY,
            TAG,
            GLOBAL,
            EXPORT,
            START,
            ELEMENT,
            DATA_COUNT,
            CODE,
            DATA,
        )
    )
}
"""Place of each section that may occur once, by id."""

_KINDS: tuple[ExternKind, ...] = ("function", "table", "memory", "global", "tag")
_FUNC_ELEMENTS = ref_type(False, "func")
"""The type of a segment given by function indices."""

_HAS_MAXIMUM = 1
_SHARED = 2
_ADDR_64 = 4

_MEMORY32_PAGES = 1 << 16
_MEMORY64_PAGES = 1 << 48


class SectionDecoder:
    """Decodes the sections of one module into `info`."""

    def __init__(self, features: Features, limits: ImplementationLimits) -> None:
        self.info = ModuleInfo()
        self.features = features
        self.limits = limits
        self._decoders: dict[int, Callable[[Reader], None]] = {
            TYPE: self._types,
            IMPORT: self._imports,
            FUNCTION: self._functions,
            TABLE: self._tables,
            MEMORY: self._memories,
            TAG: self._tags,
            GLOBAL: self._globals,
            EXPORT: self._exports,
            START: self._start,
            ELEMENT: self._elements,
            DATA_COUNT: self._data_count,
            DATA: self._data,
        }
        self._data_seen = False

    def decode(self, section: int, reader: Reader) -> None:
        """Decode a whole section; `reader` spans its payload."""
        self._decoders[section](reader)
        reader.expect_end()

    def begin_code(self, count: int, offset: int) -> None:
        """The code section has `count` bodies."""
        if count != len(self.info.functions) - self.info.imported_functions:
            raise MalformedError("function and code section have inconsistent lengths", offset)

    def finish(self, code_seen: bool, offset: int) -> None:
        """What can be said only at the end of the module."""
        if not code_seen:
            self.begin_code(0, offset)
        if self.info.data_count and not self._data_seen:
            raise MalformedError("data count and data section have inconsistent lengths", offset)

    # Types and imports

    def _types(self, reader: Reader) -> None:
        self.info.types = read_types(reader, self.features, self.limits)

    def _imports(self, reader: Reader) -> None:
        info = self.info
        for _ in range(reader.count("imports", self.limits.imports)):
            module = reader.name()
            name = reader.name()
            info.imports.append(Import(module, name, self._import_desc(reader)))
        info.imported_functions = len(info.functions)
        info.imported_tables = len(info.tables)
        info.imported_memories = len(info.memories)
        info.imported_globals = len(info.globals)
        info.imported_tags = len(info.tags)

    def _import_desc(self, reader: Reader) -> ExternType:
        offset = reader.offset
        kind = reader.u8()
        if kind == 0:
            function = self._func_typeidx(reader)
            self.info.functions.append(function)
            return function
        if kind == 1:
            table = self._table_type(reader)
            self._add_table(reader, table, offset)
            return table
        if kind == 2:
            return self._add_memory(reader)
        if kind == 3:
            global_ = self._global_type(reader)
            self.info.globals.append(global_)
            return global_
        if kind == 4:
            return self._add_tag(reader)
        raise reader.malformed("malformed import kind", offset)

    def _func_typeidx(self, reader: Reader) -> DefType:
        offset = reader.offset
        typeidx = reader.u32()
        types = self.info.types
        if typeidx >= len(types):
            raise reader.invalid(f"unknown type {typeidx}", offset)
        if not isinstance(types[typeidx].comp, FuncType):
            raise reader.invalid(f"type mismatch: type {typeidx} is not a function type", offset)
        return types[typeidx]

    # Functions, tables, memories, tags, globals

    def _functions(self, reader: Reader) -> None:
        functions = self.info.functions
        limit = self.limits.functions - len(functions)
        for _ in range(reader.count("functions", limit)):
            functions.append(self._func_typeidx(reader))

    def _tables(self, reader: Reader) -> None:
        for _ in range(reader.count("tables", self.limits.tables)):
            self._table(reader)

    def _table(self, reader: Reader) -> None:
        offset = reader.offset
        with_init = not reader.at_end and reader.data[reader.pos] == 0x40
        if with_init:
            require_feature(reader, self.features, "function_references", "a table initialiser")
            reader.pos += 1
            if reader.u8() != 0:
                raise reader.malformed("malformed table", reader.offset - 1)
        table = self._table_type(reader)
        init = self._const_expr(reader, table.element) if with_init else None
        if init is not None:
            self.info.table_inits[len(self.info.tables)] = init
        elif not is_defaultable(table.element):
            raise reader.invalid("type mismatch: a non-nullable table needs a value", offset)
        self._add_table(reader, table, offset)

    def _add_table(self, reader: Reader, table: TableType, offset: int) -> None:
        if len(self.info.tables) >= self.limits.tables:
            raise reader.invalid(f"too many tables, the limit is {self.limits.tables}", offset)
        self.info.tables.append(table)

    def _table_type(self, reader: Reader) -> TableType:
        element = read_ref_type(reader, self.info.types, self.features)
        offset = reader.offset
        limits, flags = self._read_limits(reader, _HAS_MAXIMUM | _ADDR_64)
        addr = I64 if flags & _ADDR_64 else I32
        largest = (1 << (64 if addr is I64 else 32)) - 1
        _check_limits(limits, largest, f"table size must be at most {largest}", offset)
        return TableType(limits, element, addr)

    def _memories(self, reader: Reader) -> None:
        for _ in range(reader.count("memories", self.limits.memories)):
            self._add_memory(reader)

    def _add_memory(self, reader: Reader) -> MemoryType:
        offset = reader.offset
        memory = self._memory_type(reader)
        memories = self.info.memories
        if memories and not self.features.multi_memory:
            raise reader.invalid(
                "multiple memories: a second one requires the feature 'multi_memory'", offset
            )
        if len(memories) >= self.limits.memories:
            raise reader.invalid(f"too many memories, the limit is {self.limits.memories}", offset)
        memories.append(memory)
        return memory

    def _memory_type(self, reader: Reader) -> MemoryType:
        offset = reader.offset
        limits, flags = self._read_limits(reader, _HAS_MAXIMUM | _SHARED | _ADDR_64)
        if flags & _ADDR_64:
            message = "memory size must be at most 2^48 pages"
            _check_limits(limits, _MEMORY64_PAGES, message, offset)
        else:
            message = "memory size must be at most 65536 pages (4GiB)"
            _check_limits(limits, _MEMORY32_PAGES, message, offset)
        shared = bool(flags & _SHARED)
        if shared and limits.maximum is None:
            raise reader.invalid("shared memory must have maximum", offset)
        return MemoryType(limits, I64 if flags & _ADDR_64 else I32, shared)

    def _read_limits(self, reader: Reader, allowed: int) -> tuple[Limits, int]:
        offset = reader.offset
        flags = reader.u8()
        if flags & ~allowed:
            raise reader.malformed("malformed limits flags", offset)
        if flags & _SHARED:
            require_feature(reader, self.features, "threads", "a shared memory")
        if flags & _ADDR_64:
            require_feature(reader, self.features, "memory64", "a 64-bit index type")
        minimum = reader.u64()
        maximum = reader.u64() if flags & _HAS_MAXIMUM else None
        return Limits(minimum, maximum), flags

    def _tags(self, reader: Reader) -> None:
        for _ in range(reader.count("tags", self.limits.tags)):
            self._add_tag(reader)

    def _add_tag(self, reader: Reader) -> TagType:
        offset = reader.offset
        require_feature(reader, self.features, "exceptions", "a tag")
        if reader.u8() != 0:
            raise reader.malformed("malformed tag attribute", offset)
        type_ = self._func_typeidx(reader)
        if isinstance(type_.comp, FuncType) and type_.comp.results:
            raise reader.invalid("non-empty tag result type", offset)
        if len(self.info.tags) >= self.limits.tags:
            raise reader.invalid(f"too many tags, the limit is {self.limits.tags}", offset)
        tag = TagType(type_)
        self.info.tags.append(tag)
        return tag

    def _globals(self, reader: Reader) -> None:
        info = self.info
        limit = self.limits.globals - len(info.globals)
        for _ in range(reader.count("globals", limit)):
            type_ = self._global_type(reader)
            # Its own initialiser sees only the globals before it.
            info.global_inits.append(self._const_expr(reader, type_.value))
            info.globals.append(type_)

    def _global_type(self, reader: Reader) -> GlobalType:
        value = read_val_type(reader, self.info.types, self.features)
        return GlobalType(value, read_mutability(reader))

    # Exports and start

    def _exports(self, reader: Reader) -> None:
        names: set[str] = set()
        for _ in range(reader.count("exports", self.limits.exports)):
            offset = reader.offset
            export = self._export(reader)
            if export.name in names:
                raise reader.invalid(f"duplicate export name {export.name!r}", offset)
            names.add(export.name)
            self.info.exports.append(export)

    def _export(self, reader: Reader) -> Export:
        info = self.info
        name = reader.name()
        offset = reader.offset
        code = reader.u8()
        if code >= len(_KINDS):
            raise reader.malformed("malformed export kind", offset)
        kind = _KINDS[code]
        index = reader.u32()
        space = (info.functions, info.tables, info.memories, info.globals, info.tags)[code]
        if index >= len(space):
            raise reader.invalid(f"unknown {kind} {index}", offset)
        if kind == "function":
            info.declared_functions.add(index)
        return Export(name, kind, index, space[index])

    def _start(self, reader: Reader) -> None:
        offset = reader.offset
        funcidx = self._funcidx(reader)
        type_ = self.info.func_type(funcidx)
        if type_.params or type_.results:
            raise reader.invalid(f"start function must have type () -> (), not {type_}", offset)
        self.info.start = funcidx

    def _funcidx(self, reader: Reader) -> int:
        offset = reader.offset
        funcidx = reader.u32()
        if funcidx >= len(self.info.functions):
            raise reader.invalid(f"unknown function {funcidx}", offset)
        return funcidx

    # Segments

    def _elements(self, reader: Reader) -> None:
        for _ in range(reader.count("element segments", self.limits.element_segments)):
            self.info.elements.append(self._element(reader))

    def _element(self, reader: Reader) -> ElementSegment:
        start = reader.offset
        flags = reader.u32()
        if flags > 7:
            raise reader.malformed("malformed elements segment kind", start)
        # Bit 0: not active. Bit 1: declarative, or active with a table index. Bit 2: expressions.
        mode: Literal["active", "passive", "declarative"] = "active"
        tableidx = 0
        offset: ConstExpr | None = None
        if flags & 1:
            mode = "declarative" if flags & 2 else "passive"
        else:
            tableidx = reader.u32() if flags & 2 else 0
            if tableidx >= len(self.info.tables):
                raise reader.invalid(f"unknown table {tableidx}", start)
            offset = self._const_expr(reader, self.info.tables[tableidx].addr)
        type_ = self._element_type(reader, flags)
        if offset is not None and not matches(type_, self.info.tables[tableidx].element):
            raise reader.invalid(
                f"type mismatch: a segment of {type_} for a table of "
                f"{self.info.tables[tableidx].element}",
                start,
            )
        return ElementSegment(mode, tableidx, offset, type_, self._items(reader, flags, type_))

    def _element_type(self, reader: Reader, flags: int) -> RefType:
        if not flags & 3:
            return FUNCREF if flags & 4 else _FUNC_ELEMENTS
        if flags & 4:
            return read_ref_type(reader, self.info.types, self.features)
        if reader.u8() != 0:
            raise reader.malformed("malformed element kind", reader.offset - 1)
        return _FUNC_ELEMENTS

    def _items(self, reader: Reader, flags: int, type_: RefType) -> tuple[int | ConstExpr, ...]:
        count = reader.count("elements", self.limits.table_size)
        if flags & 4:
            return tuple(self._element_expr(reader, type_) for _ in range(count))
        items = tuple(self._funcidx(reader) for _ in range(count))
        self.info.declared_functions.update(items)
        return items

    def _element_expr(self, reader: Reader, type_: RefType) -> int | ConstExpr:
        expr = self._const_expr(reader, type_)
        if len(expr.ops) == 1 and expr.ops[0][0] == "ref.func":
            funcidx: int = expr.ops[0][1]
            return funcidx
        return expr

    def _data_count(self, reader: Reader) -> None:
        offset = reader.offset
        count = reader.u32()
        if count > self.limits.data_segments:
            raise reader.invalid(
                f"too many data segments: {count}, the limit is {self.limits.data_segments}", offset
            )
        self.info.data_count = count

    def _data(self, reader: Reader) -> None:
        self._data_seen = True
        start = reader.offset
        count = reader.count("data segments", self.limits.data_segments)
        if self.info.data_count not in (None, count):
            raise reader.malformed("data count and data section have inconsistent lengths", start)
        for _ in range(count):
            self.info.data.append(self._data_segment(reader))

    def _data_segment(self, reader: Reader) -> DataSegment:
        start = reader.offset
        flags = reader.u32()
        if flags > 2:
            raise reader.malformed("malformed data segment kind", start)
        if flags == 1:
            return DataSegment("passive", 0, None, reader.take(reader.u32()))
        memidx = reader.u32() if flags == 2 else 0
        if memidx >= len(self.info.memories):
            raise reader.invalid(f"unknown memory {memidx}", start)
        offset = self._const_expr(reader, self.info.memories[memidx].addr)
        return DataSegment("active", memidx, offset, reader.take(reader.u32()))

    def _const_expr(self, reader: Reader, expected: ValType) -> ConstExpr:
        return read_const_expr(reader, self.info, self.features, expected)


def _check_limits(limits: Limits, largest: int, message: str, offset: int) -> None:
    if limits.minimum > largest or (limits.maximum or 0) > largest:
        raise InvalidError(message, offset)
    if limits.maximum is not None and limits.minimum > limits.maximum:
        raise InvalidError("size minimum must not be greater than maximum", offset)
