"""Imports for modules that are measured without what they are meant to be linked with.

Functions return zeros, memories and tables are as small as they may be, globals are zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jitwasm.globals import Global
from jitwasm.memory import Memory
from jitwasm.module import ImportDescriptor
from jitwasm.table import Table
from jitwasm.tag import Tag
from jitwasm.types import V128, FuncType, GlobalType, MemoryType, TableType, TagType, ValType

__all__ = ["stand_in", "zero", "zeros"]


def zero(type_: ValType) -> Any:
    """The default value of a type."""
    if type_.is_ref:
        return None
    if type_ is V128:
        return bytes(16)
    return 0.0 if type_.is_float else 0


def zeros(type_: FuncType) -> Callable[..., Any]:
    """A function of a type that returns zeros."""
    values = tuple(zero(row) for row in type_.results)
    result = None if not values else values[0] if len(values) == 1 else values
    return lambda *arguments: result


def stand_in(wanted: ImportDescriptor) -> object:
    """An object that satisfies an import."""
    type_ = wanted.type
    if isinstance(type_, FuncType):
        return zeros(type_)
    if isinstance(type_, MemoryType):
        return Memory._from_type(type_)
    if isinstance(type_, TableType):
        return Table(str(type_.element), type_.limits.minimum, type_.limits.maximum)
    if isinstance(type_, GlobalType):
        return Global(str(type_.value), zero(type_.value), mutable=type_.mutable)
    assert isinstance(type_, TagType)
    return Tag._from_type(type_)
