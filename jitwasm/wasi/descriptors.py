"""Descriptors: what a program holds for files, folders, streams and sockets, and their table.

Every operation has a default here that refuses with the error number POSIX has for it, so each
kind of descriptor implements only what it can do.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from jitwasm.wasi.abi import FdFlags, FileStat, FileType, OFlags, Rights, WasiError, Whence

__all__ = ["ALL_RIGHTS", "CHANGING", "Descriptor", "DescriptorTable", "Directory"]

ALL_RIGHTS = Rights((1 << 30) - 1)
CHANGING = (
    Rights.FD_WRITE
    | Rights.FD_ALLOCATE
    | Rights.FD_FILESTAT_SET_SIZE
    | Rights.FD_FILESTAT_SET_TIMES
    | Rights.PATH_CREATE_DIRECTORY
    | Rights.PATH_CREATE_FILE
    | Rights.PATH_LINK_SOURCE
    | Rights.PATH_LINK_TARGET
    | Rights.PATH_RENAME_SOURCE
    | Rights.PATH_RENAME_TARGET
    | Rights.PATH_FILESTAT_SET_SIZE
    | Rights.PATH_FILESTAT_SET_TIMES
    | Rights.PATH_SYMLINK
    | Rights.PATH_REMOVE_DIRECTORY
    | Rights.PATH_UNLINK_FILE
)
"""The rights by which a folder, or what is in it, can be changed."""
MAX_DESCRIPTORS = 4096


class Descriptor:
    """One open file, folder, stream or socket.

    Attributes:
        filetype: what it is.
        rights: what may be done with it.
        inheriting: what may at most be done with what is opened through it.
        flags: its file status flags.
        preopen: the guest's name of a preopened folder, else None.
    """

    filetype = FileType.UNKNOWN
    directory: Directory | None = None

    def __init__(self, rights: Rights = ALL_RIGHTS, inheriting: Rights = ALL_RIGHTS) -> None:
        self.rights = rights
        self.inheriting = inheriting
        self.flags = FdFlags(0)
        self.preopen: str | None = None

    def need(self, rights: Rights) -> None:
        """Refuse unless all of `rights` are held."""
        if rights & ~self.rights:
            raise WasiError("NOTCAPABLE")

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Fill buffers from the current position; 0 at the end."""
        raise WasiError("BADF")

    def write(self, buffers: Sequence[memoryview]) -> int:
        raise WasiError("BADF")

    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        raise WasiError("SPIPE")

    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        raise WasiError("SPIPE")

    def seek(self, offset: int, whence: Whence) -> int:
        raise WasiError("SPIPE")

    def stat(self) -> FileStat:
        return FileStat(0, 0, self.filetype, 1, 0, 0, 0, 0)

    def set_size(self, size: int) -> None:
        raise WasiError("INVAL")

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        """Set the times that are not None, in nanoseconds."""
        raise WasiError("BADF")

    def set_flags(self, flags: FdFlags) -> None:
        self.flags = flags

    def allocate(self, offset: int, size: int) -> None:
        raise WasiError("SPIPE")

    def advise(self, offset: int, size: int, advice: int) -> None:
        raise WasiError("SPIPE")

    def sync(self, data_only: bool) -> None:
        raise WasiError("INVAL")

    def fileno(self) -> int | None:
        """The host's descriptor to wait on, or None if it is always ready."""
        return None

    def readable(self) -> int:
        """How many bytes can be read at once, as far as known."""
        return 1

    def close(self) -> None:
        """Release what it holds; called once, when nothing uses it any more."""

    def __del__(self) -> None:
        with suppress(OSError):
            self.close()


class Directory(Protocol):
    """One folder, real or in memory. A `name` is a single component, never a link followed."""

    writable: bool

    def enter(self, name: str) -> Directory | str | None:
        """The folder of this name, or the target of the link of this name, or None for another
        kind of file. Raises FileNotFoundError or WasiError NOENT where there is none."""

    def open(self, name: str, oflags: OFlags, rights: Rights, flags: FdFlags) -> Descriptor: ...

    def open_self(self) -> Descriptor:
        """A descriptor for this folder."""

    def stat(self, name: str | None) -> FileStat:
        """Of an entry, or of the folder itself."""

    def set_times(self, name: str | None, atim: int | None, mtim: int | None) -> None: ...

    def readlink(self, name: str) -> str: ...

    def mkdir(self, name: str) -> None: ...

    def rmdir(self, name: str) -> None: ...

    def unlink(self, name: str) -> None: ...

    def symlink(self, target: str, name: str) -> None: ...

    def rename(self, name: str, to: Directory, new_name: str) -> None: ...

    def link(self, name: str, to: Directory, new_name: str) -> None: ...

    def entries(self) -> Iterable[tuple[str, int, FileType]]:
        """Name, inode and type of each entry, without `.` and `..`."""

    def close(self) -> None: ...


class DescriptorTable:
    """A program's descriptors by number. Closing one frees its number for reuse.

    What the descriptor holds of the host is released with the last reference to it: a call in
    another thread that is about to use the host's number must not find another file behind it.
    """

    def __init__(self) -> None:
        self._open: dict[int, Descriptor] = {}
        self._next = 0
        # A program must not use up the descriptors of the process it runs in.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        finite = limit != resource.RLIM_INFINITY
        self._most = min(MAX_DESCRIPTORS, limit // 2) if finite else MAX_DESCRIPTORS

    def __getitem__(self, fd: int) -> Descriptor:
        try:
            return self._open[fd & 0xFFFFFFFF]
        except KeyError:
            raise WasiError("BADF") from None

    def add(self, descriptor: Descriptor) -> int:
        """Give it the lowest number not used before the next free one."""
        if len(self._open) >= self._most:
            raise WasiError("MFILE")
        while self._next in self._open:
            self._next += 1
        self._open[self._next] = descriptor
        return self._next

    def close(self, fd: int) -> None:
        self[fd]
        del self._open[fd]
        self._next = min(self._next, fd)

    def renumber(self, old: int, new: int) -> None:
        """Move `old` to the number `new`, closing what was there."""
        descriptor = self[old]
        if old == new:
            return
        self[new]
        self._open[new] = descriptor
        del self._open[old]
        self._next = min(self._next, old)

    def close_all(self) -> None:
        self._open.clear()
        self._next = 0
