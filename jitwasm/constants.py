"""Evaluating constant expressions (specification: "Constant Expressions").

They are validated when a module is decoded, so evaluation only follows the postfix form. Values
are bits, as in the cells of globals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from jitwasm.errors import CompileError
from jitwasm.frontend.moduleinfo import ConstExpr
from jitwasm.globals import GlobalCell

__all__ = ["ConstantScope", "evaluate"]

_MASK32 = (1 << 32) - 1
_MASK64 = (1 << 64) - 1

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "i32.add": lambda a, b: a + b & _MASK32,
    "i32.sub": lambda a, b: a - b & _MASK32,
    "i32.mul": lambda a, b: a * b & _MASK32,
    "i64.add": lambda a, b: a + b & _MASK64,
    "i64.sub": lambda a, b: a - b & _MASK64,
    "i64.mul": lambda a, b: a * b & _MASK64,
}


class ConstantScope(Protocol):
    """What a constant expression may refer to."""

    @property
    def globals(self) -> list[GlobalCell]: ...

    def funcref(self, funcidx: int) -> int: ...


def evaluate(expression: ConstExpr, scope: ConstantScope) -> int:
    """The bits of the expression's value."""
    stack: list[int] = []
    for mnemonic, operand in expression.ops:
        arithmetic = _ARITHMETIC.get(mnemonic)
        if arithmetic is not None:
            right = stack.pop()
            stack.append(arithmetic(stack.pop(), right))
        elif mnemonic == "ref.i31":
            stack.append((stack.pop() << 1 | 1) & _MASK32)
        elif mnemonic not in ("any.convert_extern", "extern.convert_any"):
            stack.append(_leaf(mnemonic, operand, scope))
    return stack.pop()


def _leaf(mnemonic: str, operand: Any, scope: ConstantScope) -> int:
    if mnemonic == "i32.const":
        return int(operand) & _MASK32
    if mnemonic == "i64.const":
        return int(operand) & _MASK64
    if mnemonic in ("f32.const", "f64.const"):
        bits: int = operand
        return bits
    if mnemonic == "v128.const":
        data: bytes = operand
        return int.from_bytes(data, "little")
    if mnemonic == "ref.null":
        return 0
    if mnemonic == "ref.func":
        return scope.funcref(operand)
    if mnemonic == "global.get":
        cell: GlobalCell = scope.globals[operand]
        return cell.bits
    raise CompileError(f"constant instruction {mnemonic} requires the feature 'gc'")
