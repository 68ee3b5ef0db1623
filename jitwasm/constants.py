"""Evaluating constant expressions (specification: "Constant Expressions").

They are validated when a module is decoded, so evaluation only follows the postfix form. Values
are bits, as in the cells of globals.
"""

from __future__ import annotations

from collections.abc import Callable

from jitwasm.errors import CompileError
from jitwasm.frontend.moduleinfo import ConstExpr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object

__all__ = ["ConstantScope", "evaluate", "function_named", "literal"]

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

    def global_bits(self, globalidx: int) -> int: ...

    def funcref(self, funcidx: int) -> int: ...


class _Nothing:
    """The scope of expressions that refer to nothing."""

    def global_bits(self, globalidx: int) -> int:
        raise NotImplementedError

    funcref = global_bits


def literal(expression: ConstExpr) -> int | None:
    """The bits of the expression's value, if all instances agree on them."""
    if any(mnemonic in ("global.get", "ref.func") for mnemonic, _ in expression.ops):
        return None
    return evaluate(expression, _Nothing())


def function_named(expression: ConstExpr) -> int | None:
    """The function that the expression is a reference to, if it says no more than that."""
    mnemonic, operand = expression.ops[-1]
    if mnemonic == "ref.func" and len(expression.ops) == 1:
        funcidx: int = operand
        return funcidx
    return None


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
        return scope.global_bits(operand)
    raise CompileError(f"constant instruction {mnemonic} requires the feature 'gc'")
