"""Which tier compiles a module, and what the processor must have for it. Imports no compiler."""

from __future__ import annotations

from jitwasm.abi import ABI_VERSION
from jitwasm.backend.processor import FLOOR, cpu_features, cpu_flags
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart
from jitwasm.version import __version__

__all__ = ["Way", "baseline_fingerprint", "is_available", "way_of"]

EAGER_BYTES = 64 << 10
"""Code sections up to this size are compiled at once where the tier is "auto"."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Way = Literal["optimized", "baseline", "lazy"]
else:
    Way = str
"""How the functions of a module are compiled: all by LLVM, all by the one-pass compiler, or each
by the latter when it is first called."""


def way_of(start: CodeStart, config: Config) -> Way:
    """Nobody waits for LLVM, whose loading alone takes longer than most modules to compile."""
    if config.tier == "optimized" or not is_available():
        return "optimized"
    if config.tier == "baseline":
        return "baseline"
    if config.opt_level is not None:
        return "optimized"
    return "baseline" if start.size <= EAGER_BYTES else "lazy"


def is_available() -> bool:
    """Whether this machine can run baseline code."""
    return cpu_flags() >= FLOOR


def baseline_fingerprint() -> str:
    """Names all on which it depends whether code of this tier may run here."""
    features = " ".join(sorted(cpu_features()))
    return f"jitwasm {__version__}, ABI {ABI_VERSION}, baseline {features}"
