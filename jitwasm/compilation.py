"""The compilers, as the pipeline drives them: bodies in, objects out.

The pipeline imports this when a function is to be compiled or validated, and not before.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from jitwasm.abi import ABI_VERSION
from jitwasm.backend import llvm
from jitwasm.backend.codegen import host_target
from jitwasm.backend.executors import scheduler_of
from jitwasm.backend.units import CompileUnit, UnitBuilder
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody, ModuleEnd
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from jitwasm.frontend.validator import Validator
from jitwasm.recovery import OutOfProportion, Recovery
from jitwasm.tierchoice import Way
from jitwasm.tiers import BaselineCode
from jitwasm.version import __version__

__all__ = ["CodeCompiler", "OptimizedModule", "check", "machine_fingerprint", "start_code"]

FEED_BYTES = 1 << 16
"""Bytes that are checked at a time."""

OPTIMIZED_FUNCTION_BYTES = 64_000
"""A larger function is compiled at level 0 where the level is free: LLVM's optimisers take more
than linear time."""


class OptimizedModule:
    """What follows the start of the code section: functions in, objects out."""

    def __init__(self, start: CodeStart, config: Config) -> None:
        level, max_optimized = config.opt_level, None
        if level is None:
            level = 2
            max_optimized = OPTIMIZED_FUNCTION_BYTES
        self.functions_total = start.count
        self.functions_translated = 0
        self.fingerprint = machine_fingerprint()
        self._translator = Translator(start.info, config)
        self._units = UnitBuilder(start.info.layout, level, max_optimized)
        self.scheduler = scheduler_of(config, host_target(level))
        self._recovery = Recovery(start.info, config)
        self._excessive: list[int] = []

    def add(self, body: FunctionBody) -> None:
        self._recovery.note(body)
        function = self._translator.translate(body)
        if function.is_out_of_proportion:
            self._excessive.append(function.funcidx)
        else:
            self._submit(self._units.add(function))
        self.functions_translated += 1

    def finish(self, data: bytes) -> list[bytes]:
        self._submit(self._units.flush())
        compile_ = functools.partial(self._recovery.compile, data)
        objects = self.scheduler.results(compile_)
        if self._excessive:
            objects.append(compile_(self._excessive, OutOfProportion()))
        return objects

    @property
    def is_as_wanted(self) -> bool:
        """Whether all of it has been optimised, or would not be another time either."""
        return not self._recovery.losses

    def cancel(self) -> None:
        self.scheduler.cancel()

    @property
    def functions_compiled(self) -> int:
        return self.scheduler.functions_compiled

    def _submit(self, units: Sequence[CompileUnit]) -> None:
        for unit in units:
            self.scheduler.submit(unit)


CodeCompiler = OptimizedModule | BaselineCode


def start_code(way: Way, start: CodeStart, config: Config) -> CodeCompiler:
    """A compiler for the functions that follow."""
    if way == "optimized":
        return OptimizedModule(start, config)
    return BaselineCode(start, config, way == "lazy", machine_fingerprint)


@functools.cache
def machine_fingerprint() -> str:
    """Names everything on which it depends whether compiled code may run here."""
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
