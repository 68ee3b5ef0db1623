"""Compilation that overlaps with the download: how long after the last byte a module is ready.

A source delivers at a fixed rate. `jitwasm` compiles while bytes arrive, `jitwasm-download-first`
waits for all of them and compiles then, Node does the former. Times are from the last byte on; the
whole time, download included, is in the results file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.engines import ENGINES, NodeEngine, NodeProcess, Sample
from bench.meter import Meter
from bench.wasmfile import code_size

_CHUNK = 4096
_RATES = {"50kB/s": 50_000, "500kB/s": 500_000, "unlimited": 0}


class _Throttled:
    """An iterable source that remembers when it gave its last byte."""

    def __init__(self, data: bytes, rate: int) -> None:
        self._data, self._rate = data, rate
        self.last = 0.0

    def __iter__(self) -> Iterator[bytes]:
        start = time.perf_counter()
        for at in range(0, len(self._data), _CHUNK):
            chunk = self._data[at : at + _CHUNK]
            if self._rate:
                due = start + (at + len(chunk)) / self._rate
                time.sleep(max(0.0, due - time.perf_counter()))
            self.last = time.perf_counter()
            yield chunk


def _after_last_byte(source: _Throttled, ready: Callable[[], object]) -> Sample:
    cpu = time.process_time()
    ready()
    return Sample(time.perf_counter() - source.last, time.process_time() - cpu)


def _streaming(data: bytes, path: Path, rate: int) -> Callable[[], Sample]:
    jitwasm = pytest.importorskip("jitwasm", exc_type=ImportError)

    def once() -> Sample:
        source = _Throttled(data, rate)
        return _after_last_byte(source, lambda: jitwasm.compile_streaming(source).result().image())

    return once


def _download_first(data: bytes, path: Path, rate: int) -> Callable[[], Sample]:
    jitwasm = pytest.importorskip("jitwasm", exc_type=ImportError)

    def once() -> Sample:
        source = _Throttled(data, rate)
        return _after_last_byte(source, lambda: jitwasm.Module(b"".join(source)).image())

    return once


def _node(name: str) -> Callable[[bytes, Path, int], Callable[[], Sample]]:
    def make(data: bytes, path: Path, rate: int) -> Callable[[], Sample]:
        engine = ENGINES[name]
        reason = engine.unavailable()
        if reason:
            pytest.skip(reason)
        assert isinstance(engine, NodeEngine)

        def once() -> Sample:
            process = NodeProcess(*engine.flags)
            try:
                answer = process.ask("stream", path=str(path), rate=rate, chunk=_CHUNK)
            finally:
                process.close()
            return Sample(answer["after"], answer["total"])

        return once

    return make


_ROWS = {
    "jitwasm": _streaming,
    "jitwasm-download-first": _download_first,
    "node": _node("node"),
    "node-liftoff": _node("node-liftoff"),
}


@pytest.mark.parametrize("rate", _RATES)
@pytest.mark.parametrize("row", _ROWS)
def test_stream(
    row: str, rate: str, wasm_file: str, wasm_path: Path, meter: Meter, quick: bool
) -> None:
    if quick and (wasm_file != "json" or rate == "50kB/s"):
        pytest.skip("quick: the smallest module at the higher rates stands for all")
    data = wasm_path.read_bytes()
    if _RATES[rate] and len(data) / _RATES[rate] > 30:
        pytest.skip("this download would take more than half a minute")
    once = _ROWS[row](data, wasm_path, _RATES[rate])
    detail = f"{Path(wasm_file).stem} at {rate}"
    meter.group("stream", detail, row, code_size=code_size(wasm_path), size=len(data))
    meter.measure(once, least=3, most=5, warmup=0)
