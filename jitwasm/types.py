"""Value, reference, function and external types (specification: Structure, "Types").

Types are interned process-wide: two equal types that are alive are the same object, so `is`
compares them, also across modules. A defined type (`DefType`) is named by the *structure* of its
recursion group, as the specification's "rolling" and "unrolling" say, so iso-recursive equality is
identity too.
"""

from __future__ import annotations

import os
import threading
import weakref
from array import array
from collections.abc import Sequence

from jitwasm.records import record

__all__ = [
    "ANYREF",
    "BOT",
    "EXNREF",
    "EXTERNREF",
    "F32",
    "F64",
    "FUNCREF",
    "I8",
    "I16",
    "I32",
    "I64",
    "V128",
    "ArrayType",
    "CompType",
    "DefType",
    "ExternType",
    "FieldType",
    "FuncType",
    "GlobalType",
    "Limits",
    "MemoryType",
    "PackedType",
    "RecRef",
    "RefType",
    "StructType",
    "SubType",
    "TableType",
    "TagType",
    "ValType",
    "func_type",
    "heap_matches",
    "intern_group",
    "matches",
    "plain_type",
    "ref_type",
]


class ValType:
    """A value type. `str()` gives its name in the text format.

    Attributes:
        name: spelling in the text format.
        ir: its LLVM type.
        is_ref: whether it is a reference type (one 64-bit word in compiled code).
        is_float: whether it travels in a vector register (f32, f64, v128).
        size: bytes it takes in linear memory or in a global's cell.
    """

    __slots__ = ("__weakref__", "ir", "is_float", "is_ref", "name", "size")

    def __init__(self, name: str, ir: str, size: int, is_float: bool = False) -> None:
        self.name = name
        self.ir = ir
        self.size = size
        self.is_float = is_float
        self.is_ref = isinstance(self, RefType)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[object, ...] | str:
        return _numeric_type, (self.name,)


class RefType(ValType):
    """A reference type: `(ref null? heap)`, where heap is an abstract name or a `DefType`.

    While a recursion group is being decoded `heap` may be a `RecRef`.
    """

    __slots__ = ("heap", "nullable")

    def __init__(self, nullable: bool, heap: str | DefType | RecRef) -> None:
        self.nullable = nullable
        self.heap = heap
        short = _SHORT_NAMES.get(heap) if nullable and isinstance(heap, str) else None
        name = short or f"(ref {'null ' if nullable else ''}{_shortened(str(heap))})"
        super().__init__(name, "ptr", 8)

    def __reduce__(self) -> tuple[object, ...]:
        return ref_type, (self.nullable, self.heap)


@record(frozen=True)
class RecRef:
    """Inside a recursion group: the group's own type number `index`."""

    index: int

    def __str__(self) -> str:
        return f"rec.{self.index}"


@record(frozen=True)
class PackedType:
    """i8 or i16, allowed only as the storage type of a field."""

    name: str
    size: int

    def __str__(self) -> str:
        return self.name


def _shortened(text: str) -> str:
    # A type that names two others, each naming two others, and so on, would double its name at
    # every step.
    return text if len(text) <= 80 else text[:77] + "..."


_SHORT_NAMES = {
    "func": "funcref",
    "extern": "externref",
    "any": "anyref",
    "eq": "eqref",
    "i31": "i31ref",
    "struct": "structref",
    "array": "arrayref",
    "exn": "exnref",
    "none": "nullref",
    "nofunc": "nullfuncref",
    "noextern": "nullexternref",
    "noexn": "nullexnref",
}

I32 = ValType("i32", "i32", 4)
I64 = ValType("i64", "i64", 8)
F32 = ValType("f32", "float", 4, is_float=True)
F64 = ValType("f64", "double", 8, is_float=True)
V128 = ValType("v128", "<2 x i64>", 16, is_float=True)
BOT = ValType("bot", "poison", 0)
"""The type of a value popped in unreachable code (validation appendix: `Bot`)."""
I8 = PackedType("i8", 1)
I16 = PackedType("i16", 2)


def _numeric_type(name: str) -> ValType:
    return {t.name: t for t in (I32, I64, F32, F64, V128, BOT)}[name]


