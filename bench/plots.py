"""Plots of the report, as SVG. The only module that needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from bench.results import Results

__all__ = ["draw"]

_EXECUTE = ("jitwasm", "jitwasm-strict", "wasmtime", "node")
_COLOURS = {
    "jitwasm": "#1b6ca8",
    "jitwasm-strict": "#8fc1e3",
    "wasmtime": "#d1495b",
    "node": "#66a182",
}
_OTHER = "#9a9a9a"


def draw(results: Results, folder: Path) -> list[Path]:
    """Writes the plots the results have data for and returns their paths."""
    matplotlib.rcParams["svg.hashsalt"] = "jitwasm"
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    for name, plot in (("execute", _execute), ("call", _calls), ("steady", _steady)):
        figure = plot(results)
        if figure is not None:
            path = folder / f"{name}.svg"
            figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
            plt.close(figure)
            done.append(path)
    return done


def _execute(results: Results) -> Any:
    table = {name: rows for name, rows in results.phase("execute").items() if "native" in rows}
    shown = [row for row in _EXECUTE if any(row in rows for rows in table.values())]
    if not shown:
        return None
    figure, axes = plt.subplots(figsize=(9, 0.24 * len(table) + 1.2))
    height = 0.8 / len(shown)
    names = list(table)
    for k, row in enumerate(shown):
        points = [
            (i + (k - (len(shown) - 1) / 2) * height, rows[row].seconds / rows["native"].seconds)
            for i, rows in enumerate(table.values())
            if row in rows
        ]
        axes.barh(
            [at for at, _ in points],
            [min(ratio, 4.0) for _, ratio in points],
            height=height,
            color=_COLOURS.get(row, _OTHER),
            label=row,
        )
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 4.05)
    axes.set_xlabel("time by that of native code (bars end at 4)")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def _calls(results: Results) -> Any:
    rows = results.phase("call").get("i32")
    if not rows:
        return None
    items = sorted(rows.values(), key=lambda item: item.seconds)
    figure, axes = plt.subplots(figsize=(7, 0.3 * len(items) + 0.8))
    axes.barh(
        [item.row for item in items],
        [item.seconds * 1e9 for item in items],
        color=[_COLOURS.get(item.row, _OTHER) for item in items],
    )
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("nanoseconds per call f(i32, i32) -> i32")
    return figure


def _steady(results: Results) -> Any:
    """Time of each run against the time since the start, and how many functions are optimised."""
    table = results.phase("steady")
    if not table:
        return None
    figure, grid = plt.subplots(1, len(table), figsize=(5.5 * len(table), 3.6), squeeze=False)
    for axes, (program, rows) in zip(grid[0], table.items(), strict=True):
        for row, item in rows.items():
            rounds = item.info["rounds"]
            axes.plot(
                [end for end, *_ in rounds],
                [1e3 * seconds for _, seconds, *_ in rounds],
                color=_COLOURS.get(row, _OTHER),
                linewidth=1,
                label=row,
            )
        axes.set_title(program, fontsize=9)
        axes.set_xlabel("seconds since the module's bytes were there")
        axes.set_ylabel("milliseconds per run")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=7)
        optimized = rows["jitwasm"].info["rounds"] if "jitwasm" in rows else []
        if optimized:
            functions = axes.twinx()
            functions.plot(
                [end for end, *_ in optimized],
                [count for *_, count in optimized],
                color=_COLOURS["jitwasm"],
                linestyle=":",
                linewidth=1,
            )
            functions.set_ylabel("functions optimised (dotted)")
            functions.set_ylim(bottom=0)
    figure.tight_layout()
    return figure
