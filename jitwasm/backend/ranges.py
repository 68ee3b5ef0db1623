"""Ranges for memories and tables: address space that is used again (runtime/reservations.ll)."""

from __future__ import annotations

import os

from jitwasm.backend.image import MemoryImage
from jitwasm.backend.memmap import Range
from jitwasm.backend.native import native

__all__ = ["RecycledRange"]


class RecycledRange(Range):
    """A range that a later one may be made of, once the last reference has gone: empty then, and
    with no more of it accessible than is asked for."""

    __slots__ = ("_owner", "image")

    def __init__(self, reserved: int, size: int, image: int = 0) -> None:
        """Reserve `reserved` bytes; the first `size` are accessible, and zero.

        Both are of whole pages. If a range can be had where the image of that number is mapped,
        it is taken; `self.image` tells.

        Raises:
            MemoryError: the address space, or a limit set on it, is exhausted.
        """
        found = native().reserve(reserved, size, image)
        if isinstance(found, int):
            message = f"cannot reserve {reserved} bytes of address space: {os.strerror(found)}"
            raise MemoryError(message)
        self._owner, base = found
        self.image = image if base & 1 else 0
        self.base = base & -2
        self.reserved = reserved

    def map(self, image: MemoryImage, is_asked_for: bool) -> None:
        """Put an image into the range, of which as much is accessible as the image is long.

        Args:
            is_asked_for: whether other ranges are reserved with its number; else this one is not
                to be used again.

        Raises:
            MemoryError, OSError: the system refuses. Nothing is known of the contents then.
        """
        set_image = native().set_image
        set_image(self._owner, -1)  # whatever comes of it
        image.map(self.base)
        if is_asked_for:
            set_image(self._owner, image.number)
        self.image = image.number
