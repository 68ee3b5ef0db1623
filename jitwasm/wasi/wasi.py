"""`Wasi`: what a program may reach, and the imports made from that."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from socket import socket
from typing import Any, Union

from jitwasm.wasi.abi import FUNCTIONS, PREVIEW1, UNSTABLE, Errno, Version, WasiError, errno_of
from jitwasm.wasi.context import Shared, WasiState, environment, strings
from jitwasm.wasi.descriptors import ALL_RIGHTS, CHANGING, Descriptor, Directory
from jitwasm.wasi.fd_calls import CALLS as FD_CALLS
from jitwasm.wasi.guest import MemoryLike
from jitwasm.wasi.hostfs import HostDirectory, OpenDirectory
from jitwasm.wasi.memfs import MemoryDirectory, Tree
from jitwasm.wasi.path_calls import CALLS as PATH_CALLS
from jitwasm.wasi.poll_calls import CALLS as POLL_CALLS
from jitwasm.wasi.poll_calls import Socket
from jitwasm.wasi.process_calls import CALLS as PROCESS_CALLS
from jitwasm.wasi.streams import Sink, Source, input_stream, output_stream

__all__ = ["ReadOnly", "Wasi"]

_CALLS: dict[str, Callable[..., None]] = {
    **PROCESS_CALLS,
    **FD_CALLS,
    **PATH_CALLS,
    **POLL_CALLS,
}


class ReadOnly:
    """Marks a folder given to `Wasi(dirs=…)` as one the program may not change."""

    def __init__(self, folder: str | os.PathLike[str] | Tree) -> None:
        self.folder = folder


Folder = Union[str, "os.PathLike[str]", Tree, MemoryDirectory, ReadOnly]


class Wasi:
    """The world of one WASI program: nothing but what is given here can be reached.

    Args:
        args: its arguments, the program's name first.
        env: its environment.
        stdin: bytes, a file object, a descriptor's number, a callable, "inherit" or None (empty).
        stdout, stderr: a file object, a descriptor's number, a callable, "inherit" or None.
        dirs: folders by the names the program sees: a path of a real folder, or a dict of names
            to bytes that lives in memory; in `ReadOnly(…)` it cannot be changed.
        sockets: open sockets, listening or connected, passed on as further descriptors.
        clock: replaces the clocks, for reproducible runs: clock number (0 real time, 1 monotonic,
            2 process, 3 thread) -> nanoseconds.
        random: replaces the random source: size -> bytes.

    Attributes:
        imports: the import object, to be used as it is or merged into another.

    Raises:
        TypeError, ValueError: an argument of the wrong kind.
        OSError: a folder cannot be opened.
    """

    def __init__(
        self,
        *,
        args: Sequence[str | bytes] = ("program",),
        env: Mapping[str, str] | None = None,
        stdin: Source = None,
        stdout: Sink = "inherit",
        stderr: Sink = "inherit",
        dirs: Mapping[str, Folder] | None = None,
        sockets: Iterable[socket] = (),
        clock: Callable[[int], int] | None = None,
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        self._shared = Shared(strings(args, "arguments"), environment(env or {}), clock, random)
        self._folders: dict[str, MemoryDirectory] = {}
        table = self._shared.descriptors
        table.add(input_stream(stdin))
        table.add(output_stream(stdout, 1))
        table.add(output_stream(stderr, 2))
        try:
            for name, folder in (dirs or {}).items():
                table.add(self._preopen(name, folder))
            for sock in sockets:
                table.add(Socket(sock.dup()))
        except BaseException:
            self.close()
            raise
        self.imports: dict[str, dict[str, Callable[..., Any]]] = {
            version.module: self._functions(version) for version in (PREVIEW1, UNSTABLE)
        }

    def _preopen(self, name: str, folder: Folder) -> Descriptor:
        writable = not isinstance(folder, ReadOnly)
        source = folder.folder if isinstance(folder, ReadOnly) else folder
        directory: Directory
        if isinstance(source, (str, os.PathLike)):
            directory = HostDirectory.at(source, writable)
        elif isinstance(source, MemoryDirectory):
            directory = self._folders[name] = source
        elif isinstance(source, Mapping):
            now = self._shared.clock
            clock = time.time_ns if now is None else partial(now, 0)
            directory = MemoryDirectory.of_tree(source, writable, clock=clock)
            self._folders[name] = directory
        else:
            raise TypeError(
                f"folder {name!r} must be a path or a dict, not {type(source).__name__}"
            )
        descriptor = OpenDirectory(directory)
        (encoded,) = strings([name], "names of folders")
        descriptor.preopen = encoded.decode("utf-8", "surrogateescape")
        descriptor.rights = descriptor.inheriting = ALL_RIGHTS
        if directory.writable and not writable:  # a folder shared with other programs
            descriptor.rights = descriptor.inheriting = ALL_RIGHTS & ~CHANGING
        return descriptor

    def _functions(self, version: Version) -> dict[str, Callable[..., Any]]:
        state = WasiState(self._shared, version)
        return {
            name: _Import(self._shared, state, name, _CALLS[name]) for name in version.functions
        }

    def files(self, name: str) -> dict[str, bytes]:
        """The files of the in-memory folder the program knows as `name`, by their paths."""
        return self._folders[name].to_dict()

    def close(self) -> None:
        """Close the program's files and folders; else done when the last import is collected."""
        self._shared.descriptors.close_all()

    def __enter__(self) -> Wasi:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Import:
    """One function of the interface, as an import.

    When a module that imports it is instantiated, `__wasm_bind__` is told the instance's exports
    before any of its code runs, and so learns which memory the calls are about.
    """

    __slots__ = ("__name__", "_call", "_shared", "_state")

    def __init__(
        self, shared: Shared, state: WasiState, name: str, call: Callable[..., None]
    ) -> None:
        self._shared = shared
        self._state = state
        self._call = call
        self.__name__ = name

    def __call__(self, *args: int) -> int:
        try:
            self._call(self._state, *args)
        except WasiError as error:
            return error.errno
        except OSError as error:
            return errno_of(error)
        except MemoryError:
            return int(Errno["NOMEM"])
        return 0

    def __wasm_bind__(self, memory: MemoryLike | None) -> None:
        if memory is not None:
            self._shared.linear_memory = memory

    @property
    def __wasm_signature__(self) -> str:
        """Its type, for checks at link time: "i32 i32 -> i32"."""
        result = "" if self.__name__ == "proc_exit" else "i32"
        return f"{FUNCTIONS[self.__name__]} -> {result}".strip()
