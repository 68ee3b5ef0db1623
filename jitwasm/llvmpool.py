"""LLVM's part in tier-up: units on their way through threads of low priority.

Imported when the first function is to be optimised. Most short processes never come to that, and
the executors of the standard library alone take as long to import as a small module to compile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future

from jitwasm.abi import VMLayout
from jitwasm.backend.background import BackgroundPool
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.executors import submit
from jitwasm.backend.units import CompileUnit, unit_text
from jitwasm.config import Config
from jitwasm.ir import FunctionIR

__all__ = ["LEVEL", "LLVMPool"]

LEVEL = 1


class LLVMPool:
    """Compiles what tier-up translates, here or where the configuration says."""

    def __init__(self) -> None:
        # One core is the program's.
        self._pool = BackgroundPool(max(1, len(os.sched_getaffinity(0)) - 1), at_exit=False)

    @property
    def size(self) -> int:
        """How many units are compiled at once."""
        return self._pool.size

    def compile(
        self, config: Config, functions: Sequence[FunctionIR], layout: VMLayout
    ) -> Future[bytes]:
        """Have some functions compiled together: the object."""
        text = unit_text(functions, layout)
        target = host_target(LEVEL, config.keeps_order)
        if config.executor is None:
            pool = self._pool.within(config.limits.compile_seconds)
            return pool.submit(compile_unit, text, target, config.verify_ir)
        unit = CompileUnit(0, LEVEL, tuple(row.funcidx for row in functions), text, 0)
        try:
            return submit(config, unit, target)
        except Exception as error:  # the caller's executor has been shut down, perhaps
            failed: Future[bytes] = Future()
            failed.set_exception(error)
            return failed

    def shutdown(self) -> None:
        """The process ends: stop what runs."""
        self._pool.shutdown(wait=True, cancel_futures=True)
