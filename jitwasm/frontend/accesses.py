"""Loads and stores of numbers: what each of them moves."""

from __future__ import annotations

from jitwasm.records import record
from jitwasm.types import F32, F64, I32, I64, ValType

__all__ = ["LOADS", "STORES", "Access"]


@record(frozen=True, slots=True)
class Access:
    """A load or store: the value's type, its LLVM type in memory, the exponent of the bytes, and
    how a narrower integer is extended or cut ("" for none)."""

    type: ValType
    ir: str
    log_size: int
    cast: str


LOADS = {
    "i32.load": Access(I32, "i32", 2, ""),
    "i64.load": Access(I64, "i64", 3, ""),
    "f32.load": Access(F32, "float", 2, ""),
    "f64.load": Access(F64, "double", 3, ""),
    "i32.load8_s": Access(I32, "i8", 0, "sext"),
    "i32.load8_u": Access(I32, "i8", 0, "zext"),
    "i32.load16_s": Access(I32, "i16", 1, "sext"),
    "i32.load16_u": Access(I32, "i16", 1, "zext"),
    "i64.load8_s": Access(I64, "i8", 0, "sext"),
    "i64.load8_u": Access(I64, "i8", 0, "zext"),
    "i64.load16_s": Access(I64, "i16", 1, "sext"),
    "i64.load16_u": Access(I64, "i16", 1, "zext"),
    "i64.load32_s": Access(I64, "i32", 2, "sext"),
    "i64.load32_u": Access(I64, "i32", 2, "zext"),
}

STORES = {
    "i32.store": Access(I32, "i32", 2, ""),
    "i64.store": Access(I64, "i64", 3, ""),
    "f32.store": Access(F32, "float", 2, ""),
    "f64.store": Access(F64, "double", 3, ""),
    "i32.store8": Access(I32, "i8", 0, "trunc"),
    "i32.store16": Access(I32, "i16", 1, "trunc"),
    "i64.store8": Access(I64, "i8", 0, "trunc"),
    "i64.store16": Access(I64, "i16", 1, "trunc"),
    "i64.store32": Access(I64, "i32", 2, "trunc"),
}
