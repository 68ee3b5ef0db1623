"""Values that the tests of several files share."""

from __future__ import annotations

from typing import Any

import jitwasm
from jitwasm import Global, Memory, Table
from tests.support.wat import wat

__all__ = ["EMPTY", "INVALID", "NOT_INTEGERS", "functions", "instance", "module", "not_a_buffer"]

EMPTY = b"\0asm\1\0\0\0"
INVALID = EMPTY + b"\0\0"

NOT_INTEGERS: list[Any] = [float("nan"), float("inf"), float("-inf")]
"""Numbers that are no sizes: a TypeError, as in JavaScript."""


def not_a_buffer() -> list[Any]:
    return [None, True, "", "test", object(), 1, 1.5, {}, memoryview, list(EMPTY), jitwasm.Module]


def module(text: str) -> jitwasm.Module:
    return jitwasm.Module(wat(text))


def instance(text: str, imports: object = None) -> jitwasm.Instance:
    return jitwasm.Instance(module(text), imports)


def functions() -> tuple[Any, Any]:
    """Two exported functions."""
    exports = instance('(module (func (export "fn") (param f64)) (func (export "fn2")))').exports
    return exports.fn, exports.fn2


def objects() -> dict[str, Any]:
    """One object of each class that can be imported."""
    return {"memory": Memory(0), "table": Table("funcref", 0), "global": Global("i32")}
