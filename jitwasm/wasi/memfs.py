"""Files and folders that live in memory: given as a dict of names to bytes, readable afterwards."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Union

from jitwasm.wasi.abi import FdFlags, FileStat, FileType, OFlags, Rights, WasiError, Whence
from jitwasm.wasi.descriptors import Descriptor, Directory
from jitwasm.wasi.hostfs import OpenDirectory

__all__ = ["MemoryDirectory", "MemoryFile"]

Tree = Mapping[str, Union[bytes, "Tree"]]
CAPACITY = 1 << 30
_NODE_COST = 1 << 10  # more than the objects and the name of an entry take
_CHUNK = 1 << 24


class _Volume:
    """What all files of one tree share.

    Attributes:
        left: bytes of the host's memory that the program may still take.
        now: the clock behind the times of files.
        inodes: numbers for new files.
        lock: held while the contents of a file are looked at or resized.
    """

    def __init__(self, capacity: int, now: Callable[[], int]) -> None:
        self.left = capacity
        self.now = now
        self.inodes = itertools.count(1)
        self.lock = threading.RLock()

    def charge(self, size: int) -> None:
        """Take room, or give it back (negative)."""
        with self.lock:
            if size > self.left:
                raise WasiError("NOSPC")
            self.left -= size


class _Node:
    """What files, links and folders in memory have in common."""

    filetype = FileType.UNKNOWN

    def __init__(self, volume: _Volume) -> None:
        self._charged = 0
        self.volume = volume
        self.charge(_NODE_COST)
        self.ino = next(volume.inodes)
        self.nlink = 1
        self.atim = self.mtim = self.ctim = volume.now()

    def charge(self, size: int) -> None:
        """Take room that is given back when the last name and descriptor are gone."""
        self.volume.charge(size)
        self._charged += size

    def __del__(self) -> None:
        self.volume.charge(-self._charged)

    @property
    def size(self) -> int:
        return 0

    def touch(self) -> None:
        self.mtim = self.ctim = self.volume.now()

    def stat_node(self) -> FileStat:
        return FileStat(
            0, self.ino, self.filetype, self.nlink, self.size, self.atim, self.mtim, self.ctim
        )

    def set_node_times(self, atim: int | None, mtim: int | None) -> None:
        self.atim = self.atim if atim is None else atim
        self.mtim = self.mtim if mtim is None else mtim
        self.ctim = self.volume.now()


class MemoryFile(_Node):
    """The contents of a file, `data`."""

    filetype = FileType.REGULAR_FILE

    def __init__(self, volume: _Volume, data: bytes = b"") -> None:
        super().__init__(volume)
        self.charge(len(data))
        self.data = bytearray(data)

    @property
    def size(self) -> int:
        return len(self.data)

    def resize(self, size: int) -> None:
        """Cut it, or make it longer with zeros. The volume's lock is held."""
        self.charge(size - len(self.data))
        del self.data[size:]
        while len(self.data) < size:
            self.data.extend(bytes(min(size - len(self.data), _CHUNK)))


class _Link(_Node):
    filetype = FileType.SYMBOLIC_LINK

    def __init__(self, volume: _Volume, target: str) -> None:
        super().__init__(volume)
        self.charge(len(target.encode()))
        self.target = target

    @property
    def size(self) -> int:
        return len(self.target.encode())


