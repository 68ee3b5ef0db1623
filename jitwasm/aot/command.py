"""The arguments of `jitwasm compile`."""

from __future__ import annotations

import argparse
import importlib

__all__ = ["KINDS", "CommandError", "add_arguments"]

KINDS = {
    "o": "relocatable object",
    "a": "static library",
    "so": "shared library",
    "h": "C header",
    "ll": "LLVM IR",
    "s": "assembly",
    "pyext": "CPython extension module",
}


class CommandError(Exception):
    """The command line cannot be carried out; the message is for the user."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Complete the command's parser."""
    parser.description = "Compile a module for other programs to link. A C header comes with it."
    parser.epilog = "cc main.c module.o is all it takes: the runtime is in the object."
    parser.set_defaults(command=_compile)
    parser.add_argument("file", metavar="FILE", nargs="?", help="the module; - is standard input")
    parser.add_argument(
        "-o", dest="output", metavar="OUT", help="FILE with another suffix by default"
    )
    parser.add_argument(
        "--emit",
        metavar="KIND,…",
        action="append",
        help="kinds of output: "
        + ", ".join(f"{k} ({v})" for k, v in KINDS.items())
        + "; by default what OUT ends in, and a header",
    )
    parser.add_argument("--prefix", help="of all symbols; the file's name by default")
    parser.add_argument("-O", dest="level", type=int, choices=range(4), default=2)
    parser.add_argument(
        "-g", dest="debug", action="store_true", help="functions' names and offsets for debuggers"
    )
    _add_target(parser)
    _add_runtime(parser)
    parser.add_argument(
        "--list-undefined", action="store_true", help="print the symbols others must define"
    )
    parser.add_argument(
        "-j",
        dest="jobs",
        type=int,
        metavar="N",
        default=1,
        help="split the program and compile N parts side by side",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, no notices")


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target",
        metavar="TARGET",
        default="x86_64",
        help="an architecture, a triple, or 'help'",
    )
    parser.add_argument("--cpu", help="target processor: 'native', a name, or 'help'")
    parser.add_argument("--features", help="processor features: '+avx2,-bmi', or 'help'")


def _add_runtime(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bounds", choices=("guard", "explicit"), default="guard", help="how accesses are checked"
    )
    parser.add_argument("--no-signals", action="store_true", help="install no signal handler")
    runtime = parser.add_mutually_exclusive_group()
    runtime.add_argument(
        "--with-runtime", action="store_true", help="put the runtime into the object (default)"
    )
    runtime.add_argument("--no-runtime", action="store_true", help="leave the runtime out")
    loadable = parser.add_mutually_exclusive_group()
    loadable.add_argument(
        "--loadable", action="store_true", help="let jitwasm.load() take the object (default)"
    )
    loadable.add_argument(
        "--no-loadable", action="store_true", help="compile for C only: faster and smaller"
    )
    parser.add_argument(
        "--import-table",
        action="store_true",
        help="import functions through pointers given at instantiation (for dlopen)",
    )


def _compile(options: argparse.Namespace) -> int:
    # Looked up when it is needed: the other commands need none of it.
    code: int = importlib.import_module("jitwasm.aot.produce").run(options)
    return code
