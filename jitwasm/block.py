"""Native memory owned by Python objects, and raw access to it.

A `Block` lives exactly as long as its Python object; whoever stores its address in native memory
keeps the object. Addresses are plain integers.
"""

from __future__ import annotations

import ctypes
from array import array

__all__ = ["Block", "address_of_bytes", "read_word", "write_word"]

_ALIGN = 16
_ZERO = array("Q", (0,))


class Block:
    """Zeroed memory, aligned to 16 bytes.

    Attributes:
        address: of the first byte.
        words: the memory as unsigned 64-bit words. Their number must not be changed.
    """

    __slots__ = ("__weakref__", "address", "words")

    def __init__(self, size: int, template: array[int] | None = None) -> None:
        """So many bytes, rounded up to words; or a copy of all words of a template."""
        # An array allocates and copies faster than anything else there is. It never moves, since
        # it is never resized.
        self.words = words = _ZERO * ((size + 7) >> 3 or 1) if template is None else template[:]
        self.address = address = words.buffer_info()[0]
        if address % _ALIGN:  # no allocator of CPython's does this
            raise MemoryError(f"memory at {address:#x} is not aligned to {_ALIGN} bytes")


def read_word(address: int) -> int:
    """The unsigned 64-bit word at an address."""
    return ctypes.c_uint64.from_address(address).value


def write_word(address: int, value: int) -> None:
    """Store an unsigned 64-bit word; aligned, hence atomic."""
    ctypes.c_uint64.from_address(address).value = value


def address_of_bytes(data: bytes) -> int:
    """Where the contents of a bytes object lie; valid as long as the object."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
