"""Linear memories (specification: Runtime Structure, "Memory Instances"; JS API: `Memory`).

A memory is a reserved range of addresses that never moves; growing makes more of it accessible.
So a view taken once stays valid, with its old length, whatever happens to the memory and to its
instances: views keep the range itself alive.
"""

from __future__ import annotations

import codecs
import functools
import sys
from array import array

from jitwasm.abi import (
    MEMORY32_GUARD,
    MEMORY32_MOST,
    MEMORY32_RESERVED,
    MEMORY64_GUARD,
    MEMORY64_RESERVED,
    MEMORY_RECORD,
)
from jitwasm.backend.memmap import pages
from jitwasm.backend.native import native
from jitwasm.backend.ranges import RecycledRange
from jitwasm.block import Block
from jitwasm.bufferslot import install_buffer_slot
from jitwasm.records import record
from jitwasm.sealed import Unpicklable
from jitwasm.store import Linked
from jitwasm.types import I32, I64, Limits, MemoryType
from jitwasm.values import integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Memory", "MemoryShape", "shape_of"]

_BASE, _BYTES, _MAXIMUM, _RESERVED_BYTES, _PAGE_SHIFT = (
    MEMORY_RECORD.offset[name] // 8
    for name in ("base", "bytes", "maximum", "reserved", "page_shift")
)
_MAX_PAGES = {I32: 1 << 16, I64: 1 << 48}  # in pages of 64 KiB: the specification's range
_RESERVED = {I32: MEMORY32_RESERVED, I64: MEMORY64_RESERVED}
_GUARD = {I32: MEMORY32_GUARD, I64: MEMORY64_GUARD}
_FORMATS = {
    "i8": "b",
    "u8": "B",
    "i16": "h",
    "u16": "H",
    "i32": "i",
    "u32": "I",
    "i64": "q",
    "u64": "Q",
    "f32": "f",
    "f64": "d",
}


@record(frozen=True)
class MemoryShape:
    """What is known of a memory before it is made, in bytes.

    Attributes:
        size: its initial size.
        range: address space for it, the guard behind it included.
        record: its MemoryRecord, but for the base.
    """

    size: int
    range: int
    record: array[int]

    def reserve(self, image: int = 0) -> RecycledRange:
        """The range for its contents, which may begin with an image, given by its number."""
        return RecycledRange(self.range, pages(self.size), image)


