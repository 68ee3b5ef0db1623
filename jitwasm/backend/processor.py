"""What the processor can do, as far as it must be known without asking LLVM."""

from __future__ import annotations

import functools

__all__ = ["cpu_flags"]

_ENOUGH = 1 << 14


@functools.cache
def cpu_flags() -> frozenset[str]:
    """The features of the processor, as Linux names them; empty if it does not tell."""
    try:
        # The first processor's entry is enough, and the kernel makes no more than is read.
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            text = file.read(_ENOUGH)
    except OSError:
        return frozenset()
    lines = text.splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())
