"""Turns results into docs/benchmarks.md: `python -m bench.report RESULTS.json… [--output FILE]`.

Tables first, plots beside them (matplotlib, in the extra `bench`; left out where it is missing),
and the hand-written analysis of bench/analysis.md at the end.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.catalog import WORKLOADS
from bench.results import Measurement, Results, geometric_mean, load

__all__ = ["main", "render"]

_ROOT = Path(__file__).parent.parent
_ANALYSIS = Path(__file__).with_name("analysis.md")
_LIMIT = 1.3
"""A workload slower than this, by native, needs a reason."""

Table = dict[str, dict[str, Measurement]]


def render(results: Results, plots: Sequence[str] = ()) -> str:
    """The page. `plots` are paths relative to it."""
    parts = [_head(results)]
    for phase, section in _SECTIONS.items():
        table = results.phase(phase)
        if table:
            parts.append(section(table))
            parts += [f"![{phase}]({plot})\n" for plot in plots if Path(plot).stem == phase]
    if _ANALYSIS.exists():
        parts.append(_ANALYSIS.read_text())
    return "\n".join(parts)


def _head(results: Results) -> str:
    machine = results.machine
    cpu = machine.get("cpu", {})
    engines = "".join(
        f"- {name} {version}\n" for name, version in machine.get("engines", {}).items() if version
    )
    noise = "".join(f"> **Noisy machine:** {text}.\n" for text in results.noise)
    return f"""# Benchmarks

Written by `python -m bench.report` from results of {results.date}; do not edit. To reproduce:

    pip install -e .[bench,test]
    python -m pytest bench --variants mvp,simd --benchmark-json results.json
    python -m bench.report results.json

- {cpu.get("brand_raw", "unknown CPU")}, {cpu.get("count", "?")} cores, {machine.get("system")}
- {machine.get("python_full", machine.get("python_version"))}
- compiler of the workloads: {machine.get("compiler", "unknown")}
{engines}
Times are medians. Work in compiled code is timed next to it, without the call into the engine;
every result was checked before it was timed. What is not measured: other machines.

{noise}"""


# --- execution -----------------------------------------------------------------------------------


def _execute(table: Table) -> str:
    with_native = {name: rows for name, rows in table.items() if "native" in rows}
    columns = [row for row in _columns(with_native.values()) if row != "native"]
    summary = [
        _summary_row(column, with_native) for column in columns if not column.startswith("native")
    ]
    return f"""## Compiled code

One C source for each workload (bench/workloads), built by the same compiler to wasm and to a native
library with `-O3 -march=native`: `native` as the compiler likes it, `native-ieee` with
`-ffp-contract=off`, because wasm may not fuse a multiplication and an addition either. Ratios are
times by that of `native`: less is faster. Rows marked `simd` run the module built with
`-msimd128`, the others a module without vector instructions.

{_markdown(["", "kernels", "programs", "all", "all, by native-ieee", "worst", "over 1.3"], summary)}

{_per_workload(with_native, columns)}
"""


def _summary_row(column: str, table: Table) -> list[str]:
    def mean(names: Iterable[str], base: str = "native") -> str:
        ratios = [
            table[name][column].seconds / table[name][base].seconds
            for name in names
            if column in table[name] and base in table[name]
        ]
        return f"{geometric_mean(ratios):.2f}" if ratios else ""

    kernels = [name for name in table if name in WORKLOADS and WORKLOADS[name].is_kernel]
    programs = [name for name in table if name not in kernels]
    ratios = {
        name: rows[column].seconds / rows["native"].seconds
        for name, rows in table.items()
        if column in rows
    }
    worst = max(ratios, key=lambda name: ratios[name])
    over = sum(ratio > _LIMIT for ratio in ratios.values())
    return [
        column,
        mean(kernels),
        mean(programs),
        f"**{mean(table)}**",
        mean(table, "native-ieee"),
        f"{worst} {ratios[worst]:.2f}",
        f"{over} of {len(ratios)}",
    ]


def _per_workload(table: Table, columns: Sequence[str]) -> str:
    lines = []
    for name, rows in table.items():
        native = rows["native"].seconds
        cells = [_ratio(rows, column, native) for column in columns]
        lines.append([name, f"{native * 1e3:.1f} ms", *cells])
    return _markdown(["workload", "native", *columns], lines)


def _ratio(rows: dict[str, Measurement], column: str, native: float) -> str:
    if column not in rows:
        return ""
    ratio = rows[column].seconds / native
    text = f"{ratio:.2f}"
    return f"**{text}**" if column.startswith("jitwasm") and ratio > _LIMIT else text


# --- the other phases ----------------------------------------------------------------------------


def _calls(table: Table) -> str:
    return f"""## Calls from Python

Nanoseconds per call of a function of the signature; `six` takes i32, i64, f64, i32, i64, f64,
`three` returns three results. `builtin` is `operator.add`, `python` a Python function, Node calls
from JavaScript.

{_transposed(table, 1e9, "ns")}
"""


def _host(table: Table) -> str:
    return f"""## Calls from wasm to the host

Nanoseconds per call, in a loop inside wasm: a Python function, a C builtin, a C function that adds,
and `sin` from libm. In the row `ctypes` a loop in C calls the C functions through a pointer.

{_transposed(table, 1e9, "ns")}
"""


def _trap(table: Table) -> str:
    return f"""## Traps

`unreachable`, up to the `except` of the caller; `python` is a plain `raise`.

