"""The baseline tier's part of the pipeline: validated bodies in, objects out.

The baseline compiler knows nothing of the frontend: here it gets the instruction table and the
module's declarations as plain data. A function that it does not cover goes to LLVM at level 0, as
a unit of its own.
"""

from __future__ import annotations

import functools

from jitwasm.backend import llvm
from jitwasm.backend.baseline.compiler import REQUIRED_FEATURES, BaselineCompiler, Unsupported
from jitwasm.backend.baseline.objectfile import write_object
from jitwasm.backend.baseline.program import InstructionRow
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.units import unit_text
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.translate import Translator

__all__ = ["BaselineCode", "instruction_rows", "is_available"]


@functools.cache
def instruction_rows() -> tuple[InstructionRow, ...]:
    """The instruction table as the backend wants it."""
    return tuple(
        (op.code, op.mnemonic, tuple(kind.name for kind in op.immediates)) for op in OPCODES
    )


@functools.cache
def is_available() -> bool:
    """Whether this machine has what baseline code takes for granted."""
    features = llvm.host_cpu()[1].split(",")
    return all(f"+{name}" in features for name in REQUIRED_FEATURES)


class BaselineCode:
    """What follows the start of the code section: functions in, objects out.

    Attributes:
        functions_total, functions_translated, functions_compiled: see Progress.
        fingerprint: on what machines the objects are valid.
        fallbacks: the functions that went to LLVM, and why.
    """

    def __init__(self, start: CodeStart, config: Config, fingerprint: str) -> None:
        self.functions_total = start.count
        self.functions_translated = 0
        self.fingerprint = fingerprint
        self.fallbacks: dict[int, str] = {}
        self._info = start.info
        self._config = config
        self._translator = Translator(start.info, config)
        self._compiler = BaselineCompiler(
            start.info, config.bounds == "explicit", instruction_rows()
        )
        self._functions: list[tuple[int, bytes]] = []
        self._objects: list[bytes] = []

    @property
    def functions_compiled(self) -> int:
        return self.functions_translated

    def add(self, body: FunctionBody) -> None:
        """Validate and compile a function."""
        function = self._translator.translate(body)
        try:
            code = self._compiler.compile(body.funcidx, body.body)
            self._functions.append((body.funcidx, code))
        except Unsupported as reason:
            self.fallbacks[body.funcidx] = str(reason)
            text = unit_text([function], self._info.layout)
            self._objects.append(compile_unit(text, host_target(0), self._config.verify_ir))
        self.functions_translated += 1

    def finish(self) -> list[bytes]:
        """The objects that define all functions."""
        return [write_object(self._functions), *self._objects]

    def cancel(self) -> None:
        """Nothing runs in the background."""
