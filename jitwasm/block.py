"""Native memory owned by Python objects, and raw access to it.

A `Block` lives exactly as long as its Python object; whoever stores its address in native memory
keeps the object. Addresses are plain integers.
"""

from __future__ import annotations

import ctypes

__all__ = ["Block", "address_of_bytes", "read_word", "write_word"]

_ALIGN = 16


class Block:
    """Zeroed memory, aligned to 16 bytes.

    Attributes:
        address: of the first byte.
        size: bytes, rounded up to a multiple of 8.
        words: the memory as unsigned 64-bit words.
    """

    __slots__ = ("__weakref__", "_anchor", "_memory", "address", "size", "words")

    def __init__(self, size: int, initial: bytes = b"") -> None:
        self.size = -(-max(size, len(initial)) // 8) * 8
        self._memory = bytearray(self.size + _ALIGN)
        # While this ctypes object exists the bytearray cannot be resized, so it cannot move.
        self._anchor = ctypes.c_char.from_buffer(self._memory)
        start = ctypes.addressof(self._anchor)
        skip = -start % _ALIGN
        self.address = start + skip
        view = memoryview(self._memory)[skip : skip + self.size]
        if initial:
            view[: len(initial)] = initial
        self.words = view.cast("Q")

    def contents(self) -> bytes:
        """A copy of the memory."""
        return self.words.tobytes()


def read_word(address: int) -> int:
    """The unsigned 64-bit word at an address."""
    return ctypes.c_uint64.from_address(address).value


def write_word(address: int, value: int) -> None:
    """Store an unsigned 64-bit word; aligned, hence atomic."""
    ctypes.c_uint64.from_address(address).value = value


def address_of_bytes(data: bytes) -> int:
    """Where the contents of a bytes object lie; valid as long as the object."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
