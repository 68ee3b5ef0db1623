"""WebAssembly types as C types, and how C functions pass them.

Several results are a structure with the fields r0, r1, …. On x86-64 (System V ABI) C returns one of
at most 16 bytes in registers, by the classes of its eight-byte halves, and any larger one through a
hidden pointer. Other targets have rules of their own for small structures; there the structure gets
padding that makes it large, and all agree on the hidden pointer.
"""

from __future__ import annotations

from dataclasses import dataclass

from jitwasm.aot.targets import Target
from jitwasm.types import F32, F64, I32, I64, V128, FuncType, ValType

__all__ = ["PADDING", "CResult", "c_result", "c_type"]

PADDING = 17
"""Bytes at the end of a structure of results, except on x86-64."""

_C_NAMES = {I32: "int32_t", I64: "int64_t", F32: "float", F64: "double", V128: "jw_v128"}


def c_type(type_: ValType) -> str:
    """The C type of a value; references are opaque pointers."""
    return _C_NAMES.get(type_, "jw_ref")


@dataclass(frozen=True)
class CResult:
    """How a C function returns the results of a function type.

    Attributes:
        fields: offset of each result in the structure (one or none: no structure).
        size: of the structure.
        ir: what the LLVM function returns.
        hidden: whether the structure goes through a pointer that is the first argument.
    """

    fields: tuple[int, ...]
    size: int
    ir: str
    hidden: bool


def c_result(type_: FuncType, target: Target) -> CResult:
    """Classify the results of a function type."""
    results = type_.results
    if not results:
        return CResult((), 0, "void", False)
    if len(results) == 1:
        return CResult((0,), results[0].size, target.argument(results[0].ir), False)
    offsets, end, align = [], 0, 1
    for value in results:
        end = -(-end // value.size) * value.size
        offsets.append(end)
        end += value.size
        align = max(align, value.size)
    if not target.is_host:
        end += PADDING
    size = -(-end // align) * align
    if size > 16:
        return CResult(tuple(offsets), size, "void", True)
    halves = [_class(results, offsets, start, size) for start in range(0, size, 8)]
    return CResult(tuple(offsets), size, "{ " + ", ".join(halves) + " }", False)


def _class(results: tuple[ValType, ...], offsets: list[int], start: int, size: int) -> str:
    """The LLVM type in which the eight bytes from `start` are returned."""
    inside = [value for value, at in zip(results, offsets, strict=True) if start <= at < start + 8]
    if all(value.is_float for value in inside):
        if inside[0] is F64:
            return "double"
        return "<2 x float>" if len(inside) == 2 else "float"
    return "i64" if min(size - start, 8) == 8 else "i32"
