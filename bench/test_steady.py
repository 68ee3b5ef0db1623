"""Real programs over and over, from cold code to the best there is (see steady.py)."""

from __future__ import annotations

import os
from dataclasses import astuple

import pytest

from bench.engines import Sample
from bench.meter import Meter
from bench.starts import JOBS, Missing, find_module
from bench.steady import PROGRAMS, ROWS, Round, measure, steady_seconds

SECONDS, QUICK_SECONDS = 40.0, 1.0


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_steady_state(
    program: str, row: str, meter: Meter, quick: bool, request: pytest.FixtureRequest
) -> None:
    if quick and program != PROGRAMS[0]:
        pytest.skip("quick: one program stands for all")
    folders = [*request.config.getoption("--modules")]
    folders += [folder for folder in (os.environ.get("JITWASM_BENCH_MODULES"),) if folder]
    rounds: list[Round] = []

    def once() -> Sample:
        rounds[:] = measure(program, path, row, QUICK_SECONDS if quick else SECONDS)
        return Sample(steady_seconds(rounds), rounds[-1].cpu)

    try:
        path = find_module(JOBS[program], folders)
        meter.group("steady", program, row)
        meter.measure(once, least=1, most=1, warmup=0)
    except Missing as reason:
        pytest.skip(str(reason))
    meter.note(rounds=[astuple(row) for row in rounds])
