"""What the cache on disk holds of a module: its code, under a key of all that the code depends on.

The key covers the module up to the end of its code section. What stands behind that (data, names)
is no part of the code, and like all declarations it is decoded at each start: that is fast, and
needs no trust in a file. So an entry is nothing but code and numbers.

Code is looked up by content. While a module still arrives its content is not known: then a
pointer, stored under what stands before its code, tells what followed last time. If that is found
to be wrong in the end, nothing is lost but time.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from importlib.machinery import PathFinder

from jitwasm.abi import ABI_VERSION
from jitwasm.config import Config
from jitwasm.digests import digest
from jitwasm.diskcache import DiskCache, cache_key, cache_of
from jitwasm.storedcode import Buffer, OptimizedCode, StoredCode
from jitwasm.version import __version__

__all__ = ["CodeRecord", "ModuleCache", "module_cache"]

_INVISIBLE = frozenset(("cache", "cache_size", "executor", "host_calls", "release_gil", "threads"))
"""Fields of a configuration that change no code."""

_INVISIBLE_LIMITS = frozenset(("call_seconds", "instances", "memory_bytes"))

_PROCESSOR = ("vendor_id", "cpu family", "model", "stepping", "flags")


class ModuleCache:
    """The entries of modules compiled with one configuration."""

    def __init__(self, cache: DiskCache, config: Config) -> None:
        self._cache = cache
        visible = {name: getattr(config, name) for name in Config.__annotations__}
        # How much there is of these changes nothing.
        visible["fuel"] = config.fuel is not None
        limits = config.limits
        visible["limits"] = {
            **{n: v for n, v in vars(limits).items() if n not in _INVISIBLE_LIMITS},
            "stack_bytes": limits.stack_bytes is not None,
        }
        rows = [f"{name}={value!r}" for name, value in visible.items() if name not in _INVISIBLE]
        self._context = "\n".join([environment(), *rows])

    def key(self, content: bytes) -> str:
        """The key of a module with these bytes up to the end of its code section."""
        return cache_key("code", self._context, digest(content))

    def pointer(self, head: bytes, size: int) -> str:
        """The key of the pointer for modules that begin so and have a code section so large."""
        return cache_key("pointer", self._context, digest(head), str(size))

    def follow(self, pointer: str) -> str | None:
        """What a pointer leads to."""
        found = self._cache.get(pointer)
        return None if found is None else found.decode("ascii", "replace")

    def point(self, pointer: str, key: str) -> None:
        """Let a pointer lead to an entry."""
        if self.follow(pointer) != key:
            self._cache.put(pointer, key.encode())

    def load(self, key: str) -> StoredCode | None:
        """An entry, if it is there and whole."""
        data = self._cache.get(key)
        if data is None:
            return None
        try:
            return StoredCode.unpack(data)
        except (ValueError, LookupError, StopIteration):
            return None

    def save(self, key: str, code: StoredCode) -> None:
        """Store an entry in place of what is there."""
        self._cache.put(key, code.pack())


class CodeRecord:
    """The code of one module while it is made and replaced, and what the cache has of it.

    Attributes:
        objects, baseline, fallbacks, optimized, hot: see `StoredCode`. Whoever compiles adds.
    """

    def __init__(self, stored: StoredCode, cache: ModuleCache | None = None, key: str = "") -> None:
        """Begin with what was found in the cache under a key, or has been put there."""
        self.objects = stored.objects
        self.baseline: dict[int, Buffer] = dict(stored.baseline)
        self.fallbacks = dict(stored.fallbacks)
        self.optimized = list(stored.optimized)
        self.hot = list(stored.hot)
        self._way = stored.way
        self._fingerprint = stored.fingerprint
        self._cache = cache
        self._key = key
        self._saved = self._size

    @property
    def _size(self) -> tuple[int, int, int]:
        return len(self.baseline), len(self.fallbacks), len(self.optimized)

    def save(self) -> None:
        """Add what is new to the entry, beside what other processes have added meanwhile."""
        size = self._size
        if self._cache is None or size == self._saved:
            return
        self._saved = size
        found = self._cache.load(self._key)
        if found is None or found.way != self._way:
            found = StoredCode(self._way)
        optimized: list[OptimizedCode] = []
        done: set[int] = set()
        for row in [*reversed(self.optimized), *reversed(found.optimized)]:
            if not done.issuperset(row.funcidxs):  # else all of it has been replaced
                optimized.append(row)
                done.update(row.funcidxs)
        code = StoredCode(
            self._way,
            self._fingerprint,
            self.objects,
            {**found.baseline, **self.baseline},
            {**found.fallbacks, **self.fallbacks},
            optimized[::-1],
            list(self.hot),
        )
        self._cache.save(self._key, code)

    def save_quietly(self) -> None:
        """The same where an exception cannot be used, as in a finalizer."""
        with contextlib.suppress(Exception):
            self.save()


def module_cache(config: Config) -> ModuleCache | None:
    """The cache for modules compiled with a configuration, if it has one."""
    cache = cache_of(config)
    return None if cache is None else ModuleCache(cache, config)


@functools.cache
def environment() -> str:
    """Everything beside module and configuration that changes code."""
    version = f"jitwasm {__version__}, ABI {ABI_VERSION}"
    return "\n".join([version, _sources(), _llvm(), _processor()])


def _sources() -> str:
    """Changes with every file of the package, so that development never runs stale code."""
    files = sorted(_files(os.path.dirname(os.path.abspath(__file__))))
    return digest(
        "".join(f"{name} {size} {changed}\n" for name, size, changed in files).encode()
    ).hex()


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        yield from _files(entry.path)
                else:
                    status = entry.stat()
                    yield entry.path, status.st_size, status.st_mtime_ns
    except OSError:  # the package may be in an archive
        return


def _llvm() -> str:
    """Which LLVM there is, without loading it."""
    found = PathFinder.find_spec("llvmlite")
    if found is None or found.origin is None:
        return "no LLVM"
    path = os.path.join(os.path.dirname(found.origin), "binding", "libllvmlite.so")
    try:
        status = os.stat(path)
    except OSError:
        return path
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def _processor() -> str:
    """What LLVM goes by when it compiles for this machine."""
    try:
        # The first processor's entry is enough, and the kernel makes no more than is read.
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 14).split("\n\n")[0].splitlines()
    except OSError:
        return "unknown processor"
    return "\n".join(line for line in lines if line.partition(":")[0].strip() in _PROCESSOR)
