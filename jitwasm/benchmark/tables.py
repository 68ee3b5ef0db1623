"""Measurements as a table for people, and as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from jitwasm.benchmark.job import PHASES
from jitwasm.benchmark.measure import Measured, Series
from jitwasm.version import __version__

__all__ = ["code_size", "geometric_means", "render", "report", "time_text"]


def time_text(seconds: float) -> str:
    """With three digits and a unit that fits."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 0.9995:
            return f"{_three_digits(seconds * scale)} {unit}"
    return f"{_three_digits(seconds * 1e9)} ns"


def _three_digits(value: float) -> str:
    return f"{value:.{max(0, 2 - int(math.log10(max(value, 1))))}f}"


def code_size(measured: Measured) -> int:
    """Bytes of the module's function bodies' section."""
    return next((size for number, size in _sections(measured.job.data) if number == 10), 0)


def _sections(data: bytes) -> Iterable[tuple[int, int]]:
    at = 8
    while at < len(data):
        number, size, shift = data[at], 0, 0
        while True:
            at += 1
            size |= (data[at] & 0x7F) << shift
            shift += 7
            if data[at] < 0x80:
                break
        at += 1 + size
        yield number, size


def render(results: Sequence[Measured], engines: Sequence[str]) -> str:
    """The table of each module; of several, the geometric means of their ratios too."""
    lines: list[str] = []
    for measured in results:
        lines += [*_module_lines(measured, engines), ""]
    if len(results) > 1 and len(engines) > 1:
        means = geometric_means(results, engines)
        lines.append(f"geometric means over {len(results)} modules, as multiples of {engines[0]}")
        rows = [
            [phase, *(f"{means[phase][name]:.2f}" for name in engines)]
            for phase in means
            if all(name in means[phase] for name in engines)
        ]
        lines += [*_aligned([["", *engines], *rows]), ""]
    lines.append("Medians." + (f" In brackets: times {engines[0]}." if len(engines) > 1 else ""))
    return "\n".join(lines)


def _module_lines(measured: Measured, engines: Sequence[str]) -> Iterable[str]:
    job = measured.job
    defined = len(job.info.functions) - job.info.imported_functions
    yield f"{job.path}: {len(job.data)} bytes, {defined} functions of {code_size(measured)} bytes"
    if job.invocation is not None:
        values = ", ".join(map(str, job.invocation.arguments))
        yield f"measured: {job.invocation.name}({values})"
    elif job.runs_main:
        yield " ".join(["measured: the program's main", *job.args])
    rows, notes = [["", *engines]], []
    for phase, found in measured.phases.items():
        label = phase
        if phase == "stream":
            label += f" at {job.rate / 1e3:.0f} kB/s" if job.rate else " unlimited"
        rows.append([label, *(_cell(found[name], found[engines[0]]) for name in engines)])
        notes += [
            (name, series.missing)
            for name, series in found.items()
            if series.missing and (name, series.missing) not in notes
        ]
    yield from _aligned(rows)
    for name, reason in notes:
        yield f"{name}: {reason}"
    if not (job.invocation or job.runs_main):
        yield "Not a WASI program: --invoke NAME measures calls of an export."


def _cell(series: Series, first: Series) -> str:
    if series.median is None:
        return "–"
    ratio = series.ratio(first)
    if series is first or ratio is None:
        return time_text(series.median)
    return f"{time_text(series.median)} ({ratio:.2f})"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([f"  {row[0]:{widths[0]}}", *cells]).rstrip()


def geometric_means(
    results: Sequence[Measured], engines: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Of the ratios to the first engine, by phase and engine, over modules that have both."""
    means: dict[str, dict[str, float]] = {}
    for phase in PHASES:
        for name in engines:
            ratios = [
                ratio
                for measured in results
                if phase in measured.phases
                and (
                    ratio := measured.phases[phase][name].ratio(measured.phases[phase][engines[0]])
                )
            ]
            if ratios:
                mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
                means.setdefault(phase, {})[name] = mean
    return means


def report(
    results: Sequence[Measured], versions: dict[str, str], noise: dict[str, Any]
) -> dict[str, Any]:
    """Everything as JSON has it. Times are in seconds."""
    return {
        "jitwasm": __version__,
        "engines": versions,
        "noise": noise,
        "phases": PHASES,
        "modules": [
            {
                "path": measured.job.path,
                "bytes": len(measured.job.data),
                "code_bytes": code_size(measured),
                "rate": measured.job.rate,
                "export": measured.job.invocation and measured.job.invocation.name,
                "exit_code": measured.outcome and measured.outcome.code,
                "differing": measured.differing,
                "phases": {
                    phase: {name: series.to_json() for name, series in found.items()}
                    for phase, found in measured.phases.items()
                },
            }
            for measured in results
        ],
        "ratios": geometric_means(results, list(versions)),
    }
