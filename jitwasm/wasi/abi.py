"""The binary interface of WASI preview 1 and of its predecessor `wasi_unstable`: tables only."""

from __future__ import annotations

import enum
import errno as host_errno
import os
import stat
import struct
from dataclasses import dataclass

__all__ = [
    "FUNCTIONS",
    "LOOKUP_FOLLOW",
    "PREVIEW1",
    "UNSTABLE",
    "Errno",
    "FdFlags",
    "FileStat",
    "FileType",
    "FstFlags",
    "OFlags",
    "Rights",
    "Version",
    "WasiError",
    "Whence",
    "errno_of",
    "filetype_of",
]

# The order of the names is the numbering.
_ERRNO_NAMES = """
success toobig acces addrinuse addrnotavail afnosupport again already badf badmsg busy canceled
child connaborted connrefused connreset deadlk destaddrreq dom dquot exist fault fbig
hostunreach idrm ilseq inprogress intr inval io isconn isdir loop mfile mlink msgsize multihop
nametoolong netdown netreset netunreach nfile nobufs nodev noent noexec nolck nolink nomem nomsg
noprotoopt nospc nosys notconn notdir notempty notrecoverable notsock notsup notty nxio overflow
ownerdead perm pipe proto protonosupport prototype range rofs spipe srch stale timedout txtbsy
xdev notcapable
""".split()

Errno = enum.IntEnum(  # type: ignore[misc]  # mypy wants the names spelt out twice
    "Errno", [(name.upper(), i) for i, name in enumerate(_ERRNO_NAMES)]
)
"""Error numbers as WASI counts them."""

_BY_HOST = {
    getattr(host_errno, "E" + name.upper()): Errno[name.upper()]
    for name in _ERRNO_NAMES
    if hasattr(host_errno, "E" + name.upper())
}
_BY_HOST[host_errno.E2BIG] = Errno["TOOBIG"]
_BY_HOST[host_errno.EOPNOTSUPP] = Errno["NOTSUP"]


class WasiError(Exception):
    """A call fails with this error number; the program sees it as the call's result."""

    def __init__(self, errno: str) -> None:
        super().__init__(errno)
        self.errno = int(Errno[errno])


def errno_of(error: OSError) -> int:
    """The WASI number for an error of the host's system."""
    return int(_BY_HOST.get(error.errno or 0, Errno["IO"]))


class FileType(enum.IntEnum):
    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_DGRAM = 5
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


_FILETYPES = {
    stat.S_IFREG: FileType.REGULAR_FILE,
    stat.S_IFDIR: FileType.DIRECTORY,
    stat.S_IFLNK: FileType.SYMBOLIC_LINK,
    stat.S_IFCHR: FileType.CHARACTER_DEVICE,
    stat.S_IFBLK: FileType.BLOCK_DEVICE,
    stat.S_IFSOCK: FileType.SOCKET_STREAM,
}


def filetype_of(mode: int) -> FileType:
    """The file type in a host's `st_mode`."""
    return _FILETYPES.get(stat.S_IFMT(mode), FileType.UNKNOWN)


class Rights(enum.IntFlag):
    FD_DATASYNC = 1 << 0
    FD_READ = 1 << 1
    FD_SEEK = 1 << 2
    FD_FDSTAT_SET_FLAGS = 1 << 3
    FD_SYNC = 1 << 4
    FD_TELL = 1 << 5
    FD_WRITE = 1 << 6
    FD_ADVISE = 1 << 7
    FD_ALLOCATE = 1 << 8
    PATH_CREATE_DIRECTORY = 1 << 9
    PATH_CREATE_FILE = 1 << 10
    PATH_LINK_SOURCE = 1 << 11
    PATH_LINK_TARGET = 1 << 12
    PATH_OPEN = 1 << 13
    FD_READDIR = 1 << 14
    PATH_READLINK = 1 << 15
    PATH_RENAME_SOURCE = 1 << 16
    PATH_RENAME_TARGET = 1 << 17
    PATH_FILESTAT_GET = 1 << 18
    PATH_FILESTAT_SET_SIZE = 1 << 19
    PATH_FILESTAT_SET_TIMES = 1 << 20
    FD_FILESTAT_GET = 1 << 21
    FD_FILESTAT_SET_SIZE = 1 << 22
    FD_FILESTAT_SET_TIMES = 1 << 23
    PATH_SYMLINK = 1 << 24
    PATH_REMOVE_DIRECTORY = 1 << 25
    PATH_UNLINK_FILE = 1 << 26
    POLL_FD_READWRITE = 1 << 27
    SOCK_SHUTDOWN = 1 << 28
    SOCK_ACCEPT = 1 << 29


