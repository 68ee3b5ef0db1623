"""Where LLVM runs: threads, worker processes, or what the caller has.

Any `concurrent.futures.Executor` will do, because the task is a function of this module applied to
plain data. An executor that is not ours may run it on another machine, so the task says what code
it expects to be run by.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future

from jitwasm.abi import ABI_VERSION
from jitwasm.backend import llvm
from jitwasm.backend.codegen import LLVMError, TargetSpec, compile_unit
from jitwasm.backend.scheduler import Scheduler, shared_pool
from jitwasm.backend.units import CompileUnit
from jitwasm.config import Config
from jitwasm.records import replace
from jitwasm.version import __version__

__all__ = [
    "VersionMismatch",
    "compile_task",
    "executor_of",
    "is_loss",
    "scheduler_of",
    "submit",
    "versions",
]

FOREIGN_PENDING = 256
"""Units under way in an executor of the caller, whose number of workers we do not know."""


class VersionMismatch(RuntimeError):
    """A worker has another version of jitwasm or of LLVM: its code would not fit to ours."""


@functools.cache
def versions() -> str:
    """All that decides what code a unit and a target compile to."""
    return f"jitwasm {__version__}, ABI {ABI_VERSION}, {llvm.version()}"


def compile_task(unit: CompileUnit, target: TargetSpec, verify: bool, expected: str) -> bytes:
    """Compile a unit, wherever this runs: the object.

    Raises:
        VersionMismatch: it runs where `expected` does not hold.
        LLVMError: see `compile_unit`.
    """
    if versions() != expected:
        raise VersionMismatch(f"this worker has {versions()}; wanted is {expected}")
    target = replace(target, opt_level=unit.opt_level)
    return compile_unit(unit.text, target, verify)


def executor_of(config: Config) -> Executor:
    """Where the modules of a configuration are compiled."""
    chosen = config.executor
    if chosen is None:
        return shared_pool(config.threads).within(config.limits.compile_seconds)
    if isinstance(chosen, str):
        # Looked up when it is wanted: it would be a fifth of the time of import.
        processes = importlib.import_module("jitwasm.backend.processes")
        limits = config.limits
        pool: Executor = processes.shared_processes(
            config.threads, limits.compile_seconds, limits.compile_memory
        )
        return pool
    return chosen


def submit(config: Config, unit: CompileUnit, target: TargetSpec) -> Future[bytes]:
    """Compile one unit, where the configuration says."""
    return executor_of(config).submit(_task(config, target), unit)


def _task(config: Config, target: TargetSpec) -> Callable[[CompileUnit], bytes]:
    return functools.partial(
        compile_task, target=target, verify=config.verify_ir, expected=versions()
    )


def scheduler_of(config: Config, target: TargetSpec) -> Scheduler:
    """The scheduler of a module."""
    workers = config.threads or len(os.sched_getaffinity(0))
    is_ours = config.executor is None or isinstance(config.executor, str)
    pending = 2 * workers + 2 if is_ours else FOREIGN_PENDING
    return Scheduler(_task(config, target), executor_of(config), pending, is_loss)


def is_loss(error: BaseException) -> bool:
    """Whether an error says nothing about what was compiled, but that it did not get compiled.

    LLVM's own errors are defects of jitwasm, which nobody would notice otherwise; versions that
    differ are an error of the installation.
    """
    return isinstance(error, Exception) and not isinstance(error, LLVMError | VersionMismatch)
