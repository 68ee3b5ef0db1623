"""The code arena: one reservation that holds all machine code of the process.

One range means one comparison in the signal handlers, and 32-bit displacements between any two
pieces of code. It has two parts, because only faults in wasm code are traps:

    [base, split)        wasm code: a fault there is a trap
    [split, end)         the runtime's own code, thunks and trampolines: a fault there is a bug

Memory is writable or executable, never both: a piece is written before it is made executable.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from dataclasses import dataclass
from typing import Any

from jitwasm.backend import libc
from jitwasm.backend.libc import PAGE_SIZE
from jitwasm.backend.memmap import Reservation

__all__ = ["CodeArena", "Piece"]

_SIZES = (1 << 30, 1 << 28, 1 << 26)  # tried in this order, where address space is limited
_RUNTIME_SHARE = 8  # one eighth of it is for the runtime


@dataclass(frozen=True)
class Piece:
    """Some pages of the arena in use."""

    address: int
    size: int


class CodeArena:
    """Allocates pages for code.

    Attributes:
        base, split, end: see the module's docstring.
    """

    def __init__(self) -> None:
        self._reservation = _reserve_largest()
        size = self._reservation.reserved
        self.base = self._reservation.base
        self.end = self.base + size
        self.split = self.end - size // _RUNTIME_SHARE
        self._lock = threading.Lock()
        # Free ranges by address, (start, end).
        self._free = [(self.base, self.split), (self.split, self.end)]
        self._used: list[tuple[weakref.ref[Any], Piece]] = []

    def allocate(self, size: int, runtime: bool = False) -> Piece:
        """Take whole pages, neither readable nor executable yet.

        Raises:
            MemoryError: the arena is full.
        """
        size = -(-size // PAGE_SIZE) * PAGE_SIZE
        low, high = (self.split, self.end) if runtime else (self.base, self.split)
        with self._lock:
            self._sweep()
            for index, (start, end) in enumerate(self._free):
                if low <= start < high and end - start >= size:
                    if end - start == size:
                        del self._free[index]
                    else:
                        self._free[index] = (start + size, end)
                    return Piece(start, size)
        raise MemoryError(f"no room for {size} bytes of code")

    def tie(self, piece: Piece, owner: object) -> None:
        """Let pages live as long as `owner`. They are used again for what is loaded after that.

        There is no callback: finalizers run at any moment, deep in a recursion too, and one that
        fails would lose the pages.
        """
        with self._lock:
            self._used.append((weakref.ref(owner), piece))

    def _sweep(self) -> None:
        dead = [piece for owner, piece in self._used if owner() is None]
        if dead:
            self._used = [row for row in self._used if row[0]() is not None]
            for piece in dead:
                self._release(piece)

    def fill(self, piece: Piece, image: bytes | bytearray, executable: int) -> None:
        """Write an image and make its first `executable` bytes, whole pages, executable.

        What follows them stays writable: the data of the runtime's own objects.
        """
        libc.protect(piece.address, piece.size, libc.READ_WRITE)
        self._reservation.view(piece.address - self.base, len(image))[:] = image
        libc.protect(piece.address, executable, libc.READ_EXECUTE)

    def release(self, piece: Piece) -> None:
        """Give pages back. The caller vouches that no thread executes or will execute them."""
        with self._lock:
            self._used = [row for row in self._used if row[1] is not piece]
            self._release(piece)

    def _release(self, piece: Piece) -> None:
        libc.protect(piece.address, piece.size, libc.NO_ACCESS)
        libc.discard(piece.address, piece.size)
        self._free.append((piece.address, piece.address + piece.size))
        self._free.sort()
        joined: list[tuple[int, int]] = []
        for start, end in self._free:
            if joined and joined[-1][1] == start != self.split:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        self._free = joined

    def reset_lock(self) -> None:
        """In a forked child: a thread that no longer exists may have held the lock."""
        self._lock = threading.Lock()


def _reserve_largest() -> Reservation:
    *larger, smallest = _SIZES
    for size in larger:
        with contextlib.suppress(MemoryError):
            return Reservation(size)
    return Reservation(smallest)
