"""Functions that LLVM was to compile and did not: the one-pass compiler does it in its place.

A worker process dies, an executor is shut down, memory runs out: whatever befalls a unit of code,
the module is not lost with it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence

from jitwasm.abi import function_symbol
from jitwasm.backend.baseline.allocator import Unsupported
from jitwasm.backend.baseline.compiler import BaselineCompiler
from jitwasm.backend.baseline.objectfile import write_object
from jitwasm.config import Config
from jitwasm.errors import CompileError, CompileWarning
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.tierchoice import is_available
from jitwasm.tiers import baseline_compiler

__all__ = ["OutOfProportion", "Recovery"]


class OutOfProportion(Exception):
    """LLVM would take out of proportion long for a function."""

    def __init__(self) -> None:
        super().__init__("its LLVM IR is out of proportion to its size")


class Recovery:
    """The functions of one module, by where their bodies are.

    Attributes:
        losses: how many times code had to be compiled in this way that LLVM might have compiled.
    """

    def __init__(self, info: ModuleInfo, config: Config) -> None:
        self._info = info
        self._config = config
        self._bodies: dict[int, tuple[int, int]] = {}
        self.losses = 0

    def note(self, body: FunctionBody) -> None:
        """Remember a function, which has been validated or will be."""
        self._bodies[body.funcidx] = (body.offset, len(body.body))

    def compile(self, data: bytes, funcidxs: Sequence[int], reason: BaseException) -> bytes:
        """The object of some functions, with a warning that they are not optimised.

        Args:
            data: the module.
            funcidxs: which functions.
            reason: why.

        Raises:
            CompileError: the one-pass compiler does not cover them.
        """
        self.losses += not isinstance(reason, OutOfProportion)
        codes = [(function_symbol(i), self._compile(data, i, reason)) for i in funcidxs]
        shown = ", ".join(map(str, funcidxs[:5])) + (", …" if len(funcidxs) > 5 else "")
        warnings.warn(
            f"not optimised: functions {shown}: {_text(reason)}", CompileWarning, stacklevel=2
        )
        return write_object(codes)

    def _compile(self, data: bytes, funcidx: int, reason: BaseException) -> bytes:
        offset, size = self._bodies[funcidx]
        name = self._info.function_name(funcidx)
        if not is_available():
            raise CompileError(_text(reason), offset, funcidx, name) from reason
        try:
            return self._compiler.compile(funcidx, data[offset : offset + size])
        except Unsupported as unsupported:
            message = f"{_text(reason)}; nor does the one-pass compiler cover it: {unsupported}"
            raise CompileError(message, offset, funcidx, name) from reason

    @functools.cached_property
    def _compiler(self) -> BaselineCompiler:
        return baseline_compiler(self._info, self._config)


def _text(reason: BaseException) -> str:
    return str(reason) or type(reason).__name__
