"""The command line: `jitwasm run`, `inspect`, `validate`, `stubs`, and aot's `compile`.

Exit codes: 0 done, 1 an error, 2 wrong usage, 124 out of time (as `timeout` has it), 130
interrupted, 134 a trap (what a shell shows for a program that aborted), else what a WASI program
returned.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from jitwasm.aot.command import CommandError, add_parser
from jitwasm.config import Config, default_config
from jitwasm.deadlines import deadline
from jitwasm.errors import ExitError, Trap, WasmError
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.reader import Reader
from jitwasm.instance import Instance
from jitwasm.module import CompiledModule
from jitwasm.pipeline import Module, Progress, check
from jitwasm.promise import Promise
from jitwasm.stubs import stub_of
from jitwasm.trapcodes import TrapCode
from jitwasm.types import DefType, FuncType, ValType
from jitwasm.version import __version__
from jitwasm.wasi.run import start
from jitwasm.wasi.wasi import Folder, ReadOnly, Wasi
from jitwasm.webassembly import compile_streaming

__all__ = ["main"]

OUT_OF_TIME = 124
INTERRUPTED = 130
TRAPPED = 134

EXAMPLES = """\
examples:
  jitwasm run program.wasm one two            a WASI program and its arguments
  jitwasm run --dir . cat.wasm README.md      ... that may use the current folder
  jitwasm run --invoke add math.wasm 2 3      call an export, print what it returns
  jitwasm inspect module.wasm                 sections, imports, exports
  jitwasm validate *.wasm                     check, without compiling
  jitwasm COMMAND --help                      all about one command
"""

RUN_EXAMPLES = """\
examples:
  jitwasm run program.wasm one two
  jitwasm run --dir data::/data --env LANG=C program.wasm /data/input > output
  jitwasm run --read-only . --timeout 10 --max-memory 64M untrusted.wasm
  jitwasm run --invoke add math.wasm 2 0x10
  curl -s https://example.org/program.wasm | jitwasm run -

A program reaches no file and no variable of the environment but those it is given here.

exit status: the program's own; 1 it cannot run, 2 wrong usage, 124 out of time, 134 it trapped
"""

SECTIONS = (
    "custom", "type", "import", "function", "table", "memory", "global", "export", "start",
    "element", "code", "data", "data count", "tag",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    try:
        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def run(arguments: Sequence[str] | None = None) -> int:
    """As `main`, but lets KeyboardInterrupt through."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone. Keep the interpreter from flushing it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ExitError as exit_:
        return exit_.code
    except Trap as trap:
        if trap.code is TrapCode.DEADLINE and getattr(options, "timeout", None):
            return _fail(options.file, f"stopped after {options.timeout:g} s", OUT_OF_TIME)
        return _fail(options.file, f"trap: {trap}", TRAPPED)
    except (WasmError, _Usage, CommandError) as error:
        return _fail(options.file, str(error))
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else options.file
        return _fail(name, error.strerror or str(error))
    except MemoryError as error:
        return _fail(options.file, str(error) or "out of memory")
    return code


class _Usage(Exception):
    """The command line does not fit the module."""


