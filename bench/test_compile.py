"""Bytes to executable code, all functions. The report divides the code's size by the CPU time of
all threads: megabytes per second and core."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.engines import Engine
from bench.meter import Meter
from bench.wasmfile import code_size


def test_compile(peer: Engine, wasm_file: str, wasm_path: Path, meter: Meter, quick: bool) -> None:
    if quick and wasm_file != "json":
        pytest.skip("quick: the smallest module stands for all")
    meter.group("compile", Path(wasm_file).stem, peer.name, code_size=code_size(wasm_path))
    meter.measure(lambda: peer.compile(wasm_path), least=2, most=10)
