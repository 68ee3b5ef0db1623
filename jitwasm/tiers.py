"""The baseline tier's part of the pipeline: validated bodies in, objects out.

The baseline compiler knows nothing of the frontend: here it gets the instruction table and the
module's declarations as plain data. A function that it does not cover goes to LLVM at level 0, as
a unit of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from jitwasm.abi import ABI_VERSION, function_symbol
from jitwasm.backend.baseline.compiler import BaselineCompiler, Unsupported
from jitwasm.backend.baseline.fuel import Meter
from jitwasm.backend.baseline.objectfile import write_object
from jitwasm.backend.baseline.program import InstructionRow
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.executors import scheduler_of
from jitwasm.backend.processor import cpu_flags
from jitwasm.backend.units import CompileUnit, unit_text
from jitwasm.config import Config
from jitwasm.errors import CompileError
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.fuel import bulk_shift, charges
from jitwasm.frontend.immediates import ImmediateReader
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.translate import Translator
from jitwasm.frontend.validator import Validator
from jitwasm.version import __version__

__all__ = [
    "BaselineCode",
    "FunctionCompilers",
    "baseline_compiler",
    "baseline_fingerprint",
    "instruction_rows",
    "is_available",
]

EAGER_BYTES = 64 << 10
"""Code sections up to this size are compiled at once where the tier is "auto"."""

_CPU_FLAGS = frozenset({"avx2", "bmi1", "bmi2", "abm", "fma", "popcnt"})
"""What baseline code takes for granted, as Linux names it."""


@functools.cache
def instruction_rows() -> tuple[InstructionRow, ...]:
    """The instruction table as the backend wants it."""
    return tuple(
        (op.code, op.mnemonic, tuple(kind.name for kind in op.immediates)) for op in OPCODES
    )


@functools.cache
def is_available() -> bool:
    """Whether this machine can run baseline code."""
    return cpu_flags() >= _CPU_FLAGS


def baseline_fingerprint() -> str:
    """Names all on which it depends whether code of this tier may run here."""
    return f"jitwasm {__version__}, ABI {ABI_VERSION}, baseline"


def baseline_compiler(info: ModuleInfo, config: Config) -> BaselineCompiler:
    """The compiler of a module."""
    meter = None
    if config.fuel is not None:
        immediates = ImmediateReader(info.types, config.features)
        meter = Meter(functools.partial(charges, immediates=immediates), bulk_shift)
    return BaselineCompiler(info, config.bounds == "explicit", instruction_rows(), meter)


class FunctionCompilers:
    """Compiles single functions of a module, unoptimised."""

    def __init__(self, info: ModuleInfo, config: Config) -> None:
        self._info = info
        self._config = config
        self._compiler = baseline_compiler(info, config)

    def compile(self, body: FunctionBody) -> bytes:
        """The code of a valid body. Raises `Unsupported`."""
        return self._compiler.compile(body.funcidx, body.body)

    def fall_back(self, body: FunctionBody) -> bytes:
        """An object from LLVM.

        Raises:
            CompileError: it got lost (see `Config.executor`).
        """
        function = self._translator.translate(body)
        text = unit_text([function], self._info.layout)
        if self._config.executor is None:
            return compile_unit(text, host_target(0), self._config.verify_ir)
        scheduler = scheduler_of(self._config, host_target(0))
        scheduler.submit(CompileUnit(0, 0, (body.funcidx,), text, function.body_size))
        return scheduler.results(functools.partial(_report_loss, self._info))[0]

    @functools.cached_property
    def _translator(self) -> Translator:
        return Translator(self._info, self._config)


class BaselineCode:
    """What follows the start of the code section: functions in, objects out.

    Attributes:
        functions_total, functions_translated, functions_compiled: see Progress.
        lazy: whether functions are only validated now.
        bodies: where they are in the module: funcidx -> (offset, size).
        fallbacks: the functions that went to LLVM, and why.
    """

    def __init__(self, start: CodeStart, config: Config, fingerprint: Callable[[], str]) -> None:
        self.functions_total = start.count
        self.functions_translated = 0
        self.lazy = config.tier == "auto" and start.size > EAGER_BYTES
        self.bodies: dict[int, tuple[int, int]] = {}
        self.fallbacks: dict[int, str] = {}
        self._machine_fingerprint = fingerprint
        self._validator = Validator(start.info, config)
        self._functions = FunctionCompilers(start.info, config)
        self._codes: list[tuple[str, bytes]] = []
        self._objects: list[bytes] = []

    @property
    def functions_compiled(self) -> int:
        return 0 if self.lazy else self.functions_translated

    @property
    def fingerprint(self) -> str:
        """On what machines the objects are valid."""
        return self._machine_fingerprint() if self._objects else baseline_fingerprint()

    def add(self, body: FunctionBody) -> None:
        """Validate a function, and compile it unless that is done lazily."""
        self._validator.validate(body)
        self.functions_translated += 1
        self.bodies[body.funcidx] = (body.offset, len(body.body))
        if self.lazy:
            return
        try:
            code = self._functions.compile(body)
            self._codes.append((function_symbol(body.funcidx), code))
        except Unsupported as reason:
            self.fallbacks[body.funcidx] = str(reason)
            self._objects.append(self._functions.fall_back(body))

    def finish(self, data: bytes) -> list[bytes]:
        """The objects that define all functions; none if they are compiled lazily."""
        return [] if self.lazy else [write_object(self._codes), *self._objects]

    def cancel(self) -> None:
        """Nothing runs in the background."""


def _report_loss(info: ModuleInfo, funcidxs: Sequence[int], reason: BaseException) -> bytes:
    (funcidx,) = funcidxs
    raise CompileError(str(reason), None, funcidx, info.function_name(funcidx)) from reason
