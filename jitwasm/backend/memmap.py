"""Reservations: address ranges that never move, made accessible from the start.

A linear memory or a table reserves all it may ever need, and guard pages behind it. Growing makes
more pages accessible; a page is never taken away again, so a view taken earlier stays valid. The
range is given up when the last Python reference to the `Reservation` has gone: views hold one.
"""

from __future__ import annotations

import ctypes
import functools

from jitwasm.backend import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["PAGE_SIZE", "Range", "Reservation", "pages"]

PAGE_SIZE = libc.PAGE_SIZE


def pages(size: int) -> int:
    """A number of bytes, rounded up to whole pages."""
    return -(-size // PAGE_SIZE) * PAGE_SIZE


class Range:
    """One reserved range.

    Attributes:
        base: address of the first byte.
        reserved: bytes of address space, a multiple of the page size.
    """

    __slots__ = ("__weakref__", "base", "reserved")

    base: int
    reserved: int

    def commit(self, offset: int, size: int) -> None:
        """Make the pages of [offset, offset + size) readable and writable; new ones are zero.

        Raises:
            MemoryError: the system refuses.
        """
        self.protect(offset, size, libc.READ_WRITE)

    def protect(self, offset: int, size: int, prot: int) -> None:
        """Set the access rights of all pages that [offset, offset + size) touches."""
        if not 0 <= offset <= offset + size <= self.reserved:
            raise ValueError("outside of the reservation")
        if size == 0:
            return
        first = offset // PAGE_SIZE * PAGE_SIZE
        last = -(-(offset + size) // PAGE_SIZE) * PAGE_SIZE
        libc.protect(self.base + first, last - first, prot)

    def clear(self, size: int, keep: int) -> None:
        """Give the contents of the first `size` bytes up, and all but `keep` of them.

        What is kept reads as zeros, or, where a file has been mapped there, as that file.
        """
        end, kept = (-(-bytes_ // PAGE_SIZE) * PAGE_SIZE for bytes_ in (size, keep))
        if end:
            libc.discard(self.base, end)
        if end > kept:
            libc.protect(self.base + kept, end - kept, libc.NO_ACCESS)

    def view(self, offset: int, size: int) -> memoryview:
        """A writable view of committed bytes; the reservation lives at least as long."""
        if not 0 <= offset <= offset + size <= self.reserved:
            raise ValueError("outside of the reservation")
        window = _window_type(self.reserved).from_address(self.base)
        window.reservation = self
        return memoryview(window).cast("B")[offset : offset + size]


class Reservation(Range):
    """A range that goes back to the system as soon as it is given up."""

    __slots__ = ("_map",)

    def __init__(self, reserved: int) -> None:
        """Reserve `reserved` bytes, rounded up to pages; none is accessible yet.

        Raises:
            MemoryError: the address space, or a limit set on it, is exhausted.
        """
        if reserved <= 0:
            raise ValueError("a reservation has at least one byte")
        self.reserved = pages(reserved)
        # A mmap object unmaps without running Python code, at whatever moment it goes.
        self._map = libc.map_reserve(self.reserved)
        self.base = libc.address_of(self._map)

    @property
    def closed(self) -> bool:
        return self._map.closed

    def close(self) -> None:
        """Give the range up now. The caller vouches that nothing refers to it any more."""
        self._map.close()


@functools.cache
def _window_type(size: int) -> Any:
    """A ctypes array of bytes that can have attributes, unlike `c_ubyte * size`.

    There are few sizes of reservations, so the classes may stay for ever.
    """
    return type("Window", (ctypes.Array,), {"_type_": ctypes.c_ubyte, "_length_": size})
