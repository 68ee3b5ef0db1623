"""The report: means, ratios and tables from result files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.meter import InsideClock
from bench.report import render
from bench.results import geometric_mean, load
from bench.steady import Round, steady_seconds
from jitwasm.benchmark.noise import NoiseProbe


def benchmark(phase: str, detail: str, engine: str, median: float, **info: Any) -> dict[str, Any]:
    extra = {"phase": phase, "detail": detail, "engine": engine, "cpu_median": median, **info}
    return {"extra_info": extra, "stats": {"median": median, "iqr": 0.0}}


def write(path: Path, *benchmarks: dict[str, Any], warnings: tuple[str, ...] = ()) -> Path:
    document = {
        "machine_info": {"system": "Linux", "engines": {"jitwasm": "1"}},
        "datetime": "2026-01-02T03:04:05",
        "noise": {"warnings": list(warnings)},
        "benchmarks": list(benchmarks),
    }
    path.write_text(json.dumps(document))
    return path


def test_geometric_mean_of_reciprocals_is_one() -> None:
    assert geometric_mean([0.25, 4.0, 1.0]) == pytest.approx(1.0)


def test_execution_ratios_are_by_native_and_slow_rows_are_marked(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json",
        benchmark("execute", "gemm", "native", 0.010),
        benchmark("execute", "gemm", "jitwasm", 0.011, variant="mvp"),
        benchmark("execute", "gemm", "jitwasm", 0.020, variant="simd"),
    )
    text = render(load([path]))
    assert "| gemm | 10.0 ms | 1.10 | **2.00** |" in text
    assert "| jitwasm simd | 2.00 |  | **2.00** |  | gemm 2.00 | 1 of 1 |" in text


def test_later_file_replaces_earlier_measurement(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", benchmark("call", "i32", "python", 50e-9))
    new = write(tmp_path / "new.json", benchmark("call", "i32", "python", 40e-9))
    assert "| python | 40 ns |" in render(load([old, new]))


def test_of_several_passes_the_one_in_the_middle_counts(tmp_path: Path) -> None:
    times = (50e-9, 90e-9, 40e-9)
    rows = [benchmark("call", "i32", "python", seconds) for seconds in times]
    assert "| python | 50 ns |" in render(load([write(tmp_path / "a.json", *rows)]))


def test_throughput_divides_code_by_cpu_time(tmp_path: Path) -> None:
    row = benchmark("compile", "suite", "jitwasm", 0.5, code_size=100_000)
    assert "500.0 ms, 0.2 MB/s" in render(load([write(tmp_path / "a.json", row)]))


def test_noise_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", warnings=("it rattles",))
    assert "**Noisy machine:** it rattles." in render(load([path]))


def test_inside_clock_moves_only_by_samples() -> None:
    clock = InsideClock()
    assert clock() == clock()
    before = clock()
    clock.advance(0.25)
    assert clock() - before == 0.25


def test_noise_probe_describes_the_machine() -> None:
    probe = NoiseProbe()
    probe.sample()
    summary = probe.summary()
    assert summary["spread"] >= 0
    assert summary["drift"] == 0
    assert all(isinstance(text, str) for text in probe.warnings())


def test_starts_are_compared_with_wasmtimes_cold_one(tmp_path: Path) -> None:
    rows = [
        benchmark("start", "job", row, seconds, ready=seconds / 2, memory=50 << 20)
        for row, seconds in (("jitwasm, cached", 0.1), ("wasmtime, no cache", 0.8))
    ]
    text = render(load([write(tmp_path / "a.json", *rows)]))
    assert "| job | jitwasm, cached | 50 ms | 100 ms | 0.12 | 100 ms | 50 MiB |" in text


def test_steady_state_shows_the_last_runs_and_the_progress_of_tiers(tmp_path: Path) -> None:
    rounds = [[0.5, 0.4, 0.6, 0], [1.0, 0.2, 1.5, 30]]
    rows = [
        benchmark("steady", "program", "jitwasm", 0.2, rounds=rounds),
        benchmark("steady", "program", "wasmtime", 0.25, rounds=[[0.9, 0.25, 1.0, -1]]),
    ]
    results = load([write(tmp_path / "a.json", *rows)])
    text = render(results)
    assert "| program | jitwasm | 500 ms | 200 ms | 0.80 | 30 | 0.2 s |" in text
    assert "| program | wasmtime | 900 ms | 250 ms | 1.00 |  | 0.2 s |" in text


def test_the_last_quarter_counts_as_steady() -> None:
    rounds = [Round(0, seconds, 0, 0) for seconds in (9, 8, 7, 1, 2, 3, 4, 5)]
    assert steady_seconds(rounds) == 5
    assert steady_seconds(rounds[:1]) == 9
