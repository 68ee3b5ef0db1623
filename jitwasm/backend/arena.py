"""The code arena: one reservation that holds all machine code of the process.

One range means one comparison in the signal handlers, and 32-bit displacements between any two
pieces of code. It has two parts, because only faults in wasm code are traps:

    [base, split)        wasm code: a fault there is a trap
    [split, end)         the runtime's own code, thunks and trampolines: a fault there is a bug

Memory is writable or executable, never both: a piece is written before it is made executable.
"""

from __future__ import annotations

import contextlib
import ctypes
import weakref
from collections import deque

from jitwasm.backend import libc
from jitwasm.backend.libc import PAGE_SIZE
from jitwasm.backend.memmap import Reservation
from jitwasm.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["CodeArena", "Piece"]

_SIZES = (1 << 30, 1 << 28, 1 << 26)  # tried in this order, where address space is limited
_RUNTIME_SHARE = 8  # one eighth of it is for the runtime
_MIN_SWEEP = 64
_ATTEMPTS = 10  # ranges that others are just taking or joining are not seen


@record(frozen=True)
class Piece:
    """Some pages of the arena in use."""

    address: int
    size: int


class CodeArena:
    """Allocates pages for code.

    There is no lock, because threads, signal handlers and finalizers may be in here at once, also
    the same thread twice: free ranges are taken and given by single operations of a dictionary.

    Attributes:
        base, split, end: see the module's docstring.
    """

    def __init__(self) -> None:
        self._reservation = _reserve_largest()
        size = self._reservation.reserved
        self.base = self._reservation.base
        self.end = self.base + size
        self.split = self.end - size // _RUNTIME_SHARE
        self._free = {self.base: self.split, self.split: self.end}  # start -> end
        self._used: deque[tuple[weakref.ref[Any], Piece]] = deque()
        self._sweep_at = _MIN_SWEEP

    def allocate(self, size: int, runtime: bool = False) -> Piece:
        """Take whole pages, neither readable nor executable yet.

        Raises:
            MemoryError: the arena is full.
        """
        size = -(-size // PAGE_SIZE) * PAGE_SIZE
        low, high = (self.split, self.end) if runtime else (self.base, self.split)
        if len(self._used) >= self._sweep_at:
            self._sweep()
        for _ in range(_ATTEMPTS):
            for start in sorted(self._free):
                if low <= start < high and self._free.get(start, 0) - start >= size:
                    piece = self._take(start, size)
                    if piece is not None:
                        return piece
            self._sweep()
            self._join()
        raise MemoryError(f"no room for {size} bytes of code")

    def _take(self, start: int, size: int) -> Piece | None:
        """The beginning of a free range, if it is still there and large enough."""
        end = self._free.pop(start, 0)
        if end - start < size:
            if end:
                self._free[start] = end
            return None
        if end - start > size:
            self._free[start + size] = end
        return Piece(start, size)

    def _join(self) -> None:
        """Join free ranges that are neighbours."""
        ranges = []
        with contextlib.suppress(KeyError):
            while True:
                ranges.append(self._free.popitem())
        joined: dict[int, int] = {}
        last = -1
        for start, end in sorted(ranges):
            if last >= 0 and joined[last] == start != self.split:
                joined[last] = end
            else:
                last = start
                joined[start] = end
        self._free.update(joined)

    def tie(self, piece: Piece, owner: object) -> None:
        """Let pages live as long as `owner`. They are used again for what is loaded after that.

        There is no callback: finalizers run at any moment, deep in a recursion too, and one that
        fails would lose the pages.
        """
        self._used.append((weakref.ref(owner), piece))

    def _sweep(self) -> None:
        with contextlib.suppress(IndexError):  # somebody else is sweeping, too
            for _ in range(len(self._used)):
                row = self._used.popleft()
                if row[0]() is None:
                    self._give(row[1])
                else:
                    self._used.append(row)
        # Not at each allocation: functions that compile when they are called make thousands.
        self._sweep_at = max(_MIN_SWEEP, 2 * len(self._used))

    def fill(self, piece: Piece, image: bytes | bytearray, executable: int) -> None:
        """Write an image and make its first `executable` bytes, whole pages, executable.

        What follows them stays writable: the data of the runtime's own objects.
        """
        libc.protect(piece.address, piece.size, libc.READ_WRITE)
        self._reservation.view(piece.address - self.base, len(image))[:] = image
        libc.protect(piece.address, executable, libc.READ_EXECUTE)

    def patch(self, address: int, data: bytes) -> None:
        """Change some bytes of code while threads may be running it.

        They must be one instruction, which threads are in front of or behind, and stay one.
        """
        first = address & -PAGE_SIZE
        last = -(-(address + len(data)) // PAGE_SIZE) * PAGE_SIZE
        contents = bytearray(ctypes.string_at(first, last - first))
        contents[address - first : address - first + len(data)] = data
        libc.replace_pages(first, bytes(contents))

    def release(self, piece: Piece) -> None:
        """Give pages back. The caller vouches that no thread executes or will execute them.

        Whoever has tied them to an owner calls `untie` first.
        """
        self._give(piece)

    def untie(self, owner: object) -> bool:
        """Undo `tie`; false if the pages have been given back already."""
        for row in list(self._used):
            if row[0]() is owner:
                with contextlib.suppress(ValueError):
                    self._used.remove(row)
                    return True
        return False

    def _give(self, piece: Piece) -> None:
        if not piece.size:
            return  # a module without code: the range that begins here is another's
        libc.protect(piece.address, piece.size, libc.NO_ACCESS)
        libc.discard(piece.address, piece.size)
        self._free[piece.address] = piece.address + piece.size


def _reserve_largest() -> Reservation:
    *larger, smallest = _SIZES
    for size in larger:
        with contextlib.suppress(MemoryError):
            return Reservation(size)
    return Reservation(smallest)
