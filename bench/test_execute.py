"""Compiled code at work: every workload on every engine, timed inside, checked first."""

from __future__ import annotations

import math

import pytest

from bench.conftest import Case
from bench.meter import Meter

# Native code may fuse multiplications and additions, so its last digits differ. Workloads that
# branch on floating point (raytrace) turn that into a few different pixels.
_FUSED_TOLERANCE = 1e-3
_WARMUP = 3
"""Rounds before timing; V8 and the branch predictors settle."""


def test_execute(case: Case, meter: Meter, expected: int | float, quick: bool) -> None:
    n = case.workload.quick if quick else case.workload.n
    program = case.engine.load(case.workload, case.variant)
    try:
        program.round(n)
        _check(program.checksum(), expected, exact=case.engine.name != "native")
        meter.group(
            "execute",
            case.workload.name,
            case.engine.name,
            family=case.workload.family,
            variant=case.variant,
            n=n,
        )
        meter.measure(lambda: program.round(n), warmup=1 if quick else _WARMUP)
    finally:
        program.close()


def _check(result: int | float, expected: int | float, exact: bool) -> None:
    assert math.isfinite(expected)
    wanted = expected if exact else pytest.approx(expected, rel=_FUSED_TOLERANCE)
    assert result == wanted, "wrong result: not timed"
