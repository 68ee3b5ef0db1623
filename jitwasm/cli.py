"""The command line: `jitwasm run`, `jitwasm compile` and `jitwasm inspect`.

Exit codes: 0 done, 1 an error, 2 wrong usage, 130 interrupted, 134 a trap (what a shell shows for
a program that aborted), else what a WASI program returned.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

from jitwasm.aot.command import CommandError, add_parser
from jitwasm.config import Config, default_config
from jitwasm.errors import ExitError, Trap, WasmError
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.reader import Reader
from jitwasm.instance import Instance
from jitwasm.module import CompiledModule
from jitwasm.pipeline import Module, Progress, check
from jitwasm.promise import Promise
from jitwasm.types import DefType, FuncType, ValType
from jitwasm.version import __version__
from jitwasm.wasi.run import start
from jitwasm.wasi.wasi import Wasi
from jitwasm.webassembly import compile_streaming

__all__ = ["main"]

TRAPPED = 134
INTERRUPTED = 130

SECTIONS = (
    "custom", "type", "import", "function", "table", "memory", "global", "export", "start",
    "element", "code", "data", "data count", "tag",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone. Keep the interpreter from flushing it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except ExitError as exit_:
        return exit_.code
    except Trap as trap:
        return _fail(options.file, f"trap: {trap}", TRAPPED)
    except (WasmError, _Usage, CommandError) as error:
        return _fail(options.file, str(error))
    except OSError as error:
        return _fail(options.file, error.strerror or str(error))
    return code


class _Usage(Exception):
    """The command line does not fit the module."""


def _fail(file: str | None, message: str, code: int = 1) -> int:
    print(f"jitwasm: {file}: {message}" if file else f"jitwasm: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jitwasm", description="A WebAssembly runtime.")
    parser.add_argument("--version", action="version", version=f"jitwasm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run a module",
        usage="jitwasm run [options] FILE [--invoke NAME] [ARG ...]",
        description="Instantiate a module; run it as a WASI command, or call one of its exports.",
    )
    run.set_defaults(command=_run)
    run.add_argument("-O", dest="level", type=int, choices=range(4), help="optimisation level")
    run.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="environment (WASI)"
    )
    run.add_argument(
        "--dir", action="append", default=[], metavar="HOST[::GUEST]", help="folder (WASI)"
    )
    run.add_argument("file", metavar="FILE", help="the module; - reads standard input")
    run.add_argument(
        "rest",
        metavar="[--invoke NAME] ARG",
        nargs=argparse.REMAINDER,
        help="the export to call and its arguments; without --invoke, the program's arguments",
    )

    add_parser(commands)

    inspect = commands.add_parser("inspect", help="show what is in a module")
    inspect.set_defaults(command=_inspect)
    inspect.add_argument("file", metavar="FILE", help="the module; - reads standard input")
    return parser


# jitwasm run


def _run(options: argparse.Namespace) -> int:
    config = default_config()
    if options.level is not None:
        config = Config(opt_level=options.level)
    module = _compile(options.file, config)
    with Wasi(
        args=[options.file, *options.rest],
        env=dict(_pair(row, "=", "--env wants NAME=VALUE") for row in options.env),
        stdin="inherit",
        dirs=dict(_folder(row) for row in options.dir),
    ) as wasi:
        if options.rest[:1] == ["--invoke"]:
            return _invoke(Instance(module, wasi.imports), module, options.rest[1:])
        if any(export.name == "_start" for export in module.exports()):
            return start(module, wasi)
        Instance(module, wasi.imports)
        return 0


def _compile(file: str, config: Config) -> Module:
    source: Any = sys.stdin.buffer if file == "-" else Path(file)
    promise = compile_streaming(source, config)
    bar = _ProgressBar(promise) if sys.stderr.isatty() else None
    try:
        return bar.wait() if bar else promise.result()
    finally:
        promise.cancel()


class _ProgressBar:
    """One line on the terminal, once it has been worth the wait."""

    def __init__(self, promise: Promise[Module]) -> None:
        self._promise = promise
        self._shown = False

    def wait(self) -> Module:
        delay = 0.5
        try:
            while not wait([self._promise], delay).done:
                delay = 0.1
                self._show(self._promise.progress)
        finally:
            if self._shown:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        return self._promise.result()

    def _show(self, progress: Progress) -> None:
        self._shown = True
        total = progress.functions_total
        done = f"{progress.functions_compiled} of {total} functions" if total else "…"
        received = f"{progress.bytes_received / 1e6:.1f} MB"
        print(f"\r\x1b[Kcompiling: {received}, {done}", end="", file=sys.stderr, flush=True)


def _pair(row: str, separator: str, message: str) -> tuple[str, str]:
    name, found, value = row.partition(separator)
    if not found:
        raise _Usage(f"{message}, not {row!r}")
    return name, value


def _folder(row: str) -> tuple[str, str]:
    host, _, guest = row.partition("::")
    return guest or host, host


def _invoke(instance: Instance, module: CompiledModule, arguments: Sequence[str]) -> int:
    if not arguments:
        raise _Usage("--invoke wants the name of an export")
    name, *values = arguments
    found = [row for row in module.info.exports if row.name == name and row.kind == "function"]
    if not found:
        functions = [row.name for row in module.info.exports if row.kind == "function"]
        raise _Usage(f"no exported function {name!r}; there is {', '.join(functions) or 'none'}")
    type_ = found[0].type
    assert isinstance(type_, DefType) and isinstance(type_.comp, FuncType)
    params = type_.comp.params
    if len(values) != len(params):
        raise _Usage(f"{name} {type_} takes {len(params)} arguments, not {len(values)}")
    parsed = [_parse(text, param) for text, param in zip(values, params, strict=True)]
    if name != "_initialize" and "_initialize" in instance.exports:
        instance.exports["_initialize"]()  # a WASI reactor's, before anything else is called
    try:
        result = instance.exports[name](*parsed)
    except OverflowError as error:
        raise _Usage(str(error)) from None
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
        raise _Usage(f"{text!r} is no {type_}{hint}") from None


# jitwasm inspect


def _inspect(options: argparse.Namespace) -> int:
    data = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
    info = check(data)
    print("\n".join(_description(data, info)))
    return 0


def _description(data: bytes, info: ModuleInfo) -> Iterable[str]:
    name = f"module {info.names.module!r}, " if info.names.module else "module, "
    yield f"{name}{len(data)} bytes"
    yield "\nsections:"
    for section, offset, size in _sections(data):
        yield f"  {offset:#10x} {size:>10}  {section}"
    yield f"\nimports: {len(info.imports)}"
    for row in info.imports:
        yield f"  {_typed(row.desc)} {row.module!r} {row.name!r}"
    yield f"\nexports: {len(info.exports)}"
    for export in info.exports:
        yield f"  {_typed(export.type)} {export.name!r}"
    yield "\ncontents:"
    for kind in ("functions", "tables", "memories", "globals", "tags"):
        total, imported = len(getattr(info, kind)), getattr(info, f"imported_{kind}")
        if total:
            yield f"  {total:>10}  {kind}" + (f", {imported} imported" if imported else "")
    for segments, kind in ((info.data, "data segments"), (info.elements, "element segments")):
        if segments:
            yield f"  {len(segments):>10}  {kind}"
    if info.start is not None:
        yield f"  start function: {info.function_name(info.start) or info.start}"


def _typed(type_: object) -> str:
    return f"function {type_}" if isinstance(type_, DefType) else str(type_)


def _sections(data: bytes) -> Iterable[tuple[str, int, int]]:
    """Name, offset and size of each section of a valid module."""
    reader = Reader(data, 8)
    while not reader.at_end:
        number, size = reader.u8(), reader.u32()
        start = reader.pos
        name = SECTIONS[number]
        if number == 0:
            name += f" {reader.name()!r}"
        reader.pos = start + size
        yield name, start, size
