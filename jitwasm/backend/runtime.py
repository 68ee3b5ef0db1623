"""The native runtime as one object: IR and assembly of all parts, and how it is set up."""

from __future__ import annotations

import os
import re

from jitwasm.backend import (
    conversions,
    entry,
    libcall_bodies,
    signals,
    stores,
    threads,
    ticks,
    trampolines,
    traps,
)
from jitwasm.backend.cpython import DECLARATIONS
from jitwasm.backend.irtext import expand, join

__all__ = ["altstack_size", "runtime_ir", "wasm_ir"]

_MINSIGSTKSZ = 249  # sysconf's number of _SC_MINSIGSTKSZ, which Python has no name for
_HANDLER_STACK = 64 * 1024


def runtime_ir() -> str:
    """The text of the runtime's module."""
    parts = (
        threads.ir(),
        stores.ir(),
        traps.ir(),
        signals.ir(),
        ticks.ir(),
        libcall_bodies.ir(),
        conversions.ir(),
        trampolines.ir(),
    )
    text = expand(join(entry.module_asm(entry.assembly()), DECLARATIONS, *parts))
    # Backtraces lead through the libcalls.
    return re.sub(r"^(define .*) \{$", r"\1 uwtable {", text, flags=re.MULTILINE)


def wasm_ir() -> str:
    """The text of the module that belongs to wasm code: memcpy and relatives."""
    return entry.module_asm(entry.wasm_assembly())


def altstack_size() -> int:
    """Bytes of a signal stack: what the kernel saves there depends on the processor."""
    try:
        minimum = os.sysconf(_MINSIGSTKSZ)
    except (OSError, ValueError):
        minimum = 16 * 1024
    return -(-(max(minimum, 4096) + _HANDLER_STACK) // 4096) * 4096
