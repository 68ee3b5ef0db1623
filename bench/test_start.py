"""From nothing to the first result, in fresh processes (see starts.py)."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from bench.engines import Sample
from bench.meter import Meter
from bench.starts import JOBS, ROWS, Missing, Start, find_module, measure

QUICK_JOB = "quickjs"


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both engines keep their code."""
    return tmp_path_factory.mktemp("caches")


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("job", JOBS)
def test_start(
    job: str,
    row: str,
    caches: Path,
    meter: Meter,
    quick: bool,
    module_folders: list[str],
) -> None:
    if quick and job != QUICK_JOB:
        pytest.skip("quick: one job stands for all")
    starts: list[Start] = []

    def once() -> Sample:
        start = measure(job, path, row, caches)
        starts.append(start)
        return Sample(start.result, start.cpu)

    try:
        path = find_module(JOBS[job], module_folders)
        for _ in range(2):
            once()  # fills the cache, the second time with what the background has done since
    except Missing as reason:
        pytest.skip(str(reason))
    starts.clear()
    meter.group("start", job, row)
    meter.measure(once, least=5, most=9, warmup=0)
    meter.note(
        ready=statistics.median(start.ready for start in starts),
        memory=statistics.median(start.memory for start in starts),
    )
