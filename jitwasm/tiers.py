"""The baseline tier's part of the pipeline: validated bodies in, objects out.

The baseline compiler knows nothing of the frontend: here it gets the instruction table and the
module's declarations as plain data. A function that it does not cover goes to LLVM at level 0, as
a unit of its own.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable

from jitwasm.abi import function_symbol
from jitwasm.backend.baseline.compiler import BaselineCompiler, Unsupported
from jitwasm.backend.baseline.fuel import Meter
from jitwasm.backend.baseline.objectfile import write_object
from jitwasm.backend.baseline.program import InstructionRow
from jitwasm.backend.processor import cpu_features
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.immediates import ImmediateReader
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.validator import Validator
from jitwasm.tierchoice import baseline_fingerprint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitwasm.llvmtier import FallbackCompiler

__all__ = ["BaselineCode", "FunctionCompilers", "baseline_compiler", "instruction_rows"]


@functools.cache
def instruction_rows() -> tuple[InstructionRow, ...]:
    """The instruction table as the backend wants it."""
    return tuple(
        (op.code, op.mnemonic, tuple(kind.name for kind in op.immediates)) for op in OPCODES
    )


def baseline_compiler(info: ModuleInfo, config: Config) -> BaselineCompiler:
    """The compiler of a module."""
    meter = None
    if config.fuel is not None:
        immediates = ImmediateReader(info.types, config.features)
        fuel = importlib.import_module("jitwasm.frontend.fuel")  # few modules are metered
        meter = Meter(functools.partial(fuel.charges, immediates=immediates), fuel.bulk_shift)
    explicit = config.bounds == "explicit"
    limited = config.limits.stack_bytes is not None
    return BaselineCompiler(info, explicit, instruction_rows(), cpu_features(), meter, limited)


class FunctionCompilers:
    """Compiles single functions of a module, unoptimised."""

    def __init__(self, info: ModuleInfo, config: Config) -> None:
        self._info = info
        self._config = config
        self._compiler = baseline_compiler(info, config)

    def compile(self, body: FunctionBody) -> bytes | None:
        """The code of a valid body; None if it contains what this tier does not cover."""
        try:
            return self._compiler.compile(body.funcidx, body.body)
        except Unsupported:
            return None

    def positions(self, body: FunctionBody) -> list[tuple[int, int]]:
        """(offset in the code, position in the body) for each instruction of what `compile` makes,
        in order; nothing if that does not cover the function."""
        found: list[tuple[int, int]] = []
        try:
            self._compiler.compile(body.funcidx, body.body, found)
        except Unsupported:
            return []
        return found

    def loop_exit(self, body: FunctionBody, target: int) -> bytes:
        """Code that leaves what `compile` made at a loop's header for the code at `target`."""
        return self._compiler.loop_exit(body.funcidx, body.body, target)

    def validate(self, body: FunctionBody) -> None:
        """Validate a body, where that has been left until now. Raises `CompileError`."""
        self._validator.validate(body)

    def fall_back(self, body: FunctionBody) -> bytes:
        """An object from LLVM.

        Raises:
            CompileError: it got lost (see `Config.executor`).
        """
        return self._fallback.compile(body)

    @functools.cached_property
    def _validator(self) -> Validator:
        return Validator(self._info, self._config)

    @functools.cached_property
    def _fallback(self) -> FallbackCompiler:
        # Not at import: few modules need LLVM here, and it takes long to import.
        made: FallbackCompiler = importlib.import_module("jitwasm.llvmtier").FallbackCompiler(
            self._info, self._config
        )
        return made


class BaselineCode:
    """What follows the start of the code section: functions in, objects out.

    Attributes:
        functions_total, functions_translated, functions_compiled: see Progress.
        lazy: whether functions are only validated now, or not even that.
        fallbacks: the functions that went to LLVM.
        is_as_wanted: whether another time nothing else would come out.
    """

    is_as_wanted = True

    def __init__(
        self, start: CodeStart, config: Config, lazy: bool, fingerprint: Callable[[], str]
    ) -> None:
        self.functions_total = start.count
        self.functions_translated = 0
        self.lazy = lazy
        self.fallbacks: list[int] = []
        self._machine_fingerprint = fingerprint
        deferred = lazy and config.validation == "lazy"
        self._validator = None if deferred else Validator(start.info, config)
        self._functions = FunctionCompilers(start.info, config)
        self._codes: list[tuple[str, bytes]] = []
        self._objects: list[bytes] = []

    @property
    def functions_compiled(self) -> int:
        return self.functions_translated  # what is left to the first call is not waited for

    @property
    def fingerprint(self) -> str:
        """On what machines the objects are valid."""
        return self._machine_fingerprint() if self._objects else baseline_fingerprint()

    def add(self, body: FunctionBody) -> None:
        """Validate and compile a function, as far as that is not done at its first call."""
        if self._validator is not None:
            self._validator.validate(body)
        self.functions_translated += 1
        if self.lazy:
            return
        code = self._functions.compile(body)
        if code is not None:
            self._codes.append((function_symbol(body.funcidx), code))
        else:
            self.fallbacks.append(body.funcidx)
            self._objects.append(self._functions.fall_back(body))

    def finish(self, data: bytes) -> list[bytes]:
        """The objects that define all functions; none if they are compiled lazily."""
        return [] if self.lazy else [write_object(self._codes), *self._objects]

    def cancel(self) -> None:
        """Nothing runs in the background."""
