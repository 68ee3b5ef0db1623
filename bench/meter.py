"""Hands samples that were taken inside an engine to pytest-benchmark.

pytest-benchmark reads a timer before and after a round. Here the timer is a clock that moves only
when a sample is put on it, so a round lasts as long as the engine said.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.engines import Sample

__all__ = ["InsideClock", "Meter"]


class InsideClock:
    """A timer that shows the sum of the samples put on it."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class Meter:
    """Measures by samples, through the `benchmark` fixture.

    The fixture is made when it is first needed: pytest-benchmark complains of a test that asks for
    it and then skips.
    """

    def __init__(
        self, benchmark: Callable[[], Any], clock: InsideClock, budget: float, quick: bool
    ) -> None:
        self._benchmark = benchmark
        self._clock = clock
        self._budget = budget
        self._quick = quick
        self._group = ""
        self._info: dict[str, Any] = {}

    def group(self, phase: str, detail: str, row: str, **info: Any) -> None:
        """Says where this benchmark belongs: its table, its row, and what the report must know."""
        self._group = f"{phase}:{detail}"
        self._info.update(phase=phase, detail=detail, engine=row, **info)

    def note(self, **info: Any) -> None:
        """Records more, after the measurement."""
        self._benchmark().extra_info.update(info)

    def measure(
        self, once: Callable[[], Sample], *, least: int = 5, most: int = 50, warmup: int = 1
    ) -> None:
        """Repeats `once` within the budget of time and records each of its samples."""
        first = min(self._seconds(once) for _ in range(warmup)) if warmup else 0.0
        rounds = 1 if self._quick else _clamp(int(self._budget / max(first, 1e-9)), least, most)
        cpu: list[float] = []

        def target() -> None:
            sample = once()
            self._clock.advance(sample.wall)
            cpu.append(sample.cpu)

        benchmark = self._benchmark()
        benchmark.group = self._group
        benchmark.pedantic(target, rounds=rounds, iterations=1)
        self._info.update(cpu_median=statistics.median(cpu), cpu_min=min(cpu))
        benchmark.extra_info.update(self._info)

    def _seconds(self, once: Callable[[], Sample]) -> float:
        before = time.perf_counter()
        once()
        return time.perf_counter() - before


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))
