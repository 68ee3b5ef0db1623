"""Resolving imports (specification: "Instantiation", steps 1 to 4; JS API: "read the imports").

Reading, checking and binding are separate passes: every import is read once, in the module's
order; then all that is missing or does not match goes into one `LinkError`; binding cannot fail
on account of types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType

from jitwasm.cfunctions import CFunction, as_c_function
from jitwasm.errors import LinkError
from jitwasm.exports import Exporter
from jitwasm.frontend.moduleinfo import Import, ModuleInfo
from jitwasm.func import FunctionAnchor, anchor_of
from jitwasm.globals import Global
from jitwasm.memory import Memory
from jitwasm.records import record
from jitwasm.store import Linked, Member, Store
from jitwasm.suspension import CO_COROUTINE, suspending
from jitwasm.table import Table
from jitwasm.tag import Tag
from jitwasm.types import (
    DefType,
    FuncType,
    GlobalType,
    MemoryType,
    RefType,
    TableType,
    TagType,
    ValType,
    matches,
)
from jitwasm.values import is_reference, number_bits, ref_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Linkage",
    "NativeFunction",
    "Object",
    "Value",
    "carries_references",
    "exporter_of",
    "join",
    "lets_references_through",
    "resolve",
    "store_of",
]


class HostCallable:
    """A Python callable for a function import."""

    __slots__ = ("target",)

    def __init__(self, target: Callable[..., object]) -> None:
        self.target = target


@record(frozen=True)
class Value:
    """A Python value for an immutable global; a reference becomes a word in the store."""

    type: ValType
    value: object

    def bits(self, store: Store) -> int:
        if isinstance(self.type, RefType):
            return ref_word(self.value, self.type, store)
        return number_bits(self.value, self.type)


NativeFunction = FunctionAnchor | CFunction
Object = Table | Memory | Global | Value | Tag


Linkable = NativeFunction | Object


class Linkage:
    """What a module's imports get: each fits.

    Attributes:
        targets: of the function imports, in order: the Python callable, or None.
        functions: what the others get, by index.
        binders: callables among the targets that ask for the memory (`__wasm_bind__`), as methods.
        objects: the wanted type and what it gets, for all other imports, in order.
        linked: all but Python callables, which tie an instance to nothing.
    """

    __slots__ = ("binders", "functions", "linked", "objects", "targets")

    def __init__(self) -> None:
        self.targets: list[Callable[..., object] | None] = []
        self.functions: dict[int, NativeFunction] = {}
        self.binders: list[Callable[[Memory | None], object]] = []
        self.objects: list[tuple[object, Object]] = []
        self.linked: list[Linkable] = []

    def add(self, wanted: object, item: NativeFunction | HostCallable | Object) -> None:
        """The next import."""
        if isinstance(item, HostCallable):
            bind = getattr(item.target, "__wasm_bind__", None)
            if bind is not None:
                self.binders.append(bind)
            self.targets.append(item.target)
            return
        self.linked.append(item)
        if isinstance(item, (FunctionAnchor, CFunction)):
            self.functions[len(self.targets)] = item
            self.targets.append(None)
        else:
            self.objects.append((wanted, item))


_NO_LINKAGE = Linkage()
"""Of a module without imports. Nothing is ever added to it."""


class _Missing:
    """What an import resolves to that is not there, and why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Mismatch(str):
    """Why a value does not fit an import."""

    __slots__ = ()


def resolve(info: ModuleInfo, imports: object) -> Linkage:
    """What each import of the module gets.

    Raises:
        TypeError: `imports` is not a mapping or an object with attributes.
        LinkError: listing every import that is missing or does not match.
    """
    if type(imports) is not dict and isinstance(imports, _NOT_A_NAMESPACE):
        raise TypeError(f"imports must be a mapping of mappings, not {type(imports).__name__}")
    rows = info.imports
    if not rows:
        return _NO_LINKAGE
    values = _read_all(rows, imports)
    linkage, problems = Linkage(), list[str]()
    targets = linkage.targets
    for row, value in zip(rows, values, strict=True):
        wanted = row.desc
        if (
            type(value) is FunctionType
            and type(wanted) is DefType
            and not value.__dict__
            and not value.__code__.co_flags & CO_COROUTINE
        ):  # nearly always
            targets.append(value)
            continue
        checked = _CHECKS[type(wanted)](wanted, value)
        if isinstance(checked, _Mismatch):
            problems.append(f"import #{rows.index(row)} {row.module!r} {row.name!r}: {checked}")
        else:
            linkage.add(wanted, checked)
    if problems:
        raise LinkError(_report(problems, len(values)))
    return linkage


def _report(problems: list[str], total: int) -> str:
    if len(problems) == 1:
        return problems[0]
    return "\n  ".join([f"{len(problems)} of {total} imports do not fit:", *problems])


# Reading.

_NOT_A_NAMESPACE = (str, bytes, bytearray, int, float, complex, Sequence, set, frozenset)


def _read_all(rows: Sequence[Import], imports: object) -> list[object]:
    if type(imports) is dict and all(type(space) is dict for space in imports.values()):
        try:  # nearly always
            return [imports[row.module][row.name] for row in rows]
        except KeyError:
            pass
    return [_read(row, imports) for row in rows]


def _read(row: Import, imports: object) -> object:
    if imports is None:
        return _Missing("no imports are given")
    namespace = _member(imports, row.module)
    if namespace is None or isinstance(namespace, _Missing):
        return _Missing(f"there is no namespace {row.module!r}")
    if isinstance(namespace, Exporter):
        namespace = namespace.exports  # what else could it mean
    if isinstance(namespace, _NOT_A_NAMESPACE):
        return _Missing(f"namespace {row.module!r} is of type {type(namespace).__name__}")
    return _member(namespace, row.name)


