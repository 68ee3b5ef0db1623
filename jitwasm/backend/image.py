"""Images of memories: contents that are mapped copy-on-write instead of being copied.

The contents lie in a file that exists in memory only (memfd). Mapping it costs microseconds,
whatever its size; a page is read or copied when it is first used.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import weakref
from collections.abc import Sequence

from jitwasm.backend import libc
from jitwasm.backend.memmap import PAGE_SIZE, pages
from jitwasm.backend.native import native

__all__ = ["MemoryImage", "runs_of"]

_GAP = 16 * PAGE_SIZE
"""Zeros between segments that are mapped along rather than left out."""
_numbers = itertools.count(1)
_MAX_RUNS = 8
"""Mappings of one image: with more of them copying is cheaper."""
# Of <linux/fcntl.h>; Python 3.10 does not have all of them.
_ADD_SEALS, _SEALS = 1033, 0x1 | 0x2 | 0x4 | 0x8  # no sealing, shrinking, growing, writing


class MemoryImage:
    """The contents of a new memory, up to the end of its last data segment.

    Attributes:
        end: bytes that the memory must have.
        number: its own for ever, from 1 on.
    """

    def __init__(self, segments: Sequence[tuple[int, bytes]]) -> None:
        """Make the image of segments: (offset, contents), in their order.

        Raises:
            OSError: the system refuses.
            ValueError: they are too scattered, or there is nothing in them.
        """
        self._runs = runs_of(segments, _GAP)
        if not 0 < len(self._runs) <= _MAX_RUNS:
            raise ValueError(f"an image of {len(self._runs)} pieces")
        self.end = max(offset + len(data) for offset, data in segments)
        self.number = next(_numbers)
        self._file = os.memfd_create("jitwasm-memory", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        status = os.fstat(self._file)
        self._identity = status.st_dev, status.st_ino
        weakref.finalize(self, _close, self._file, self._identity, self.number)
        base = self._runs[0][0]
        for offset, data in segments:
            view = memoryview(data)
            while view:
                done = os.pwrite(self._file, view, offset - base)
                view, offset = view[done:], offset + done
        os.ftruncate(self._file, self._runs[-1][1] - base)
        fcntl.fcntl(self._file, _ADD_SEALS, _SEALS)

    @property
    def is_intact(self) -> bool:
        """Whether the file is still there: programs close descriptors that they do not know."""
        return _is_file(self._file, self._identity)

    def map(self, memory: int) -> None:
        """Put the contents into a new memory of zeros, given by its address."""
        base = self._runs[0][0]
        for start, end in self._runs:
            libc.map_file(memory + start, end - start, self._file, start - base)


def runs_of(segments: Sequence[tuple[int, bytes]], gap: int = 0) -> list[tuple[int, int]]:
    """Ranges of whole pages that hold all segments, with at least `gap` bytes between them."""
    runs: list[tuple[int, int]] = []
    for start, end in sorted((offset, offset + len(data)) for offset, data in segments if data):
        first, last = start // PAGE_SIZE * PAGE_SIZE, pages(end)
        if runs and first <= runs[-1][1] + gap:
            runs[-1] = runs[-1][0], max(runs[-1][1], last)
        else:
            runs.append((first, last))
    return runs


def _is_file(file: int, identity: tuple[int, int]) -> bool:
    try:
        status = os.fstat(file)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == identity


def _close(file: int, identity: tuple[int, int], number: int) -> None:
    native().drop_image(number)
    if _is_file(file, identity):  # else the number is another's now
        with contextlib.suppress(OSError):
            os.close(file)
