"""Bytes to executable code, all functions. The report divides the code's size by the CPU time of
all threads: megabytes per second and core. The row `native` is the same compiler at work on the C
sources that the module was built from."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.build import SUITE, time_native
from bench.catalog import WORKLOADS
from bench.engines import ENGINES, Engine, Sample
from bench.meter import Meter
from bench.wasmfile import code_size


def test_compile(peer: Engine, wasm_file: str, wasm_path: Path, meter: Meter, quick: bool) -> None:
    if quick and wasm_file != "json":
        pytest.skip("quick: the smallest module stands for all")
    meter.group("compile", Path(wasm_file).stem, peer.name, code_size=code_size(wasm_path))
    meter.measure(lambda: peer.compile(wasm_path), least=2, most=10)


def test_compile_native(wasm_file: str, wasm_path: Path, meter: Meter, quick: bool) -> None:
    if wasm_file != SUITE and wasm_file not in WORKLOADS:
        pytest.skip("no source")
    if quick and wasm_file != "json":
        pytest.skip("quick: the smallest module stands for all")
    reason = ENGINES["native"].unavailable()
    if reason:
        pytest.skip(reason)
    meter.group("compile", Path(wasm_file).stem, "native", code_size=code_size(wasm_path))
    meter.measure(lambda: Sample(*time_native(wasm_file)), least=1, most=1, warmup=0)
