"""`jitwasm bench`: how fast a module is, phase by phase, here and in other engines."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from jitwasm.benchmark.job import Engine, Invocation, Job, Unavailable
from jitwasm.benchmark.measure import Measured, measure
from jitwasm.benchmark.nodepeer import Node
from jitwasm.benchmark.noise import NoiseProbe
from jitwasm.benchmark.own import Jitwasm
from jitwasm.benchmark.tables import render, report
from jitwasm.benchmark.wasmtimepeer import Wasmtime
from jitwasm.cli.arguments import add_level, add_world, call_of, folder, positive, variable
from jitwasm.cli.exitcodes import fail
from jitwasm.cli.loading import TerminalLine
from jitwasm.config import Config, default_config
from jitwasm.pipeline import check

__all__ = ["add_arguments"]

DOWNLOAD_SECONDS = 1
"""How long the download that is compiled while it arrives takes by default."""

EXAMPLES = """\
examples:
  jitwasm bench program.wasm                            a WASI program: its main
  jitwasm bench program.wasm --dir . -- -v input.txt    ... with arguments
  jitwasm bench math.wasm --invoke fib 30               calls of an export (-- before -1, -inf)
  jitwasm bench --compare wasmtime,node a.wasm b.wasm
  jitwasm bench --compare baseline,optimized lib.wasm   tiers against each other
  jitwasm bench --json lib.wasm > results.json

phases:
  validate     decode and check all of it
  compile      from bytes to code that can run; "auto" and V8 leave large modules' functions
               until they are called
  stream       from the last byte of a download to code that can run
  instantiate  from code to an instance, with its imports
  call         the export, called from Python or JavaScript
  execute      the export, called by wasm: the host's part of a call left out; or a program's main

Engines take turns. An export is called again and again on one instance, a program's main on a new
instance each time. Results are compared before anything is timed. Imports other than WASI's return
zeros.
"""

_ENGINES: dict[str, Callable[[Config], Engine]] = {
    "jitwasm": lambda config: Jitwasm("jitwasm", config),
    "baseline": lambda config: Jitwasm("baseline", replace(config, tier="baseline")),
    "optimized": lambda config: Jitwasm("optimized", replace(config, tier="optimized")),
    "wasmtime": lambda config: Wasmtime(),
    "node": lambda config: Node("node"),
    "node-optimized": lambda config: Node(
        "node-optimized", "--no-liftoff", "--no-wasm-lazy-compilation"
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Complete the command's parser."""
    parser.usage = "jitwasm bench [options] FILE ... [--invoke NAME ARG ...] [-- ARG ...]"
    parser.description = "Measure modules: how long they take to compile, to instantiate, to run."
    parser.epilog = EXAMPLES
    parser.set_defaults(command=_bench, file=None)
    parser.add_argument(
        "--compare",
        type=_engines,
        default=[],
        metavar="ENGINE,…",
        help=f"other engines beside: {', '.join(name for name in _ENGINES if name != 'jitwasm')}",
    )
    parser.add_argument(
        "--invoke", nargs="+", metavar=("NAME", "ARG"), help="measure calls of this export"
    )
    add_world(parser)
    parser.add_argument(
        "--stdin", metavar="FILE", default="/dev/null", help="a program's standard input"
    )
    parser.add_argument(
        "--seconds",
        type=positive,
        default=1.0,
        metavar="S",
        help="for each phase of each engine, about; default: 1",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        metavar="BYTES",
        help="a second, of the download; 0: as fast as it is taken. Default: it takes one second",
    )
    add_level(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("files", metavar="FILE", nargs="+", help="a module")


def _engines(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in _ENGINES:
            known = ", ".join(_ENGINES)
            raise argparse.ArgumentTypeError(f"no engine {name!r}; there are: {known}")
    return names


def _rate(text: str) -> int:
    found = re.fullmatch(r"(\d{1,12})([KM]?)", text.upper())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes like 50000, 50K or 2M")
    return int(found[1]) * {"": 1, "K": 1000, "M": 1_000_000}[found[2]]


def _bench(options: argparse.Namespace) -> int:
    # What is on disk already is not what is measured.
    config = replace(default_config(), cache=False)
    if options.level is not None:
        config = replace(config, opt_level=options.level)
    jobs = [_job(file, options) for file in options.files]
    engines = _available(["jitwasm", *options.compare], config)
    versions = {engine.name: engine.version() for engine in engines}
    noise = NoiseProbe()
    noise.sample()
    results = []
    with TerminalLine() as line:
        for job in jobs:
            results.append(measure(job, engines, options.seconds, line.show))
            noise.sample()
    if options.json:
        found = {**noise.summary(), "warnings": noise.warnings()}
        print(json.dumps(report(results, versions, found), indent=2))
    else:
        print(render(results, list(versions)))
    for warning in noise.warnings():
        fail("noisy machine", warning)
    return _verdict(results)


def _verdict(results: Sequence[Measured]) -> int:
    """An error if what was to run did not, or not everywhere alike."""
    code = 0
    for measured in results:
        for name in measured.differing:
            code = fail(measured.job.path, f"{name} gives another result than jitwasm")
        wanted = measured.job.invocation or measured.job.runs_main
        if wanted and (reason := measured.phases["execute"]["jitwasm"].missing):
            code = fail(measured.job.path, reason)
    return code


def _available(names: Sequence[str], config: Config) -> list[Engine]:
    found = [_engine(name, config) for name in dict.fromkeys(names)]
    return [engine for engine in found if engine is not None]


def _engine(name: str, config: Config) -> Engine | None:
    try:
        return _ENGINES[name](config)
    except Unavailable as reason:
        fail(f"no column for {name}", str(reason))
        return None


def _job(file: str, options: argparse.Namespace) -> Job:
    options.file = file  # which is at fault, if this fails
    data = Path(file).read_bytes()
    info = check(data)
    invocation = None
    if options.invoke is not None:
        name: str = options.invoke[0]
        texts: list[str] = options.invoke[1:] + options.rest
        type_, values = call_of(info, name, texts)
        invocation = Invocation(name, type_, values)
    rate = len(data) // DOWNLOAD_SECONDS if options.rate is None else options.rate
    dirs = dict(map(folder, options.dir))
    env = dict(map(variable, options.env))
    return Job(file, data, info, invocation, options.rest, env, dirs, options.stdin, rate)
