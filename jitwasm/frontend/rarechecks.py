"""The translator's handlers as rules of validation, for what checkrules.py has no rules.

They run as if all code were unreachable, so that they check everything and emit nothing. Few
modules need them, and they take longer to import than a small module to validate: validator.py
does it when the first one comes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any, SupportsIndex, cast, overload

from jitwasm.config import Features
from jitwasm.frontend.checker import Checker
from jitwasm.frontend.emit.context import ModuleContext
from jitwasm.frontend.emit.dispatch import handlers
from jitwasm.frontend.emit.function import FunctionEmitter
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.stacks import ControlFrame
from jitwasm.frontend.translate import check_instructions
from jitwasm.types import ValType

__all__ = ["check_all", "check_one", "emitter_beside"]


class _NoOperands(list[str]):
    """In place of the operands beside the types: nobody looks at them."""

    def append(self, item: str) -> None:
        pass

    def extend(self, items: Iterable[str]) -> None:
        pass

    def pop(self, index: SupportsIndex = -1) -> str:
        return "poison"

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | list[str]:
        if isinstance(index, slice):
            return ["poison"] * abs(index.start or 0)
        return "poison"

    def __setitem__(self, index: Any, value: Any) -> None:
        pass

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        pass


class _Unreachable(FunctionEmitter):
    """A FunctionEmitter that is never in reachable code."""

    __slots__ = ()

    def __init__(
        self, module: ModuleContext, funcidx: int, code: bytes, base: int, types: list[ValType]
    ) -> None:
        super().__init__(module, funcidx, code, base, types, [], in_memory=True)
        self.die()
        self.vals = _NoOperands()
        self.line = _ignore
        self.fresh = repeat("poison").__next__

    def op(self, rhs: str) -> str:
        return "poison"

    def as_cond(self, val: str) -> str:
        return "poison"


def _ignore(text: str) -> None:
    pass


def check_all(
    module: ModuleContext,
    body: FunctionBody,
    types: list[ValType],
    uninitialized: list[int],
    at: int,
) -> None:
    """Check all instructions from the position `at` on, and whether locals without default values
    are set before they are read."""
    f = _Unreachable(module, body.funcidx, body.body, body.offset, types)
    f.uninitialized.update(uninitialized)
    check_instructions(f, at)


def emitter_beside(
    c: Checker, module: ModuleContext, body: FunctionBody, types: list[ValType]
) -> FunctionEmitter:
    """What handlers work on when they are called for single instructions; it shares the stacks."""
    emitter = _Unreachable(module, body.funcidx, body.body, body.offset, types)
    emitter.types = c.types
    # It has all attributes that matter where nothing is reachable.
    emitter.frames = cast("list[ControlFrame]", c.frames)
    return emitter


def check_one(f: FunctionEmitter, pos: int, features: Features, byte: int) -> int:
    """Check the instruction that begins with this byte, behind which the position is."""
    handler, row = handlers(features, True)[byte]
    return handler(f, pos, row)