@record(frozen=True)
class FuncType:
    """`params -> results`. Make one with `func_type`, which interns."""

    params: tuple[ValType, ...]
    results: tuple[ValType, ...]

    def __str__(self) -> str:
        return f"({_names(self.params)}) -> ({_names(self.results)})"

    def __hash__(self) -> int:
        return hash((self.params, self.results))

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, FuncType)
            and self.params == other.params
            and self.results == other.results
        )

    def __reduce__(self) -> tuple[object, ...]:
        return func_type, (self.params, self.results)


@record(frozen=True)
class FieldType:
    storage: ValType | PackedType
    mutable: bool

    def __str__(self) -> str:
        return f"(mut {self.storage})" if self.mutable else f"{self.storage}"


@record(frozen=True)
class StructType:
    fields: tuple[FieldType, ...]

    def __str__(self) -> str:
        return " ".join(["(struct", *map(str, self.fields)]) + ")"


@record(frozen=True)
class ArrayType:
    field: FieldType

    def __str__(self) -> str:
        return f"(array {self.field})"


CompType = FuncType | StructType | ArrayType


@record(frozen=True, slots=True)
class SubType:
    """One member of a recursion group as written: `(sub final? super? comp)`."""

    comp: CompType
    final: bool = True
    supertype: DefType | RecRef | None = None

    def __hash__(self) -> int:  # that of records calls more
        return hash((self.comp, self.final, self.supertype))


class DefType:
    """A defined type: member `index` of a recursion group, known by the group's structure.

    Attributes:
        comp: its composite type, with references into the group already resolved.
        final: whether it may have no subtypes.
        supertype: its declared supertype, or None.
        depth: length of the chain of supertypes above it.
        group: the group's structure (with `RecRef`s), the key of its identity.
        siblings: keeps the group's defined types alive together.
        record: the native record of the type, once there is one (rtt.py).
    """

    __slots__ = (
        "__weakref__",
        "_group",
        "comp",
        "depth",
        "final",
        "index",
        "record",
        "siblings",
        "supertype",
    )

    comp: CompType
    supertype: DefType | None
    siblings: object

    def __init__(self, group: tuple[SubType, ...] | None, index: int, final: bool) -> None:
        """Without a group the type is a `plain_type`."""
        self._group = group
        self.index = index
        self.final = final
        self.depth = 0
        self.record: object = None

    @property
    def group(self) -> tuple[SubType, ...]:
        return (SubType(self.comp),) if self._group is None else self._group

    def __str__(self) -> str:
        return str(self.comp if self._group is None else self._group[self.index].comp)

    __repr__ = __str__

    def __reduce__(self) -> tuple[object, ...]:
        return _member, (self.group, self.index)

    def is_subtype_of(self, other: DefType) -> bool:
        """Whether `other` is this type or one of its supertypes."""
        current: DefType | None = self
        while current is not None:
            if current is other:
                return True
            current = current.supertype
        return False


# Hash-consing: pure caches of immutable values, so that equality is identity. They hold their
# values weakly, and keys that do not lead to them: a type may refer to itself. Where a key has the
# `id` of a type, that type lives as long as the value, which refers to it.
_intern_lock = threading.RLock()
os.register_at_fork(
    before=_intern_lock.acquire,
    after_in_parent=_intern_lock.release,
    after_in_child=_intern_lock.release,
)
_func_types: weakref.WeakValueDictionary[tuple[object, object], FuncType] = (
    weakref.WeakValueDictionary()
)
_NUMBERS = frozenset((I32, I64, F32, F64, V128))
_ref_types: weakref.WeakValueDictionary[tuple[bool, object], RefType] = (
    weakref.WeakValueDictionary()
)
_groups: weakref.WeakValueDictionary[tuple[SubType, ...], _Group] = weakref.WeakValueDictionary()


class _Group:
    """The defined types of a recursion group, which keep it alive."""

    __slots__ = ("__weakref__", "members")

    def __init__(self, group: tuple[SubType, ...]) -> None:
        self.members = members = tuple(DefType(group, i, sub.final) for i, sub in enumerate(group))
        for defined, sub in zip(members, group, strict=True):
            parent = sub.supertype
            defined.supertype = members[parent.index] if isinstance(parent, RecRef) else parent
            defined.comp = _unroll_comp(sub.comp, members)
            defined.siblings = self
        for defined in members:
            defined.depth = _depth(defined)


