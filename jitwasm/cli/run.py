"""`jitwasm run`: a WASI program, or one call of an export."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jitwasm.cli.arguments import add_level, add_world, call_of, folder, positive, size, variable
from jitwasm.cli.exitcodes import UsageError
from jitwasm.cli.loading import compile_file
from jitwasm.config import default_config
from jitwasm.deadlines import deadline
from jitwasm.instance import Instance
from jitwasm.module import CompiledModule
from jitwasm.wasi.run import start
from jitwasm.wasi.wasi import Folder, ReadOnly, Wasi

__all__ = ["add_arguments"]

EXAMPLES = """\
examples:
  jitwasm run program.wasm one two
  jitwasm run --dir data::/data --env LANG=C program.wasm /data/input > output
  jitwasm run --read-only . --timeout 10 --max-memory 64M untrusted.wasm
  jitwasm run --invoke add math.wasm 2 0x10
  curl -s https://example.org/program.wasm | jitwasm run -

A program reaches no file and no variable of the environment but those it is given here.

exit status: the program's own; 1 it cannot run, 2 wrong usage, 124 out of time, 134 it trapped
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Complete the command's parser."""
    parser.usage = "jitwasm run [options] FILE [ARG ...]"
    parser.description = (
        "Instantiate a module; run it as a WASI command, or call one of its exports."
    )
    parser.epilog = EXAMPLES
    parser.set_defaults(command=_run)
    add_world(parser)
    parser.add_argument(
        "--read-only",
        action="append",
        default=[],
        metavar="HOST[::GUEST]",
        help="a folder it may read",
    )
    parser.add_argument(
        "--timeout", type=positive, metavar="SECONDS", help="stop it after so long (exit 124)"
    )
    parser.add_argument(
        "--max-memory", type=size, metavar="SIZE", help="of its memory: bytes, or as 64K, 64M, 1G"
    )
    parser.add_argument("--invoke", metavar="NAME", help="call this export with ARG ...")
    add_level(parser)
    parser.add_argument(
        "--no-cache", action="store_true", help="neither use nor keep compiled code on disk"
    )
    parser.add_argument("file", metavar="FILE", help="the module; - reads standard input")
    parser.add_argument(
        "rest",
        metavar="ARG",
        nargs=argparse.REMAINDER,
        help="the program's arguments, or the export's (integers also as 0x10, vectors in hex)",
    )


def _run(options: argparse.Namespace) -> int:
    config = default_config()
    if options.level is not None:
        config = replace(config, opt_level=options.level)
    if options.no_cache:
        config = replace(config, cache=False)
    if options.max_memory is not None:
        limits = replace(config.limits, memory_bytes=options.max_memory)
        config = replace(config, limits=limits)
    if options.invoke is not None:
        options.rest[:0] = ["--invoke", options.invoke]
    dirs: dict[str, Folder] = dict(folder(row) for row in options.dir)
    dirs.update((name, ReadOnly(host)) for name, host in map(folder, options.read_only))
    env = dict(variable(row) for row in options.env)
    with Wasi(
        args=list(map(os.fsencode, [options.file, *options.rest])),
        env=env,
        stdin="inherit",
        dirs=dirs,
    ) as wasi:
        module = compile_file(options.file, config)
        with deadline(options.timeout):
            if options.rest[:1] == ["--invoke"]:
                return _invoke(Instance(module, wasi.imports), module, options.rest[1:])
            if any(export.name == "_start" for export in module.exports()):
                return start(module, wasi)
            instance = Instance(module, wasi.imports)
            if "_initialize" in instance.exports:
                instance.exports["_initialize"]()
            elif module.info.start is None:
                names = [row.name for row in module.exports() if row.kind == "function"]
                hint = f"; --invoke calls one of {', '.join(names)}" if names else ""
                raise UsageError(f"nothing to run: it exports no _start{hint}")
    return 0


def _invoke(instance: Instance, module: CompiledModule, arguments: Sequence[str]) -> int:
    if not arguments:
        raise UsageError("--invoke wants the name of an export")
    name, *values = arguments
    type_, parsed = call_of(module.info, name, values)
    if name != "_initialize" and "_initialize" in instance.exports:
        instance.exports["_initialize"]()  # a WASI reactor's, before anything else is called
    try:
        result = instance.exports[name](*parsed)
    except OverflowError as error:
        raise UsageError(str(error)) from None
    for value in _as_tuple(result, len(type_.results)):
        print(value.hex() if isinstance(value, bytes) else value)
    return 0


def _as_tuple(result: Any, count: int) -> tuple[Any, ...]:
    if count == 1:
        return (result,)
    return result if count else ()
