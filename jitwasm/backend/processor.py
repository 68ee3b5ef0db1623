"""What the processor can do, as far as it must be known without asking LLVM."""

from __future__ import annotations

import functools

__all__ = ["FEATURES", "FLOOR", "cpu_features", "cpu_flags"]

FLOOR = frozenset(("sse4_2", "ssse3", "popcnt"))
"""What the one-pass compiler takes for granted: x86-64-v2, which processors have had since 2009."""
FEATURES = frozenset(("avx", "avx2", "bmi1", "bmi2", "lzcnt", "fma"))
"""What it makes use of beyond that, each by itself."""

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


def cpu_features() -> frozenset[str]:
    """Those of `FEATURES` that the processor has."""
    flags = cpu_flags()
    # Linux calls lzcnt, with another instruction of the same vendor, abm.
    return (flags | {"lzcnt"} if "abm" in flags else flags) & FEATURES