def _fail(file: str | None, message: str, code: int = 1) -> int:
    print(f"jitwasm: {file}: {message}" if file else f"jitwasm: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jitwasm",
        description="Runs WebAssembly as native code, compiled while it is read.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"jitwasm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    add_parser(commands)
    _add_others(commands)
    return parser


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_run(commands: Commands) -> None:
    run = commands.add_parser(
        "run",
        help="run a WASI program, or call an export",
        usage="jitwasm run [options] FILE [ARG ...]",
        description="Instantiate a module; run it as a WASI command, or call one of its exports.",
        epilog=RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.set_defaults(command=_run)
    run.add_argument(
        "--dir",
        action="append",
        default=[],
        metavar="HOST[::GUEST]",
        help="a folder the program may use, and the name it has there",
    )
    run.add_argument(
        "--read-only",
        action="append",
        default=[],
        metavar="HOST[::GUEST]",
        help="a folder it may read",
    )
    run.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a variable of its environment; without VALUE, passed on from here",
    )
    run.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="stop it after so long (exit 124)"
    )
    run.add_argument(
        "--max-memory", type=_size, metavar="SIZE", help="of its memory: bytes, or as 64K, 64M, 1G"
    )
    run.add_argument("--invoke", metavar="NAME", help="call this export with ARG ...")
    run.add_argument(
        "-O",
        dest="level",
        type=int,
        choices=range(4),
        help="0 compiles fastest, 3 runs fastest; by default chosen by the module's size",
    )
    run.add_argument("file", metavar="FILE", help="the module; - reads standard input")
    run.add_argument(
        "rest",
        metavar="ARG",
        nargs=argparse.REMAINDER,
        help="the program's arguments, or the export's (integers also as 0x10, vectors in hex)",
    )


def _add_others(commands: Commands) -> None:
    inspect = commands.add_parser("inspect", help="show what is in a module")
    inspect.set_defaults(command=_inspect)
    inspect.add_argument("file", metavar="FILE", help="the module; - reads standard input")

    validate = commands.add_parser(
        "validate",
        help="check modules without compiling them",
        description="Check modules. Prints one line for each that is invalid, and exits with 1.",
    )
    validate.set_defaults(command=_validate, file=None)
    validate.add_argument("files", metavar="FILE", nargs="+", help="a module; - is standard input")

    stubs = commands.add_parser(
        "stubs",
        help="write type stubs for a module that Python imports",
        description="Write a .pyi for a module that is imported through jitwasm.importer, so that "
        "editors and type checkers know its exports.",
        epilog="example: jitwasm stubs mylib.wasm writes mylib.pyi",
    )
    stubs.set_defaults(command=_stubs)
    stubs.add_argument("file", metavar="FILE", help="the module; - is standard input")
    stubs.add_argument("-o", dest="output", metavar="OUT", help="- is standard output")


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) or not float(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number of seconds")
    return float(text)


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})([KMG]?)", text.upper())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size like 65536, 64K, 64M or 1G")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


# jitwasm run


def _run(options: argparse.Namespace) -> int:
    config = default_config()
    if options.level is not None:
        config = replace(config, opt_level=options.level)
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
        module = _compile(options.file, config)
        with deadline(options.timeout):
            if options.rest[:1] == ["--invoke"]:
                return _invoke(Instance(module, wasi.imports), module, options.rest[1:])
            if any(export.name == "_start" for export in module.exports()):
                return start(module, wasi)
            instance = Instance(module, wasi.imports)
            if "_initialize" in instance.exports:
                instance.exports["_initialize"]()
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


def _variable(row: str) -> tuple[str, str]:
    name, found, value = row.partition("=")
    if not found and name not in os.environ:
        raise _Usage(f"--env {name}: there is no such variable to pass on; NAME=VALUE sets one")
    return name, value if found else os.environ[name]


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


# jitwasm validate, jitwasm stubs


def _read(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _validate(options: argparse.Namespace) -> int:
    return max([_validate_one(file) for file in options.files])


def _validate_one(file: str) -> int:
    try:
        check(_read(file))
    except WasmError as error:
        return _fail(file, str(error))
    except OSError as error:
        return _fail(file, error.strerror or str(error))
    return 0


def _stubs(options: argparse.Namespace) -> int:
    text = stub_of(check(_read(options.file)))
    output = options.output
    if output is None:
        output = "-" if options.file == "-" else str(Path(options.file).with_suffix(".pyi"))
    if output == "-":
        print(text, end="")
    else:
        Path(output).write_text(text, encoding="utf-8")
    return 0


# jitwasm inspect


def _inspect(options: argparse.Namespace) -> int:
    data = _read(options.file)
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
