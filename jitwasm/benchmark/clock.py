"""Time: of a piece of work, and of a download at a given rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

__all__ = ["CHUNK_BYTES", "Download", "timed"]

CHUNK_BYTES = 1 << 12


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Download:
    """Bytes that arrive at a rate, from the time on that someone iterates over them.

    Attributes:
        last: when the last of them was there, by `time.perf_counter`: without a rate, all of them
            are from the beginning on.
    """

    def __init__(self, data: bytes, rate: int) -> None:
        """`rate` is in bytes a second; 0 is as fast as they are taken."""
        self._data, self._rate = data, rate
        self.last = 0.0

    def __iter__(self) -> Iterator[bytes]:
        start = time.perf_counter()
        for at in range(0, len(self._data), CHUNK_BYTES):
            chunk = self._data[at : at + CHUNK_BYTES]
            if self._rate:
                due = start + (at + len(chunk)) / self._rate
                time.sleep(max(0.0, due - time.perf_counter()))
            self.last = time.perf_counter() if self._rate else start
            yield chunk
