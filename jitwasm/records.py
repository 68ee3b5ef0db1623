"""Data classes that cost little at import.

For each class `dataclasses` compiles half a dozen methods: half of the time that importing jitwasm
took. Records compile one, the constructor. To type checkers they are data classes, and to
`dataclasses.replace` and its like too: what those look for is made when they do.
"""

from __future__ import annotations

import importlib
from operator import attrgetter

TYPE_CHECKING = False  # as type checkers know it; importing `typing` takes longer than this
if TYPE_CHECKING:
    from dataclasses import dataclass as record
    from typing import Any

__all__ = ["record"]


def _make(cls: type, slots: bool, eq: bool) -> type:
    names = tuple(cls.__annotations__)
    defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    methods = {"__init__": _constructor(cls, names, defaults, slots), "__repr__": _repr(names)}
    if eq:
        methods.update(_comparison(names))
    methods.update(__setattr__=_refuse, __delattr__=_refuse, __replace__=_replace)
    given = cls.__dict__
    if slots:
        contents = {k: v for k, v in given.items() if k not in (*names, "__dict__", "__weakref__")}
        methods.update(_pickling(names))
        made = type(cls)(cls.__name__, cls.__bases__, {**contents, "__slots__": names})
        made.__qualname__ = cls.__qualname__
        cls = made
    for name, method in methods.items():
        if name not in given or (name == "__hash__" and given[name] is None):
            setattr(cls, name, method)
    setattr(cls, "__match_args__", names)  # noqa: B010
    for attribute in ("__dataclass_fields__", "__dataclass_params__"):
        setattr(cls, attribute, _Derived(attribute, names, defaults))
    return cls


class _Derived:
    """An attribute that data classes have, taken from one once somebody asks."""

    def __init__(self, attribute: str, names: tuple[str, ...], defaults: dict[str, object]) -> None:
        self._attribute, self._names, self._defaults = attribute, names, defaults
        self._found: object = None

    def __get__(self, instance: object, cls: type) -> object:
        if self._found is None:
            self._found = self._derive(cls)
        return self._found

    def _derive(self, cls: type) -> object:
        dataclasses = importlib.import_module("dataclasses")
        rows = [
            (name, cls.__annotations__[name], dataclasses.field(default=self._defaults[name]))
            if name in self._defaults
            else (name, cls.__annotations__[name])
            for name in self._names
        ]
        model = dataclasses.make_dataclass(cls.__name__, rows, frozen=True)
        return getattr(model, self._attribute)


def _constructor(
    cls: type, names: tuple[str, ...], defaults: dict[str, object], slots: bool
) -> object:
    parameters = [f"{name}=_defaults[{name!r}]" if name in defaults else name for name in names]
    if slots:
        body = [f"_set(self, {name!r}, {name})" for name in names]
    else:
        body = ["_fields = self.__dict__", *(f"_fields[{name!r}] = {name}" for name in names)]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    text = f"def __init__({', '.join(['self', *parameters])}):\n  " + "\n  ".join(body)
    scope: dict[str, object] = {"_defaults": defaults, "_set": object.__setattr__}
    exec(text, scope)
    made: Any = scope["__init__"]
    made.__annotations__ = {**cls.__annotations__, "return": None}
    return made


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

    def record(*, frozen: bool, slots: bool = False, eq: bool = True) -> object:
        """As `dataclasses.dataclass(frozen=True, ...)`, with defaults that are plain values."""
        assert frozen
        return lambda cls: _make(cls, slots, eq)