class FdFlags(enum.IntFlag):
    APPEND = 1
    DSYNC = 2
    NONBLOCK = 4
    RSYNC = 8
    SYNC = 16


class OFlags(enum.IntFlag):
    CREAT = 1
    DIRECTORY = 2
    EXCL = 4
    TRUNC = 8


class FstFlags(enum.IntFlag):
    ATIM = 1
    ATIM_NOW = 2
    MTIM = 4
    MTIM_NOW = 8


LOOKUP_FOLLOW = 1


class Whence(enum.IntEnum):
    SET = os.SEEK_SET
    CUR = os.SEEK_CUR
    END = os.SEEK_END


@dataclass(frozen=True)
class FileStat:
    """What a program may know of a file. Times are nanoseconds since 1970."""

    dev: int
    ino: int
    filetype: FileType
    nlink: int
    size: int
    atim: int
    mtim: int
    ctim: int

    @staticmethod
    def of_host(st: os.stat_result) -> FileStat:
        return FileStat(
            st.st_dev,
            st.st_ino,
            filetype_of(st.st_mode),
            st.st_nlink,
            st.st_size,
            st.st_atime_ns,
            st.st_mtime_ns,
            st.st_ctime_ns,
        )


@dataclass(frozen=True)
class Version:
    """Where the two versions of the interface differ.

    Attributes:
        module: the import module's name.
        filestat: layout of a `filestat`.
        subscription_size: bytes of a `subscription`.
        clock_offset: where a clock subscription's id lies in it.
        whence: what each number given to `fd_seek` means.
        functions: names it has.
    """

    module: str
    filestat: struct.Struct
    subscription_size: int
    clock_offset: int
    whence: tuple[Whence, Whence, Whence]
    functions: tuple[str, ...]


FUNCTIONS: dict[str, str] = {
    # name                     parameters; all return an errno, but for proc_exit
    "args_get": "i32 i32",
    "args_sizes_get": "i32 i32",
    "clock_res_get": "i32 i32",
    "clock_time_get": "i32 i64 i32",
    "environ_get": "i32 i32",
    "environ_sizes_get": "i32 i32",
    "fd_advise": "i32 i64 i64 i32",
    "fd_allocate": "i32 i64 i64",
    "fd_close": "i32",
    "fd_datasync": "i32",
    "fd_fdstat_get": "i32 i32",
    "fd_fdstat_set_flags": "i32 i32",
    "fd_fdstat_set_rights": "i32 i64 i64",
    "fd_filestat_get": "i32 i32",
    "fd_filestat_set_size": "i32 i64",
    "fd_filestat_set_times": "i32 i64 i64 i32",
    "fd_pread": "i32 i32 i32 i64 i32",
    "fd_prestat_dir_name": "i32 i32 i32",
    "fd_prestat_get": "i32 i32",
    "fd_pwrite": "i32 i32 i32 i64 i32",
    "fd_read": "i32 i32 i32 i32",
    "fd_readdir": "i32 i32 i32 i64 i32",
    "fd_renumber": "i32 i32",
    "fd_seek": "i32 i64 i32 i32",
    "fd_sync": "i32",
    "fd_tell": "i32 i32",
    "fd_write": "i32 i32 i32 i32",
    "path_create_directory": "i32 i32 i32",
    "path_filestat_get": "i32 i32 i32 i32 i32",
    "path_filestat_set_times": "i32 i32 i32 i32 i64 i64 i32",
    "path_link": "i32 i32 i32 i32 i32 i32 i32",
    "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32",
    "path_readlink": "i32 i32 i32 i32 i32 i32",
    "path_remove_directory": "i32 i32 i32",
    "path_rename": "i32 i32 i32 i32 i32 i32",
    "path_symlink": "i32 i32 i32 i32 i32",
    "path_unlink_file": "i32 i32 i32",
    "poll_oneoff": "i32 i32 i32 i32",
    "proc_exit": "i32",
    "proc_raise": "i32",
    "random_get": "i32 i32",
    "sched_yield": "",
    "sock_accept": "i32 i32 i32",
    "sock_recv": "i32 i32 i32 i32 i32 i32",
    "sock_send": "i32 i32 i32 i32 i32",
    "sock_shutdown": "i32 i32",
}

PREVIEW1 = Version(
    "wasi_snapshot_preview1",
    struct.Struct("<QQB7xQQQQQ"),
    48,
    16,
    (Whence.SET, Whence.CUR, Whence.END),
    tuple(FUNCTIONS),
)
UNSTABLE = Version(
    "wasi_unstable",
    struct.Struct("<QQB3xIQQQQ"),
    56,
    24,
    (Whence.CUR, Whence.END, Whence.SET),
    tuple(name for name in FUNCTIONS if name != "sock_accept"),
)
