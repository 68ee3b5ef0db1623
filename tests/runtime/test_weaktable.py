"""Tables of weakly kept values."""

from __future__ import annotations

import pytest

from jitwasm.weaktable import WeakTable


class Value:
    """Something that can be referred to weakly."""


def test_values_are_found_as_long_as_they_live() -> None:
    table: WeakTable[Value] = WeakTable()
    kept, gone = Value(), Value()
    table[1], table[2] = kept, gone
    assert table[1] is kept and len(table) == 2
    del gone
    assert list(table.items()) == [(1, kept)] and list(table.values()) == [kept]
    with pytest.raises(KeyError):
        table[2]
    with pytest.raises(KeyError):
        table[3]


def test_a_key_may_be_used_again() -> None:
    table: WeakTable[Value] = WeakTable()
    first = Value()
    table[1] = first
    del first
    second = table[1] = Value()
    assert table[1] is second


def test_rows_of_values_that_are_gone_are_swept() -> None:
    table: WeakTable[Value] = WeakTable()
    kept = Value()
    table[-1] = kept
    for key in range(10_000):
        table[key] = Value()
    assert len(table) == 1 and len(table._rows) < 100
    assert table[-1] is kept


def test_many_values_that_live_are_all_kept() -> None:
    table, other = WeakTable[Value](), WeakTable[Value]()
    values = [Value() for _ in range(1000)]
    for value in values:
        table[id(value)] = value
    other.update(table)
    assert set(other.values()) == set(values)


def test_a_table_may_change_while_it_is_looked_at() -> None:
    table: WeakTable[Value] = WeakTable()
    values = [Value() for _ in range(30)]
    for key, value in enumerate(values):
        table[key] = value
    for key, value in table.items():
        table[key + 1000] = value
    assert len(table) == 60
