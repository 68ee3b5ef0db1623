"""Tables (specification: Runtime Structure, "Table Instances"; JS API: `Table`).

Elements are reference words in a range that never moves. `TableCore` is the table itself,
shared by the instances that use it; `Table` is its one Python object, which keeps alive what the
elements may refer to. The split keeps instances out of reference cycles with their own tables.
"""

from __future__ import annotations

import ctypes
import weakref
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jitwasm.abi import TABLE_RECORD
from jitwasm.backend.memmap import pages
from jitwasm.backend.native import native
from jitwasm.backend.ranges import RecycledRange
from jitwasm.block import Block, read_word, write_word
from jitwasm.collector import collect_if_due
from jitwasm.records import record
from jitwasm.sealed import Unpicklable
from jitwasm.store import Hold, Linked, References, Store
from jitwasm.types import I32, I64, Limits, RefType, TableType, ValType
from jitwasm.values import integer, is_function_heap, parse_ref_type, ref_object, ref_word

__all__ = ["Table", "TableCore", "TableShape", "table_shape_of"]

TABLE_LIMIT = 10_000_000
"""Elements any table may have (JavaScript API: "Implementation-defined Limits")."""

_FEW = 4096
"""Elements that lie beside the record: a mapping of their own would take several times longer."""

_BASE, _SIZE = (TABLE_RECORD.offset[name] // 8 for name in ("base", "size"))
assert tuple(TABLE_RECORD.offset) == ("base", "size", "maximum", "reserved")
_MAX_LENGTH = {I32: (1 << 32) - 1, I64: (1 << 64) - 1}


@record(frozen=True)
class TableShape:
    """What is known of a table before it is made.

    Attributes:
        size: its initial size, in elements.
        maximum: elements it can really grow to.
        range: bytes of address space for the elements; 0: they lie behind the record.
        record: its TableRecord, but for the base.
    """

    size: int
    maximum: int
    range: int
    record: array[int]

    @property
    def is_small(self) -> bool:
        return self.range == 0

    def reserve(self) -> RecycledRange:
        """The range for the elements of a table that is not small."""
        return RecycledRange(self.range, pages(8 * self.size))


def table_shape_of(type_: TableType) -> TableShape:
    """The shape of a table of a validated type.

    Raises:
        MemoryError: it is beyond the implementation's limits.
    """
    limits = type_.limits
    if limits.minimum > TABLE_LIMIT:
        raise MemoryError(f"a table of {limits.minimum} elements: the limit is {TABLE_LIMIT}")
    maximum = min(TABLE_LIMIT if limits.maximum is None else limits.maximum, TABLE_LIMIT)
    reserved = 0 if maximum <= _FEW else pages(8 * maximum)
    return TableShape(
        limits.minimum, maximum, reserved, array("Q", (0, limits.minimum, maximum, reserved))
    )


class TableCore(Linked):
    """A table as instances see it.

    Attributes:
        declared: its type as declared.
        record: address of the TableRecord.
        base: address of element 0, which never moves.
        maximum: elements it can really grow to.
    """

    __slots__ = (
        "_block",
        "_handle",
        "_reservation",
        "_size",
        "base",
        "declared",
        "maximum",
        "record",
    )

    def __init__(
        self,
        type_: TableType,
        shape: TableShape,
        block: Block,
        record: int,
        reservation: RecycledRange | None,
    ) -> None:
        """The table whose TableRecord begins at a word of a block; there must be one only."""
        super().__init__()
        self.declared = type_
        self._handle: weakref.ref[Table] | None = None
        self.maximum = shape.maximum
        self._reservation = reservation
        self._block, self._size = block, record + _SIZE
        self.record = block.address + 8 * record
        self.base = block.words[record]

    @classmethod
    def new(cls, type_: TableType) -> TableCore:
        """A table in memory of its own."""
        shape = table_shape_of(type_)
        words = shape.record[:]
        if shape.is_small:
            words.extend([0] * shape.maximum)
        block, reservation = Block(0, words), None if shape.is_small else shape.reserve()
        base = block.address + TABLE_RECORD.size if reservation is None else reservation.base
        block.words[_BASE] = base
        return cls(type_, shape, block, 0, reservation)

    @property
    def size(self) -> int:
        return self._block.words[self._size]

    @property
    def type(self) -> TableType:
        """Its type, with the current size as minimum."""
        declared = self.declared
        limits = Limits(self.size, declared.limits.maximum)
        return TableType(limits, declared.element, declared.addr)

    def read_words(self) -> list[int]:
        """The words of all elements."""
        return list((ctypes.c_uint64 * self.size).from_address(self.base))

    def write(self, start: int, words: Sequence[int]) -> None:
        """Store reference words; the caller has checked the range."""
        if words:
            source = (ctypes.c_uint64 * len(words))(*words)
            ctypes.memmove(self.base + 8 * start, source, 8 * len(words))

    @property
    def is_held(self) -> bool:
        return self._handle is not None and self._handle() is not None

    def references(self) -> References:
        words = self.read_words()
        if is_function_heap(self.declared.element.heap):
            return References(functions=words)
        return References(others=words)

    def handle(self, hold: Hold) -> Table:
        """The one Python object of this table, and what it keeps if it is made now."""
        found = self._handle() if self._handle is not None else None
        if found is None:
            found = Table._from_core(self, hold)
            self._handle = weakref.ref(found)
        return found


class Table(Unpicklable):
    """A table of references: functions or, for "externref", any Python objects.

    `t[i]` and `t.get(i)` give exported functions as the same Python object every time; unset
    elements are None. Access out of range, also with a negative index, raises `IndexError`.

    Args:
        element: "funcref" (or "anyfunc"), "externref", or a `RefType`.
        initial: number of elements.
        maximum: elements it may grow to.
        init: the first value of all elements.
        address: "i32" or "i64", the type of indices in WebAssembly code.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: sizes out of range.
    """

    __slots__ = ("__weakref__", "_core", "_hold")

    def __init__(
        self,
        element: str | ValType,
        initial: int,
        maximum: int | None = None,
        init: object = None,
        *,
        address: str = "i32",
    ) -> None:
        if address not in ("i32", "i64"):
            raise ValueError(f"address must be 'i32' or 'i64', not {address!r}")
        type_ = parse_ref_type(element)
        index = I32 if address == "i32" else I64
        limits = _checked_limits(initial, maximum, _MAX_LENGTH[index])
        self._hold: Hold | None = None
        self._core = TableCore.new(TableType(limits, type_, index))
        self._core._handle = weakref.ref(self)
        if init is not None or not type_.nullable:
            with self._references() as store:
                self._core.write(0, [ref_word(init, type_, store)] * limits.minimum)

    @classmethod
    def _from_core(cls, core: TableCore, hold: Hold) -> Table:
        self = cls.__new__(cls)
        self._core = core
        self._hold = hold
        return self

    def _attach(self, store: Store) -> None:
        """Belong to a store, and keep it alive."""
        self._core.join(store)
        if self._hold is None:
            self._hold = Hold(store)

    @contextmanager
    def _references(self) -> Iterator[Store]:
        """The store, with this thread inside: so a reference word stays valid while it is used."""
        store = self._core.linked_store
        if store is None:
            store = Store()
            self._attach(store)
        with store.entered():
            yield store
        collect_if_due(store)

    @property
    def type(self) -> TableType:
        """Its type, with the current length as minimum."""
        return self._core.type

    @property
    def element(self) -> RefType:
        """The type of its elements."""
        return self._core.declared.element

    def __len__(self) -> int:
        return self._core.size

    def __bool__(self) -> bool:
        return True

    def _element_address(self, index: object) -> int:
        position = integer(index, "table index")
        size = self._core.size
        if not 0 <= position < size:
            raise IndexError(f"index {position} is out of bounds for a table of {size} elements")
        return self._core.base + 8 * position

    def get(self, index: int) -> object:
        """The element at `index`: a function, an object, or None."""
        address = self._element_address(index)
        if not read_word(address):
            return None
        with self._references():
            return ref_object(read_word(address), self.element)

    def set(self, index: int, value: object = None) -> None:
        """Store an element: an exported function or None; any object in an externref table."""
        address = self._element_address(index)
        if value is None and self.element.nullable:
            write_word(address, 0)
            return
        with self._references() as store:
            write_word(address, ref_word(value, self.element, store))

    def grow(self, count: int, value: object = None) -> int:
        """Append `count` elements of one value and return the old length.

        Raises:
            ValueError: it would exceed the maximum.
        """
        delta = integer(count, "count")
        old = -1
        with self._references() as store:
            word = ref_word(value, self.element, store)
            if 0 <= delta <= TABLE_LIMIT:
                old = native().table_grow(self._core.record, delta, word)
        if old < 0:
            limits = f"of {len(self)} elements, at most {self._core.maximum},"
            raise ValueError(f"cannot grow a table {limits} by {delta}")
        return old

    def __getitem__(self, index: int) -> object:
        return self.get(index)

    def __setitem__(self, index: int, value: object) -> None:
        self.set(index, value)

    def __iter__(self) -> Iterator[object]:
        return (self.get(i) for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<Table {self.type}>"


def _checked_limits(initial: object, maximum: object, bound: int) -> Limits:
    minimum = integer(initial, "initial")
    if not 0 <= minimum <= TABLE_LIMIT:
        raise ValueError(f"initial must be between 0 and {TABLE_LIMIT}, not {minimum}")
    if maximum is None:
        return Limits(minimum)
    most = integer(maximum, "maximum")
    if not minimum <= most <= bound:
        raise ValueError(f"maximum must be between {minimum} and {bound}, not {most}")
    return Limits(minimum, most)
