"""Where wasm code spends its time, as the ticks see it: the Python side of runtime/sampling.ll.

There is one sampler for the process. Threads inside wasm code note in a ring where they are, and
every few samples wake whoever waits here. While nobody runs wasm code nobody wakes up.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

__all__ = ["Sampler"]

_RING = 1024


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class Sampler:
    """The ring of samples, and the semaphore that announces them."""

    def __init__(self, symbol: Callable[[str], int]) -> None:
        """`symbol` gives the addresses of the runtime's variables."""
        self._interval = ctypes.c_uint64.from_address(symbol("jw_sampling_ns"))
        self._count = ctypes.c_uint64.from_address(symbol("jw_sample_count"))
        self._ring = (ctypes.c_uint64 * _RING).from_address(symbol("jw_samples"))
        self._semaphore = ctypes.c_void_p(symbol("jw_sampled"))
        self._seen = 0
        # Of the process itself; the GIL is released while they wait.
        library = ctypes.CDLL(None)
        self._sem_wait, self._sem_timedwait = library.sem_wait, library.sem_timedwait
        self._sem_post, self._sem_init = library.sem_post, library.sem_init
        self.reset()

    def reset(self) -> None:
        """Begin anew, with nobody waiting: at first, and in a forked child."""
        self._interval.value = 0
        self._seen = self._count.value
        self._sem_init(self._semaphore, 0, 0)

    def run(self, interval: int) -> None:
        """Sample threads inside wasm every `interval` nanoseconds from their next entry on;
        0 stops it."""
        self._interval.value = interval

    def take(self) -> list[int]:
        """The program counters noted since the last call; of very many, the latest."""
        count = self._count.value
        first = max(self._seen, count - _RING)
        self._seen = count
        return [self._ring[number % _RING] for number in range(first, count)]

    def wait(self, seconds: float | None = None) -> None:
        """Wait for some samples, a call of `wake`, or a signal, or until the time is over."""
        if seconds is None:
            self._sem_wait(self._semaphore)
            return
        end = time.time_ns() + int(seconds * 1e9)
        limit = _TimeSpec(end // 1_000_000_000, end % 1_000_000_000)
        self._sem_timedwait(self._semaphore, ctypes.byref(limit))

    def wake(self) -> None:
        """End the wait of one thread."""
        self._sem_post(self._semaphore)
