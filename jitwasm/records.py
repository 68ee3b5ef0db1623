"""Data classes that cost little at import.

For each class `dataclasses` compiles half a dozen methods: half of the time that importing jitwasm
took. Records compile one, the constructor, and that when it is first used. To type checkers they
are data classes, and to `dataclasses.replace` and its like too: what those look for is made when
they do.
"""

from __future__ import annotations

import importlib
from operator import attrgetter

TYPE_CHECKING = False  # as type checkers know it; importing `typing` takes longer than this
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as record
    from dataclasses import field as member
    from dataclasses import replace
    from typing import Any

__all__ = ["member", "record", "replace"]

_MISSING = object()


class _Member:
    """What `dataclasses.field` says of a field."""

    def __init__(
        self,
        default: object = _MISSING,
        default_factory: Callable[[], object] | None = None,
        init: bool = True,
        repr: bool = True,
        compare: bool = True,
    ) -> None:
        self.default = default
        self.factory = default_factory
        self.init = init
        self.repr = repr
        self.compare = compare

    def derived(self) -> object:
        """The same as a field of `dataclasses`."""
        given: dict[str, Any] = {"init": self.init, "repr": self.repr, "compare": self.compare}
        if self.factory is not None:
            given["default_factory"] = self.factory
        elif self.default is not _MISSING:
            given["default"] = self.default
        return importlib.import_module("dataclasses").field(**given)


def _take_members(cls: type) -> dict[str, _Member]:
    members: dict[str, _Member] = {}
    for name in cls.__annotations__:
        found = cls.__dict__.get(name, _MISSING)
        made = members[name] = found if isinstance(found, _Member) else _Member(found)
        if made is found:
            if made.default is _MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, made.default)
    return members


def _make(cls: type, frozen: bool, slots: bool, eq: bool) -> type:
    members = _take_members(cls)
    names = tuple(members)
    constructor = _Constructor(members, slots)
    methods: dict[str, object] = {
        "__init__": constructor,
        "__repr__": _repr(tuple(name for name in names if members[name].repr)),
        "__replace__": _replace,
    }
    if eq:
        methods.update(_comparison(tuple(name for name in names if members[name].compare)))
    if frozen:
        methods.update(__setattr__=_refuse, __delattr__=_refuse)
    elif eq:
        methods["__hash__"] = None
    given = cls.__dict__
    if slots:
        contents = {k: v for k, v in given.items() if k not in (*names, "__dict__", "__weakref__")}
        methods.update(_pickling(names))
        made = type(cls)(cls.__name__, cls.__bases__, {**contents, "__slots__": names})
        made.__qualname__ = cls.__qualname__
        cls = made
    constructor.cls = cls
    for name, method in methods.items():
        if name not in given or (name == "__hash__" and given[name] is None):
            setattr(cls, name, method)
    setattr(cls, "__match_args__", tuple(n for n in names if members[n].init))  # noqa: B010
    for attribute in ("__dataclass_fields__", "__dataclass_params__"):
        setattr(cls, attribute, _Derived(attribute, members, frozen))
    return cls


class _Derived:
    """An attribute that data classes have, taken from one once somebody asks."""

    def __init__(self, attribute: str, members: dict[str, _Member], frozen: bool) -> None:
        self._attribute, self._members, self._frozen = attribute, members, frozen
        self._found: object = None

    def __get__(self, instance: object, cls: type) -> object:
        if self._found is None:
            self._found = self._derive(cls)
        return self._found

    def _derive(self, cls: type) -> object:
        rows = [
            (name, cls.__annotations__[name], member.derived())
            for name, member in self._members.items()
        ]
        dataclasses = importlib.import_module("dataclasses")
        model = dataclasses.make_dataclass(cls.__name__, rows, frozen=self._frozen)
        return getattr(model, self._attribute)


class _Constructor:
    """`__init__`, until it is first looked up: then the real one takes its place."""

    def __init__(self, members: dict[str, _Member], slots: bool) -> None:
        self.cls: type = object
        self._members, self._slots = members, slots

    def __get__(self, instance: object, cls: type) -> object:
        made: Any = _constructor(self.cls, self._members, self._slots)
        setattr(self.cls, "__init__", made)  # noqa: B010
        return made if instance is None else made.__get__(instance)


def _constructor(cls: type, members: dict[str, _Member], slots: bool) -> object:
    parameters, values = [], []
    scope: dict[str, object] = {"_set": object.__setattr__, "_made": _Made()}
    for name, member in members.items():
        value = name
        if member.factory is not None:
            scope[f"_make_{name}"] = member.factory
            value = f"_make_{name}() if {name} is _made else {name}"
            parameters.append(f"{name}=_made")
        elif member.default is not _MISSING:
            scope[f"_default_{name}"] = member.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        if not member.init:
            parameters.pop()
            value = f"_make_{name}()" if member.factory is not None else f"_default_{name}"
        values.append((name, value))
    if slots:
        body = [f"_set(self, {name!r}, {value})" for name, value in values]
    else:
        body = ["_fields = self.__dict__", *(f"_fields[{n!r}] = {value}" for n, value in values)]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    text = f"def __init__({', '.join(['self', *parameters])}):\n  " + "\n  ".join(body)
    exec(text, scope)
    made: Any = scope["__init__"]
    types = {name: type_ for name, type_ in cls.__annotations__.items() if members[name].init}
    made.__annotations__ = {**types, "return": None}
    return made


class _Made:
    """The default of a parameter whose value is made at each call."""

    def __repr__(self) -> str:
        return "<factory>"


def _values(names: tuple[str, ...]) -> attrgetter[object]:
    return attrgetter(*names, *names[:1])  # more than one, so that it gives a tuple


def _comparison(names: tuple[str, ...]) -> dict[str, object]:
    values = _values(names)

    def __eq__(self: object, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or values(self) == values(other)

    def __hash__(self: object) -> int:
        return hash(values(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _repr(names: tuple[str, ...]) -> object:
    def __repr__(self: object) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({shown})"

    return __repr__


def _pickling(names: tuple[str, ...]) -> dict[str, object]:
    def __getstate__(self: object) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in names)

    def __setstate__(self: object, state: tuple[object, ...]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {"__getstate__": __getstate__, "__setstate__": __setstate__}


def _refuse(self: object, name: str, *value: object) -> None:
    error = importlib.import_module("dataclasses").FrozenInstanceError
    raise error(f"cannot assign to field {name!r}")


def _replace(self: object, /, **changes: object) -> object:
    return importlib.import_module("dataclasses").replace(self, **changes)


if not TYPE_CHECKING:

    def record(*, frozen: bool = False, slots: bool = False, eq: bool = True) -> object:
        """As `dataclasses.dataclass`; only what is frozen has slots."""
        assert frozen or not slots
        return lambda cls: _make(cls, frozen, slots, eq)

    member = _Member
    """As `dataclasses.field`."""

    def replace(record: object, /, **changes: object) -> object:
        """As `dataclasses.replace`."""
        return _replace(record, **changes)
