"""The baseline tier's part of the pipeline: validated bodies in, objects out, at once or lazily.

The baseline compiler knows nothing of the frontend: here it gets the instruction table and the
module's declarations as plain data. A function that it does not cover goes to LLVM at level 0, as
a unit of its own.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence

from jitwasm.abi import ABI_VERSION, function_symbol
from jitwasm.backend.baseline.compiler import BaselineCompiler, Unsupported
from jitwasm.backend.baseline.objectfile import write_object
from jitwasm.backend.baseline.program import InstructionRow
from jitwasm.backend.baseline.stubs import stub_object
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.executors import scheduler_of
from jitwasm.backend.native import CodeImage, FrameInfo, native
from jitwasm.backend.processor import cpu_flags
from jitwasm.backend.units import CompileUnit, unit_text
from jitwasm.block import write_word
from jitwasm.config import Config
from jitwasm.errors import CompileError
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.translate import Translator
from jitwasm.frontend.validator import Validator
from jitwasm.types import I32, I64, func_type
from jitwasm.version import __version__

__all__ = [
    "BaselineCode",
    "LazyFunctions",
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


class _Functions:
    """Compiles single functions."""

    def __init__(self, info: ModuleInfo, config: Config) -> None:
        self._info = info
        self._config = config
        self._compiler = BaselineCompiler(info, config.bounds == "explicit", instruction_rows())

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
        bodies: then, where they are in the module: funcidx -> (offset, size).
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
        self._functions = _Functions(start.info, config)
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
        if self.lazy:
            self.bodies[body.funcidx] = (body.offset, len(body.body))
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


class LazyFunctions:
    """The functions of a validated module, compiled when they are first called.

    All instances of the module share the code. A function's slot in vmctx leads to a stub, which
    calls `_enter` here, as a host function; that stores the code's address in the slot.
    """

    def __init__(
        self,
        data: bytes,
        info: ModuleInfo,
        config: Config,
        bodies: Mapping[int, tuple[int, int]],
    ) -> None:
        self._data = data
        self._info = info
        self._bodies = bodies
        self._functions = _Functions(info, config)
        # Reentrant: a signal handler may call into the same module.
        self._lock = threading.RLock()
        self._images: dict[int, CodeImage] = {}
        self._describe: Callable[[str], FrameInfo | None] = _nameless

    def image(self, describe: Callable[[str], FrameInfo | None]) -> CodeImage:
        """The stubs of all functions. The image keeps the functions' code alive."""
        self._describe = describe
        runtime = native()
        # No fast path: it would have to be compiled for a few thousand calls.
        host = runtime.host_function(func_type((I32, I64), (I64,)), self._enter, 0, 0, "ctypes")
        image = runtime.load([stub_object(self._info.layout, host.code, host.env)], describe)
        image.owner = (self, host)
        return image

    @property
    def functions_compiled(self) -> int:
        return len(self._images)

    def _enter(self, funcidx: int, vmctx: int) -> int:
        """A function is called through a slot that does not lead to its code yet."""
        with self._lock:
            image = self._images.get(funcidx)
            if image is None:
                image = self._images[funcidx] = self._compile(funcidx)
        address = image.symbols[function_symbol(funcidx)]
        write_word(vmctx + self._info.layout.function_slot(funcidx), address)
        return address

    def _compile(self, funcidx: int) -> CodeImage:
        offset, size = self._bodies[funcidx]
        body = FunctionBody(funcidx, offset, self._data[offset : offset + size])
        try:
            code = self._functions.compile(body)
            data = write_object([(function_symbol(funcidx), code)])
        except Unsupported:
            data = self._functions.fall_back(body)
        return native().load([data], self._describe)


def _report_loss(info: ModuleInfo, funcidxs: Sequence[int], reason: BaseException) -> bytes:
    (funcidx,) = funcidxs
    raise CompileError(str(reason), None, funcidx, info.function_name(funcidx)) from reason


def _nameless(symbol: str) -> None:
    return None
