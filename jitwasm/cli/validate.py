"""`jitwasm validate`: is this a module?"""

from __future__ import annotations

import argparse

from jitwasm.cli.exitcodes import fail
from jitwasm.cli.loading import read_file
from jitwasm.errors import WasmError
from jitwasm.pipeline import check

__all__ = ["add_arguments"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Complete the command's parser."""
    parser.description = "Check modules. Prints a line for each that is invalid, and exits with 1."
    parser.set_defaults(command=_validate, file=None)
    parser.add_argument("files", metavar="FILE", nargs="+", help="a module; - is standard input")


def _validate(options: argparse.Namespace) -> int:
    return max([_validate_one(file) for file in options.files])


def _validate_one(file: str) -> int:
    try:
        check(read_file(file))
    except WasmError as error:
        return fail(file, str(error))
    except OSError as error:
        return fail(file, error.strerror or str(error))
    return 0
