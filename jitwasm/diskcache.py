"""The cache on disk: a folder of blobs by key, safe to share between processes and to lose.

A blob is written to a file of its own and renamed, so that readers see all of it or nothing. It
carries a digest over its key and contents: what is damaged, cut short or put under another name is
as good as absent, and is replaced. Nothing here ever raises on account of the file system: a cache
that cannot be used is an empty one that keeps nothing.

Machine code is run from here, so the folder has to be the user's own: every folder on the way to
it belongs to the user or to root and can be written by nobody else.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import time
from collections.abc import Iterator

from jitwasm.config import Config, cache_folder, cache_limit, default_config
from jitwasm.digests import DIGEST_BYTES, blake2b
from jitwasm.records import record

__all__ = ["Blob", "DiskCache", "Usage", "cache_key", "cache_of", "process_cache"]

MAGIC = b"jitwasm blob 2\r\n"
_HEADER = len(MAGIC) + DIGEST_BYTES
_SUFFIX, _PARTIAL = ".blob", ".partial"
_TAG = "CACHEDIR.TAG"
_TAG_TEXT = b"Signature: 8a477f597d28d172789f06886806bc55\n# A cache of jitwasm's.\n"
"""What backup programs look for in a folder that need not be kept (bford.info/cachedir)."""

TOUCH_SECONDS = 3600
"""A blob's time of last use is as exact as this: not every hit writes to the disk."""
PARTIAL_SECONDS = 3600
"""A file that has been in the making for so long has lost its writer."""
_KEEP = 0.8
"""What part of the bound is left after an eviction: the next one is some time away."""
_CHECK = 0.02
"""A process looks at the size of the whole again after it has written this part of the bound."""

Buffer = bytes | bytearray | memoryview


@record(frozen=True)
class Blob:
    """One file of the cache.

    Attributes:
        key: under which it was stored.
        size: bytes it takes on disk.
        used: when it was last used or written, in seconds since 1970, to the hour.
    """

    key: str
    size: int
    used: float


@record(frozen=True)
class Usage:
    """What a cache holds.

    Attributes:
        folder: where it is.
        problem: why it cannot be used, or None.
        blobs: what is in it.
        limit: bytes it may take.
    """

    folder: str
    problem: str | None
    blobs: tuple[Blob, ...]
    limit: int

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(blob.size for blob in self.blobs)


class _UnsafeError(OSError):
    """Others could write here."""