def shape_of(type_: MemoryType, most: int | None = None) -> MemoryShape:
    """The shape of a memory of a validated type that grows to at most `most` bytes.

    Raises:
        MemoryError: it is beyond the implementation's limits.
    """
    reserved = _RESERVED[type_.addr]
    size = type_.limits.minimum * type_.page_size
    if size > reserved:
        raise MemoryError(f"{type_} is beyond this implementation's {reserved >> 30} GiB")
    maximum = reserved
    if type_.limits.maximum is not None:
        maximum = min(type_.limits.maximum * type_.page_size, reserved)
    if type_.addr is I32:
        maximum = max(min(maximum, MEMORY32_MOST), size)
    if most is not None:
        maximum = max(min(maximum, most // type_.page_size * type_.page_size), size)
    words = array("Q", bytes(MEMORY_RECORD.size))
    words[_BYTES] = size
    words[_MAXIMUM] = maximum
    words[_RESERVED_BYTES] = reserved
    words[_PAGE_SHIFT] = type_.page_size.bit_length() - 1
    return MemoryShape(size, pages(reserved + _GUARD[type_.addr]), words)


class Memory(Unpicklable, Linked):
    """A linear memory: a growable array of bytes shared by WebAssembly and Python.

    Implements the buffer protocol without copying: `memoryview(mem)`, `numpy.asarray(mem)`. All
    accesses are bounds-checked and raise `IndexError`; nothing is ever cut short. Negative indices
    do not count from the end: a pointer that is negative as a signed number must not silently
    reach another place (add 2**32 to it, or mask it).

    Args:
        initial: size in pages of 64 KiB.
        maximum: pages it may grow to; None means as far as the index type and the host allow.
        shared: whether it may be shared between threads; needs a maximum.
        address: "i32" or "i64", the type of addresses.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: sizes out of range, or a shared memory without maximum.
        MemoryError: the host has no room.
    """

    __slots__ = ("_address", "_block", "_bytes", "_declared", "_reservation", "_view")

    def __init__(
        self,
        initial: int,
        maximum: int | None = None,
        *,
        shared: bool = False,
        address: str = "i32",
    ) -> None:
        if address not in ("i32", "i64"):
            raise ValueError(f"address must be 'i32' or 'i64', not {address!r}")
        index = I32 if address == "i32" else I64
        limits = _checked_limits(initial, maximum, _MAX_PAGES[index])
        if shared and maximum is None:
            raise ValueError("a shared memory needs a maximum")
        self._setup_new(MemoryType(limits, index, bool(shared)))

    @classmethod
    def _from_type(cls, type_: MemoryType) -> Memory:
        """A new memory of a validated type."""
        self = cls.__new__(cls)
        self._setup_new(type_)
        return self

    def _setup_new(self, type_: MemoryType) -> None:
        shape = shape_of(type_)
        reservation, block = shape.reserve(), Block(0, shape.record)
        block.words[_BASE] = reservation.base
        self._setup(type_, reservation, block, 0)

    @classmethod
    def _from_record(
        cls, type_: MemoryType, reservation: RecycledRange, block: Block, record: int
    ) -> Memory:
        """The memory whose MemoryRecord begins at a word of a block; there must be one only."""
        self = cls.__new__(cls)
        self._setup(type_, reservation, block, record)
        return self

    def _setup(
        self, type_: MemoryType, reservation: RecycledRange, block: Block, record: int
    ) -> None:
        Linked.__init__(self)
        _use_native_methods()
        self._declared = type_
        self._view: memoryview | None = None
        self._reservation = reservation
        self._block, self._bytes = block, record + _BYTES
        self._address = block.address + 8 * record

    @property
    def base(self) -> int:
        """Address of the first byte (internal)."""
        return self._reservation.base

    @property
    def record(self) -> int:
        """Address of the MemoryRecord (internal)."""
        return self._address

    @property
    def declared(self) -> MemoryType:
        """Its type, with the size it had at first as minimum (internal)."""
        return self._declared

    # Sizes.

    @property
    def type(self) -> MemoryType:
        """Its type, with the current size as minimum."""
        declared = self._declared
        limits = Limits(self.pages, declared.limits.maximum)
        return MemoryType(limits, declared.addr, declared.shared, declared.page_size)

    @property
    def size(self) -> int:
        """Current size in bytes, as `len(mem)`."""
        return self._block.words[self._bytes]

    @property
    def pages(self) -> int:
        """Current size in pages."""
        return self.size // self._declared.page_size

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return True

    def grow(self, pages: int) -> int:
        """Grow by `pages` and return the old size in pages.

        Raises:
            ValueError: it would exceed the maximum, or what the host can give.
        """
        delta = integer(pages, "pages")
        old, record = -1, self._block.address + 8 * (self._bytes - _BYTES)
        if 0 <= delta < 1 << 48:
            old = native().memory_grow(record, delta)
        if old < 0:
            limit = self._declared.limits.maximum
            suffix = "" if limit is None else f" of at most {limit}"
            raise ValueError(f"cannot grow a memory of {self.pages} pages{suffix} by {delta}")
        return old

    # Buffers.

    @property
    def buffer(self) -> memoryview:
        """A writable view of all bytes; the same object until the memory grows.

        A view taken before keeps its old length and stays valid, even after the memory is gone.
        """
        view = self._view
        if view is not None:
            try:
                if view.nbytes == self.size:
                    return view
            except ValueError:
                pass  # someone released it
        self._view = view = self._new_view()
        return view

    def _new_view(self) -> memoryview:
        # The exporter is not this object: a view keeps the address range, and nothing else.
        return self._reservation.view(0, self.size)

    if sys.version_info >= (3, 12):

        def __buffer__(self, flags: int) -> memoryview:
            return self._new_view()

    def view(self, type: str = "u8") -> memoryview[Any]:
        """A view of all bytes as elements of one type: i8, u8, …, i64, u64, f32 or f64."""
        try:
            format_ = _FORMATS[type]
        except (KeyError, TypeError):
            known = ", ".join(_FORMATS)
            raise ValueError(f"unknown element type {type!r}: use one of {known}") from None
        whole = self.buffer
        if not whole:
            return memoryview(array(format_))
        code: Any = format_
        return whole[: len(whole) // 8 * 8].cast(code)

    # Access.

    def read(self, address: int, size: int) -> bytes:
        """A copy of `size` bytes from `address` on."""
        start, end = self._range(address, size)
        return bytes(self.buffer[start:end])

    def write(self, address: int, data: Any) -> None:
        """Store a bytes-like object at `address`."""
        source = _flat(data)
        start, end = self._range(address, len(source))
        self.buffer[start:end] = source

    def read_str(
        self,
        address: int,
        size: int | None = None,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> str:
        """Decode `size` bytes, or up to the first NUL byte where no size is given."""
        if size is None:
            start, _ = self._range(address, 0)
            end = self._find_nul(start)
            data = bytes(self.buffer[start:end])
        else:
            data = self.read(address, size)
        return codecs.decode(data, encoding, errors)

    def _find_nul(self, start: int) -> int:
        view, step = self.buffer, 256
        position = start
        while position < len(view):
            chunk = bytes(view[position : position + step])
            found = chunk.find(b"\0")
            if found >= 0:
                return position + found
            position += len(chunk)
            step = min(step * 2, 1 << 20)
        raise IndexError(f"no NUL byte between address {start} and the end of the memory")

    def _range(self, address: int, size: int) -> tuple[int, int]:
        start, count = integer(address, "address"), integer(size, "size")
        if start < 0 or count < 0 or start + count > self.size:
            raise IndexError(
                f"address {start}, size {count} is out of bounds for a memory of {self.size} bytes"
            )
        return start, start + count

    def _slice(self, key: slice) -> slice:
        size = self.size
        start = 0 if key.start is None else integer(key.start, "slice start")
        stop = size if key.stop is None else integer(key.stop, "slice end")
        if not 0 <= start <= stop <= size:
            raise IndexError(f"slice {start}:{stop} is out of bounds for a memory of {size} bytes")
        return slice(start, stop, key.step)

    def __getitem__(self, key: int | slice) -> Any:
        """One byte as an int, or a view of a range, not a copy."""
        if isinstance(key, slice):
            return self.buffer[self._slice(key)]
        start, _ = self._range(key, 1)
        return self.buffer[start]

    def __setitem__(self, key: int | slice, value: Any) -> None:
        if isinstance(key, slice):
            target, source = self.buffer[self._slice(key)], _flat(value)
            if len(target) != len(source):
                raise ValueError(f"a slice of {len(target)} bytes cannot take {len(source)} bytes")
            target[:] = source
        else:
            start, _ = self._range(key, 1)
            self.buffer[start] = value

    def __repr__(self) -> str:
        return f"<Memory {self.type}>"


@functools.cache
def _use_native_methods() -> None:
    # Not when the class is made: importing this module should not load the native runtime.
    native().speed_up(Memory, "_address", "_view")


def _flat(data: Any) -> memoryview | bytes:
    """The bytes of a bytes-like object of any shape."""
    view = memoryview(data)
    if view.nbytes == 0 or not view.c_contiguous:
        return view.tobytes()
    return view.cast("B")


def _checked_limits(initial: object, maximum: object, bound: int) -> Limits:
    minimum = integer(initial, "initial")
    if not 0 <= minimum <= bound:
        raise ValueError(f"initial must be between 0 and {bound}, not {minimum}")
    if maximum is None:
        return Limits(minimum)
    most = integer(maximum, "maximum")
    if not minimum <= most <= bound:
        raise ValueError(f"maximum must be between {minimum} and {bound}, not {most}")
    return Limits(minimum, most)


if sys.version_info < (3, 12):
    install_buffer_slot(Memory, Memory._new_view)
