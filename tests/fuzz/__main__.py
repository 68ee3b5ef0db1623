"""The command line: `python -m tests.fuzz --help`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import Campaign, Worker, request_of
from tests.fuzz.check import Finding, check
from tests.fuzz.decoding import Decoding
from tests.fuzz.hostile import SHAPES, WAYS, table
from tests.fuzz.modules import Generated
from tests.fuzz.tiers import TIERS
from tests.support.wat import wat


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 1 if there are findings."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="generated and mutated modules, until stopped")
    run.add_argument("folder", type=Path, help="keeps findings, and where to go on")
    run.add_argument("--first", type=int, help="the first seed (default: where it stopped)")
    run.add_argument("--count", type=int, help="how many seeds")
    decode = commands.add_parser("bytes", help="mutated bytes through decoder and validators")
    decode.add_argument("folder", type=Path, help="keeps findings, and where to go on")
    decode.add_argument("--count", type=int, help="how many inputs, all runs together")
    decode.add_argument("--seed", type=int, default=0)
    hostile = commands.add_parser("hostile", help="the table of modules that are hard to compile")
    hostile.add_argument("--shape", action="append", choices=list(SHAPES))
    hostile.add_argument("--way", action="append", choices=WAYS)
    hostile.add_argument("--seconds", type=int, default=60, help="CPU time for each entry")
    for name, text in (("check", "one module again"), ("reduce", "make a finding small")):
        one = commands.add_parser(name, help=text)
        one.add_argument("file", type=Path, help=".wasm or .wat")
        one.add_argument("--seed", default="0", help="of the plan of calls: the module's own seed")
        one.add_argument("--tier", action="append", choices=list(TIERS), help="only these tiers")
        one.add_argument(
            "--nans", action="store_true", help="the module makes its NaNs canonical (smith's do)"
        )
        if name == "reduce":
            one.add_argument("-o", "--output", type=Path, required=True)
            one.add_argument("--attempts", type=int, default=1000)
        else:
            one.add_argument("--isolated", action="store_true", help="in a process of its own")
    options = parser.parse_args(arguments)
    if options.command == "run":
        return int(Campaign(options.folder).run(options.first, options.count) > 0)
    if options.command == "bytes":
        return int(Decoding(options.folder).run(options.count, options.seed) > 0)
    if options.command == "hostile":
        table(options.shape or list(SHAPES), options.way or WAYS, options.seconds)
        return 0
    module = Generated(_read(options.file), "file", options.nans)
    if options.command == "reduce":
        from tests.fuzz.reduction import reduce

        reduced = reduce(module, options.seed, options.tier, options.attempts)
        options.output.write_bytes(reduced)
        return 0
    findings = (
        _isolated(module, options.seed, options.tier)
        if options.isolated
        else check(module, options.seed, options.tier or list(TIERS), keep=True)
    )
    for finding in findings:
        print(finding)
    return int(bool(findings))


def _isolated(module: Generated, seed: str, tiers: list[str] | None) -> list[Finding]:
    worker = Worker()
    try:
        return worker.ask(request_of(module, seed, tiers)).findings
    finally:
        worker.stop()


def _read(path: Path) -> bytes:
    return wat(path.read_text(encoding="utf-8")) if path.suffix == ".wat" else path.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
