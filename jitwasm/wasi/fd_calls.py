"""The calls on descriptors: reading, writing, seeking, attributes, listings."""

from __future__ import annotations

import struct

from jitwasm.wasi.abi import FdFlags, FstFlags, Rights, WasiError
from jitwasm.wasi.context import WasiState
from jitwasm.wasi.hostfs import OpenDirectory
from jitwasm.wasi.process_calls import read_clock

__all__ = ["CALLS", "times"]

_FDSTAT = struct.Struct("<BxH4xQQ")
_PRESTAT = struct.Struct("<B3xI")
_DIRENT = struct.Struct("<QQIB3x")


def fd_advise(state: WasiState, fd: int, offset: int, size: int, advice: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_ADVISE)
    descriptor.advise(offset, size, advice)


def fd_allocate(state: WasiState, fd: int, offset: int, size: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_ALLOCATE)
    descriptor.allocate(offset, size)


def fd_close(state: WasiState, fd: int) -> None:
    state.descriptors.close(fd)


def fd_datasync(state: WasiState, fd: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_DATASYNC)
    descriptor.sync(data_only=True)


def fd_sync(state: WasiState, fd: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_SYNC)
    descriptor.sync(data_only=False)


def fd_fdstat_get(state: WasiState, fd: int, result: int) -> None:
    descriptor = state.descriptors[fd]
    state.memory().put(
        result,
        _FDSTAT.pack(
            descriptor.filetype, descriptor.flags, descriptor.rights, descriptor.inheriting
        ),
    )


def fd_fdstat_set_flags(state: WasiState, fd: int, flags: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_FDSTAT_SET_FLAGS)
    if flags & ~0x1F:
        raise WasiError("INVAL")
    descriptor.set_flags(FdFlags(flags))


def fd_fdstat_set_rights(state: WasiState, fd: int, rights: int, inheriting: int) -> None:
    """Rights can be given up, never gained."""
    descriptor = state.descriptors[fd]
    wanted, passed_on = rights & (1 << 64) - 1, inheriting & (1 << 64) - 1
    if wanted & ~descriptor.rights or passed_on & ~descriptor.inheriting:
        raise WasiError("NOTCAPABLE")
    descriptor.rights = Rights(wanted)
    descriptor.inheriting = Rights(passed_on)


def fd_filestat_get(state: WasiState, fd: int, result: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_FILESTAT_GET)
    state.put_filestat(result, descriptor.stat())


def fd_filestat_set_size(state: WasiState, fd: int, size: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_FILESTAT_SET_SIZE)
    descriptor.set_size(size)


def times(state: WasiState, atim: int, mtim: int, flags: int) -> tuple[int | None, int | None]:
    """The times a call sets: each given, now, or left (None)."""
    fst = FstFlags(flags & 0xF)
    both_atim = FstFlags.ATIM | FstFlags.ATIM_NOW
    both_mtim = FstFlags.MTIM | FstFlags.MTIM_NOW
    if flags & ~0xF or fst & both_atim == both_atim or fst & both_mtim == both_mtim:
        raise WasiError("INVAL")
    now = read_clock(state, 0)
    mask = (1 << 64) - 1
    new_atim = atim & mask if fst & FstFlags.ATIM else now if fst & FstFlags.ATIM_NOW else None
    new_mtim = mtim & mask if fst & FstFlags.MTIM else now if fst & FstFlags.MTIM_NOW else None
    if max(new_atim or 0, new_mtim or 0) >= 1 << 63:
        raise WasiError("INVAL")
    return new_atim, new_mtim


def fd_filestat_set_times(state: WasiState, fd: int, atim: int, mtim: int, flags: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_FILESTAT_SET_TIMES)
    descriptor.set_times(*times(state, atim, mtim, flags))


def fd_pread(state: WasiState, fd: int, iovecs: int, count: int, offset: int, result: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_READ | Rights.FD_SEEK)
    memory = state.memory()
    memory.put_u32(result, descriptor.pread(memory.buffers(iovecs, count), offset))


def fd_pwrite(state: WasiState, fd: int, iovecs: int, count: int, offset: int, result: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_WRITE | Rights.FD_SEEK)
    memory = state.memory()
    memory.put_u32(result, descriptor.pwrite(memory.buffers(iovecs, count), offset))


def fd_read(state: WasiState, fd: int, iovecs: int, count: int, result: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_READ)
    memory = state.memory()
    memory.put_u32(result, descriptor.read(memory.buffers(iovecs, count)))


def fd_write(state: WasiState, fd: int, iovecs: int, count: int, result: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_WRITE)
    memory = state.memory()
    memory.put_u32(result, descriptor.write(memory.buffers(iovecs, count)))


def fd_prestat_get(state: WasiState, fd: int, result: int) -> None:
    name = state.descriptors[fd].preopen
    if name is None:
        raise WasiError("BADF")
    state.memory().put(result, _PRESTAT.pack(0, len(name.encode())))


def fd_prestat_dir_name(state: WasiState, fd: int, pointer: int, size: int) -> None:
    name = state.descriptors[fd].preopen
    if name is None:
        raise WasiError("BADF")
    data = name.encode()
    if len(data) > size & 0xFFFFFFFF:
        raise WasiError("NAMETOOLONG")
    state.memory().put(pointer, data)


def fd_readdir(
    state: WasiState, fd: int, pointer: int, size: int, cookie: int, result: int
) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_READDIR)
    if not isinstance(descriptor, OpenDirectory):
        raise WasiError("NOTDIR")
    memory = state.memory()
    buffer = memory.slice(pointer, size)
    used = 0
    for after, (name, ino, filetype) in descriptor.list_from(cookie & (1 << 63) - 1):
        data = name.encode("utf-8", "surrogateescape")
        row = _DIRENT.pack(after, ino, len(data), filetype) + data
        room = len(buffer) - used
        buffer[used : used + len(row)] = row[:room]
        used += min(len(row), room)
        if used == len(buffer):
            break
    memory.put_u32(result, used)


def fd_renumber(state: WasiState, fd: int, to: int) -> None:
    state.descriptors.renumber(fd, to)


def fd_seek(state: WasiState, fd: int, offset: int, whence: int, result: int) -> None:
    descriptor = state.descriptors[fd]
    if not 0 <= whence < 3:
        raise WasiError("INVAL")
    meaning = state.version.whence[whence]
    descriptor.need(Rights.FD_TELL if offset == 0 and meaning == 1 else Rights.FD_SEEK)
    state.memory().put_u64(result, descriptor.seek(offset, meaning))


def fd_tell(state: WasiState, fd: int, result: int) -> None:
    descriptor = state.descriptors[fd]
    descriptor.need(Rights.FD_TELL)
    state.memory().put_u64(result, descriptor.seek(0, state.CURRENT))


CALLS = {
    function.__name__: function
    for function in (
        fd_advise,
        fd_allocate,
        fd_close,
        fd_datasync,
        fd_sync,
        fd_fdstat_get,
        fd_fdstat_set_flags,
        fd_fdstat_set_rights,
        fd_filestat_get,
        fd_filestat_set_size,
        fd_filestat_set_times,
        fd_pread,
        fd_pwrite,
        fd_read,
        fd_write,
        fd_prestat_get,
        fd_prestat_dir_name,
        fd_readdir,
        fd_renumber,
        fd_seek,
        fd_tell,
    )
}
