"""Where the bytes of a module come from: every kind of source as one kind of stream."""

from __future__ import annotations

import inspect
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeGuard

from jitwasm.pipeline import buffer_bytes
from jitwasm.responses import Body, is_response, open_response

__all__ = ["ByteStream", "chunk_bytes", "is_buffer", "is_pending", "open_source"]

READ_BYTES = 1 << 16

_EXPECTED = (
    "a response of urllib, requests, httpx or aiohttp, jitwasm.fetch(url), a pathlib.Path, "
    "a binary file, bytes, or an iterable or async iterable of bytes"
)


@dataclass
class ByteStream:
    """An open source.

    Attributes:
        chunks: the bytes, in pieces, as an iterator or an async iterator.
        total: how many bytes there will be, where known.
        close: release the source early; in the thread or task that reads it.
        abort: make a read that blocks in another thread return.
    """

    chunks: Iterator[Any] | AsyncIterator[Any]
    total: int | None = None
    close: Callable[[], object] = lambda: None
    abort: Callable[[], object] = lambda: None


def is_pending(source: Any) -> TypeGuard[Any]:
    """Whether this is a promise of a source: an awaitable or a future."""
    return isinstance(source, Future) or inspect.isawaitable(source)


def is_buffer(source: Any) -> bool:
    """Whether the bytes are all there, in an object with the buffer protocol."""
    try:
        memoryview(source).release()
    except TypeError:
        return False
    return True


def open_source(source: Any, api: str) -> ByteStream:
    """Open a source that is not pending.

    Args:
        source: see `compile_streaming`.
        api: the function called, for messages.

    Raises:
        TypeError: it is no source, or a response that the Web API refuses.
        OSError: a file cannot be opened.
    """
    if isinstance(source, str):
        raise TypeError(
            f"{api} does not take a str: pass pathlib.Path(...) for a file, "
            "jitwasm.fetch(...) or a response for a URL"
        )
    if is_buffer(source):
        data = buffer_bytes(source, api)
        return ByteStream(iter([data]), len(data))
    if isinstance(source, os.PathLike):
        return _open_path(source)
    if is_response(source):
        body: Body = open_response(source, api)
        return ByteStream(body.chunks, body.total, body.close, body.abort)
    if callable(getattr(source, "read", None)):
        return _open_file(source)
    if hasattr(source, "__aiter__"):
        chunks = aiter(source)
        return ByteStream(chunks, close=getattr(chunks, "aclose", lambda: None))
    if hasattr(source, "__iter__"):
        chunks = iter(source)
        return ByteStream(chunks, close=getattr(chunks, "close", lambda: None))
    raise TypeError(f"{api} takes {_EXPECTED}, not {type(source).__name__}")


def chunk_bytes(chunk: Any, api: str) -> bytes:
    """One chunk of a source, checked."""
    if isinstance(chunk, bytes):
        return chunk
    try:
        with memoryview(chunk) as view:
            return view.tobytes()
    except TypeError:
        hint = ": open the file in binary mode" if isinstance(chunk, str) else ""
        raise TypeError(
            f"{api}: the source must yield bytes, not {type(chunk).__name__}{hint}"
        ) from None


def _open_path(path: os.PathLike[Any]) -> ByteStream:
    file = open(path, "rb")  # noqa: SIM115 - closed by the stream
    status = os.fstat(file.fileno())
    total = status.st_size if stat.S_ISREG(status.st_mode) else None  # a pipe's end is not known

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(READ_BYTES):
                yield chunk

    return ByteStream(chunks(), total, file.close)


def _open_file(file: Any) -> ByteStream:
    # read1 gives what is there; read would wait until all it was asked for has arrived.
    read = getattr(file, "read1", file.read)
    if inspect.iscoroutinefunction(read):
        return ByteStream(_read_async(read))
    return ByteStream(_read(read))


def _read(read: Callable[[int], Any]) -> Iterator[Any]:
    while chunk := read(READ_BYTES):
        yield chunk


async def _read_async(read: Callable[[int], Any]) -> AsyncIterator[Any]:
    while chunk := await read(READ_BYTES):
        yield chunk
