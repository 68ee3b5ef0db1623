"""Real files and folders, reached only through descriptors of folders.

Every system call names one component relative to an open folder and refuses to follow links.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
from collections.abc import Iterator, Sequence

from jitwasm.deadlines import time_left
from jitwasm.wasi.abi import (
    FdFlags,
    FileStat,
    FileType,
    OFlags,
    Rights,
    WasiError,
    Whence,
    filetype_of,
)
from jitwasm.wasi.descriptors import Descriptor, Directory

__all__ = ["HostDirectory", "HostFile", "OpenDirectory", "await_ready", "first_bytes"]

_MAX_OFFSET = (1 << 63) - 1
_STATUS_FLAGS = {
    FdFlags.APPEND: os.O_APPEND,
    FdFlags.DSYNC: os.O_DSYNC,
    FdFlags.NONBLOCK: os.O_NONBLOCK,
    FdFlags.RSYNC: os.O_RSYNC,
    FdFlags.SYNC: os.O_SYNC,
}


def _os_flags(flags: FdFlags) -> int:
    value = 0
    for flag, os_flag in _STATUS_FLAGS.items():
        if flags & flag:
            value |= os_flag
    return value


def _times(current: os.stat_result, atim: int | None, mtim: int | None) -> tuple[int, int]:
    return (
        current.st_atime_ns if atim is None else atim,
        current.st_mtime_ns if mtim is None else mtim,
    )


def await_ready(fd: int, mask: int, nonblocking: bool = False) -> bool:
    """Wait for a descriptor of the host, if the caller has a deadline; returns whether it has.

    Without a deadline the operation itself waits. Raises WasiError AGAIN if it would have to and
    must not, INTR at the deadline.
    """
    left = 0.0 if nonblocking else time_left()
    if left is None:
        return False
    poller = select.poll()
    poller.register(fd, mask)
    if not poller.poll(min(left, 1e6) * 1000):
        raise WasiError("AGAIN" if nonblocking else "INTR")
    return True


def first_bytes(buffers: Sequence[memoryview], size: int) -> list[memoryview]:
    """The first bytes of buffers."""
    found = []
    for buffer in buffers:
        if size <= 0:
            break
        found.append(buffer[:size])
        size -= len(buffer)
    return found


class HostFile(Descriptor):
    """An open file of the host. Data moves between the file and linear memory directly.

    Args:
        fd: the host's descriptor.
        close: it belongs to the program; else it is one that this process goes on using, whose
            flags, which all its users share, must stay as they are.
        writable: false in a folder that must not be changed.
    """

    def __init__(self, fd: int, *, close: bool = True, writable: bool = True) -> None:
        self._fd = fd
        self._close = close
        super().__init__()
        self._writable = writable
        mode = os.fstat(fd).st_mode
        self._is_pipe = stat.S_ISFIFO(mode)
        self.filetype = filetype_of(mode)  # of a pipe UNKNOWN: WASI has no name for it

    def read(self, buffers: Sequence[memoryview]) -> int:
        self._await(select.POLLIN)
        return os.readv(self._fd, buffers) if buffers else 0

    def write(self, buffers: Sequence[memoryview]) -> int:
        if self._await(select.POLLOUT) and self._is_pipe:
            buffers = first_bytes(buffers, select.PIPE_BUF)  # more would wait in the write
        return os.writev(self._fd, buffers) if buffers else 0

    def _await(self, mask: int) -> bool:
        nonblocking = bool(self.flags & FdFlags.NONBLOCK)
        if self.filetype is FileType.REGULAR_FILE or (nonblocking and self._close):
            return False
        return await_ready(self._fd, mask, nonblocking)

    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        return os.preadv(self._fd, buffers, _offset(offset)) if buffers else 0

    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        return os.pwritev(self._fd, buffers, _offset(offset)) if buffers else 0

    def seek(self, offset: int, whence: Whence) -> int:
        return os.lseek(self._fd, offset, whence)

    def stat(self) -> FileStat:
        return FileStat.of_host(os.fstat(self._fd))

    def set_size(self, size: int) -> None:
        os.ftruncate(self._fd, _offset(size))

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        if not self._writable:
            raise WasiError("ROFS")
        os.utime(self._fd, ns=_times(os.fstat(self._fd), atim, mtim))

    def set_flags(self, flags: FdFlags) -> None:
        if (flags ^ self.flags) & (FdFlags.DSYNC | FdFlags.RSYNC | FdFlags.SYNC):
            raise WasiError("NOTSUP")  # the host cannot change these once a file is open
        if self._close:
            os.set_blocking(self._fd, not flags & FdFlags.NONBLOCK)
        if (flags ^ self.flags) & FdFlags.APPEND:
            if not self._close:
                raise WasiError("NOTSUP")
            self._reopen_append(bool(flags & FdFlags.APPEND))
        self.flags = flags

    def _reopen_append(self, append: bool) -> None:
        current = fcntl.fcntl(self._fd, fcntl.F_GETFL)
        wanted = current | os.O_APPEND if append else current & ~os.O_APPEND
        fcntl.fcntl(self._fd, fcntl.F_SETFL, wanted)

    def allocate(self, offset: int, size: int) -> None:
        os.posix_fallocate(self._fd, _offset(offset), _offset(size))

    def advise(self, offset: int, size: int, advice: int) -> None:
        if not 0 <= advice <= 5:
            raise WasiError("INVAL")
        os.posix_fadvise(self._fd, _offset(offset), _offset(size), _ADVICE[advice])

    def sync(self, data_only: bool) -> None:
        (os.fdatasync if data_only else os.fsync)(self._fd)

    def fileno(self) -> int | None:
        return None if self.filetype is FileType.REGULAR_FILE else self._fd

    def readable(self) -> int:
        if self.filetype is FileType.REGULAR_FILE:
            left = os.fstat(self._fd).st_size - os.lseek(self._fd, 0, os.SEEK_CUR)
            return max(left, 0)
        return int(bool(select.select([self._fd], [], [], 0)[0]))

    def close(self) -> None:
        if self._close:
            os.close(self._fd)
            self._fd = -1


_ADVICE = (
    os.POSIX_FADV_NORMAL,
    os.POSIX_FADV_SEQUENTIAL,
    os.POSIX_FADV_RANDOM,
    os.POSIX_FADV_WILLNEED,
    os.POSIX_FADV_DONTNEED,
    os.POSIX_FADV_NOREUSE,
)


def _raw(name: str) -> bytes:
    """A name as the host has it: UTF-8 whatever the locale says."""
    return name.encode("utf-8", "surrogateescape")


def _offset(value: int) -> int:
    """An unsigned 64-bit size or offset, if the host can express it."""
    value &= 0xFFFFFFFFFFFFFFFF
    if value > _MAX_OFFSET:
        raise WasiError("INVAL")
    return value


class HostDirectory:
    """A folder of the host, held open by a descriptor of its own."""

    def __init__(self, fd: int, writable: bool) -> None:
        self._fd = fd
        self.writable = writable

    @classmethod
    def at(cls, path: str | os.PathLike[str], writable: bool) -> HostDirectory:
        """The folder at a path of the host (links followed: the embedder chose the path)."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), writable)

    def enter(self, name: str) -> HostDirectory | str | None:
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(_raw(name), flags, dir_fd=self._fd)
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            return HostDirectory(fd, self.writable)
        try:
            # Of what has been opened: something else may have its name by now.
            return _link_target(b"", fd) if stat.S_ISLNK(mode) else None
        finally:
            os.close(fd)

    def open(self, name: str, oflags: OFlags, rights: Rights, flags: FdFlags) -> Descriptor:
        if oflags & OFlags.DIRECTORY:
            return self._open_directory(name)
        write = bool(rights & (Rights.FD_WRITE | Rights.FD_ALLOCATE | Rights.FD_FILESTAT_SET_SIZE))
        read = bool(rights & (Rights.FD_READ | Rights.FD_READDIR)) or not write
        if write or oflags & (OFlags.CREAT | OFlags.TRUNC):
            self._need_writable()
        mode = os.O_RDWR if read and write else os.O_WRONLY if write else os.O_RDONLY
        if oflags & OFlags.CREAT:
            mode |= os.O_CREAT
        if oflags & OFlags.EXCL:
            mode |= os.O_EXCL
        if oflags & OFlags.TRUNC:
            mode |= os.O_TRUNC
        # Without O_NONBLOCK, opening a pipe of the host would wait for its other end.
        mode |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK | _os_flags(flags)
        fd = os.open(_raw(name), mode, 0o666, dir_fd=self._fd)
        file = HostFile(fd, writable=self.writable)
        if file.filetype is FileType.DIRECTORY:
            return self._open_directory(name)
        if not flags & FdFlags.NONBLOCK:
            os.set_blocking(fd, True)
        file.flags = flags
        return file

    def _open_directory(self, name: str) -> Descriptor:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(_raw(name), flags, dir_fd=self._fd)
        return OpenDirectory(HostDirectory(fd, self.writable))

    def open_self(self) -> Descriptor:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
        return OpenDirectory(HostDirectory(fd, self.writable))

    def stat(self, name: str | None) -> FileStat:
        if name is None:
            return FileStat.of_host(os.fstat(self._fd))
        return FileStat.of_host(os.stat(_raw(name), dir_fd=self._fd, follow_symlinks=False))

    def set_times(self, name: str | None, atim: int | None, mtim: int | None) -> None:
        self._need_writable()
        target = _raw("." if name is None else name)
        current = os.stat(target, dir_fd=self._fd, follow_symlinks=False)
        os.utime(target, ns=_times(current, atim, mtim), dir_fd=self._fd, follow_symlinks=False)

    def readlink(self, name: str) -> str:
        return _link_target(_raw(name), self._fd)

    def mkdir(self, name: str) -> None:
        self._need_writable()
        os.mkdir(_raw(name), dir_fd=self._fd)

    def rmdir(self, name: str) -> None:
        self._need_writable()
        os.rmdir(_raw(name), dir_fd=self._fd)

    def unlink(self, name: str) -> None:
        self._need_writable()
        os.unlink(_raw(name), dir_fd=self._fd)

    def symlink(self, target: str, name: str) -> None:
        self._need_writable()
        os.symlink(_raw(target), _raw(name), dir_fd=self._fd)

    def rename(self, name: str, to: Directory, new_name: str) -> None:
        other = self._same_kind(to)
        os.rename(_raw(name), _raw(new_name), src_dir_fd=self._fd, dst_dir_fd=other._fd)

    def link(self, name: str, to: Directory, new_name: str) -> None:
        other = self._same_kind(to)
        os.link(
            _raw(name),
            _raw(new_name),
            src_dir_fd=self._fd,
            dst_dir_fd=other._fd,
            follow_symlinks=False,
        )

    def entries(self) -> Iterator[tuple[str, int, FileType]]:
        # A descriptor of its own: the position in a folder is shared by duplicates.
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            with os.scandir(fd) as rows:
                for row in rows:
                    name = os.fsencode(row.name).decode("utf-8", "surrogateescape")
                    yield name, row.inode(), _entry_type(row)
        finally:
            os.close(fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()

    def _need_writable(self) -> None:
        if not self.writable:
            raise WasiError("ROFS")

    def _same_kind(self, other: Directory) -> HostDirectory:
        if not isinstance(other, HostDirectory):
            raise WasiError("XDEV")
        self._need_writable()
        other._need_writable()
        return other


def _link_target(name: bytes, fd: int) -> str:
    return os.readlink(name, dir_fd=fd).decode("utf-8", "surrogateescape")


def _entry_type(row: os.DirEntry[str]) -> FileType:
    if row.is_symlink():
        return FileType.SYMBOLIC_LINK
    if row.is_dir(follow_symlinks=False):
        return FileType.DIRECTORY
    if row.is_file(follow_symlinks=False):
        return FileType.REGULAR_FILE
    try:
        return filetype_of(row.stat(follow_symlinks=False).st_mode)
    except OSError:  # gone meanwhile
        return FileType.UNKNOWN


class OpenDirectory(Descriptor):
    """A descriptor of a folder, real or in memory.

    A listing is taken when it is read from its start and kept while it is read on, so that cookies
    stay valid while entries come and go.
    """

    filetype = FileType.DIRECTORY

    def __init__(self, directory: Directory) -> None:
        super().__init__()
        self.directory: Directory = directory
        self._listing: list[tuple[str, int, FileType]] = []

    def list_from(self, cookie: int) -> Iterator[tuple[int, tuple[str, int, FileType]]]:
        """Entries from a cookie on, each with the cookie of the next."""
        if cookie == 0 or not self._listing:
            own = self.directory.stat(None).ino
            self._listing = [
                (".", own, FileType.DIRECTORY),
                ("..", 0, FileType.DIRECTORY),
                *self.directory.entries(),
            ]
        for index in range(cookie, len(self._listing)):
            yield index + 1, self._listing[index]
        # All is read: a program that holds many folders open must not hold their lists too.
        self._listing = []

    def read(self, buffers: Sequence[memoryview]) -> int:
        raise WasiError("ISDIR")

    def write(self, buffers: Sequence[memoryview]) -> int:
        raise WasiError("ISDIR")

    def seek(self, offset: int, whence: Whence) -> int:
        raise WasiError("ISDIR")

    def stat(self) -> FileStat:
        return self.directory.stat(None)

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self.directory.set_times(None, atim, mtim)

    def sync(self, data_only: bool) -> None:
        """Folders are written through by the host."""