{_transposed(table, 1e6, "µs")}
"""


def _memory(table: Table) -> str:
    return f"""## Memory

Copying bytes out of and into linear memory; `python` copies from and to a `bytearray`.

{_transposed(table, 1e6, "µs")}
"""


def _throughput(title: str, text: str) -> Callable[[Table], str]:
    def section(table: Table) -> str:
        columns = list(table)
        lines = []
        for row in _columns(table.values()):
            cells = []
            for column in columns:
                item = table[column].get(row)
                speed = item.info["code_size"] / max(item.cpu, 1e-9) / 1e6 if item else 0
                cells.append(f"{item.seconds * 1e3:.1f} ms, {speed:.3g} MB/s" if item else "")
            lines.append([row, *cells])
        headers = ["", *(_module_header(column, table[column]) for column in columns)]
        return f"## {title}\n\n{text}\n\n{_markdown(headers, lines)}\n"

    return section


def _module_header(name: str, rows: dict[str, Measurement]) -> str:
    size = next(iter(rows.values())).info["code_size"]
    return f"{name} ({size / 1e3:.0f} kB of code)"


def _stream(table: Table) -> str:
    return f"""## Streaming

Milliseconds from the last byte of the download until all code is compiled.

{_markdown(["", *_columns(table.values())], _time_lines(table, 1e3, "ms"))}
"""


def _instantiate(table: Table) -> str:
    return f"""## Instantiation

Of a module that is compiled already.

{_transposed(table, 1e6, "µs")}
"""


def _start(table: Table) -> str:
    lines = []
    for job, rows in table.items():
        cold = rows.get("wasmtime, no cache")
        for row, item in rows.items():
            ratio = f"{item.seconds / cold.seconds:.2f}" if cold else ""
            lines.append(
                [
                    job,
                    row,
                    f"{item.info['ready'] * 1e3:,.0f} ms",
                    f"{item.seconds * 1e3:,.0f} ms",
                    ratio,
                    f"{item.cpu * 1e3:,.0f} ms",
                    f"{item.info['memory'] / 2**20:,.0f} MiB",
                ]
            )
    return f"""## Starting

In fresh processes, from the import of the engine on: until the module is ready, until its first
result, and that by wasmtime without its cache; CPU time of all threads and peak memory of the whole
process, the interpreter included. What is cached has run twice before.

{_markdown(["job", "engine", "ready", "result", "ratio", "CPU", "memory"], lines)}
"""


def _steady(table: Table) -> str:
    lines = []
    for program, rows in table.items():
        peer = rows.get("wasmtime")
        for row, item in rows.items():
            rounds = item.info["rounds"]
            ratio = f"{item.seconds / peer.seconds:.2f}" if peer else ""
            first, optimized = rounds[0], rounds[-1][3]
            lines.append(
                [
                    program,
                    row,
                    f"{first[0] * 1e3:,.0f} ms",
                    f"{item.seconds * 1e3:,.0f} ms",
                    ratio,
                    str(optimized) if optimized >= 0 else "",
                    f"{item.cpu:,.1f} s",
                ]
            )
    return f"""## Steady state

A program over and over in one process, with a new instance each time, caches off: when the first
run ends, counted from the module's bytes; how long a run takes at last, and that by wasmtime; how
many functions are optimised by then; CPU time of all threads.

{_markdown(["program", "engine", "first ends", "at last", "ratio", "optimised", "CPU"], lines)}
"""


_SECTIONS: dict[str, Callable[[Table], str]] = {
    "execute": _execute,
    "call": _calls,
    "host": _host,
    "trap": _trap,
    "memory": _memory,
    "decode": _throughput(
        "Decoding and validation",
        "Time of the whole module, and megabytes of code per second of CPU time.",
    ),
    "translate": _throughput(
        "Translation to LLVM IR", "Validation and emission of all bodies, in pure Python."
    ),
    "compile": _throughput(
        "Compilation",
        "Bytes to executable code: elapsed time, and megabytes of code per second and core "
        "(CPU time of all threads). The row `native` is clang at `-O3` on the same programs in C.",
    ),
    "start": _start,
    "steady": _steady,
    "stream": _stream,
    "instantiate": _instantiate,
}


# --- tables --------------------------------------------------------------------------------------


def _columns(rows: Iterable[dict[str, Measurement]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _time_lines(table: Table, scale: float, unit: str) -> list[list[str]]:
    columns = _columns(table.values())
    return [
        [name, *(_time(rows.get(column), scale, unit) for column in columns)]
        for name, rows in table.items()
    ]


def _transposed(table: Table, scale: float, unit: str) -> str:
    """Engines down, details across."""
    lines = [
        [row, *(_time(rows.get(row), scale, unit) for rows in table.values())]
        for row in _columns(table.values())
    ]
    return _markdown(["", *table], lines)


def _time(item: Measurement | None, scale: float, unit: str) -> str:
    if item is None:
        return ""
    value = item.seconds * scale
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _markdown(headers: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [headers, ["---", *("--:" for _ in headers[1:])], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


# --- command line --------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=_ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--no-plots", action="store_true")
    options = parser.parse_args(arguments)
    results = load(options.results)
    plots: list[str] = []
    if not options.no_plots and importlib.util.find_spec("matplotlib"):
        draw = importlib.import_module("bench.plots").draw
        folder = options.output.with_suffix("")
        plots = [str(path.relative_to(options.output.parent)) for path in draw(results, folder)]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(render(results, plots))
    print(options.output)


if __name__ == "__main__":
    main()
