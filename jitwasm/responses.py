"""HTTP responses as sources: the Web API's checks, and one way to read each client's body.

WebAssembly Web API, "Streaming Module Compilation and Instantiation", in its order: the MIME type
is `application/wasm` and nothing else, the status is 200 to 299, the body has not been used. No
client library is imported: a response is known by its attributes, so subclasses, wrappers and test
doubles work too.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Body", "is_response", "open_response"]

MIME_TYPE = "application/wasm"

# Clients that fill a buffer before they return it would hold back a slow stream by as much.
SMALL_READ_BYTES = 1 << 12
READ_BYTES = 1 << 16


@dataclass
class Body:
    """The body of a response, ready to be read once.

    Attributes:
        used: whether someone has read from it before.
        chunks: its bytes in pieces, an iterator or async iterator.
        total: its length, if that is known.
        close: give up reading, in the thread or task that reads.
        abort: make a read that blocks in another thread return.
    """

    used: bool
    chunks: Iterator[Any] | AsyncIterator[Any]
    total: int | None
    close: Callable[[], object]
    abort: Callable[[], object]


def is_response(source: Any) -> bool:
    """Whether this looks like an HTTP response: it has headers and a status."""
    return hasattr(getattr(source, "headers", None), "get") and (
        hasattr(source, "status") or hasattr(source, "status_code")
    )


def open_response(response: Any, api: str) -> Body:
    """Check a response as the Web API says, and open its body.

    Raises:
        TypeError: it may not be compiled; the message says what was found.
    """
    _check_mime_type(response, api)
    _check_status(response, api)
    body = _body(response)
    if body.used:
        raise TypeError(f"{api}: the response's body has already been used")
    return body


def _check_mime_type(response: Any, api: str) -> None:
    found = response.headers.get("Content-Type")
    if found is None:
        raise TypeError(f"{api}: the response has no Content-Type; it must be {MIME_TYPE!r}")
    # HTTP white space only; no parameters ("Extract a MIME type" is not used here).
    if str(found).strip("\t ").lower() != MIME_TYPE:
        raise TypeError(
            f"{api}: the response's MIME type is {str(found)!r}; it must be {MIME_TYPE!r}"
        )


def _check_status(response: Any, api: str) -> None:
    status = response.status_code if hasattr(response, "status_code") else response.status
    # urllib's responses for file: and data: URLs have none.
    if status is not None and not 200 <= int(status) <= 299:
        raise TypeError(f"{api}: the response's status is {status}; it must be 200 to 299")


def _body(response: Any) -> Body:
    if hasattr(response, "iter_content"):
        return _requests_body(response)
    if hasattr(response, "aiter_bytes"):
        return _httpx_body(response)
    if hasattr(getattr(response, "content", None), "iter_any"):
        return _aiohttp_body(response)
    if callable(getattr(response, "stream", None)):
        return _urllib3_body(response)
    return _urllib_body(response)


def _requests_body(response: Any) -> Body:
    if isinstance(response._content, bytes):
        return _memory_body(response._content)
    raw = response.raw
    used = response._content_consumed or _has_been_read(raw)
    return Body(
        used=used,
        chunks=iter(()) if used else response.iter_content(SMALL_READ_BYTES),
        total=_length(response),
        close=response.close,
        abort=getattr(raw, "shutdown", response.close),
    )


def _httpx_body(response: Any) -> Body:
    if hasattr(response, "_content"):
        return _memory_body(response.content)
    used = response.is_stream_consumed or response.is_closed
    if not hasattr(response.stream, "__iter__"):
        chunks = response.aiter_bytes()
        return Body(used, chunks, _length(response), response.aclose, lambda: None)

    def abort() -> None:
        stream = response.extensions.get("network_stream")
        _shut_down(stream.get_extra_info("socket") if stream else None)

    return Body(used, response.iter_bytes(), _length(response), response.close, abort)


def _aiohttp_body(response: Any) -> Body:
    if response._body is not None:
        return _memory_body(response._body)

    def abort() -> None:
        # At once, for the loop may end before our thread gets to closing; but only in the loop.
        if asyncio._get_running_loop() is not None:
            response.close()

    return Body(
        used=getattr(response.content, "_cursor", 0) > 0,
        chunks=aiter(response.content.iter_any()),
        total=_length(response),
        close=response.close,
        abort=abort,
    )


def _urllib3_body(response: Any) -> Body:
    if isinstance(getattr(response, "_body", None), bytes):
        return _memory_body(response.data)
    return Body(
        used=response.closed or _has_been_read(response),
        chunks=response.stream(SMALL_READ_BYTES),
        total=_length(response),
        close=response.close,
        abort=getattr(response, "shutdown", response.close),
    )


def _urllib_body(response: Any) -> Body:
    # An HTTPError is a response that wraps the real one.
    inner = response
    while not _is_of_http_client(inner) and hasattr(inner, "fp"):
        inner = inner.fp

    def chunks() -> Iterator[bytes]:
        read = getattr(response, "read1", response.read)
        while chunk := read(READ_BYTES):
            yield chunk
        missing = getattr(inner, "length", None)
        if missing:  # read1 does not tell a lost connection from the end
            raise importlib.import_module("http.client").IncompleteRead(b"", missing)

    def abort() -> None:
        with contextlib.suppress(AttributeError):
            _shut_down(inner.fp.raw._sock)

    pieces = chunks()
    # The other clients undo the transfer's compression themselves.
    if response.headers.get("Content-Encoding", "").strip().lower() in _COMPRESSED:
        pieces = _decompressed(pieces)
    return Body(_urllib_used(inner), pieces, _length(response), response.close, abort)


_COMPRESSED = ("gzip", "x-gzip", "deflate")


def _decompressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out which of the two formats it is
    for piece in pieces:
        yield decoder.decompress(piece)
    if not decoder.eof:
        raise EOFError("the compressed body of the response ends too early")


def _is_of_http_client(response: Any) -> bool:
    # Without that module there is none. To import it takes longer than to compile a small module.
    module: Any = sys.modules.get("http.client")
    return module is not None and isinstance(response, module.HTTPResponse)


def _urllib_used(response: Any) -> bool:
    if not _is_of_http_client(response):
        return bool(getattr(response, "closed", False) or _has_been_read(response))
    declared = response.headers.get("Content-Length")
    if response.isclosed():
        empty = declared == "0" or response.status in (204, 205, 304)
        return not empty
    if response.chunked:
        return response.chunk_left is not None
    return response.length is not None and str(response.length) != declared


def _memory_body(data: bytes) -> Body:
    """A body that the client has already read, and kept: it can be had any number of times."""
    return Body(False, iter([data]), len(data), lambda: None, lambda: None)


def _has_been_read(file: Any) -> bool:
    """Whether a stream stands elsewhere than at its beginning."""
    try:
        return bool(file.tell())
    except (AttributeError, OSError, ValueError):
        return False


def _length(response: Any) -> int | None:
    if response.headers.get("Content-Encoding") is not None:
        return None  # the length of what is transferred
    declared = response.headers.get("Content-Length")
    return int(declared) if declared is not None and declared.isdecimal() else None


def _shut_down(connection: Any) -> None:
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(2)  # socket.SHUT_RDWR