def _are_numbers(params: Sequence[ValType], results: Sequence[ValType]) -> bool:
    return _NUMBERS.issuperset(params) and _NUMBERS.issuperset(results)


def func_type(params: Sequence[ValType], results: Sequence[ValType]) -> FuncType:
    """The one `FuncType` object with these parameters and results."""
    params, results = tuple(params), tuple(results)
    # The tuples of a type of numbers are shared with it: they lead to no other type.
    if _are_numbers(params, results):
        key: tuple[object, object] = (params, results)
    else:
        key = array("Q", map(id, params)).tobytes(), array("Q", map(id, results)).tobytes()
    found = _func_types.get(key)
    if found is None:
        with _intern_lock:
            found = _func_types.setdefault(key, FuncType(params, results))
    return found


def plain_type(comp: FuncType) -> DefType:
    """The defined type of a function type declared alone, as every MVP module does."""
    if _are_numbers(comp.params, comp.results):
        return _intern_plain(comp)
    return intern_group((SubType(comp),))[0]


def _intern_plain(comp: FuncType) -> DefType:
    """The same of numbers. Most types are of this kind, and modules may have a million: no group,
    no table."""
    comp = func_type(comp.params, comp.results)
    found = _known_plain_type(comp)
    if found is None:
        with _intern_lock:
            found = _known_plain_type(comp)
            if found is None:
                found = DefType(None, 0, True)
                found.comp, found.supertype, found.siblings = comp, None, None
                comp.__dict__["_plain_type"] = weakref.ref(found)
    return found


def _known_plain_type(comp: FuncType) -> DefType | None:
    reference = comp.__dict__.get("_plain_type")
    found: DefType | None = None if reference is None else reference()
    return found


def ref_type(nullable: bool, heap: str | DefType | RecRef) -> RefType:
    """The one `RefType` object with this nullability and heap type."""
    key = (nullable, id(heap) if isinstance(heap, DefType) else heap)
    found = _ref_types.get(key)
    if found is None:
        with _intern_lock:
            found = _ref_types.setdefault(key, RefType(nullable, heap))
    return found


def intern_group(group: Sequence[SubType]) -> tuple[DefType, ...]:
    """Roll a recursion group up and return its defined types.

    Members refer to each other by `RecRef`, to earlier types by `DefType`.
    """
    key = tuple(group)
    if len(key) == 1 and _is_plain(key[0]):
        assert isinstance(key[0].comp, FuncType)
        return (_intern_plain(key[0].comp),)
    found = _groups.get(key)
    if found is None:
        with _intern_lock:
            found = _groups.get(key)
            if found is None:
                found = _groups[key] = _Group(key)
    return found.members


def _is_plain(sub: SubType) -> bool:
    comp = sub.comp
    return (
        sub.final
        and sub.supertype is None
        and isinstance(comp, FuncType)
        and _are_numbers(comp.params, comp.results)
    )


def _member(group: tuple[SubType, ...], index: int) -> DefType:
    return intern_group(group)[index]


def _depth(defined: DefType) -> int:
    depth, parent, seen = 0, defined.supertype, {id(defined)}
    while parent is not None and id(parent) not in seen:
        seen.add(id(parent))
        depth, parent = depth + 1, parent.supertype
    return depth


def _unroll(value: ValType, members: tuple[DefType, ...]) -> ValType:
    if isinstance(value, RefType) and isinstance(value.heap, RecRef):
        return ref_type(value.nullable, members[value.heap.index])
    return value


def _unroll_all(values: Sequence[ValType], members: tuple[DefType, ...]) -> Sequence[ValType]:
    return [_unroll(value, members) if value.is_ref else value for value in values]


def _unroll_field(field: FieldType, members: tuple[DefType, ...]) -> FieldType:
    if isinstance(field.storage, PackedType):
        return field
    return FieldType(_unroll(field.storage, members), field.mutable)


def _unroll_comp(comp: CompType, members: tuple[DefType, ...]) -> CompType:
    if isinstance(comp, FuncType):
        params, results = _unroll_all(comp.params, members), _unroll_all(comp.results, members)
        return func_type(params, results)
    if isinstance(comp, StructType):
        return StructType(tuple(_unroll_field(f, members) for f in comp.fields))
    return ArrayType(_unroll_field(comp.field, members))


