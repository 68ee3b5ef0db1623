"""The calls on paths. Each path is relative to a folder the program holds (see paths.py)."""

from __future__ import annotations

from jitwasm.wasi.abi import LOOKUP_FOLLOW, FdFlags, FileType, OFlags, Rights, WasiError
from jitwasm.wasi.context import WasiState
from jitwasm.wasi.descriptors import Descriptor
from jitwasm.wasi.fd_calls import times
from jitwasm.wasi.paths import Place, resolve

__all__ = ["CALLS"]

_WRITING = Rights.FD_DATASYNC | Rights.FD_WRITE | Rights.FD_ALLOCATE | Rights.FD_FILESTAT_SET_SIZE


def _place(
    state: WasiState, fd: int, need: Rights, pointer: int, size: int, follow: bool = False
) -> Place:
    """Where a path leads that is given with the folder `fd`, which must have the rights `need`."""
    descriptor = state.descriptors[fd]
    if descriptor.directory is None:
        raise WasiError("NOTDIR")
    descriptor.need(need)
    return resolve(descriptor.directory, state.memory().path(pointer, size), follow)


def _need_directory(place: Place) -> None:
    """A path with a slash at its end may only name a folder."""
    if place.must_be_directory and place.name is not None:
        found = place.directory.stat(place.name)
        if found.filetype is not FileType.DIRECTORY:
            raise WasiError("NOTDIR")


def path_create_directory(state: WasiState, fd: int, path: int, size: int) -> None:
    with _place(state, fd, Rights.PATH_CREATE_DIRECTORY, path, size) as place:
        if place.name is None:
            raise WasiError("EXIST")
        place.directory.mkdir(place.name)


def path_filestat_get(
    state: WasiState, fd: int, flags: int, path: int, size: int, result: int
) -> None:
    follow = bool(flags & LOOKUP_FOLLOW)
    with _place(state, fd, Rights.PATH_FILESTAT_GET, path, size, follow) as place:
        _need_directory(place)
        state.put_filestat(result, place.directory.stat(place.name))


def path_filestat_set_times(
    state: WasiState,
    fd: int,
    flags: int,
    path: int,
    size: int,
    atim: int,
    mtim: int,
    which: int,
) -> None:
    follow = bool(flags & LOOKUP_FOLLOW)
    with _place(state, fd, Rights.PATH_FILESTAT_SET_TIMES, path, size, follow) as place:
        _need_directory(place)
        place.directory.set_times(place.name, *times(state, atim, mtim, which))


def path_link(
    state: WasiState,
    old_fd: int,
    flags: int,
    old_path: int,
    old_size: int,
    new_fd: int,
    new_path: int,
    new_size: int,
) -> None:
    if flags & LOOKUP_FOLLOW:
        raise WasiError("INVAL")
    source = _place(state, old_fd, Rights.PATH_LINK_SOURCE, old_path, old_size)
    with source, _place(state, new_fd, Rights.PATH_LINK_TARGET, new_path, new_size) as target:
        _need_directory(source)
        if target.must_be_directory:
            raise WasiError("NOENT")
        source.directory.link(source.entry(), target.directory, target.entry())


def path_open(
    state: WasiState,
    fd: int,
    lookup: int,
    path: int,
    size: int,
    oflags: int,
    rights: int,
    inheriting: int,
    flags: int,
    result: int,
) -> None:
    folder = state.descriptors[fd]
    state.memory().u32(result)  # a fault must not leave a file open that nobody knows
    if oflags & ~0xF or flags & ~0x1F:
        raise WasiError("INVAL")
    how = OFlags(oflags)
    need = Rights.PATH_OPEN
    if how & OFlags.CREAT:
        need |= Rights.PATH_CREATE_FILE
    if how & OFlags.TRUNC:
        need |= Rights.PATH_FILESTAT_SET_SIZE
    wanted = Rights(rights & (1 << 30) - 1) & folder.inheriting
    passed_on = Rights(inheriting & (1 << 30) - 1) & folder.inheriting
    follow = bool(lookup & LOOKUP_FOLLOW) and not (how & OFlags.CREAT and how & OFlags.EXCL)
    with _place(state, fd, need, path, size, follow) as place:
        opened = _open(place, how, wanted, FdFlags(flags))
    opened.rights, opened.inheriting = _granted(opened, wanted), passed_on
    state.memory().put_u32(result, state.descriptors.add(opened))


