"""A cursor over bytes that are all there: a section's payload or a function body.

Everything it reads is checked against the end, and it allocates nothing on the word of a declared
length or count. Errors carry the module offset.

Value, reference and heap types (specification: Binary Format, "Types") are read here too, because
sections and instructions both need them.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.config import Features
from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.leb128 import UNEXPECTED_END, read_signed, read_unsigned
from jitwasm.types import (
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    DefType,
    RecRef,
    RefType,
    ValType,
    ref_type,
)

__all__ = [
    "NUMBER_TYPES",
    "Reader",
    "read_heap_type",
    "read_ref_type",
    "read_val_type",
    "require_feature",
]


class Reader:
    """A cursor.

    Attributes:
        data: the bytes; only `data[pos:end]` is read.
        pos: the next byte.
        end: where reading ends.
        base: module offset of `data[0]`.
    """

    __slots__ = ("base", "data", "end", "pos")

    def __init__(self, data: bytes, pos: int = 0, end: int | None = None, base: int = 0) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data) if end is None else end
        self.base = base

    @property
    def offset(self) -> int:
        """Module offset of the next byte."""
        return self.base + self.pos

    @property
    def at_end(self) -> bool:
        return self.pos >= self.end

    @property
    def remaining(self) -> int:
        return self.end - self.pos

    def malformed(self, message: str, offset: int | None = None) -> MalformedError:
        """An error at `offset`, by default at the next byte."""
        return MalformedError(message, self.offset if offset is None else offset)

    def invalid(self, message: str, offset: int | None = None) -> InvalidError:
        """An error at `offset`, by default at the next byte."""
        return InvalidError(message, self.offset if offset is None else offset)

    def u8(self) -> int:
        """A byte."""
        pos = self.pos
        if pos >= self.end:
            raise self.malformed(UNEXPECTED_END)
        self.pos = pos + 1
        return self.data[pos]

    def u32(self) -> int:
        pos = self.pos
        if pos < self.end:
            byte = self.data[pos]
            if byte < 0x80:
                self.pos = pos + 1
                return byte
        value, self.pos = read_unsigned(self.data, pos, self.end, 32, self.base)
        return value

    def u64(self) -> int:
        value, self.pos = read_unsigned(self.data, self.pos, self.end, 64, self.base)
        return value

    def s32(self) -> int:
        value, self.pos = read_signed(self.data, self.pos, self.end, 32, self.base)
        return value

    def s33(self) -> int:
        value, self.pos = read_signed(self.data, self.pos, self.end, 33, self.base)
        return value

    def s64(self) -> int:
        value, self.pos = read_signed(self.data, self.pos, self.end, 64, self.base)
        return value

    def f32_bits(self) -> int:
        """The bits of an f32 (never a Python float: that could change a NaN)."""
        return int.from_bytes(self.take(4), "little")

    def f64_bits(self) -> int:
        """The bits of an f64."""
        return int.from_bytes(self.take(8), "little")

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        pos = self.pos
        if length > self.end - pos:
            raise self.malformed(UNEXPECTED_END, self.base + self.end)
        self.pos = pos + length
        return self.data[pos : pos + length]

    def sub_reader(self, length: int) -> Reader:
        """A reader over the next `length` bytes, which this one skips."""
        pos = self.pos
        if length > self.end - pos:
            raise self.malformed("length out of bounds")
        self.pos = pos + length
        return Reader(self.data, pos, pos + length, self.base)

    def name(self) -> str:
        """A name: length and UTF-8."""
        length = self.u32()
        if length > self.end - self.pos:
            raise self.malformed(f"length out of bounds: {UNEXPECTED_END}")
        start = self.offset
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as error:
            raise self.malformed("malformed UTF-8 encoding", start + error.start) from None

    def count(self, what: str, limit: int) -> int:
        """The length of a vector of at least one byte each.

        A count that the rest of the section cannot hold is refused here, so that nobody loops or
        allocates on the word of it.
        """
        offset = self.offset
        count = self.u32()
        if count > self.end - self.pos:
            raise self.malformed(
                f"{UNEXPECTED_END}: {count} {what} in {self.end - self.pos} bytes", offset
            )
        if count > limit:
            raise self.invalid(f"too many {what}: {count}, the limit is {limit}", offset)
        return count

    def expect_end(self) -> None:
        """Whoever declared the size of this must have told the truth."""
        if self.pos != self.end:
            raise self.malformed("section size mismatch")


NUMBER_TYPES: dict[int, ValType] = {0x7F: I32, 0x7E: I64, 0x7D: F32, 0x7C: F64, 0x7B: V128}
"""Value types by their byte, but references."""
# Those by theirs, and which feature an abbreviated one belongs to:
_HEAP_TYPES: dict[int, tuple[str, str | None]] = {
    0x70: ("func", None),
    0x6F: ("extern", None),
    0x74: ("noexn", "exceptions"),
    0x73: ("nofunc", "function_references"),
    0x72: ("noextern", "function_references"),
    0x71: ("none", "gc"),
    0x6E: ("any", "gc"),
    0x6D: ("eq", "gc"),
    0x6C: ("i31", "gc"),
    0x6B: ("struct", "gc"),
    0x6A: ("array", "gc"),
    0x69: ("exn", "exceptions"),
}
_REF_NULL = 0x63
_REF = 0x64


def require_feature(reader: Reader, features: Features, feature: str, what: str) -> None:
    """Refuse `what` unless the feature is on."""
    if not getattr(features, feature):
        raise reader.invalid(f"{what} requires the feature '{feature}'")


def read_val_type(reader: Reader, types: Sequence[DefType | RecRef], features: Features) -> ValType:
    """A value type; `types` gives what a type index stands for."""
    if reader.pos < reader.end:
        found = NUMBER_TYPES.get(reader.data[reader.pos])
        if found is not None:
            if found is V128:
                require_feature(reader, features, "simd", "v128")
            reader.pos += 1
            return found
    return _read_ref_type(reader, types, features, "malformed value type")


def read_ref_type(reader: Reader, types: Sequence[DefType | RecRef], features: Features) -> RefType:
    """A reference type."""
    return _read_ref_type(reader, types, features, "malformed reference type")


def _read_ref_type(
    reader: Reader, types: Sequence[DefType | RecRef], features: Features, message: str
) -> RefType:
    offset = reader.offset
    byte = reader.u8()
    if byte == 0x70:
        return FUNCREF
    if byte == 0x6F:
        return EXTERNREF
    if byte in (_REF, _REF_NULL):
        require_feature(reader, features, "function_references", "a typed reference")
        return ref_type(byte == _REF_NULL, read_heap_type(reader, types, features))
    if byte in _HEAP_TYPES:
        reader.pos -= 1
        return ref_type(True, read_heap_type(reader, types, features))
    raise reader.malformed(message, offset)


def read_heap_type(
    reader: Reader, types: Sequence[DefType | RecRef], features: Features
) -> str | DefType | RecRef:
    """A heap type: an abstract one's name, or what a type index stands for."""
    offset = reader.offset
    abstract = _HEAP_TYPES.get(reader.u8())
    if abstract is not None:
        name, feature = abstract
        if feature is not None:
            require_feature(reader, features, feature, f"the heap type {name}")
        return name
    reader.pos -= 1
    typeidx = reader.s33()
    if typeidx < 0:
        raise reader.malformed("malformed heap type", offset)
    require_feature(reader, features, "function_references", "a type index as heap type")
    if typeidx >= len(types):
        raise reader.invalid(f"unknown type {typeidx}", offset)
    return types[typeidx]
