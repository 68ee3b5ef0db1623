"""How a command ends: exit codes, and errors as one line for a shell.

0 done, 1 an error, 2 wrong usage, 124 out of time (as `timeout` has it), 130 interrupted, 134 a
trap (what a shell shows for a program that aborted), else what a WASI program returned.
"""

from __future__ import annotations

import sys

__all__ = ["INTERRUPTED", "OUT_OF_TIME", "TRAPPED", "UsageError", "fail"]

OUT_OF_TIME = 124
INTERRUPTED = 130
TRAPPED = 134


class UsageError(Exception):
    """The command line does not fit the module."""


def fail(file: str | None, message: str, code: int = 1) -> int:
    """Say what went wrong, in one line; returns the exit code."""
    print(f"jitwasm: {file}: {message}" if file else f"jitwasm: {message}", file=sys.stderr)
    return code
