"""The command line: `jitwasm run`, `inspect`, `validate`, `compile`, `bench`, `stubs`, `cache`.

A command's file is imported when the command is chosen, so that help, and commands that compile
nothing, need not wait for the compilers.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from jitwasm.aot.command import CommandError
from jitwasm.cli.exitcodes import INTERRUPTED, OUT_OF_TIME, TRAPPED, UsageError, fail
from jitwasm.errors import ExitError, Trap, WasmError
from jitwasm.trapcodes import TrapCode
from jitwasm.version import __version__

__all__ = ["main", "run"]

EXAMPLES = """\
examples:
  jitwasm run program.wasm one two            a WASI program and its arguments
  jitwasm run --dir . cat.wasm README.md      ... that may use the current folder
  jitwasm run --invoke add math.wasm 2 3      call an export, print what it returns
  jitwasm inspect module.wasm                 sections, imports, exports
  jitwasm validate *.wasm                     check, without compiling
  jitwasm compile lib.wasm -o lib.o           an object and a header for a C program
  jitwasm bench --compare wasmtime prog.wasm  how fast, phase by phase
  jitwasm COMMAND --help                      all about one command
"""


class Command(NamedTuple):
    """A command.

    Attributes:
        module: its file, whose `add_arguments` completes its parser.
        help: its line in the list of commands.
        has_rest: whether what follows `--` is kept apart, as the arguments of a program.
    """

    module: str
    help: str
    has_rest: bool = False


COMMANDS = {
    "run": Command("jitwasm.cli.run", "run a WASI program, or call an export"),
    "inspect": Command("jitwasm.cli.inspect", "show what is in a module"),
    "validate": Command("jitwasm.cli.validate", "check modules without compiling them"),
    "compile": Command("jitwasm.aot.command", "compile a module to an object, a library, a header"),
    "bench": Command("jitwasm.cli.bench", "measure modules, phase by phase", has_rest=True),
    "stubs": Command("jitwasm.cli.stubs", "write type stubs for a module that Python imports"),
    "cache": Command("jitwasm.cli.cache", "show or clear the compiled code kept on disk"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    try:
        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def run(arguments: Sequence[str] | None = None) -> int:
    """As `main`, but lets KeyboardInterrupt through."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
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
            return fail(options.file, f"stopped after {options.timeout:g} s", OUT_OF_TIME)
        return fail(options.file, f"trap: {trap}", TRAPPED)
    except (WasmError, UsageError, CommandError) as error:
        return fail(options.file, str(error))
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else options.file
        return fail(name, error.strerror or str(error))
    except MemoryError as error:
        return fail(options.file, str(error) or "out of memory")
    return code


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="jitwasm",
        description="Runs WebAssembly as native code, compiled while it is read.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"jitwasm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        added = commands.add_parser(
            name, help=command.help, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in arguments[:1]:
            importlib.import_module(command.module).add_arguments(added)
            if command.has_rest:
                arguments, rest = _split(arguments)
                added.set_defaults(rest=rest)
    return parser.parse_args(arguments)


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return arguments[:end], arguments[end + 1 :]
