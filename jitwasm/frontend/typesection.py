"""The type section (specification: Binary Format, "Recursive Types"; Validation, "Types").

A recursion group is read with its members standing for themselves as `RecRef`s, rolled up by
`intern_group`, and only then checked against the supertypes it declares: matching wants real types.
A type that is not in an explicit group is a group of one.

Groups and subtypes of functions came with the GC proposal, but calls through typed references have
to handle them anyway, so they belong to the feature `function_references` here; structures and
arrays need `gc`.
"""

from __future__ import annotations

from collections.abc import Callable

from jitwasm.config import Features, ImplementationLimits
from jitwasm.errors import InvalidError
from jitwasm.frontend.reader import NUMBER_TYPES, Reader, read_val_type, require_feature
from jitwasm.types import (
    I8,
    I16,
    V128,
    ArrayType,
    CompType,
    DefType,
    FieldType,
    FuncType,
    PackedType,
    RecRef,
    StructType,
    SubType,
    ValType,
    func_type,
    intern_group,
    matches,
    plain_type,
)

__all__ = ["read_mutability", "read_types"]

_REC = 0x4E
_SUB_FINAL = 0x4F
_SUB = 0x50
_FUNC = 0x60
_STRUCT = 0x5F
_ARRAY = 0x5E
_REF_NULL = 0x63
_REF = 0x64
_SHORT = 0x7F
"""A length of one byte is at most this."""
_REMEMBERED = 1000
"""Types that `plain` has, by their bytes: some modules repeat theirs."""
_PACKED: dict[int, PackedType] = {0x78: I8, 0x77: I16}


def read_types(reader: Reader, features: Features, limits: ImplementationLimits) -> list[DefType]:
    """The types of the whole section, in the order of their indices."""
    section = _TypeSection(reader, features, limits)
    for _ in range(reader.count("types", limits.types)):
        if not section.read_plain():
            section.read_group()
    return section.types