def cache_key(*parts: str | bytes) -> str:
    """A key that stands for all of `parts`, in this order."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


class DiskCache:
    """A folder of blobs. Any number of threads and processes may use it at once.

    Args:
        folder: where; made when something is first stored.
        limit: bytes it may take on disk.
    """

    def __init__(self, folder: str, limit: int) -> None:
        self.folder = os.path.abspath(folder)
        self.limit = limit
        self._unchecked = float(limit)  # bytes written since the folder's size was looked at

    def get(self, key: str) -> bytes | None:
        """What was stored under a key; None if nothing was, or it is damaged or not ours."""
        try:
            with self._opened() as folder:
                return _read(folder, key)
        except OSError:
            return None

    def put(self, key: str, data: Buffer) -> bool:
        """Store data under a key, in place of what was there; tells whether it could."""
        if _HEADER + len(data) > self.limit:
            return False
        try:
            with self._opened(make=True) as folder:
                _write(folder, key, data)
                self._unchecked += len(data)
                self._evict(folder)
        except OSError:
            return False
        return True

    def remove(self, key: str) -> None:
        """Forget what was stored under a key."""
        with contextlib.suppress(OSError), self._opened() as folder:
            os.unlink(key + _SUFFIX, dir_fd=folder)

    def clear(self) -> int:
        """Remove all blobs, and what writers that were killed left; returns how many blobs."""
        count = 0
        with contextlib.suppress(OSError), self._opened() as folder:
            for name in os.listdir(folder):
                if name.endswith((_SUFFIX, _PARTIAL)) and _unlink(folder, name):
                    count += name.endswith(_SUFFIX)
        return count

    def usage(self) -> Usage:
        """What is in it."""
        problem, blobs = None, list[Blob]()
        try:
            with self._opened() as folder:
                blobs = [blob for blob, _ in _scan(folder)]
        except FileNotFoundError:
            pass
        except OSError as error:
            problem = str(error)
        return Usage(self.folder, problem, tuple(blobs), self.limit)

    @contextlib.contextmanager
    def _opened(self, make: bool = False) -> Iterator[int]:
        """The folder's descriptor, once it is known to be safe.

        It is opened anew each time: programs close descriptors they do not know, and a number
        that has been given to another folder since would be worse than none.
        """
        path = self.folder
        if make and not os.path.isdir(path):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
        real = os.path.realpath(path)
        _check_way(real)
        folder = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _check_owned(real, os.fstat(folder))
            yield folder
        finally:
            os.close(folder)

    def _evict(self, folder: int) -> None:
        """Remove what has not been used for longest, until the bound is kept with some room."""
        if self._unchecked < _CHECK * self.limit:
            return
        self._unchecked = 0
        rows = sorted(_scan(folder), key=lambda row: row[0].used)
        size = sum(blob.size for blob, _ in rows)
        if size <= self.limit:
            return
        for blob, name in rows:
            if size <= _KEEP * self.limit:
                break
            _unlink(folder, name)
            size -= blob.size


def _check_way(path: str) -> None:
    """Nobody else can put another folder in the place of one on the way to `path`."""
    while (parent := os.path.dirname(path)) != path:
        path = parent
        status = os.lstat(path)
        theirs = status.st_uid not in (0, os.geteuid())
        # In a sticky folder, as /tmp is, others cannot rename or remove what is not theirs.
        if theirs or (status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX):
            raise _UnsafeError(f"others can write to {path}")


def _check_owned(path: str, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise _UnsafeError(f"{path} belongs to another user")
    if status.st_mode & 0o022:
        raise _UnsafeError(f"others can write to {path}")


def _digest(key: str, data: Buffer) -> bytes:
    digest = blake2b(key.encode(), digest_size=DIGEST_BYTES)
    digest.update(data)
    return digest.digest()


def _read(folder: int, key: str) -> bytes | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    file = os.open(key + _SUFFIX, flags, dir_fd=folder)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return None
        _check_owned(key, status)
        with open(file, "rb", buffering=0, closefd=False) as stream:
            header, data = stream.read(_HEADER), stream.readall()
        if header != MAGIC + _digest(key, data):
            return None
        if time.time() - status.st_mtime > TOUCH_SECONDS:
            with contextlib.suppress(OSError):  # as on a disk that is read-only
                os.utime(file)
        return data
    finally:
        os.close(file)


def _write(folder: int, key: str, data: Buffer) -> None:
    partial = f"{key[:16]}-{os.urandom(8).hex()}{_PARTIAL}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(partial, flags, 0o600, dir_fd=folder)
    try:
        # Not synchronised with the disk: what a crash of the machine tears, the digest finds.
        with open(file, "wb", buffering=0) as stream:
            for part in (MAGIC + _digest(key, data), data):
                view = memoryview(part)
                while view:
                    view = view[stream.write(view) :]
        os.rename(partial, key + _SUFFIX, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        _unlink(folder, partial)
        raise
    _tag(folder)


def _tag(folder: int) -> None:
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(_TAG, flags, 0o600, dir_fd=folder), "wb") as stream:
            stream.write(_TAG_TEXT)


def _scan(folder: int) -> Iterator[tuple[Blob, str]]:
    """The blobs with their files' names; removes what writers that were killed left."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # another process may be evicting, too
                status = entry.stat(follow_symlinks=False)
                if entry.name.endswith(_PARTIAL):
                    if time.time() - status.st_mtime > PARTIAL_SECONDS:
                        _unlink(folder, entry.name)
                elif entry.name.endswith(_SUFFIX):
                    key = entry.name.removesuffix(_SUFFIX)
                    yield Blob(key, 512 * status.st_blocks, status.st_mtime), entry.name


def _unlink(folder: int, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError:
        return False
    return True


@functools.cache
def _cache_in(folder: str, limit: int) -> DiskCache:
    return DiskCache(folder, limit)


def cache_of(config: Config) -> DiskCache | None:
    """The cache a configuration asks for, if any."""
    folder = cache_folder(config)
    return None if folder is None else _cache_in(folder, cache_limit(config))


@functools.cache
def process_cache() -> DiskCache | None:
    """The cache for what belongs to no module, as the environment has it at first use."""
    return cache_of(default_config())