FUNCREF = ref_type(True, "func")
EXTERNREF = ref_type(True, "extern")
ANYREF = ref_type(True, "any")
EXNREF = ref_type(True, "exn")

# Abstract heap types: each with its direct supertypes (specification: "Heap Types", matching).
_ABSTRACT_SUPERTYPES: dict[str, frozenset[str]] = {
    "any": frozenset({"any"}),
    "eq": frozenset({"eq", "any"}),
    "i31": frozenset({"i31", "eq", "any"}),
    "struct": frozenset({"struct", "eq", "any"}),
    "array": frozenset({"array", "eq", "any"}),
    "none": frozenset({"none", "i31", "struct", "array", "eq", "any"}),
    "func": frozenset({"func"}),
    "nofunc": frozenset({"nofunc", "func"}),
    "extern": frozenset({"extern"}),
    "noextern": frozenset({"noextern", "extern"}),
    "exn": frozenset({"exn"}),
    "noexn": frozenset({"noexn", "exn"}),
    "bot": frozenset(_SHORT_NAMES),
}


def _abstract_parent(comp: CompType) -> str:
    if isinstance(comp, FuncType):
        return "func"
    return "struct" if isinstance(comp, StructType) else "array"


def heap_matches(sub: str | DefType | RecRef, sup: str | DefType | RecRef) -> bool:
    """Whether heap type `sub` is a subtype of `sup` (specification: "Heap Types", matching)."""
    if sub is sup or sub == "bot":
        return True
    if isinstance(sub, DefType):
        if isinstance(sup, DefType):
            return sub.is_subtype_of(sup)
        return sup in _ABSTRACT_SUPERTYPES[_abstract_parent(sub.comp)]
    if isinstance(sup, DefType):
        bottom = "nofunc" if isinstance(sup.comp, FuncType) else "none"
        return sub == bottom
    return isinstance(sub, str) and sup in _ABSTRACT_SUPERTYPES[sub]


def matches(sub: ValType, sup: ValType) -> bool:
    """Whether a value of type `sub` may be used where `sup` is wanted."""
    if sub is sup or sub is BOT:
        return True
    if isinstance(sub, RefType) and isinstance(sup, RefType):
        return (sup.nullable or not sub.nullable) and heap_matches(sub.heap, sup.heap)
    return False


@record(frozen=True)
class Limits:
    """Size in pages (memories) or elements (tables); `maximum` None means none declared."""

    minimum: int
    maximum: int | None = None

    def __str__(self) -> str:
        return f"{self.minimum}" if self.maximum is None else f"{self.minimum}..{self.maximum}"

    def matches(self, wanted: Limits) -> bool:
        """Import matching (specification: "Limits")."""
        if self.minimum < wanted.minimum:
            return False
        if wanted.maximum is None:
            return True
        return self.maximum is not None and self.maximum <= wanted.maximum


@record(frozen=True)
class MemoryType:
    """A linear memory: limits in pages of `page_size` bytes, indexed by i32 or i64."""

    limits: Limits
    addr: ValType = I32
    shared: bool = False
    page_size: int = 65536

    def __str__(self) -> str:
        return f"memory {self.addr} {self.limits}{' shared' if self.shared else ''}"


@record(frozen=True)
class TableType:
    """A table of references, indexed by i32 or i64."""

    limits: Limits
    element: RefType
    addr: ValType = I32

    def __str__(self) -> str:
        return f"table {self.addr} {self.limits} {self.element}"


@record(frozen=True)
class GlobalType:
    """A global: the type of its value, and whether that may change."""

    value: ValType
    mutable: bool

    def __str__(self) -> str:
        return f"global {'mut ' if self.mutable else ''}{self.value}"


@record(frozen=True)
class TagType:
    """An exception tag: the parameters an exception of this tag carries."""

    type: DefType

    def __str__(self) -> str:
        return f"tag {self.type}"


ExternType = DefType | TableType | MemoryType | GlobalType | TagType
"""What an import wants or an export gives; a function is its defined type."""


def _names(types: tuple[ValType, ...]) -> str:
    return ", ".join(t.name for t in types)
