"""Globals (specification: Runtime Structure, "Global Instances"; JS API: `Global`).

A global is a cell of 16 bytes: in the vmctx of the instance that defines it, or in memory of its
own. `GlobalCell` is the global itself; `Global` is its one Python object, which keeps alive what
a reference in the cell may refer to.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from jitwasm.abi import GLOBAL_CELL
from jitwasm.block import Block
from jitwasm.collector import collect_if_due
from jitwasm.sealed import Unpicklable
from jitwasm.store import Hold, Linked, References, Store
from jitwasm.types import GlobalType, RefType, ValType
from jitwasm.values import from_bits, is_function_heap, number_bits, parse_val_type, ref_word

__all__ = ["Global", "GlobalCell"]

_WORD = (1 << 64) - 1
_UNSET = object()


class GlobalCell(Linked):
    """A global as instances see it.

    Attributes:
        type: its type.
        address: of the cell.
    """

    __slots__ = ("_block", "_handle", "_index", "type")

    def __init__(self, type_: GlobalType, block: Block | None = None, offset: int = 0) -> None:
        """In memory of its own, or at an offset in a block."""
        super().__init__()
        self.type = type_
        self._block = Block(GLOBAL_CELL) if block is None else block
        self._index = offset // 8
        self._handle: weakref.ref[Global] | None = None

    @property
    def address(self) -> int:
        return self._block.address + 8 * self._index

    @property
    def bits(self) -> int:
        """The content; only the first `type.value.size` bytes are defined."""
        words = self._block.words
        low = words[self._index]
        return low | words[self._index + 1] << 64 if self.type.value.size == 16 else low

    @bits.setter
    def bits(self, value: int) -> None:
        words = self._block.words
        words[self._index] = value & _WORD
        if self.type.value.size == 16:
            words[self._index + 1] = value >> 64

    @property
    def is_held(self) -> bool:
        return self._handle is not None and self._handle() is not None

    def references(self) -> References:
        kind = self.type.value
        if not isinstance(kind, RefType):
            return References()
        words = (self.bits,)
        return References(words) if is_function_heap(kind.heap) else References(others=words)

    def handle(self, hold: Hold) -> Global:
        """The one Python object of this global, and what it keeps if it is made now."""
        found = self._handle() if self._handle is not None else None
        if found is None:
            found = Global._from_cell(self, hold if self.type.value.is_ref else None)
            self._handle = weakref.ref(found)
        return found


class Global(Unpicklable):
    """A global variable; its content is `value`.

    Args:
        type: "i32", "i64", "f32", "f64", "v128", "funcref", "externref", …, or a `ValType`.
        value: its first value; 0 or None if left out.
        mutable: whether it may be assigned to.

    Raises:
        TypeError: the value is not of the type.
        OverflowError: an integer is out of range.
    """

    __slots__ = ("__weakref__", "_cell", "_hold")

    def __init__(self, type: str | ValType, value: object = _UNSET, mutable: bool = False) -> None:
        kind = parse_val_type(type)
        self._hold: Hold | None = None
        self._cell = GlobalCell(GlobalType(kind, bool(mutable)))
        self._cell._handle = weakref.ref(self)
        if value is _UNSET:
            value = None if kind.is_ref else bytes(16) if kind.size == 16 else 0
        self._assign(value)

    @classmethod
    def _from_cell(cls, cell: GlobalCell, hold: Hold | None) -> Global:
        self = cls.__new__(cls)
        self._cell = cell
        self._hold = hold
        return self

    def _attach(self, store: Store) -> None:
        """Belong to a store; keep it alive if the value may refer to it."""
        self._cell.join(store)
        if self._hold is None and self._cell.type.value.is_ref:
            self._hold = Hold(store)

    @contextmanager
    def _references(self) -> Iterator[Store]:
        """The store, with this thread inside: so a reference word stays valid while it is used."""
        store = self._cell.linked_store
        if store is None:
            store = Store()
            self._attach(store)
        with store.entered():
            yield store
        collect_if_due(store)

    def _assign(self, value: object) -> None:
        kind = self._cell.type.value
        if not isinstance(kind, RefType):
            self._cell.bits = number_bits(value, kind)
        elif value is None and kind.nullable:
            self._cell.bits = 0
        else:
            with self._references() as store:
                self._cell.bits = ref_word(value, kind, store)

    @property
    def type(self) -> GlobalType:
        return self._cell.type

    @property
    def mutable(self) -> bool:
        return self._cell.type.mutable

    @property
    def value(self) -> object:
        """The content; assigning to an immutable global is a `TypeError`."""
        kind = self._cell.type.value
        if not isinstance(kind, RefType) or not self._cell.bits:
            return from_bits(self._cell.bits, kind)
        with self._references():
            return from_bits(self._cell.bits, kind)

    @value.setter
    def value(self, value: object) -> None:
        if not self.mutable:
            raise TypeError(f"cannot set the value of an immutable {self.type.value} global")
        self._assign(value)

    def __repr__(self) -> str:
        return f"<Global {'mut ' if self.mutable else ''}{self.type.value} {self.value!r}>"
