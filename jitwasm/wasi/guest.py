"""A program's linear memory, as the calls see it: pointers, structures, buffers, paths.

Pointers arrive as signed 32-bit integers. Anything outside the memory is `fault`: a slice of a
Python buffer would silently be cut short.
"""

from __future__ import annotations

import struct
from typing import Protocol

from jitwasm.wasi.abi import WasiError

__all__ = ["GuestMemory", "MemoryLike"]

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_IOVEC = struct.Struct("<II")
MAX_IOVECS = 1024
MAX_TRANSFER = 1 << 30
MAX_PATH = 4096


class MemoryLike(Protocol):
    """What the calls need of a memory."""

    @property
    def buffer(self) -> memoryview: ...


class GuestMemory:
    """Bounds-checked access to one memory, valid for the time of one call."""

    __slots__ = ("view",)

    def __init__(self, memory: MemoryLike) -> None:
        self.view = memory.buffer

    def slice(self, pointer: int, size: int) -> memoryview:
        """The `size` bytes at `pointer`, without copying."""
        start = pointer & 0xFFFFFFFF
        end = start + (size & 0xFFFFFFFF)
        if end > len(self.view):
            raise WasiError("FAULT")
        return self.view[start:end]

    def u32(self, pointer: int) -> int:
        value: int = _U32.unpack(self.slice(pointer, 4))[0]
        return value

    def u64(self, pointer: int) -> int:
        value: int = _U64.unpack(self.slice(pointer, 8))[0]
        return value

    def put_u32(self, pointer: int, value: int) -> None:
        self.slice(pointer, 4)[:] = _U32.pack(value & 0xFFFFFFFF)

    def put_u64(self, pointer: int, value: int) -> None:
        self.slice(pointer, 8)[:] = _U64.pack(value & 0xFFFFFFFFFFFFFFFF)

    def put(self, pointer: int, data: bytes) -> None:
        self.slice(pointer, len(data))[:] = data

    def buffers(self, iovecs: int, count: int) -> list[memoryview]:
        """The buffers of a vectored read or write, empty ones left out.

        Together they are cut to a size that any host can move at once: buffers that overlap could
        else be many times the memory. Programs go on after a short read or write.
        """
        count &= 0xFFFFFFFF
        if count > MAX_IOVECS:
            raise WasiError("INVAL")
        rows = _IOVEC.iter_unpack(self.slice(iovecs, _IOVEC.size * count))
        found, left = [], MAX_TRANSFER
        for pointer, size in rows:
            buffer = self.slice(pointer, size)[:left]
            left -= len(buffer)
            if buffer:
                found.append(buffer)
        return found

    def path(self, pointer: int, size: int) -> str:
        """A path: UTF-8 without NUL."""
        if size & 0xFFFFFFFF > MAX_PATH:
            raise WasiError("NAMETOOLONG")
        data = bytes(self.slice(pointer, size))
        if b"\0" in data:
            raise WasiError("INVAL")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise WasiError("ILSEQ") from None
