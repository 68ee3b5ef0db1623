"""Standard streams over what Python programs have: bytes, file objects, callables, pipes."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Callable, Sequence
from typing import IO, Any, cast

from jitwasm.wasi.abi import Rights, WasiError
from jitwasm.wasi.descriptors import CHANGING, Descriptor
from jitwasm.wasi.hostfs import HostFile, first_bytes

__all__ = ["Sink", "Source", "input_stream", "output_stream"]

Source = bytes | bytearray | memoryview | str | int | IO[Any] | Callable[[int], bytes] | None
"""What standard input may be: data, "inherit", a descriptor's number, a file object, a callable
that is given a size and returns at most so many bytes, or None for an empty stream."""
Sink = str | int | IO[Any] | Callable[[bytes], object] | None
"""What an output may be: "inherit", a descriptor's number, a file object (text or binary), a
callable that is given each piece as bytes, or None to drop it."""

_PIECE = 1 << 20  # a file object may allocate what it is asked for

_STREAM_RIGHTS = (
    Rights.FD_READ
    | Rights.FD_WRITE
    | Rights.FD_FDSTAT_SET_FLAGS
    | Rights.FD_FILESTAT_GET
    | Rights.POLL_FD_READWRITE
)


class _FileInput(Descriptor):
    """A stream that a file object reads straight into linear memory."""

    def __init__(self, fill: Callable[[memoryview], int | None]) -> None:
        super().__init__(_STREAM_RIGHTS & ~Rights.FD_WRITE, Rights(0))
        self._fill = fill

    def read(self, buffers: Sequence[memoryview]) -> int:
        total = 0
        for buffer in buffers:
            count = self._fill(buffer)
            if count is None and not total:
                raise WasiError("AGAIN")
            total += count or 0
            if count != len(buffer):
                break
        return total


class _FileOutput(Descriptor):
    """A stream that a binary file object writes straight from linear memory."""

    def __init__(self, sink: IO[bytes]) -> None:
        super().__init__(_STREAM_RIGHTS & ~Rights.FD_READ, Rights(0))
        self._sink = sink
        self._flush = isinstance(sink, io.BufferedIOBase) and not isinstance(sink, io.BytesIO)

    def write(self, buffers: Sequence[memoryview]) -> int:
        total = 0
        for buffer in buffers:
            count: int | None = self._sink.write(buffer)
            if count is None and not total:
                raise WasiError("AGAIN")
            total += count or 0
            if count != len(buffer):
                break
        if self._flush:
            self._sink.flush()
        return total


class _Input(Descriptor):
    """A stream that is read from a function."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        super().__init__(_STREAM_RIGHTS & ~Rights.FD_WRITE, Rights(0))
        self._pull = read
        self._left = memoryview(b"")

    def read(self, buffers: Sequence[memoryview]) -> int:
        total = 0
        for buffer in buffers:
            if not self._left:
                if total:  # what is there is enough: never wait for more
                    break
                self._left = memoryview(self._pull(min(len(buffer), _PIECE)) or b"").cast("B")
            size = min(len(buffer), len(self._left))
            buffer[:size] = self._left[:size]
            self._left = self._left[size:]
            total += size
            if size < len(buffer):
                break
        return total


class _Output(Descriptor):
    """A stream that is written to a function."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__(_STREAM_RIGHTS & ~Rights.FD_READ, Rights(0))
        self._push = write

    def write(self, buffers: Sequence[memoryview]) -> int:
        data = b"".join(first_bytes(buffers, _PIECE))
        if data:
            self._push(data)
        return len(data)


def _inherited(fd: int, missing: Rights) -> Descriptor:
    stream = HostFile(fd, close=False)
    # Its time stamps and its size are no business of a program that was given a stream.
    stream.rights &= ~(CHANGING & ~Rights.FD_WRITE | missing)
    if os.isatty(fd):
        # By this C libraries know a terminal: a character device without seek and tell.
        stream.rights &= ~(Rights.FD_SEEK | Rights.FD_TELL)
    return stream


def input_stream(source: Source) -> Descriptor:
    """The descriptor for standard input."""
    if source is None:
        return _Input(lambda size: b"")
    if source == "inherit":
        return _inherited(0, Rights.FD_WRITE)
    if isinstance(source, str):
        raise TypeError(f"stdin must be 'inherit', bytes, a file or a callable, not {source!r}")
    if isinstance(source, int):
        return _inherited(source, Rights.FD_WRITE)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _FileInput(io.BytesIO(source).readinto)
    if isinstance(source, (io.BufferedIOBase, io.RawIOBase)):
        return _FileInput(getattr(source, "readinto1", source.readinto))
    if callable(source):
        return _Input(source)
    read = getattr(source, "read1", None) or getattr(source, "read", None)
    if read is None:
        raise TypeError(f"stdin must be bytes, a file or a callable, not {type(source).__name__}")
    return _Input(lambda size: _encoded(read(size)))


def _encoded(data: Any) -> bytes:
    return data.encode() if isinstance(data, str) else data or b""


def output_stream(sink: Sink, inherited_fd: int) -> Descriptor:
    """The descriptor for standard output or error; `inherited_fd` is what "inherit" means."""
    if sink is None:
        return _Output(lambda data: None)
    if sink == "inherit":
        return _inherited(inherited_fd, Rights.FD_READ)
    if isinstance(sink, str):
        raise TypeError(f"an output must be 'inherit', a file or a callable, not {sink!r}")
    if isinstance(sink, int):
        return _inherited(sink, Rights.FD_READ)
    if callable(sink):
        return _Output(sink)
    if isinstance(sink, (io.BufferedIOBase, io.RawIOBase)):
        return _FileOutput(cast("IO[bytes]", sink))
    write = getattr(sink, "write", None)
    if write is None:
        raise TypeError(f"an output must be a file or a callable, not {type(sink).__name__}")
    return _Output(_text_writer(sink, write) if _is_text(sink) else _writer(write))


def _is_text(sink: Any) -> bool:
    return isinstance(sink, io.TextIOBase) or hasattr(sink, "encoding")


def _writer(write: Callable[[bytes], object]) -> Callable[[bytes], object]:
    def push(data: bytes) -> None:
        rest = data
        while rest:
            count = write(rest)
            rest = rest[count if isinstance(count, int) and count > 0 else len(rest) :]

    return push


def _text_writer(sink: Any, write: Callable[[str], object]) -> Callable[[bytes], object]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(data: bytes) -> None:
        write(decoder.decode(data))
        if data.endswith(b"\n") and not isinstance(sink, io.StringIO):
            sink.flush()

    return push