class _TypeSection:
    """The state of reading: `scope` is what type indices stand for at this point."""

    def __init__(self, reader: Reader, features: Features, limits: ImplementationLimits) -> None:
        self.reader = reader
        self.features = features
        self.limits = limits
        self.types: list[DefType] = []
        self.scope: list[DefType | RecRef] = []
        self.plain: dict[bytes, DefType] = {}
        self.numbers = {
            byte for byte, type_ in NUMBER_TYPES.items() if features.simd or type_ is not V128
        }
        self.readers: dict[int, Callable[[], CompType]] = {
            _FUNC: self.read_func,
            _STRUCT: self.read_struct,
            _ARRAY: self.read_array,
        }

    def read_plain(self) -> bool:
        """Read a function type of numbers that is declared alone, as nearly all are, without any
        calls. False, and nothing is read, where it is something else, or wrong."""
        reader = self.reader
        data, pos, end = reader.data, reader.pos, reader.end
        if pos + 3 > end or data[pos] != _FUNC or data[pos + 1] > _SHORT:
            return False
        if data[pos + 2] in (_REF, _REF_NULL):
            return False
        middle = pos + 2 + data[pos + 1]
        if middle >= end or data[middle] > _SHORT:
            return False
        past = middle + 1 + data[middle]
        if past > end or len(self.types) >= self.limits.types:
            return False
        text = bytes(data[pos + 1 : past])
        found = self.plain.get(text)
        if found is None:
            found = self.make_plain(text)
            if found is None:
                return False
        self.types.append(found)
        self.scope.append(found)
        reader.pos = past
        return True

    def make_plain(self, text: bytes) -> DefType | None:
        """The type with these bytes, if it is one of numbers that may be used."""
        params, results = text[1 : text[0] + 1], text[text[0] + 2 :]
        numbers = self.numbers
        if not (numbers.issuperset(params) and numbers.issuperset(results)):
            return None
        if len(params) > self.limits.params or len(results) > self.limits.results:
            return None
        type_of = NUMBER_TYPES.__getitem__
        found = plain_type(func_type(list(map(type_of, params)), list(map(type_of, results))))
        if len(self.plain) < _REMEMBERED:
            self.plain[text] = found
        return found

    def read_group(self) -> None:
        """Read one recursion group and append its types."""
        reader = self.reader
        count = 1
        start = reader.offset
        if not reader.at_end and reader.data[reader.pos] == _REC:
            require_feature(reader, self.features, "function_references", "a recursion group")
            reader.pos += 1
            count = reader.count("types", self.limits.types)
        if len(self.types) + count > self.limits.types:
            raise reader.invalid(f"too many types, the limit is {self.limits.types}", start)
        first = len(self.types)
        self.scope.extend(RecRef(index) for index in range(count))
        offsets: list[int] = []
        group: list[SubType] = []
        depths: list[int] = []
        for index in range(count):
            offsets.append(reader.offset)
            sub = self.read_sub_type(first + index)
            group.append(sub)
            depths.append(self.check_depth(sub, depths, offsets[-1]))
        members = intern_group(group)
        self.scope[first:] = members
        self.types.extend(members)
        for index, (member, offset) in enumerate(zip(members, offsets, strict=True)):
            _check_supertype(member, first + index, offset)

    def read_sub_type(self, typeidx: int) -> SubType:
        reader = self.reader
        form = reader.u8()
        final = True
        supertype: DefType | RecRef | None = None
        if form in (_SUB, _SUB_FINAL):
            reader.pos -= 1
            require_feature(reader, self.features, "function_references", "a subtype declaration")
            reader.pos += 1
            final = form == _SUB_FINAL
            supertype = self.read_supertype(typeidx)
            form = reader.u8()
        read = self.readers.get(form)
        if read is None:
            raise reader.malformed("malformed definition type", reader.offset - 1)
        if form != _FUNC:
            require_feature(reader, self.features, "gc", "a structure or array type")
        return SubType(read(), final, supertype)

    def read_supertype(self, typeidx: int) -> DefType | RecRef | None:
        reader = self.reader
        offset = reader.offset
        count = reader.count("supertypes", self.limits.types)
        if count > 1:
            raise reader.invalid(f"sub type {typeidx} has more than one super type", offset)
        if count == 0:
            return None
        parent = reader.u32()
        if parent >= typeidx:
            raise reader.invalid(f"unknown type {parent}: sub type {typeidx} precedes it", offset)
        return self.scope[parent]

    def check_depth(self, sub: SubType, depths: list[int], offset: int) -> int:
        """The depth of `sub`: checked before interning, which walks chains of supertypes."""
        parent = sub.supertype
        if parent is None:
            return 0
        depth = 1 + (depths[parent.index] if isinstance(parent, RecRef) else parent.depth)
        if depth > self.limits.subtype_depth:
            raise InvalidError(
                f"sub types nest too deep, the limit is {self.limits.subtype_depth}", offset
            )
        return depth

    def read_func(self) -> FuncType:
        limits = self.limits
        params = self.val_types(self.reader.count("parameters", limits.params))
        results = self.val_types(self.reader.count("results", limits.results))
        return func_type(params, results)

    def read_struct(self) -> StructType:
        count = self.reader.count("fields", self.limits.struct_fields)
        return StructType(tuple(self.read_field() for _ in range(count)))

    def read_array(self) -> ArrayType:
        return ArrayType(self.read_field())

    def read_field(self) -> FieldType:
        reader = self.reader
        storage: ValType | PackedType | None = None
        if not reader.at_end:
            storage = _PACKED.get(reader.data[reader.pos])
        if storage is not None:
            reader.pos += 1
        else:
            storage = self.val_type()
        return FieldType(storage, read_mutability(reader))

    def val_types(self, count: int) -> list[ValType]:
        reader, numbers = self.reader, self.numbers
        data, found = reader.data, list[ValType]()
        for _ in range(count):
            # Numbers without a call; what stands behind the end is refused by `val_type`.
            byte = data[reader.pos] if reader.pos < reader.end else -1
            if byte in numbers:
                reader.pos += 1
                found.append(NUMBER_TYPES[byte])
            else:
                found.append(self.val_type())
        return found

    def val_type(self) -> ValType:
        return read_val_type(self.reader, self.scope, self.features)


def read_mutability(reader: Reader) -> bool:
    """The flag of a field or a global."""
    mutable = reader.u8()
    if mutable > 1:
        raise reader.malformed("malformed mutability", reader.offset - 1)
    return mutable == 1


def _check_supertype(member: DefType, typeidx: int, offset: int) -> None:
    parent = member.supertype
    if parent is None:
        return
    if parent.final:
        raise InvalidError(f"sub type {typeidx} has a final super type", offset)
    if not _comp_matches(member.comp, parent.comp):
        raise InvalidError(f"sub type {typeidx} does not match its super type", offset)


def _comp_matches(sub: CompType, sup: CompType) -> bool:
    """Specification: "Composite Types" under Validation, "Matching"."""
    if isinstance(sub, FuncType) and isinstance(sup, FuncType):
        return (
            len(sub.params) == len(sup.params)
            and len(sub.results) == len(sup.results)
            and all(map(matches, sup.params, sub.params))
            and all(map(matches, sub.results, sup.results))
        )
    if isinstance(sub, StructType) and isinstance(sup, StructType):
        return len(sub.fields) >= len(sup.fields) and all(
            map(_field_matches, sub.fields, sup.fields)
        )
    if isinstance(sub, ArrayType) and isinstance(sup, ArrayType):
        return _field_matches(sub.field, sup.field)
    return False


def _field_matches(sub: FieldType, sup: FieldType) -> bool:
    if sub.mutable != sup.mutable:
        return False
    if sub.mutable:
        return _storage_matches(sub, sup) and _storage_matches(sup, sub)
    return _storage_matches(sub, sup)


def _storage_matches(sub: FieldType, sup: FieldType) -> bool:
    if isinstance(sub.storage, PackedType) or isinstance(sup.storage, PackedType):
        return sub.storage == sup.storage
    return matches(sub.storage, sup.storage)
