"""Bytes to validated modules. `StreamParser` alone is jitwasm's decoder; the validators of the
peers also check the code, and so does `jitwasm.validate`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.engines import ENGINES, NodeEngine, NodeProcess, Sample, timed
from bench.meter import Meter
from bench.wasmfile import code_size

_CHUNK = 1 << 16


def _parser(path: Path) -> Callable[[], Sample]:
    stream = pytest.importorskip("jitwasm.frontend.stream", exc_type=ImportError)
    config = pytest.importorskip("jitwasm.config", exc_type=ImportError).Config()
    data = path.read_bytes()
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]

    def parse() -> None:
        parser = stream.StreamParser(config.features, config.limits)
        for chunk in chunks:
            parser.feed(chunk)
        parser.finish()

    return lambda: timed(parse)


def _jitwasm(path: Path) -> Callable[[], Sample]:
    jitwasm = pytest.importorskip("jitwasm", exc_type=ImportError)
    data = path.read_bytes()
    assert jitwasm.validate(data)
    return lambda: timed(lambda: jitwasm.validate(data))


def _wasmtime(path: Path) -> Callable[[], Sample]:
    wasmtime = pytest.importorskip("wasmtime")
    engine, data = wasmtime.Engine(), path.read_bytes()
    # It validates functions on several threads.
    return lambda: timed(lambda: wasmtime.Module.validate(engine, data), time.process_time)


def _node(path: Path) -> Callable[[], Sample]:
    engine = ENGINES["node"]
    reason = engine.unavailable()
    if reason:
        pytest.skip(reason)
    assert isinstance(engine, NodeEngine)

    def once() -> Sample:
        process = NodeProcess(*engine.flags)
        try:
            return process.sample("validate", path=str(path))
        finally:
            process.close()

    return once


_ROWS = {
    "jitwasm-decode": _parser,
    "jitwasm-validate": _jitwasm,
    "wasmtime": _wasmtime,
    "node": _node,
}


@pytest.mark.parametrize("row", _ROWS)
def test_decode(row: str, wasm_file: str, wasm_path: Path, meter: Meter) -> None:
    meter.group("decode", Path(wasm_file).stem, row, code_size=code_size(wasm_path))
    meter.measure(_ROWS[row](wasm_path), most=20)
