"""What the compiler of functions wants to know of a module: a type, and no code."""

from __future__ import annotations

from typing import Protocol

from jitwasm.abi import VMLayout
from jitwasm.types import DefType, GlobalType, MemoryType, TableType

__all__ = ["Declarations"]


class Declarations(Protocol):
    """The index spaces of a module, imports first."""

    types: list[DefType]
    functions: list[DefType]
    tables: list[TableType]
    memories: list[MemoryType]
    globals: list[GlobalType]
    imported_functions: int
    imported_globals: int

    @property
    def layout(self) -> VMLayout: ...
