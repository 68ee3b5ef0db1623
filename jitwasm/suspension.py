"""Imports that are `async def`: what is linked for them. What calls them: asyncexport.py.

Apart from it, because linking needs this and most programs never need asyncio.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object

__all__ = ["CO_COROUTINE", "CURRENT", "PromisedCall", "suspending"]

CO_COROUTINE = 0x80
"""`inspect.CO_COROUTINE`; importing inspect would take longer than all of linking."""


class PromisedCall(Protocol):
    """A call made through `promising`, while it runs."""

    def wait(self, start: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine on the event loop; on the call's thread."""


CURRENT: ContextVar[PromisedCall] = ContextVar("jitwasm.promising")
"""The call this thread runs."""


def suspending(target: Callable[..., Any]) -> Callable[..., Any]:
    """What is linked for an import: an `async def` function is made one that waits."""
    code = getattr(getattr(target, "__func__", target), "__code__", None)
    if code is None or not code.co_flags & CO_COROUTINE:
        return target

    @functools.wraps(target)
    def wait(*args: Any) -> Any:
        running = CURRENT.get(None)
        if running is None:
            raise TypeError(
                f"{target.__qualname__}() is an async function: call the export that leads to it "
                "through jitwasm.promising"
            )
        return running.wait(lambda: target(*args))

    return wait
