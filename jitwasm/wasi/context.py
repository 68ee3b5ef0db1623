"""What one running program has: its arguments, streams, folders, clocks; and its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from jitwasm.errors import LinkError
from jitwasm.wasi.abi import FileStat, Version, Whence
from jitwasm.wasi.descriptors import DescriptorTable
from jitwasm.wasi.guest import GuestMemory, MemoryLike

__all__ = ["Shared", "WasiState"]


@dataclass
class Shared:
    """What both versions of the interface share when a module imports both.

    Attributes:
        args, env: as NUL-free bytes.
        clock: replaces the host's clocks: clock number -> nanoseconds.
        random: replaces the host's random source: size -> bytes.
        descriptors: the program's descriptors.
        linear_memory: its memory, once it is instantiated.
    """

    args: Sequence[bytes]
    env: Sequence[bytes]
    clock: Callable[[int], int] | None
    random: Callable[[int], bytes] | None
    descriptors: DescriptorTable = field(default_factory=DescriptorTable)
    linear_memory: MemoryLike | None = None


class WasiState:
    """The view of one version of the interface on what a program has."""

    CURRENT = Whence.CUR

    def __init__(self, shared: Shared, version: Version) -> None:
        self._shared = shared
        self.version = version
        self.args = shared.args
        self.env = shared.env
        self.clock = shared.clock
        self.random = shared.random
        self.descriptors = shared.descriptors

    def memory(self) -> GuestMemory:
        """The program's linear memory as it is now."""
        memory = self._shared.linear_memory
        if memory is None:
            raise LinkError(
                "a WASI function was called by a module without memory: "
                "it must export one named 'memory'"
            )
        return GuestMemory(memory)

    def put_filestat(self, pointer: int, stat: FileStat) -> None:
        """Write a `filestat`, with numbers cut to what the layout can hold."""
        mask = (1 << 64) - 1
        narrow = self.version.filestat.size < 64
        self.memory().put(
            pointer,
            self.version.filestat.pack(
                stat.dev & mask,
                stat.ino & mask,
                stat.filetype,
                stat.nlink & (0xFFFFFFFF if narrow else mask),
                stat.size & mask,
                stat.atim & mask,
                stat.mtim & mask,
                stat.ctim & mask,
            ),
        )


def strings(values: Sequence[str | bytes], what: str) -> list[bytes]:
    """Arguments as bytes. Raises ValueError for NUL characters."""
    found = [v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in values]
    if any(b"\0" in v for v in found):
        raise ValueError(f"{what} must not contain NUL characters")
    return found


def environment(env: Mapping[str, str]) -> list[bytes]:
    """An environment as `NAME=value` strings."""
    return strings([f"{name}={value}" for name, value in env.items()], "environment variables")
