"""The C library's calls for memory mappings, and addresses of its functions."""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "NO_ACCESS",
    "PAGE_SIZE",
    "READ_EXECUTE",
    "READ_WRITE",
    "address_of",
    "discard",
    "exit_without_destructors",
    "function_address",
    "map_file",
    "map_reserve",
    "protect",
    "replace_pages",
    "thread_slot",
]

PAGE_SIZE = mmap.PAGESIZE
NO_ACCESS = 0
READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE
READ_EXECUTE = mmap.PROT_READ | mmap.PROT_EXEC

_OBJECT_HEAD = object.__basicsize__
_MAP_FIXED = 0x10
_MAP_NORESERVE = 0x4000
_MADV_DONTNEED = 4
_MAP_FAILED = 2**64 - 1
_MREMAP_MAYMOVE, _MREMAP_FIXED = 1, 2
_BLOCK_WORDS = 0x600 // 8  # of a thread's block (glibc's struct pthread has 0x900 bytes)


@functools.cache
def _libc() -> ctypes.CDLL:
    # The process itself: ctypes.pythonapi's handle also finds libc and libm.
    library = ctypes.CDLL(None, use_errno=True)
    size, address, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
    library.mprotect.argtypes = [address, size, number]
    library.madvise.argtypes = [address, size, number]
    library.mmap.argtypes = [address, size, number, number, number, ctypes.c_long]
    library.mmap.restype = ctypes.c_void_p
    return library


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise (MemoryError if code == errno.ENOMEM else OSError)(code, os.strerror(code))


def map_reserve(size: int) -> mmap.mmap:
    """Reserve address space: nothing may be accessed there, and nothing is charged for it.

    Raises:
        MemoryError: the address space, or a limit set on it, is exhausted.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    try:
        return mmap.mmap(-1, size, flags, prot=NO_ACCESS)
    except (OSError, OverflowError) as error:
        message = f"cannot reserve {size} bytes of address space: {error}"
        raise MemoryError(message) from None


def address_of(mapping: mmap.mmap) -> int:
    """Where a mapping lies; it must be kept as long as the address is used."""
    if _tells_data():
        return ctypes.c_uint64.from_address(id(mapping) + _OBJECT_HEAD).value
    return _buffer_of(mapping)


@functools.cache
def _tells_data() -> bool:
    """Whether a mmap object's first field is its address: asking for a buffer takes far longer."""
    with mmap.mmap(-1, PAGE_SIZE) as mapping:
        return ctypes.c_uint64.from_address(id(mapping) + _OBJECT_HEAD).value == _buffer_of(mapping)


def _buffer_of(mapping: mmap.mmap) -> int:
    view = (ctypes.c_uint64 * 16)()  # a Py_buffer, which begins with the address
    _get_buffer()(mapping, ctypes.addressof(view), 0)
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))
    return int(view[0])


@functools.cache
def _get_buffer() -> Any:
    prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p, ctypes.c_int)
    return prototype(("PyObject_GetBuffer", ctypes.pythonapi))


def map_file(address: int, size: int, file: int, offset: int) -> None:
    """Put a private, writable view of a file in the place of whole pages.

    Raises:
        MemoryError, OSError: the system refuses. The pages may be gone then.
    """
    flags = mmap.MAP_PRIVATE | _MAP_FIXED
    if _libc().mmap(address, size, READ_WRITE, flags, file, offset) != address:
        _check(-1)


def protect(address: int, size: int, prot: int) -> None:
    """Change the access rights of whole pages (`READ_WRITE`, …)."""
    if size:
        _check(_libc().mprotect(address, size, prot))


def replace_pages(address: int, contents: bytes) -> None:
    """Put executable pages with these contents in the place of others, at once: threads that are
    running there see the old page or the new one."""
    process, size = _libc(), len(contents)
    process.mmap.restype = process.mremap.restype = ctypes.c_void_p
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    arguments = ctypes.c_void_p(), ctypes.c_size_t(size), READ_WRITE, flags, -1, ctypes.c_long()
    fresh = process.mmap(*arguments)
    if fresh == _MAP_FAILED:
        _check(-1)
    ctypes.memmove(fresh, contents, size)
    protect(fresh, size, READ_EXECUTE)
    length, moving = ctypes.c_size_t(size), ctypes.c_int(_MREMAP_MAYMOVE | _MREMAP_FIXED)
    place = ctypes.c_void_p(address)
    if process.mremap(ctypes.c_void_p(fresh), length, length, moving, place) == _MAP_FAILED:
        _check(-1)


def discard(address: int, size: int) -> None:
    """Give the pages back to the system; they read as zeros when they are made accessible."""
    _check(_libc().madvise(address, size, _MADV_DONTNEED))


def exit_without_destructors() -> None:
    """When the process ends, do it at once: run no destructors of C++ libraries.

    For when a thread is stuck in one of them. What was registered to run at exit after this call,
    and C's streams, are done before.
    """
    process = _libc()
    process.fflush(None)
    # on_exit's function gets the exit status first, and that is what _exit takes.
    process.on_exit(process._exit, None)


def thread_slot(key: int) -> int | None:
    """Where a thread-specific key's value lies, as an offset from the thread pointer (%fs).

    None if it cannot be told: another C library, or one of the keys beyond the first 32. In glibc
    values of those are part of the thread's own block; this finds the place by setting values and
    looking for them there.
    """
    process = _libc()
    process.pthread_self.restype = ctypes.c_uint64
    block = (ctypes.c_uint64 * _BLOCK_WORDS).from_address(process.pthread_self())
    places = set(range(_BLOCK_WORDS))
    for value in (0x5A17_C0DE_0BAD_F00D, 0x1234_5678_9ABC_DEF1, 0):
        process.pthread_setspecific(ctypes.c_uint32(key), ctypes.c_void_p(value))
        places = {place for place in places if block[place] == value}
    return 8 * places.pop() if len(places) == 1 else None


@functools.cache
def _libm() -> ctypes.CDLL:
    return ctypes.CDLL("libm.so.6")


@functools.cache
def _libgcc() -> ctypes.CDLL:
    # Division of 128-bit integers, which LLVM makes of the trip counts of some checked loops.
    # libllvmlite needs this library too, so it is there wherever LLVM compiled anything.
    return ctypes.CDLL("libgcc_s.so.1")


def function_address(name: str) -> int | None:
    """Where a function of the process, libc, libm or libgcc lies; None if there is none.

    CPython's functions are found too: its symbols are in the process.
    """
    for library in (_libc, _libm, _libgcc):
        try:
            function = getattr(library(), name)
        except (AttributeError, OSError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value
    return None
