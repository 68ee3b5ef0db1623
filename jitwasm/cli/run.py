"""`jitwasm run`: a WASI program, or one call of an export."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jitwasm.cli.exitcodes import UsageError
from jitwasm.cli.loading import compile_file
from jitwasm.config import default_config
from jitwasm.deadlines import deadline
from jitwasm.instance import Instance
from jitwasm.module import CompiledModule
from jitwasm.types import DefType, FuncType, ValType
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
    parser.add_argument(
        "--dir",
        action="append",
        default=[],
        metavar="HOST[::GUEST]",
        help="a folder the program may use, and the name it has there",
    )
    parser.add_argument(
        "--read-only",
        action="append",
        default=[],
        metavar="HOST[::GUEST]",
        help="a folder it may read",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a variable of its environment; without VALUE, passed on from here",
    )
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="stop it after so long (exit 124)"
    )
    parser.add_argument(
        "--max-memory", type=_size, metavar="SIZE", help="of its memory: bytes, or as 64K, 64M, 1G"
    )
    parser.add_argument("--invoke", metavar="NAME", help="call this export with ARG ...")
    parser.add_argument(
        "-O",
        dest="level",
        type=int,
        choices=range(4),
        help="0 compiles fastest, 3 runs fastest; by default chosen by the module's size",
    )
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


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) or not float(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number of seconds")
    return float(text)


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})([KMG]?)", text.upper())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size like 65536, 64K, 64M or 1G")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


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
    dirs: dict[str, Folder] = dict(_folder(row) for row in options.dir)
    dirs.update((name, ReadOnly(host)) for name, host in map(_folder, options.read_only))
    env = dict(_variable(row) for row in options.env)
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
    return 0


def _variable(row: str) -> tuple[str, str]:
    name, found, value = row.partition("=")
    if not found and name not in os.environ:
        raise UsageError(f"--env {name}: there is no such variable to pass on; NAME=VALUE sets one")
    return name, value if found else os.environ[name]


def _folder(row: str) -> tuple[str, str]:
    host, _, guest = row.partition("::")
    return guest or host, host


def _invoke(instance: Instance, module: CompiledModule, arguments: Sequence[str]) -> int:
    if not arguments:
        raise UsageError("--invoke wants the name of an export")
    name, *values = arguments
    found = [row for row in module.info.exports if row.name == name and row.kind == "function"]
    if not found:
        functions = [row.name for row in module.info.exports if row.kind == "function"]
        raise UsageError(
            f"no exported function {name!r}; there is {', '.join(functions) or 'none'}"
        )
    type_ = found[0].type
    assert isinstance(type_, DefType) and isinstance(type_.comp, FuncType)
    params = type_.comp.params
    if len(values) != len(params):
        raise UsageError(f"{name} {type_} takes {len(params)} arguments, not {len(values)}")
    parsed = [_parse(text, param) for text, param in zip(values, params, strict=True)]
    if name != "_initialize" and "_initialize" in instance.exports:
        instance.exports["_initialize"]()  # a WASI reactor's, before anything else is called
    try:
        result = instance.exports[name](*parsed)
    except OverflowError as error:
        raise UsageError(str(error)) from None
    for value in _as_tuple(result, len(type_.comp.results)):
        print(value.hex() if isinstance(value, bytes) else value)
    return 0


def _as_tuple(result: Any, count: int) -> tuple[Any, ...]:
    if count == 1:
        return (result,)
    return result if count else ()


def _parse(text: str, type_: ValType) -> Any:
    """An argument as it is typed: numbers as in Python, floats also hexadecimal."""
    try:
        if type_.is_ref:
            if text == "null":
                return None
            raise ValueError
        if type_.name == "v128":
            return bytes.fromhex(text)
        if not type_.is_float:
            return int(text, 0)
        return float.fromhex(text) if "0x" in text.lower() else float(text)
    except ValueError:
        hint = " (only null can be given)" if type_.is_ref else ""
        raise UsageError(f"{text!r} is no {type_}{hint}") from None
