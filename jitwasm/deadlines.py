"""Wall-clock limits on calls: `with jitwasm.deadline(seconds): …`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

from jitwasm.backend.native import nanoseconds_of, native

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["deadline", "time_left"]


def time_left() -> float | None:
    """Seconds until this thread's deadline, at least 0; None if there is none.

    Host functions that wait take it for their timeout: code they return to does not go on.
    """
    set_deadline = native().set_deadline
    at = set_deadline(0)
    if not at:
        return None
    set_deadline(at)
    return max(at - time.monotonic_ns(), 0) / 1e9


class deadline:  # used like a function, as contextlib's managers are
    """Stops WebAssembly code that this thread runs in the block after so many seconds.

    The call ends with a `Trap` whose code is `TrapCode.DEADLINE`; its instance stays usable. Code
    costs nothing for it. A host function is not interrupted, but wasm does not go on after it.
    Blocks nest: the earliest deadline holds. Called with a function it gives one that has so many
    seconds for each call.

    Args:
        seconds: from entering the block on; None sets none.

    Raises:
        ValueError: `seconds` is not a positive number.

    Example:
        >>> with jitwasm.deadline(0.5):
        ...     instance.exports.run()
        >>> jitwasm.deadline(0.5)(instance.exports.run)()
    """

    __slots__ = ("_before", "_seconds")

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError(f"a deadline must be a positive number of seconds, not {seconds!r}")
        self._seconds = seconds
        self._before: list[int] = []

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        seconds = self._seconds

        @functools.wraps(function)
        def limited(*args: P.args, **kwargs: P.kwargs) -> R:
            with deadline(seconds):
                return function(*args, **kwargs)

        return limited

    def __enter__(self) -> deadline:
        if self._seconds is not None:
            set_deadline = native().set_deadline
            at = time.monotonic_ns() + nanoseconds_of(self._seconds)
            before = set_deadline(at)
            if before and before < at:
                set_deadline(before)
            self._before.append(before)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._seconds is not None:
            native().set_deadline(self._before.pop())
