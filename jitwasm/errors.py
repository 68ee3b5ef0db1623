"""Every exception jitwasm raises.

    WasmError
    ├── CompileError                  the bytes are not a module this engine accepts
    │   ├── MalformedError            they do not decode (binary format)
    │   └── InvalidError              they decode, but do not validate
    ├── LinkError                     the imports do not fit the module
    ├── LoadError                     a compiled file does not fit this machine or version
    ├── Trap                          WebAssembly code trapped; also builtins.RuntimeError
    │   └── StackOverflow             call stack exhausted; also RecursionError
    └── ExitError                     a WASI program ended itself with `proc_exit`

    CompileWarning                    code is valid, but will run slower than it could

Arguments of the wrong Python type raise `TypeError`, integers out of range `OverflowError`,
accesses out of range `IndexError`, as everywhere in Python.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence

from jitwasm.records import record
from jitwasm.trapcodes import TrapCode

__all__ = [
    "CompileError",
    "CompileWarning",
    "ExitError",
    "Frame",
    "InvalidError",
    "LinkError",
    "LoadError",
    "MalformedError",
    "StackOverflow",
    "Trap",
    "WasmError",
]


class WasmError(Exception):
    """Base class of all errors that are about WebAssembly itself."""


class CompileError(WasmError):
    """The bytes are not a valid module (JavaScript API: `CompileError`).

    Attributes:
        message: what is wrong, without the place.
        offset: byte offset in the module, or None where no place exists.
        funcidx: index of the function whose body is wrong, or None.
        name: that function's name, where known.
    """

    def __init__(
        self,
        message: str,
        offset: int | None = None,
        funcidx: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(message, offset, funcidx, name)
        self.message = message
        self.offset = offset
        self.funcidx = funcidx
        self.name = name

    def __str__(self) -> str:
        text = self.message
        if self.funcidx is not None:
            text += f", in function {self.funcidx}"
            if self.name:
                text += f" ({self.name})"
        if self.offset is not None:
            text += f" (at offset 0x{self.offset:x})"
        return text


class CompileWarning(RuntimeWarning):
    """Functions were not optimised, because LLVM or the worker that ran it failed."""


class MalformedError(CompileError):
    """The bytes do not follow the binary format."""


class InvalidError(CompileError):
    """The module decodes but breaks a validation rule."""


class LinkError(WasmError):
    """One or more imports are missing or do not match; the message lists all of them."""


class LoadError(WasmError):
    """A file holds no compiled module, or one for another version or processor, or is damaged."""


@record(frozen=True)
class Frame:
    """One WebAssembly function on the call stack at the moment of a trap.

    Attributes:
        funcidx: the function's index in its module.
        name: its name from the name section or an export, or None.
        module: the module's name from the name section, or None.
        code_offset: bytes of machine code from the function's start.
        offset: byte offset in the module of the instruction, where known: in code that LLVM has
            optimised it is not.
    """

    funcidx: int
    name: str | None
    module: str | None
    code_offset: int
    offset: int | None = None

    def __str__(self) -> str:
        name = self.name or "<unnamed>"
        place = f"{self.module}.{name}" if self.module else name
        where = "" if self.offset is None else f":0x{self.offset:x}"
        return f"{place} (wasm-function[{self.funcidx}]{where})"


class Trap(WasmError, builtins.RuntimeError):
    """WebAssembly execution trapped (JavaScript API: `RuntimeError`).

    Attributes:
        code: which trap.
        message: its text, the one the official test suite uses.
        frames: the WebAssembly functions that were active, innermost first; found on first use.
    """

    __slots__ = ("_origin",)

    _code: TrapCode | None = None
    _frames: tuple[Frame, ...] | None = None
    _origin: tuple[Callable[..., Sequence[Frame]], object, bytes] | None
    """Native code makes traps without `__init__` and only sets this: what finds the frames, its
    first argument, and what was noted when it happened, which begins with the code (i64)."""

    def __init__(
        self, code: TrapCode, message: str | None = None, frames: Sequence[Frame] = ()
    ) -> None:
        self._code = code
        self._frames = tuple(frames)
        self._origin = None
        self.args = (message or code.message,)

    @property
    def code(self) -> TrapCode:
        if self._code is None:
            assert self._origin is not None
            self._code = TrapCode(int.from_bytes(self._origin[2][:8], "little"))
        return self._code

    @property
    def message(self) -> str:
        return str(self.args[0])

    @property
    def frames(self) -> tuple[Frame, ...]:
        if self._frames is None:
            assert self._origin is not None
            find_frames, where, noted = self._origin
            self._frames = tuple(find_frames(where, noted))
        return self._frames

    def __str__(self) -> str:
        return "".join([self.message, *(f"\n    at {frame}" for frame in self.frames)])

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_trap, (type(self), self.code, self.message, self.frames)


class StackOverflow(Trap, RecursionError):
    """The call stack is exhausted."""


def _rebuild_trap(cls: type[Trap], code: TrapCode, message: str, frames: tuple[Frame, ...]) -> Trap:
    return cls(code, message, frames)


class ExitError(WasmError):
    """A WASI program called `proc_exit`.

    Attributes:
        code: its exit code, 0 for success.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exit with code {code}")
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code,)
