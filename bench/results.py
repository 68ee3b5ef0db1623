"""Reads result files of pytest-benchmark into plain measurements."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Measurement", "Results", "geometric_mean", "load"]


@dataclass(frozen=True)
class Measurement:
    """One benchmark's outcome.

    Attributes:
        phase: "execute", "call", ….
        detail: what within the phase: a workload, a signature, a module.
        row: the engine, with the wasm variant where it has one: "jitwasm", "wasmtime simd".
        seconds: median wall-clock time.
        cpu: median CPU time.
        spread: interquartile range by median.
        info: everything else that was recorded.
    """

    phase: str
    detail: str
    row: str
    seconds: float
    cpu: float
    spread: float
    info: dict[str, Any]


@dataclass(frozen=True)
class Results:
    """All measurements, and the facts about machine and engines of the first file."""

    measurements: tuple[Measurement, ...]
    machine: dict[str, Any]
    noise: tuple[str, ...]
    date: str

    def phase(self, name: str) -> dict[str, dict[str, Measurement]]:
        """Measurements of a phase by detail, then by row, in the order of the files."""
        found: dict[str, dict[str, Measurement]] = {}
        for item in self.measurements:
            if item.phase == name:
                found.setdefault(item.detail, {})[item.row] = item
        return found


def load(paths: Sequence[Path]) -> Results:
    """Merges result files; of two that measured the same thing the later counts.

    Of several measurements in one file, made by `--passes`, the one in the middle does: they lie
    minutes apart, and so make up for the machine's drift.
    """
    documents = [json.loads(path.read_text()) for path in paths]
    merged: dict[tuple[str, str, str], Measurement] = {}
    for document in documents:
        found: dict[tuple[str, str, str], list[Measurement]] = {}
        for item in map(_measurement, document["benchmarks"]):
            if item is not None:
                found.setdefault((item.phase, item.detail, item.row), []).append(item)
        for key, items in found.items():
            merged[key] = sorted(items, key=lambda item: item.seconds)[len(items) // 2]
    noise = {text for document in documents for text in _noise(document)}
    return Results(
        tuple(merged.values()),
        documents[0]["machine_info"],
        tuple(sorted(noise)),
        documents[0]["datetime"][:10],
    )


def geometric_mean(values: Iterable[float]) -> float:
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else math.nan


def _measurement(benchmark: dict[str, Any]) -> Measurement | None:
    info, stats = benchmark["extra_info"], benchmark["stats"]
    if "phase" not in info:
        return None
    row = info["engine"]
    if not row.startswith("native") and info.get("variant", "mvp") != "mvp":
        row = f"{row} {info['variant']}"
    median = stats["median"]
    return Measurement(
        info["phase"],
        info["detail"],
        row,
        median,
        info["cpu_median"],
        stats["iqr"] / median if median else 0.0,
        info,
    )


def _noise(document: dict[str, Any]) -> list[str]:
    found: list[str] = document.get("noise", {}).get("warnings", [])
    return found
