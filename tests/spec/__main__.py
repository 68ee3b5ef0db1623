"""Runs scripts without pytest: `python -m tests.spec [SCRIPT…]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.spec.runner import Report, run_script
from tests.spec.script import read_script
from tests.spec.suite import find_suite, folder_of, read_expected, scripts, write_expected

ENGINES = {
    "jitwasm": ("tests.spec.adapter", "JitwasmEngine"),
    "wasmtime": ("tests.spec.peer_adapter", "WasmtimeEngine"),
}


def main() -> int:
    options = _arguments()
    suite = find_suite()
    if suite is None:
        print("the suite was not found: set JITWASM_SPEC_SUITE", file=sys.stderr)
        return 2
    names = [n for n in scripts(suite) if not options.script or _wanted(n, options.script)]
    if options.isolate:
        return _run_isolated(names, options)
    listed = options.engine == "jitwasm" and not options.update_expected
    expected = read_expected() if listed else {}
    failed: dict[str, list[tuple[int, str]]] = {}
    totals: dict[str, Report] = defaultdict(Report)
    bad = 0
    for name in names:
        started = time.perf_counter()
        report = run_script(read_script(Path(suite, name).read_bytes()), _engine(options.engine))
        elapsed = time.perf_counter() - started
        failures = report.failures
        if failures:
            failed[name] = failures
        if name in expected:
            failures = expected[name].unexpected(failures)
        bad += len(failures)
        totals[folder_of(name)].add(report)
        totals["total"].add(report)
        if options.verbose or (failures and not options.update_expected):
            print(
                f"{name}: {report.passed} passed, {len(report.failures)} failed,"
                f" {report.unsupported} unsupported, {report.text} text, {elapsed:.2f} s"
            )
        for line, text in failures[: 0 if options.update_expected else options.show]:
            print(f"    {name}:{line}: {text}")
        if options.messages:
            for line, wanted, got in report.messages:
                print(f"    {name}:{line}: message {wanted!r}, got {got!r}")
        sys.stdout.flush()
    _print_table(totals)
    if options.update_expected:
        unexplained = write_expected(failed)
        for name, line, text in unexplained:
            print(f"not listed: {name}:{line}: {text}")
        return 1 if unexplained else 0
    return 1 if bad else 0


def _arguments() -> Any:
    parser = argparse.ArgumentParser(prog="python -m tests.spec", description=__doc__)
    parser.add_argument("script", nargs="*", help="names of scripts or folders; default: all")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="jitwasm")
    parser.add_argument("--show", type=int, default=10, help="failures shown for each script")
    parser.add_argument("--messages", action="store_true", help="show differing messages")
    parser.add_argument(
        "--update-expected", action="store_true", help="write expected_failures.txt anew"
    )
    parser.add_argument("--isolate", action="store_true", help="one process for each script")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for each process")
    parser.add_argument("-v", "--verbose", action="store_true")
    return parser.parse_args()


def _wanted(name: str, wanted: list[str]) -> bool:
    return any(
        name in (w, f"{w}.wast") or name.startswith(f"{w.rstrip('/')}/") or folder_of(name) == w
        for w in wanted
    )


def _engine(name: str) -> Any:
    module, class_name = ENGINES[name]
    return getattr(import_module(module), class_name)()


def _run_isolated(names: list[str], options: Any) -> int:
    """Each script in its own process: a crash of one is reported and the others still run."""
    bad = 0
    for name in names:
        command = [sys.executable, "-X", "faulthandler", "-m", "tests.spec", name, "-v"]
        command += ["--engine", options.engine, "--show", str(options.show)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=options.timeout, check=False
            )
            output, code = done.stdout, done.returncode
            error = done.stderr
        except subprocess.TimeoutExpired:
            output, error, code = f"{name}: TIMEOUT\n", "", -1
        lines = [line for line in output.splitlines() if line.startswith((name, "    "))]
        if code not in (0, 1):
            lines.append(f"{name}: CRASH {code}: {error.strip()[:600]}")
        bad += code != 0
        print("\n".join(lines), flush=True)
    return 1 if bad else 0


def _print_table(totals: dict[str, Report]) -> None:
    print(f"{'folder':20} {'commands':>9} {'passed':>9} {'failed':>7} {'unsup.':>7} {'text':>6}")
    for folder in sorted(totals, key=lambda name: (name == "total", name)):
        report = totals[folder]
        print(
            f"{folder:20} {report.commands:9} {report.passed:9} {len(report.failures):7}"
            f" {report.unsupported:7} {report.text:6}"
        )


if __name__ == "__main__":
    sys.exit(main())
