"""The compilers, as the pipeline drives them: bodies in, objects out.

The pipeline imports this when a function is to be compiled or validated, and not before.
"""

from __future__ import annotations

import functools
import importlib

from jitwasm.abi import ABI_VERSION
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody, ModuleEnd
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.validator import Validator
from jitwasm.tierchoice import Way
from jitwasm.tiers import BaselineCode
from jitwasm.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitwasm.llvmtier import OptimizedModule

    CodeCompiler = OptimizedModule | BaselineCode
else:
    CodeCompiler = object

__all__ = ["CodeCompiler", "check", "machine_fingerprint", "start_code"]

FEED_BYTES = 1 << 16
"""Bytes that are checked at a time."""


def start_code(way: Way, start: CodeStart, config: Config) -> CodeCompiler:
    """A compiler for the functions that follow."""
    if way == "optimized":
        # Not at import, as LLVM itself: where the one-pass compiler does all, this is never needed.
        optimized: type[OptimizedModule] = importlib.import_module(
            "jitwasm.llvmtier"
        ).OptimizedModule
        return optimized(start, config, machine_fingerprint())
    return BaselineCode(start, config, way == "lazy", machine_fingerprint)


@functools.cache
def machine_fingerprint() -> str:
    """Names everything on which it depends whether compiled code may run here."""
    llvm = importlib.import_module("jitwasm.backend.llvm")
    cpu, features = llvm.host_cpu()
    return "\n".join(
        [f"jitwasm {__version__}, ABI {ABI_VERSION}", llvm.version(), llvm.TRIPLE, cpu, features]
    )


def check(data: bytes, config: Config) -> ModuleInfo:
    """Decode and validate a module without compiling it.

    Raises:
        CompileError: it is not valid.
    """
    parser = StreamParser(config.features, config.limits)
    validator: Validator | None = None
    view = memoryview(data)
    for start in range(0, len(view), FEED_BYTES):
        for event in parser.feed(view[start : start + FEED_BYTES]):
            if isinstance(event, FunctionBody):
                assert validator is not None
                validator.validate(event)
            elif isinstance(event, CodeStart):
                validator = Validator(event.info, config)
    end = parser.finish()[-1]
    assert isinstance(end, ModuleEnd)
    return end.info
