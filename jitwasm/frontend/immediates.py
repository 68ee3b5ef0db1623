"""Immediates of instructions (specification: Binary Format, "Instructions").

The frequent instructions read theirs with the functions on (code, pos) here or inline; for all
others `read_immediates` follows the table's row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jitwasm.config import Features
from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.instruction import Imm
from jitwasm.frontend.leb128 import UNEXPECTED_END
from jitwasm.frontend.reader import Reader, read_heap_type, read_val_type
from jitwasm.records import record
from jitwasm.types import DefType, FuncType, ValType, func_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ImmediateReader", "MemArg", "read_block_type", "read_memarg"]

MULTI_MEMORY_FLAG = 0x40


@record(frozen=True, slots=True)
class MemArg:
    """`align` is the exponent."""

    align: int
    memidx: int
    offset: int


def read_memarg(reader: Reader, features: Features) -> MemArg:
    """A memory argument. Offsets are read as u64; what a 32-bit memory allows is validation."""
    start = reader.offset
    align = reader.u32()
    memidx = 0
    if align >= MULTI_MEMORY_FLAG:
        if align >= 2 * MULTI_MEMORY_FLAG:
            raise MalformedError("malformed memop flags", start)
        if not features.multi_memory:
            raise InvalidError("a memory index requires the feature 'multi_memory'", start)
        align -= MULTI_MEMORY_FLAG
        memidx = reader.u32()
    return MemArg(align, memidx, reader.u64())


def read_block_type(reader: Reader, types: Sequence[DefType], features: Features) -> FuncType:
    """A block type, as the function type it stands for."""
    start = reader.pos
    byte = reader.u8()
    if byte == 0x40:
        return func_type((), ())
    reader.pos = start
    if byte & 0xC0 == 0x40:
        return func_type((), (read_val_type(reader, types, features),))
    typeidx = reader.s33()
    if typeidx < 0:
        raise reader.malformed("malformed block type", reader.base + start)
    if typeidx >= len(types):
        raise reader.invalid(f"unknown type {typeidx}", reader.base + start)
    comp = types[typeidx].comp
    if not isinstance(comp, FuncType):
        raise reader.invalid(f"type {typeidx} is not a function type", reader.base + start)
    return comp


class ImmediateReader:
    """Reads immediates as the table's rows say, for the types and features of one module."""

    def __init__(self, types: Sequence[DefType], features: Features) -> None:
        self._types = types
        self._features = features
        self._readers: dict[Imm, Callable[[Reader], Any]] = {
            Imm.BLOCKTYPE: lambda r: read_block_type(r, types, features),
            Imm.LABELS: self.labels,
            Imm.VALTYPES: self._val_types,
            Imm.HEAPTYPE: lambda r: read_heap_type(r, types, features),
            Imm.CASTFLAGS: Reader.u8,
            Imm.CATCHES: self._catches,
            Imm.MEMARG: lambda r: read_memarg(r, features),
            Imm.LANEIDX: Reader.u8,
            Imm.LANES16: lambda r: r.take(16),
            Imm.V128: lambda r: r.take(16),
            Imm.ORDERING: self._ordering,
            Imm.I32: Reader.s32,
            Imm.I64: Reader.s64,
            Imm.F32: Reader.f32_bits,
            Imm.F64: Reader.f64_bits,
        }

    def read(self, kinds: tuple[Imm, ...], reader: Reader) -> tuple[Any, ...]:
        """The immediates of these kinds."""
        readers = self._readers
        return tuple([readers.get(kind, Reader.u32)(reader) for kind in kinds])

    def labels(self, reader: Reader) -> tuple[int, ...]:
        """The labels of `br_table`, the default last."""
        count = reader.u32()
        if count >= reader.remaining:
            raise reader.malformed(UNEXPECTED_END)
        return tuple([reader.u32() for _ in range(count + 1)])

    def _val_types(self, reader: Reader) -> tuple[ValType, ...]:
        count = reader.u32()
        if count > reader.remaining:
            raise reader.malformed(UNEXPECTED_END)
        return tuple([read_val_type(reader, self._types, self._features) for _ in range(count)])

    def _catches(self, reader: Reader) -> tuple[tuple[int, int, int], ...]:
        count = reader.u32()
        if count > reader.remaining:
            raise reader.malformed(UNEXPECTED_END)
        return tuple([self._catch(reader) for _ in range(count)])

    @staticmethod
    def _catch(reader: Reader) -> tuple[int, int, int]:
        kind = reader.u8()
        if kind > 3:
            raise reader.malformed("malformed catch clause", reader.offset - 1)
        tagidx = reader.u32() if kind < 2 else -1
        return kind, tagidx, reader.u32()

    @staticmethod
    def _ordering(reader: Reader) -> int:
        if reader.u8():
            raise reader.malformed("zero byte expected", reader.offset - 1)
        return 0