def _member(container: object, name: str) -> object:
    """A member by item of a mapping, by attribute of anything else."""
    if isinstance(container, Mapping):
        try:
            return container[name]
        except KeyError:
            return _Missing("it is missing")
    try:
        return getattr(container, name)
    except AttributeError:
        return _Missing("it is missing")


# Checking.


def _expected(wanted: object, value: object) -> _Mismatch:
    return _Mismatch(f"wanted {_wanted(wanted)}, got {_got(value)}")


def _wanted(type_: object) -> str:
    return f"function {type_}" if isinstance(type_, DefType) else str(type_)


def _got(value: object) -> str:
    if isinstance(value, _Missing):
        return f"nothing: {value.reason}"
    anchor = anchor_of(value)
    if anchor is not None:
        return f"function {anchor.type}"
    if isinstance(value, (Memory, Table, Global, Tag)):
        return str(value.type)
    if value is None or isinstance(value, (int, float)):
        return repr(value)
    return f"an object of type {type(value).__name__}"


def _check_function(wanted: DefType, value: object) -> NativeFunction | HostCallable | _Mismatch:
    assert isinstance(wanted.comp, FuncType)
    anchor = anchor_of(value)
    if anchor is not None:
        if not anchor.type.is_subtype_of(wanted):
            return _expected(wanted, value)
        return anchor
    c_function = as_c_function(value)
    if c_function is not None:
        if not c_function.fits(wanted.comp):
            return _Mismatch(f"wanted function {wanted}, got {c_function}")
        return c_function if c_function.is_direct(wanted.comp) else HostCallable(c_function.pointer)
    if not callable(value):
        return _expected(wanted, value)
    return HostCallable(suspending(value))


def _check_table(wanted: TableType, value: object) -> Object | _Mismatch:
    if not isinstance(value, Table):
        return _expected(wanted, value)
    got = value.type
    if (
        got.addr is not wanted.addr
        or got.element is not wanted.element
        or not got.limits.matches(wanted.limits)
    ):
        return _expected(wanted, value)
    return value


def _check_memory(wanted: MemoryType, value: object) -> Object | _Mismatch:
    if not isinstance(value, Memory):
        return _expected(wanted, value)
    got = value.declared
    if (
        got.addr is not wanted.addr
        or got.shared != wanted.shared
        or got.page_size != wanted.page_size
        or not (got.limits.matches(wanted.limits) or value.type.limits.matches(wanted.limits))
    ):
        return _expected(wanted, value)
    return value


def _check_global(wanted: GlobalType, value: object) -> Object | _Mismatch:
    if isinstance(value, Global):
        got = value.type
        fits = got.value is wanted.value if wanted.mutable else matches(got.value, wanted.value)
        if got.mutable != wanted.mutable or not fits:
            return _expected(wanted, value)
        return value
    if wanted.mutable or isinstance(value, _Missing):
        return _expected(wanted, value)
    if not _is_value(value, wanted.value):
        return _expected(wanted, value)
    return Value(wanted.value, value)


def _is_value(value: object, type_: ValType) -> bool:
    if isinstance(type_, RefType):
        return is_reference(value, type_)
    try:
        number_bits(value, type_)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _check_tag(wanted: TagType, value: object) -> Object | _Mismatch:
    if not isinstance(value, Tag) or value.type.type is not wanted.type:
        return _expected(wanted, value)
    return value


_Checked = NativeFunction | HostCallable | Object | _Mismatch
_CHECKS: dict[type, Callable[[Any, object], _Checked]] = {
    DefType: _check_function,
    TableType: _check_table,
    MemoryType: _check_memory,
    GlobalType: _check_global,
    TagType: _check_tag,
}


# What linking implies.


def store_of(resolved: Linkable) -> Store | None:
    """The store that an import ties the new instance to."""
    if isinstance(resolved, FunctionAnchor):
        return resolved.store
    linked = _linked(resolved)
    return linked.linked_store if linked is not None else None


def join(resolved: Linkable, store: Store) -> None:
    """Tie an imported object to the store of the new instance."""
    if isinstance(resolved, (Table, Global)):
        if _linked(resolved) is not None:
            resolved._attach(store)
    elif isinstance(resolved, Memory) and not resolved.declared.shared:
        resolved.join(store)


def _linked(resolved: Linkable) -> Linked | None:
    """The object, if two users of it must not run at the same time."""
    if isinstance(resolved, Table):
        return resolved._core
    if isinstance(resolved, Memory):
        return None if resolved.declared.shared else resolved
    if isinstance(resolved, Global):
        type_ = resolved.type
        return resolved._cell if type_.mutable or type_.value.is_ref else None
    return None


def lets_references_through(resolved: Linkable) -> bool:
    """Whether references of one side may reach the other through this import, unseen by Python."""
    if isinstance(resolved, FunctionAnchor):
        return _has_references(resolved.type)
    return isinstance(resolved, Table) or (
        isinstance(resolved, Global) and resolved.type.value.is_ref
    )


def carries_references(tag: TagType) -> bool:
    """Whether exceptions of this tag carry references, wherever they are caught."""
    return _has_references(tag.type)


def _has_references(type_: DefType) -> bool:
    comp = type_.comp
    assert isinstance(comp, FuncType)
    return any(value.is_ref for value in (*comp.params, *comp.results))


def exporter_of(resolved: Linkable) -> Member | None:
    """The context an imported object comes from, where that matters for lifetimes."""
    if isinstance(resolved, FunctionAnchor):
        return resolved.context
    if isinstance(resolved, (Table, Global)) and resolved._hold is not None:
        return resolved._hold.member
    return None
