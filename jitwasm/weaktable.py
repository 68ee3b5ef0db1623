"""A dictionary that does not keep its values.

`weakref.WeakValueDictionary` and `WeakSet` take longer to make, to fill and to forget than all else
that a store needs: their keys go with their values, through callbacks. Here the keys of values that
are gone stay until the table is swept, which happens each time it would otherwise have doubled.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, TypeVar

    _V = TypeVar("_V")
else:
    _V = object

    class Generic:
        def __class_getitem__(cls, parameter: object) -> type:
            return cls


__all__ = ["WeakTable"]

_FEW = 16


class WeakTable(Generic[_V]):
    """Weakly kept values by integers; `id(value)`, where a set is wanted."""

    __slots__ = ("_most", "_rows")

    def __init__(self) -> None:
        self._rows: dict[int, weakref.ref[_V]] = {}
        self._most = _FEW

    def __setitem__(self, key: int, value: _V) -> None:
        # Each step is atomic under the GIL; a row that another thread adds while this one sweeps is
        # not among those looked at.
        self._rows[key] = weakref.ref(value)
        if len(self._rows) > self._most:
            self._sweep()

    def _sweep(self) -> None:
        for key, reference in list(self._rows.items()):
            # The key may lead to something new by now: what is taken out for it comes back.
            if reference() is None and self._rows.get(key) is reference:
                found = self._rows.pop(key, None)
                if found is not None and found is not reference:
                    self._rows.setdefault(key, found)
        self._most = 2 * len(self._rows) + _FEW

    def __getitem__(self, key: int) -> _V:
        found = self._rows[key]()
        if found is None:
            raise KeyError(key)
        return found

    def items(self) -> Iterator[tuple[int, _V]]:
        """The values that are alive, each kept while it is looked at."""
        for key, reference in list(self._rows.items()):
            value = reference()
            if value is not None:
                yield key, value

    def values(self) -> Iterator[_V]:
        """The values that are alive."""
        return map(operator.itemgetter(1), self.items())

    def __len__(self) -> int:
        return sum(1 for _ in self.items())

    def update(self, other: WeakTable[_V]) -> None:
        """Take over another table's rows."""
        for key, value in other.items():
            self[key] = value
