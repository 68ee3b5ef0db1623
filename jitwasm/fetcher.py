"""A small fetch over the standard library, whose body streams."""

from __future__ import annotations

import os
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import HTTPError, URLError

from jitwasm.promise import Promise

__all__ = ["Response", "fetch"]

READ_BYTES = 1 << 16


class Response:
    """What `fetch` found: headers, and a body that arrives as it is read (Fetch: `Response`).

    Iterating gives the body in pieces, once, as it was transferred (compressed, if the server does
    that unasked; the streaming functions decompress it). It is a context manager.

    Attributes:
        url: where it came from in the end.
        status: HTTP status; 200 for files.
        headers: HTTP headers, by name in any case.
    """

    def __init__(self, response: Any) -> None:
        self.fp = response
        self.url: str = response.url
        self.status: int = response.status or 200
        self.headers = response.headers
        self.body_used = False

    @property
    def ok(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self.status <= 299

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes of the body, or all that is left."""
        self.body_used = True
        data: bytes = self.fp.read(size) if size >= 0 else self.fp.read()
        return data

    def read1(self, size: int) -> bytes:
        """Up to `size` bytes of the body, as soon as there are any."""
        self.body_used = True
        data: bytes = self.fp.read1(size)
        return data

    def close(self) -> None:
        """Give up the connection or file."""
        self.fp.close()

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read1(READ_BYTES):
            yield chunk

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<jitwasm.Response {self.status} {self.url}>"


def fetch(resource: str | os.PathLike[str]) -> Promise[Response]:
    """Fetch a URL or a local file, in the background (Fetch: `fetch`).

    Args:
        resource: an `http:`, `https:`, `file:` or `data:` URL, or a path; a string without a
            scheme is a path.

    Returns:
        A promise of the response, as soon as its headers are there. A status like 404 is no
        error; no connection, or no such file, is an `OSError`.

    Example:
        >>> module = await jitwasm.compile_streaming(jitwasm.fetch("https://example.org/a.wasm"))
    """
    promise: Promise[Response] = Promise()

    def run() -> None:
        try:
            response = Response(_open(resource))
        except BaseException as error:
            promise._reject(error)
            return
        promise._resolve(response)
        if promise.cancelled():
            response.close()

    try:
        threading.Thread(target=run, name="jitwasm-fetch", daemon=True).start()
    except RuntimeError as error:
        promise._reject(error)
    return promise


def _open(resource: str | os.PathLike[str]) -> Any:
    url = os.fspath(resource)
    if not isinstance(resource, str) or not _has_scheme(resource):
        url = Path(url).absolute().as_uri()
    try:
        return urllib.request.urlopen(url)
    except HTTPError as response:  # also a response
        return response
    except URLError as error:
        # A file that cannot be opened: the reason is the operating system's error.
        if url.startswith("file:") and isinstance(error.reason, OSError):
            raise error.reason from None
        raise


def _has_scheme(resource: str) -> bool:
    scheme, colon, _ = resource.partition(":")
    return bool(colon) and scheme.isalpha() and len(scheme) > 1
