"""Promises: results that are on their way, for programs with and without an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

from jitwasm.pipeline import Progress

__all__ = ["Promise", "settled"]

T = TypeVar("T")


class Promise(Future[T]):
    """The result of a compilation or instantiation in the background.

    It is a `concurrent.futures.Future`, so `promise.result(timeout)` waits for it, and
    `concurrent.futures.wait` and `as_completed` take it. It can also be awaited under asyncio;
    `asyncio.gather` and `asyncio.wait_for` take it too. Cancelling it, or the task that awaits it,
    stops the download and the compilation.

    Example:
        >>> module = jitwasm.compile_streaming(Path("lib.wasm")).result()
        >>> module = await jitwasm.compile_streaming(response)
    """

    def __init__(self) -> None:
        super().__init__()
        self._on_cancel: Callable[[], None] = _nothing
        self._find_progress: Callable[[], Progress] = Progress
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancel_once = threading.Lock()

    @property
    def progress(self) -> Progress:
        """How far the compilation is; a fresh snapshot each time."""
        return self._find_progress()

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result.

        Raises:
            TimeoutError: it is not there after `timeout` seconds (in Python 3.10 this is
                `concurrent.futures.TimeoutError`).
            RuntimeError: it depends on the event loop of the calling thread, which would wait for
                itself. Await the promise instead.
        """
        self._check_loop()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait, and return the exception it failed with, or None."""
        self._check_loop()
        return super().exception(timeout)

    def cancel(self) -> bool:
        """Stop the download and the compilation, unless they are finished.

        Returns:
            Whether it is cancelled now.
        """
        # A promise never counts as running, so that it can be cancelled at any time.
        if not super().cancel():
            return False
        if self._cancel_once.acquire(blocking=False):
            self.set_running_or_notify_cancel()  # wakes concurrent.futures.wait
            self._on_cancel()
        return True

    def __await__(self) -> Generator[Any, None, T]:
        try:
            yield from settled(self).__await__()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self.cancelled():
            raise asyncio.CancelledError
        return super().result()

    def _check_loop(self) -> None:
        if self._loop is None or self.done():
            return
        if asyncio._get_running_loop() is self._loop:
            raise RuntimeError(
                "waiting here would stop the event loop that delivers the result: "
                "await the promise instead"
            )

    def _resolve(self, value: T) -> None:
        with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
            self.set_result(value)

    def _reject(self, error: BaseException) -> None:
        with contextlib.suppress(InvalidStateError):
            self.set_exception(error)


async def settled(future: Future[Any]) -> None:
    """Wait under asyncio until a future is done.

    `asyncio.wrap_future` would exchange some exceptions for others; the caller can take the
    outcome from the future itself, as the object it is.
    """
    if future.done():
        return
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(_settle, waiter)

    future.add_done_callback(wake)
    await waiter


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _nothing() -> None:
    pass
