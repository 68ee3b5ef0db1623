"""How quiet a machine is: a fixed computation, repeated before and after what is measured."""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from typing import Any

__all__ = ["NoiseProbe"]


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
