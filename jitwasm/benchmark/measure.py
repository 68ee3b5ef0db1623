"""The measurements of a job: samples of each phase from each engine, in turns.

Engines take turns sample by sample, so that a machine whose speed drifts slows all of them alike:
what is compared is the ratio of medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jitwasm.benchmark.job import PHASES, Engine, Job, Loaded, Outcome

__all__ = ["Measured", "Series", "measure"]

LEAST_SECONDS = 0.01
"""A sample that is shorter is repeated within it: calls, instantiations."""

LEAST_SAMPLES, MOST_SAMPLES = 3, 50


@dataclass
class Series:
    """One phase of one engine.

    Attributes:
        samples: in seconds; a sample of `count` repetitions is their mean.
        count: repetitions within each sample.
        missing: why there is none.
    """

    samples: list[float] = field(default_factory=list)
    count: int = 1
    missing: str | None = None

    @property
    def median(self) -> float | None:
        return statistics.median(self.samples) if self.samples else None

    def ratio(self, to: Series) -> float | None:
        """How many times as long it takes as another."""
        mine, other = self.median, to.median
        return mine / other if mine and other else None

    def to_json(self) -> dict[str, Any]:
        if self.missing is not None:
            return {"missing": self.missing}
        return {
            "median": self.median,
            "minimum": min(self.samples),
            "repetitions": self.count,
            "samples": self.samples,
        }


@dataclass
class Measured:
    """The results of a job.

    Attributes:
        job: what was measured.
        phases: phase -> engine -> its series.
        outcome: what the first engine's execution gave.
        differing: engines whose execution gave something else.
    """

    job: Job
    phases: dict[str, dict[str, Series]] = field(default_factory=dict)
    outcome: Outcome | None = None
    differing: list[str] = field(default_factory=list)


Take = Callable[[int], float]


def measure(
    job: Job, engines: Sequence[Engine], seconds: float, tell: Callable[[str], None]
) -> Measured:
    """Measure all phases.

    Args:
        job: what to measure.
        engines: where; results are compared with the first one's.
        seconds: about how long for each phase of each engine.
        tell: is told what is being measured.
    """
    result = Measured(job)
    for phase in ("validate", "compile", "stream"):
        tell(f"{job.path}: {phase}")
        takes = {engine.name: _of_job(getattr(engine, phase), job) for engine in engines}
        result.phases[phase] = _series(takes, seconds, repeated=False)
    loaded, failed = _load(job, engines)
    try:
        _check(result, loaded, failed)
        for phase in _phases(job):
            tell(f"{job.path}: {phase}")
            rows = {name: getattr(program, phase) for name, program in loaded.items()}
            repeated = phase == "instantiate" or not job.runs_main
            found = _series(
                {name: take for name, take in rows.items() if name not in failed},
                seconds,
                repeated,
            )
            missing = {name: Series(missing=reason) for name, reason in failed.items()}
            names = [engine.name for engine in engines]
            result.phases[phase] = {name: {**found, **missing}[name] for name in names}
    finally:
        for program in loaded.values():
            program.close()
    return result


def _phases(job: Job) -> list[str]:
    """Those that come after compilation."""
    if job.runs_main:
        return ["instantiate", "execute"]
    return list(PHASES)[3:] if job.invocation else ["instantiate"]


def _of_job(work: Callable[[Job], float], job: Job) -> Take:
    return lambda count: work(job)


def _load(job: Job, engines: Sequence[Engine]) -> tuple[dict[str, Loaded], dict[str, str]]:
    """The programs, and why others cannot be loaded."""
    loaded: dict[str, Loaded] = {}
    failed: dict[str, str] = {}

    def load(engine: Engine) -> None:
        loaded[engine.name] = engine.load(job)

    for engine in engines:
        if reason := _failure(partial(load, engine)):
            failed[engine.name] = reason
    return loaded, failed


def _check(result: Measured, loaded: dict[str, Loaded], failed: dict[str, str]) -> None:
    """Results come before times: whoever computes something else is out."""
    if not (result.job.runs_main or result.job.invocation):
        return

    def check(name: str, program: Loaded) -> None:
        outcome = program.outcome()
        if result.outcome is None:
            result.outcome = outcome
        elif outcome != result.outcome:
            result.differing.append(name)
            raise _DifferentError("its result differs")

    for name, program in loaded.items():
        if reason := _failure(partial(check, name, program)):
            failed[name] = reason


class _DifferentError(Exception):
    """An engine computes something else."""


def _series(takes: dict[str, Take], seconds: float, repeated: bool) -> dict[str, Series]:
    """Samples of each, taken in turns."""
    series = {name: Series() for name in takes}
    left = dict.fromkeys(takes, seconds)
    for name, take in takes.items():
        series[name].missing = _failure(partial(_start, series[name], take, repeated))
    while left:
        for name in list(left):
            row = series[name]
            if row.missing is not None:
                del left[name]
                continue
            start = time.perf_counter()
            row.missing = _failure(partial(_sample, row, takes[name]))
            left[name] -= time.perf_counter() - start
            enough = len(row.samples) >= LEAST_SAMPLES or left[name] < -10 * seconds
            if len(row.samples) >= MOST_SAMPLES or (enough and left[name] <= 0):
                del left[name]
    return series


def _start(row: Series, take: Take, repeated: bool) -> None:
    """Warm up; find how many repetitions make a sample."""
    elapsed = take(1)
    while repeated and elapsed * row.count < LEAST_SECONDS and row.count < 1 << 30:
        row.count *= 4
        elapsed = take(row.count)


def _sample(row: Series, take: Take) -> None:
    row.samples.append(take(row.count))


def _failure(work: Callable[[], object]) -> str | None:
    """Why a piece of work cannot be done, or None. Each engine has exceptions of its own."""
    try:
        work()
    except Exception as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return None
