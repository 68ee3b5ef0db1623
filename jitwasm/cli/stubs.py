"""`jitwasm stubs`: a `.pyi` for a module that Python imports."""

from __future__ import annotations

import argparse
from pathlib import Path

from jitwasm.cli.loading import read_file
from jitwasm.pipeline import check
from jitwasm.stubs import stub_of

__all__ = ["add_arguments"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Complete the command's parser."""
    parser.description = (
        "Write a .pyi for a module that is imported through jitwasm.importer, so that\n"
        "editors and type checkers know its exports."
    )
    parser.epilog = "example: jitwasm stubs mylib.wasm writes mylib.pyi"
    parser.set_defaults(command=_stubs)
    parser.add_argument("file", metavar="FILE", help="the module; - is standard input")
    parser.add_argument("-o", dest="output", metavar="OUT", help="- is standard output")


def _stubs(options: argparse.Namespace) -> int:
    text = stub_of(check(read_file(options.file)))
    output = options.output
    if output is None:
        output = "-" if options.file == "-" else str(Path(options.file).with_suffix(".pyi"))
    if output == "-":
        print(text, end="")
    else:
        Path(output).write_text(text, encoding="utf-8")
    return 0
