"""Native memory owned by Python objects, and raw access to it.

A `Block` lives exactly as long as its Python object; whoever stores its address in native memory
keeps the object. Addresses are plain integers.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

__all__ = ["Block", "address_of_bytes", "read_word", "write_word"]

_ALIGN = 16


class Block:
    """Zeroed memory, aligned to 16 bytes.

    Attributes:
        address: of the first byte.
        size: bytes that were asked for.
        words: the memory as unsigned 64-bit words; there may be more of them than needed.
    """

    __slots__ = ("__weakref__", "address", "size", "words")

    def __init__(self, size: int, initial: bytes = b"") -> None:
        self.size = size
        # The view keeps the array, which never moves. One word is spare, for the alignment.
        memory = _word_array((size + 71) >> 6 << 3)()
        address = ctypes.addressof(memory)
        view = memoryview(memory).cast("B")
        if address % _ALIGN:
            skip = _ALIGN - address % _ALIGN
            address += skip
            view = view[skip : len(view) - skip % 8]
        if initial:
            view[: len(initial)] = initial
        self.address = address
        self.words = view.cast("Q")

    def contents(self) -> bytes:
        """A copy of the memory."""
        return self.words.tobytes()[: self.size]


@functools.lru_cache(maxsize=4096)
def _word_array(count: int) -> Any:
    return ctypes.c_uint64 * count


def read_word(address: int) -> int:
    """The unsigned 64-bit word at an address."""
    return ctypes.c_uint64.from_address(address).value


def write_word(address: int, value: int) -> None:
    """Store an unsigned 64-bit word; aligned, hence atomic."""
    ctypes.c_uint64.from_address(address).value = value


def address_of_bytes(data: bytes) -> int:
    """Where the contents of a bytes object lie; valid as long as the object."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
