"""Real programs over and over, from cold code to the best there is (see steady.py)."""

from __future__ import annotations

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
    program: str, row: str, meter: Meter, quick: bool, module_folders: list[str]
) -> None:
    if quick and program != PROGRAMS[0]:
        pytest.skip("quick: one program stands for all")
    rounds: list[Round] = []

    def once() -> Sample:
        rounds[:] = measure(program, path, row, QUICK_SECONDS if quick else SECONDS)
        return Sample(steady_seconds(rounds), rounds[-1].cpu)

    try:
        path = find_module(JOBS[program], module_folders)
        meter.group("steady", program, row)
        meter.measure(once, least=1, most=1, warmup=0)
    except Missing as reason:
        pytest.skip(str(reason))
    meter.note(rounds=[astuple(row) for row in rounds])
