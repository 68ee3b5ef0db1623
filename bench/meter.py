"""Hands samples that were taken inside an engine to pytest-benchmark, and judges the machine.

pytest-benchmark reads a timer before and after a round. Here the timer is a clock that moves only
when a sample is put on it, so a round lasts as long as the engine said.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.engines import Sample

__all__ = ["InsideClock", "Meter", "NoiseProbe"]


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


class NoiseProbe:
    """Repeats one fixed native computation (a hash of 256 KiB) to see how quiet the machine is."""

    ROUNDS = 40
    SPREAD = 0.10
    """Spread or drift from which a warning is due."""

    def __init__(self) -> None:
        self._medians: list[float] = []
        self._spreads: list[float] = []
        self._busy: list[float] = []

    def sample(self) -> None:
        data = bytes(1 << 18)
        walls, shares = [], []
        for _ in range(self.ROUNDS):
            cpu, wall = time.thread_time(), time.perf_counter()
            hashlib.blake2b(data).digest()
            wall = time.perf_counter() - wall
            walls.append(wall)
            shares.append(wall / max(time.thread_time() - cpu, 1e-9))
        walls.sort()
        self._medians.append(statistics.median(walls))
        self._spreads.append(walls[int(0.9 * self.ROUNDS)] / walls[0] - 1)
        self._busy.append(statistics.median(shares) - 1)

    def summary(self) -> dict[str, Any]:
        """Figures for the results file."""
        return {
            "load_average": os.getloadavg()[0],
            "spread": max(self._spreads, default=0.0),
            "drift": max(self._medians) / min(self._medians) - 1 if self._medians else 0.0,
            "waiting": max(self._busy, default=0.0),
        }

    def warnings(self) -> list[str]:
        """What is wrong with this machine, in sentences; empty if it is quiet."""
        found = self.summary()
        cores = os.cpu_count() or 1
        rows = [
            (
                found["spread"],
                "repetitions of one computation spread by {:.0%}: short rounds are unreliable",
            ),
            (
                found["drift"],
                "the machine's speed drifted by {:.0%} during the run: ratios of rows measured "
                "minutes apart are unreliable",
            ),
            (found["waiting"], "this process waited for a core for {:.0%} of its time"),
        ]
        result = [text.format(value) for value, text in rows if value > self.SPREAD]
        if found["load_average"] > cores + 0.5:
            result.append(f"load average {found['load_average']:.1f} on {cores} cores")
        return result
