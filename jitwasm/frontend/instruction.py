"""What a row of the instruction table is (the tables: opcodes.py and opcodes_simd.py)."""

from __future__ import annotations

import enum

from jitwasm.records import record

__all__ = ["PREFIX_SHIFT", "Imm", "Op"]

PREFIX_SHIFT = 12
"""A prefixed opcode's code is `prefix << 12 | sub`."""


class Imm(enum.Enum):
    """Kinds of immediates, with what `read_immediates` gives for each."""

    BLOCKTYPE = enum.auto()  # FuncType
    LABELIDX = enum.auto()  # int, like all indices
    LABELS = enum.auto()  # tuple of labelidxs, the default last
    FUNCIDX = enum.auto()
    TYPEIDX = enum.auto()
    TABLEIDX = enum.auto()
    MEMIDX = enum.auto()
    GLOBALIDX = enum.auto()
    LOCALIDX = enum.auto()
    ELEMIDX = enum.auto()
    DATAIDX = enum.auto()
    TAGIDX = enum.auto()
    FIELDIDX = enum.auto()
    COUNT = enum.auto()  # int
    VALTYPES = enum.auto()  # tuple of ValTypes
    HEAPTYPE = enum.auto()  # abstract heap type's name, or DefType
    CASTFLAGS = enum.auto()  # int: bit 0 the source may be null, bit 1 the target
    CATCHES = enum.auto()  # tuple of (kind, tagidx or -1, labelidx)
    MEMARG = enum.auto()  # MemArg
    LANEIDX = enum.auto()  # int, one byte
    LANES16 = enum.auto()  # bytes of length 16
    ORDERING = enum.auto()  # zero byte
    I32 = enum.auto()  # int, signed
    I64 = enum.auto()  # int, signed
    F32 = enum.auto()  # int: the bits
    F64 = enum.auto()  # int: the bits
    V128 = enum.auto()  # bytes of length 16


@record(frozen=True)
class Op:
    """One instruction: see the legend in opcodes.py."""

    code: int
    mnemonic: str
    immediates: tuple[Imm, ...]
    signature: str | None
    feature: str