def _open(place: Place, how: OFlags, rights: Rights, flags: FdFlags) -> Descriptor:
    if place.name is None:
        if how & (OFlags.CREAT | OFlags.EXCL) == OFlags.CREAT | OFlags.EXCL:
            raise WasiError("EXIST")
        if how & OFlags.TRUNC:
            raise WasiError("ISDIR")
        return place.directory.open_self()
    if place.must_be_directory:
        if how & OFlags.CREAT:
            raise WasiError("ISDIR")
        how |= OFlags.DIRECTORY
    if how & OFlags.DIRECTORY and how & OFlags.CREAT:
        raise WasiError("INVAL")
    return place.directory.open(place.name, how, rights, flags)


def _granted(opened: Descriptor, wanted: Rights) -> Rights:
    if opened.filetype is not FileType.DIRECTORY:
        return wanted
    # Reading and writing mean nothing for a folder, whatever was asked for.
    return wanted & ~(Rights.FD_READ | Rights.FD_WRITE | Rights.FD_SEEK | Rights.FD_TELL)


def path_readlink(
    state: WasiState, fd: int, path: int, size: int, pointer: int, room: int, result: int
) -> None:
    with _place(state, fd, Rights.PATH_READLINK, path, size) as place:
        target = place.directory.readlink(place.entry()).encode("utf-8", "surrogateescape")
    memory = state.memory()
    data = target[: room & 0xFFFFFFFF]
    memory.put(pointer, data)
    memory.put_u32(result, len(data))


def path_remove_directory(state: WasiState, fd: int, path: int, size: int) -> None:
    with _place(state, fd, Rights.PATH_REMOVE_DIRECTORY, path, size) as place:
        place.directory.rmdir(place.entry())


def path_rename(
    state: WasiState,
    old_fd: int,
    old_path: int,
    old_size: int,
    new_fd: int,
    new_path: int,
    new_size: int,
) -> None:
    source = _place(state, old_fd, Rights.PATH_RENAME_SOURCE, old_path, old_size)
    with source, _place(state, new_fd, Rights.PATH_RENAME_TARGET, new_path, new_size) as target:
        _need_directory(source)
        if target.must_be_directory:
            kind = source.directory.stat(source.entry("BUSY")).filetype
            if kind is not FileType.DIRECTORY:
                raise WasiError("NOTDIR")
        source.directory.rename(source.entry("BUSY"), target.directory, target.entry("BUSY"))


def path_symlink(
    state: WasiState, target: int, target_size: int, fd: int, path: int, size: int
) -> None:
    text = state.memory().path(target, target_size)
    if text.startswith("/"):
        raise WasiError("PERM")
    with _place(state, fd, Rights.PATH_SYMLINK, path, size) as place:
        if place.must_be_directory:
            raise WasiError("NOENT")
        place.directory.symlink(text, place.entry())


def path_unlink_file(state: WasiState, fd: int, path: int, size: int) -> None:
    with _place(state, fd, Rights.PATH_UNLINK_FILE, path, size) as place:
        _need_directory(place)
        if place.name is None:
            raise WasiError("ISDIR")
        place.directory.unlink(place.name)


CALLS = {
    function.__name__: function
    for function in (
        path_create_directory,
        path_filestat_get,
        path_filestat_set_times,
        path_link,
        path_open,
        path_readlink,
        path_remove_directory,
        path_rename,
        path_symlink,
        path_unlink_file,
    )
}
