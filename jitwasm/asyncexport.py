"""Async host functions (the counterpart of JavaScript promise integration).

WebAssembly code cannot be suspended here, but a thread can: `promising(export)` runs the call on a
thread of its own, and an `async def` import, called there, runs on the event loop while the thread
waits without the GIL.

Limits: a call costs a thread; the store is occupied until the call has returned, so other
calls into it wait. Cancelling the call cancels the import that is awaited; code that awaits nothing
runs on until it calls an async import, or a deadline stops it.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextvars import copy_context
from typing import Any

from jitwasm.suspension import CURRENT

__all__ = ["promising"]


class _Call:
    """One call made through `promising`, while it runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._awaited: Future[Any] | None = None
        self._cancelled = False

    def wait(self, start: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine on the event loop; on the call's thread."""
        with self._lock:
            if self._cancelled:
                raise CancelledError
            self._awaited = asyncio.run_coroutine_threadsafe(start(), self._loop)
        return self._awaited.result()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._awaited is not None:
                self._awaited.cancel()


def promising(export: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """An async function that calls an export whose imports may be `async def`.

    Example:
        >>> instance = jitwasm.Instance(module, {"env": {"fetch": fetch}})  # async def fetch(…)
        >>> result = await jitwasm.promising(instance.exports.main)(42)

    Raises:
        TypeError: `export` is not callable.
    """
    if not callable(export):
        raise TypeError(f"promising() takes a function, not {type(export).__name__}")

    @functools.wraps(export, updated=())
    async def call(*args: Any) -> Any:
        running = _Call(asyncio.get_running_loop())
        result: Future[Any] = Future()
        result.set_running_or_notify_cancel()

        def work() -> None:
            CURRENT.set(running)
            try:
                result.set_result(export(*args))
            except BaseException as error:
                result.set_exception(error)

        thread = threading.Thread(target=copy_context().run, args=(work,), daemon=True)
        thread.start()
        try:
            return await asyncio.wrap_future(result)
        except asyncio.CancelledError:
            running.cancel()
            raise

    return call
