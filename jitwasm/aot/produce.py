"""What `jitwasm compile` does: from a module's file to files for other programs."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jitwasm.aot.command import KINDS, CommandError
from jitwasm.aot.emit import AotOptions, Compiled, compile_module
from jitwasm.aot.linking import LinkerError
from jitwasm.aot.pyext import check_module_name, extension_filename, left_out, python_extension
from jitwasm.aot.targets import TARGETS, find_target, processor_help

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Carry out the command; returns the exit code."""
    if _help(options):
        return 0
    if options.file is None:
        raise CommandError("compile wants the file of a module")
    try:
        _write_all(options)
    except (ValueError, LinkerError) as error:
        raise CommandError(str(error)) from None
    return 0


def _help(options: argparse.Namespace) -> bool:
    """Print what was asked for instead of compiling; whether anything was."""
    try:
        if options.target == "help":
            print("Targets, all for Linux; the runtime exists for x86_64:\n")
            for target in TARGETS.values():
                print(f"  {target.name:<12} {target.triple:<30} baseline {target.cpu}")
        elif "help" in (options.cpu, options.features):
            print(processor_help(find_target(options.target)), end="")
        else:
            return False
    except ValueError as error:
        raise CommandError(str(error)) from None
    return True


def _kinds(options: argparse.Namespace, output: Path | None) -> list[str]:
    """The kinds of output, each once, in the order wanted."""
    if options.emit:
        kinds = [kind for row in options.emit for kind in row.split(",") if kind]
    elif output is None:
        kinds = ["o", "h"]
    else:
        kind = output.suffix.lstrip(".")
        if output == Path("-"):
            raise CommandError("-o - wants --emit: there is no suffix to say what to write")
        if output.name.endswith(_EXTENSION):
            kind = "pyext"
        kinds = [kind, "h"] if kind in ("o", "a", "so") else [kind]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise CommandError(
            f"there is no output of kind {', '.join(map(repr, unknown))}; "
            f"--emit and the suffix of -o know {', '.join(KINDS)}"
        )
    return list(dict.fromkeys(kinds))


def _write_all(options: argparse.Namespace) -> None:
    standard_input = options.file == "-"
    source = Path("module.wasm") if standard_input else Path(options.file)
    output = Path(options.output) if options.output else None
    kinds = _kinds(options, output)
    prefix = options.prefix or _prefix_of(source)
    foreign = not find_target(options.target).is_host
    objects = {"o", "a", "so"}.intersection(kinds)
    aot = AotOptions(
        prefix=prefix,
        opt_level=options.level,
        target=options.target,
        cpu=options.cpu,
        features=options.features,
        bounds=options.bounds,
        signals=not options.no_signals,
        runtime=not options.no_runtime,
        import_table=options.import_table,
        loadable=bool(objects) and not options.no_loadable,
        debug=options.debug,
    )
    data = sys.stdin.buffer.read() if standard_input else source.read_bytes()
    shown = None if options.quiet or not sys.stderr.isatty() else _Progress()
    try:
        compiled = compile_module(data, aot, jobs=options.jobs, progress=shown)
        base = output or source
        if len(kinds) > 1 and base.name.endswith(_EXTENSION):
            base = base.with_name(base.name[: -len(_EXTENSION)] + ".so")
        for kind in kinds:
            if shown:
                shown.stage(f"writing {KINDS[kind]}")
            path = base if output and len(kinds) == 1 else base.with_suffix(f".{kind}")
            _write(compiled, kind, path, None if options.quiet else _notice)
        undefined = compiled.undefined() if options.list_undefined else []
    finally:
        if shown:
            shown.end()
    if foreign and aot.runtime and objects and not options.quiet:
        _note(
            f"there is no runtime for {aot.machine.name}; "
            "whoever links the object supplies it (--list-undefined)"
        )
    for symbol in undefined:
        print(symbol)


_EXTENSION = extension_filename("")


class _Progress:
    """One line on the terminal, once it has been worth the wait."""

    def __init__(self) -> None:
        self._next = time.monotonic() + 0.3
        self._began = False

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.1
            self._show(f"translating: {done} of {total} functions")

    def stage(self, text: str) -> None:
        """LLVM does not say how far it is."""
        self._show(f"{text} …")

    def _show(self, text: str) -> None:
        self._began = True
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._began:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _prefix_of(source: Path) -> str:
    """A prefix made of the file's name."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", source.stem).strip("_")
    return name if name[:1].isalpha() else f"wasm_{name}".rstrip("_")


def _note(text: str) -> None:
    print(f"jitwasm: note: {text}", file=sys.stderr)


def _notice(command: str) -> None:
    _note(f"linking with {command}")


def _write(
    compiled: Compiled, kind: str, path: Path, notice: Callable[[str], object] | None
) -> None:
    if kind == "pyext":
        name = check_module_name(path.name.split(".")[0])
        _replace(path.parent / extension_filename(name), python_extension(compiled, name, notice))
        missing = left_out(compiled.info)
        if missing and notice is not None:
            _note(f"left out, as no Python object stands for them: {', '.join(missing)}")
    elif kind == "o":
        _replace(path, compiled.object())
    elif kind == "a":
        _replace(path, compiled.archive())
    elif kind == "so":
        _replace(path, compiled.shared_library(notice))
    elif kind == "h":
        _replace(path, compiled.header().encode())
    elif kind == "ll":
        _replace(path, compiled.ir.encode())
    else:
        _replace(path, compiled.assembly().encode())


def _replace(path: Path, data: bytes) -> None:
    """Write a file as a whole: no one shall see half of it, or lose the old one to an error."""
    if path == Path("-"):
        sys.stdout.buffer.write(data)
        return
    if path.exists() and not path.is_file():  # a device or a pipe
        path.write_bytes(data)
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
