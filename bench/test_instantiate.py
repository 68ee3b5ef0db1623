"""A compiled module to an instance, in the same process."""

from __future__ import annotations

import pytest

from bench.build import SUITE, build
from bench.engines import Engine
from bench.meter import Meter


@pytest.mark.parametrize("name", ["json", SUITE])
def test_instantiate(peer: Engine, name: str, meter: Meter, quick: bool) -> None:
    if quick and name == SUITE:
        pytest.skip("quick: the smallest module stands for all")
    path = build(name, "mvp")
    count = 2 if quick else 100
    meter.group("instantiate", name, peer.name)
    meter.measure(lambda: peer.instantiate(path, count), least=3, most=10, warmup=0)
