"""Compilation that overlaps with the download (see stream.py)."""

from __future__ import annotations

import pytest

from bench.engines import Sample
from bench.meter import Meter
from bench.stream import MODULES, RATES, ROWS, Missing, long_download, module_path
from bench.wasmfile import code_size


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("module", MODULES)
def test_stream(module: str, row: str, rate: str, meter: Meter, quick: bool) -> None:
    if quick and (module != "json" or rate == "50kB/s"):
        pytest.skip("quick: the smallest module at the higher rates stands for all")
    try:
        path = module_path(module)
        size = path.stat().st_size
        if long_download(size, RATES[rate]):
            pytest.skip("this download would take too long")

        def once() -> Sample:
            return ROWS[row](path, RATES[rate])

        once()  # warms the engine up, and finds out whether it is there
    except Missing as reason:
        pytest.skip(str(reason))
    meter.group("stream", f"{module} at {rate}", row, code_size=code_size(path), size=size)
    meter.measure(once, least=3, most=5, warmup=0)