class MemoryDirectory(_Node):
    """A folder in memory.

    Args:
        writable: whether the program may change anything below it.
        capacity: bytes that everything below it may take; beyond, the program sees "no space".
        clock: replaces the clock that gives files their times, in nanoseconds.

    Attributes:
        children: entries by name.
    """

    filetype = FileType.DIRECTORY

    def __init__(
        self,
        writable: bool = True,
        capacity: int = CAPACITY,
        clock: Callable[[], int] = time.time_ns,
        _volume: _Volume | None = None,
    ) -> None:
        super().__init__(_Volume(capacity, clock) if _volume is None else _volume)
        self.writable = writable
        self.children: dict[str, _Node] = {}
        self.removed = False

    @classmethod
    def of_tree(
        cls,
        tree: Tree,
        writable: bool = True,
        capacity: int = CAPACITY,
        clock: Callable[[], int] = time.time_ns,
    ) -> MemoryDirectory:
        """From names to bytes; a name may have slashes, a value may be another dict.

        Raises:
            ValueError: a name is both a file's and a folder's, or no name; or all is too large.
        """
        root = cls(writable, capacity, clock)
        try:
            root._fill(tree)
        except WasiError:
            raise ValueError(f"the files take more than {capacity} bytes") from None
        return root

    def _fill(self, tree: Tree) -> None:
        for name, value in tree.items():
            parts = [part for part in name.split("/") if part]
            if not parts or not {".", ".."}.isdisjoint(parts) or "\0" in name:
                raise ValueError(f"{name!r} is no name of a file")
            *parents, last = parts
            folder = self
            for parent in parents:
                folder = folder._below(parent, name)
            if isinstance(value, Mapping):
                folder._below(last, name)._fill(value)
            elif last in folder.children:
                raise ValueError(f"{name!r} is there twice")
            else:
                folder.children[last] = MemoryFile(self.volume, bytes(value))

    def _below(self, name: str, path: str) -> MemoryDirectory:
        """The folder of this name, made if there is none."""
        if name not in self.children:
            self.children[name] = MemoryDirectory(self.writable, _volume=self.volume)
        below = self.children[name]
        if not isinstance(below, MemoryDirectory):
            raise ValueError(f"{path!r}: {name!r} is both a file and a folder")
        return below

    def to_dict(self) -> dict[str, bytes]:
        """All files below, by their paths."""
        found: dict[str, bytes] = {}
        pending: list[tuple[str, MemoryDirectory]] = [("", self)]
        while pending:  # without recursion: a program may have nested folders without end
            prefix, folder = pending.pop()
            for name, node in list(folder.children.items()):
                if isinstance(node, MemoryDirectory):
                    pending.append((f"{prefix}{name}/", node))
                elif isinstance(node, MemoryFile):
                    found[prefix + name] = bytes(node.data)
        return dict(sorted(found.items()))

    def _get(self, name: str) -> _Node:
        try:
            return self.children[name]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory", name) from None

    def _need_writable(self) -> None:
        if not self.writable:
            raise WasiError("ROFS")
        if self.removed:
            raise WasiError("NOENT")

    def _need_free(self, name: str) -> None:
        self._need_writable()
        if name in self.children:
            raise WasiError("EXIST")

    def enter(self, name: str) -> MemoryDirectory | str | None:
        node = self._get(name)
        if isinstance(node, MemoryDirectory):
            return node
        return node.target if isinstance(node, _Link) else None

    def open(self, name: str, oflags: OFlags, rights: Rights, flags: FdFlags) -> Descriptor:
        write = bool(rights & (Rights.FD_WRITE | Rights.FD_ALLOCATE | Rights.FD_FILESTAT_SET_SIZE))
        if not oflags & OFlags.DIRECTORY and (write or oflags & (OFlags.CREAT | OFlags.TRUNC)):
            self._need_writable()
        node = self.children.get(name)
        if node is None:
            if not oflags & OFlags.CREAT:
                raise WasiError("NOENT")
            node = self.children[name] = MemoryFile(self.volume)
            self.touch()
        elif oflags & OFlags.CREAT and oflags & OFlags.EXCL:
            raise WasiError("EXIST")
        if isinstance(node, _Link):
            raise WasiError("LOOP")
        if isinstance(node, MemoryDirectory):
            if oflags & OFlags.TRUNC or (write and not oflags & OFlags.DIRECTORY):
                raise WasiError("ISDIR")
            return OpenDirectory(node)
        if oflags & OFlags.DIRECTORY:
            raise WasiError("NOTDIR")
        assert isinstance(node, MemoryFile)
        if oflags & OFlags.TRUNC:
            with self.volume.lock:
                node.resize(0)
            node.touch()
        read = bool(rights & Rights.FD_READ) or not write
        return _OpenFile(node, flags, read=read, write=write, writable=self.writable)

    def open_self(self) -> Descriptor:
        return OpenDirectory(self)

    def stat(self, name: str | None) -> FileStat:
        return (self if name is None else self._get(name)).stat_node()

    def set_times(self, name: str | None, atim: int | None, mtim: int | None) -> None:
        self._need_writable()
        (self if name is None else self._get(name)).set_node_times(atim, mtim)

    def readlink(self, name: str) -> str:
        node = self._get(name)
        if not isinstance(node, _Link):
            raise WasiError("INVAL")
        return node.target

    def mkdir(self, name: str) -> None:
        self._need_free(name)
        self.children[name] = MemoryDirectory(self.writable, _volume=self.volume)
        self.touch()

    def rmdir(self, name: str) -> None:
        self._need_writable()
        node = self._get(name)
        if not isinstance(node, MemoryDirectory):
            raise WasiError("NOTDIR")
        if node.children:
            raise WasiError("NOTEMPTY")
        node.removed = True
        del self.children[name]
        self.touch()

    def unlink(self, name: str) -> None:
        self._need_writable()
        node = self._get(name)
        if isinstance(node, MemoryDirectory):
            raise WasiError("ISDIR")
        node.nlink -= 1
        del self.children[name]
        self.touch()

    def symlink(self, target: str, name: str) -> None:
        self._need_free(name)
        self.children[name] = _Link(self.volume, target)
        self.touch()

    def rename(self, name: str, to: Directory, new_name: str) -> None:
        other = self._same_kind(to)
        node = self._get(name)
        replaced = other.children.get(new_name)
        if replaced is node:
            return
        if isinstance(node, MemoryDirectory):
            if node is other or node.contains(other):
                raise WasiError("INVAL")
            if replaced is not None:
                other.rmdir(new_name)
        elif isinstance(replaced, MemoryDirectory):
            raise WasiError("ISDIR")
        del self.children[name]
        other.children[new_name] = node
        self.touch()
        other.touch()

    def contains(self, other: MemoryDirectory) -> bool:
        """Whether `other` lies somewhere below this folder."""
        pending = [self]
        while pending:
            for node in list(pending.pop().children.values()):
                if node is other:
                    return True
                if isinstance(node, MemoryDirectory):
                    pending.append(node)
        return False

    def link(self, name: str, to: Directory, new_name: str) -> None:
        other = self._same_kind(to)
        node = self._get(name)
        if isinstance(node, MemoryDirectory):
            raise WasiError("PERM")
        other._need_free(new_name)
        node.nlink += 1
        other.children[new_name] = node
        other.touch()

    def entries(self) -> Iterator[tuple[str, int, FileType]]:
        for name, node in list(self.children.items()):
            yield name, node.ino, node.filetype

    def close(self) -> None:
        """Nothing is held open."""

    def _same_kind(self, other: Directory) -> MemoryDirectory:
        if not isinstance(other, MemoryDirectory):
            raise WasiError("XDEV")
        self._need_writable()
        other._need_writable()
        return other


