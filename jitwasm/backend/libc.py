"""The C library's calls for memory mappings, and addresses of its functions."""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap as _mmap
import os

__all__ = [
    "NO_ACCESS",
    "PAGE_SIZE",
    "READ_EXECUTE",
    "READ_WRITE",
    "discard",
    "function_address",
    "map_reserve",
    "protect",
    "unmap",
]

PAGE_SIZE = _mmap.PAGESIZE
NO_ACCESS = 0
READ_WRITE = _mmap.PROT_READ | _mmap.PROT_WRITE
READ_EXECUTE = _mmap.PROT_READ | _mmap.PROT_EXEC

_MAP_NORESERVE = 0x4000
_MADV_DONTNEED = 4
_MAP_FAILED = 2**64 - 1


@functools.cache
def _libc() -> ctypes.CDLL:
    # The process itself: ctypes.pythonapi's handle also finds libc and libm.
    library = ctypes.CDLL(None, use_errno=True)
    size, address, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
    library.mmap.restype = address
    library.mmap.argtypes = [address, size, number, number, number, ctypes.c_long]
    library.munmap.argtypes = [address, size]
    library.mprotect.argtypes = [address, size, number]
    library.madvise.argtypes = [address, size, number]
    return library


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise (MemoryError if code == errno.ENOMEM else OSError)(code, os.strerror(code))


def map_reserve(size: int) -> int:
    """Reserve address space: nothing may be accessed there, and nothing is charged for it.

    Raises:
        MemoryError: the address space, or a limit set on it, is exhausted.
    """
    flags = _mmap.MAP_PRIVATE | _mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    address = _libc().mmap(None, size, 0, flags, -1, 0)
    if address is None or address == _MAP_FAILED:
        code = ctypes.get_errno()
        raise MemoryError(f"cannot reserve {size} bytes of address space: {os.strerror(code)}")
    return int(address)


def protect(address: int, size: int, prot: int) -> None:
    """Change the access rights of whole pages (`READ_WRITE`, …)."""
    if size:
        _check(_libc().mprotect(address, size, prot))


def discard(address: int, size: int) -> None:
    """Give the pages back to the system; they read as zeros when they are made accessible."""
    _check(_libc().madvise(address, size, _MADV_DONTNEED))


def unmap(address: int, size: int) -> None:
    """Give up a reservation."""
    _check(_libc().munmap(address, size))


@functools.cache
def _libm() -> ctypes.CDLL:
    return ctypes.CDLL("libm.so.6")


def function_address(name: str) -> int | None:
    """Where a function of the process, the C library or libm lies; None if there is none.

    CPython's functions are found too: its symbols are in the process.
    """
    for library in (_libc, _libm):
        try:
            function = getattr(library(), name)
        except (AttributeError, OSError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value
    return None
