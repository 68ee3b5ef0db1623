"""The LLVM tier's part of the pipeline: validated bodies in, objects out.

Imported when LLVM is to compile something, and not before: with what it needs it takes longer to
import than a small module takes to compile.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.executors import scheduler_of
from jitwasm.backend.units import CompileUnit, UnitBuilder, unit_text
from jitwasm.config import Config
from jitwasm.errors import CompileError
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.translate import Translator
from jitwasm.recovery import OutOfProportion, Recovery

__all__ = ["FallbackCompiler", "OptimizedModule"]

OPTIMIZED_FUNCTION_BYTES = 64_000
"""A larger function is compiled at level 0 where the level is free: LLVM's optimisers take more
than linear time."""


class OptimizedModule:
    """What follows the start of the code section: functions in, objects out."""

    def __init__(self, start: CodeStart, config: Config, fingerprint: str) -> None:
        level, max_optimized = config.opt_level, None
        if level is None:
            level = 2
            max_optimized = OPTIMIZED_FUNCTION_BYTES
        self.functions_total = start.count
        self.functions_translated = 0
        self.fingerprint = fingerprint
        self._translator = Translator(start.info, config)
        self._units = UnitBuilder(start.info.layout, level, max_optimized)
        self.scheduler = scheduler_of(config, host_target(level, config.keeps_order))
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


class FallbackCompiler:
    """Compiles single functions at level 0: those that the one-pass compiler does not cover."""

    def __init__(self, info: ModuleInfo, config: Config) -> None:
        self._info = info
        self._config = config
        self._translator = Translator(info, config)

    def compile(self, body: FunctionBody) -> bytes:
        """The object of a valid body.

        Raises:
            CompileError: it got lost (see `Config.executor`).
        """
        function = self._translator.translate(body)
        text = unit_text([function], self._info.layout)
        target = host_target(0, self._config.keeps_order)
        if self._config.executor is None:
            return compile_unit(text, target, self._config.verify_ir)
        scheduler = scheduler_of(self._config, target)
        scheduler.submit(CompileUnit(0, 0, (body.funcidx,), text, function.body_size))
        return scheduler.results(functools.partial(_report_loss, self._info))[0]


def _report_loss(info: ModuleInfo, funcidxs: Sequence[int], reason: BaseException) -> bytes:
    (funcidx,) = funcidxs
    raise CompileError(str(reason), None, funcidx, info.function_name(funcidx)) from reason