class _OpenFile(Descriptor):
    """A descriptor of a file in memory, with a position of its own."""

    filetype = FileType.REGULAR_FILE

    def __init__(
        self, file: MemoryFile, flags: FdFlags, *, read: bool, write: bool, writable: bool
    ) -> None:
        super().__init__()
        self._writable = writable
        self._file = file
        self._position = 0
        self._read = read
        self._write = write
        self.flags = flags

    def read(self, buffers: Sequence[memoryview]) -> int:
        count = self.pread(buffers, self._position)
        self._position += count
        return count

    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        if not self._read:
            raise WasiError("BADF")
        offset &= 0xFFFFFFFFFFFFFFFF
        total = 0
        with self._file.volume.lock, memoryview(self._file.data) as data:
            for buffer in buffers:
                with data[offset + total : offset + total + len(buffer)] as part:
                    buffer[: len(part)] = part
                    total += len(part)
        return total

    def write(self, buffers: Sequence[memoryview]) -> int:
        if self.flags & FdFlags.APPEND:
            self._position = self._file.size
        count = self.pwrite(buffers, self._position)
        self._position += count
        return count

    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        if not self._write:
            raise WasiError("BADF")
        if not buffers:
            return 0
        start = position = offset & 0xFFFFFFFFFFFFFFFF
        end = start + sum(map(len, buffers))
        with self._file.volume.lock:
            if end > self._file.size:
                self._file.resize(end)
            with memoryview(self._file.data) as data:
                for buffer in buffers:
                    data[position : position + len(buffer)] = buffer
                    position += len(buffer)
        self._file.touch()
        return position - start

    def seek(self, offset: int, whence: Whence) -> int:
        base = {Whence.SET: 0, Whence.CUR: self._position, Whence.END: self._file.size}[whence]
        if not 0 <= base + offset < 1 << 63:
            raise WasiError("INVAL")
        self._position = base + offset
        return self._position

    def stat(self) -> FileStat:
        return self._file.stat_node()

    def set_size(self, size: int) -> None:
        if not self._write:
            raise WasiError("INVAL")
        with self._file.volume.lock:
            self._file.resize(size & 0xFFFFFFFFFFFFFFFF)
        self._file.touch()

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        if not self._writable:
            raise WasiError("ROFS")
        self._file.set_node_times(atim, mtim)

    def allocate(self, offset: int, size: int) -> None:
        end = (offset & 0xFFFFFFFFFFFFFFFF) + (size & 0xFFFFFFFFFFFFFFFF)
        if not self._write:
            raise WasiError("BADF")
        if end > self._file.size:
            self.set_size(end)

    def advise(self, offset: int, size: int, advice: int) -> None:
        if not 0 <= advice <= 5:
            raise WasiError("INVAL")

    def sync(self, data_only: bool) -> None:
        """Nothing to write out."""

    def readable(self) -> int:
        return max(self._file.size - self._position, 0)
