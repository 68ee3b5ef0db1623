"""A compilation in the background: source -> session -> promise.

Each promise has one thread of its own, which reads the source and translates; what the source
needs an event loop for runs as a task in the loop of the caller, or in a private one where the
caller has none. The thread is a daemon: an abandoned promise does not keep the program alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import functools
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import Any, Generic, TypeVar

from jitwasm.config import Config
from jitwasm.pipeline import CompileSession, Module, Progress, buffer_bytes
from jitwasm.promise import Promise
from jitwasm.sources import ByteStream, chunk_bytes, is_pending, open_source

__all__ = ["compile_source"]

T = TypeVar("T")


def compile_source(
    source: Any,
    api: str,
    config: Config | None,
    then: Callable[[Module], T],
    buffer_only: bool = False,
) -> Promise[T]:
    """Compile a source in the background.

    Args:
        source: what `compile_streaming` takes.
        api: the function the caller called, for messages.
        config: how to compile.
        then: makes the promise's result of the module; runs in the promise's thread.
        buffer_only: accept nothing but an object with the buffer protocol.

    Returns:
        A promise, to which every failure goes: nothing is raised here.
    """
    promise: Promise[T] = Promise()
    try:
        sys.audit("jitwasm.compile", source)
        if buffer_only:
            source = buffer_bytes(source, api)
        _Job(promise, api, config, then).start(source)
    except Exception as error:
        promise._reject(error)
    return promise


class _Job(Generic[T]):
    def __init__(
        self, promise: Promise[T], api: str, config: Config | None, then: Callable[[Module], T]
    ) -> None:
        self._promise = promise
        self._api = api
        self._session = CompileSession(config)
        self._then = then
        self._stream: ByteStream | None = None
        # Where asynchronous sources live: the caller's loop, or one that this thread runs.
        self._callers_loop = asyncio._get_running_loop()
        self._private_loop: asyncio.AbstractEventLoop | None = None
        self._task: Future[Any] | asyncio.Task[Any] | None = None

    def start(self, source: Any) -> None:
        if not is_pending(source):
            self._stream = open_source(source, self._api)
        if not isinstance(source, Future) and (self._stream is None or _is_async(self._stream)):
            self._promise._loop = self._callers_loop
        self._promise._find_progress = self._progress
        self._promise._on_cancel = self._cancel
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(self._run, source), name="jitwasm-promise", daemon=True
        ).start()

    def _run(self, source: Any) -> None:
        try:
            self._read(source)
            result = self._then(self._session.finish())
        except (CancelledError, asyncio.CancelledError):
            self._promise.cancel()
        except BaseException as error:
            self._promise._reject(error)
        else:
            self._promise._resolve(result)
        finally:
            self._detach()
            if self._private_loop is not None:
                self._private_loop.run_until_complete(self._private_loop.shutdown_asyncgens())
                self._private_loop.close()

    def _detach(self) -> None:
        """Leave the promise nothing but its outcome: it may be kept for long."""
        progress = self._progress()
        self._promise._find_progress = lambda: progress
        self._promise._on_cancel = lambda: None

    def _read(self, source: Any) -> None:
        if self._stream is None:
            self._stream = self._resolve(source)
        stream = self._stream
        try:
            if self._promise.cancelled():
                raise CancelledError
            if _is_async(stream):
                self._run_in_loop(lambda: self._transfer(stream))
            else:
                assert not isinstance(stream.chunks, AsyncIterator)
                for chunk in stream.chunks:
                    self._session.feed(chunk_bytes(chunk, self._api))
        except BaseException:
            self._session.cancel()
            raise
        finally:
            self._close(stream.close, _is_async(stream))

    def _resolve(self, source: Any) -> ByteStream:
        in_loop = False
        while is_pending(source):
            if isinstance(source, Future):
                source = source.result()
            else:
                in_loop = True
                source = self._run_in_loop(functools.partial(_await, source))
        try:
            return open_source(source, self._api)
        except BaseException:
            # Nobody but us need know a response that came out of a promise.
            self._close(getattr(source, "close", lambda: None), in_loop)
            raise

    async def _transfer(self, stream: ByteStream) -> None:
        assert isinstance(stream.chunks, AsyncIterator)
        async for chunk in stream.chunks:
            data = chunk_bytes(chunk, self._api)
            if self._private_loop is None:
                await asyncio.to_thread(self._session.feed, data)
            else:
                self._session.feed(data)

    def _run_in_loop(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        if self._callers_loop is not None:
            return self._run_in_callers_loop(work, self._callers_loop)
        if self._private_loop is None:
            self._private_loop = asyncio.new_event_loop()
        self._task = self._private_loop.create_task(work())
        return self._private_loop.run_until_complete(self._task)

    def _run_in_callers_loop(
        self, work: Callable[[], Coroutine[Any, Any, Any]], loop: asyncio.AbstractEventLoop
    ) -> Any:
        # Not `run_coroutine_threadsafe`: the loop may end before it begins with this, and the
        # coroutine would never be awaited.
        self._task = outcome = Future[tuple[Any, Exception | None]]()

        def begin() -> None:
            if outcome.cancelled():
                return
            task = loop.create_task(_outcome(work()))
            outcome.add_done_callback(lambda _: _call_in_loop(loop, task.cancel))
            task.add_done_callback(end)

        def end(task: asyncio.Task[tuple[Any, Exception | None]]) -> None:
            with contextlib.suppress(InvalidStateError):
                if task.cancelled():
                    outcome.cancel()
                else:
                    outcome.set_result(task.result())

        loop.call_soon_threadsafe(begin)
        value, error = outcome.result()
        if error is not None:
            raise error
        return value

    def _close(self, close: Callable[[], object], in_loop: bool) -> None:
        # Whatever goes wrong here is later than the outcome that is reported.
        if in_loop and self._callers_loop is not None:
            # Not waited for: the loop may end first. What has been awaited in it is closed in it.
            _call_in_loop(self._callers_loop, functools.partial(self._close_now, close))
            return
        with contextlib.suppress(Exception, CancelledError, asyncio.CancelledError):
            if in_loop:
                self._run_in_loop(functools.partial(_closing, close))
            else:
                close()

    def _close_now(self, close: Callable[[], object]) -> None:
        with contextlib.suppress(Exception):
            closing = close()
            if inspect.isawaitable(closing):
                self._task = asyncio.ensure_future(_quietly(closing))  # kept: the loop does not

    def _cancel(self) -> None:
        """The promise has been cancelled, by any thread."""
        self._session.cancel()
        if self._stream is not None:
            with contextlib.suppress(Exception):
                self._stream.abort()
        task, loop = self._task, self._private_loop
        if isinstance(task, Future):
            task.cancel()
        elif task is not None and loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing to cancel
                loop.call_soon_threadsafe(task.cancel)

    def _progress(self) -> Progress:
        total = self._stream.total if self._stream else None
        return dataclasses.replace(self._session.progress, bytes_total=total)


def _is_async(stream: ByteStream) -> bool:
    return isinstance(stream.chunks, AsyncIterator)


async def _await(awaitable: Any) -> Any:
    return await awaitable


async def _closing(close: Callable[[], object]) -> None:
    closing = close()
    if inspect.isawaitable(closing):
        await closing


async def _quietly(awaitable: Awaitable[object]) -> None:
    with contextlib.suppress(Exception):
        await awaitable


def _call_in_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nothing runs there
        loop.call_soon_threadsafe(function)


async def _outcome(work: Coroutine[Any, Any, Any]) -> tuple[Any, Exception | None]:
    """Result and exception as a value: asyncio exchanges some exceptions on their way out."""
    try:
        return await work, None
    except Exception as error:
        return None, error
