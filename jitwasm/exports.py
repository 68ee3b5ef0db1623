"""The exports of an instance (JS API: "create an exports object")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from jitwasm.sealed import Unpicklable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["Exporter", "Exports", "hiding_methods"]


class Exporter(Unpicklable):
    """An instance, as far as others need to know."""

    __slots__ = ("_exports",)
    _exports: Exports

    @property
    def exports(self) -> Exports:
        """What the module exports, by attribute or item."""
        return self._exports


class Exports(Unpicklable, Mapping[str, "Any"]):
    """A frozen namespace: `exports.name` and `exports["name"]`, in the module's order.

    It is a mapping, but where an export is called like one of a mapping's methods (`get`, `keys`,
    `items`, `values`), the attribute is the export. Functions become Python objects when they are
    first asked for.
    """

    # Not in __dict__, which has the exports: a module may choose any name for those.
    __slots__ = ("__dict__", "__make", "__names", "__weakref__")
    __names: Mapping[str, Any]
    __make: Callable[[Any], Any]

    def __init__(
        self,
        names: Mapping[str, Any],
        make: Callable[[Any], Any],
        hiding: Iterable[str] | None = None,
    ) -> None:
        """`make` gives the object for what `names` holds under a name.

        Args:
            hiding: `hiding_methods(names)`, if it is known.
        """
        _set_names(self, names)
        _set_make(self, make)
        for name in hiding_methods(names) if hiding is None else hiding:
            self[name]

    def __getattr__(self, name: str) -> Any:
        # Only reached for what is not in the dictionary yet.
        try:
            return self[name]
        except KeyError:
            message = f"the instance has no export {name!r}"
            raise AttributeError(message, name=name, obj=self) from None

    def __getitem__(self, name: str) -> Any:
        found = self.__dict__.get(name, _ABSENT)
        if found is _ABSENT:
            source = self.__names[name]
            found = self.__dict__.setdefault(name, self.__make(source))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.__names)

    def __len__(self) -> int:
        return len(self.__names)

    def __contains__(self, name: object) -> bool:
        return name in self.__names

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"exports are read-only: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"exports are read-only: cannot delete {name!r}")

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self) -> str:
        return f"<exports: {', '.join(self)}>"


def hiding_methods(names: Mapping[str, Any]) -> tuple[str, ...]:
    """Those of some names that a mapping's methods have, too."""
    return tuple(name for name in _METHODS if name in names)


_ABSENT = object()
# As assignments are refused.
_set_names, _set_make = (
    Exports.__dict__[f"_Exports__{name}"].__set__ for name in ("names", "make")
)
_METHODS = tuple(name for name in dir(Exports) if not name.startswith("__"))
