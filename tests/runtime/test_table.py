"""Table: sizes, elements, identity of functions, tables shared by instances."""

from __future__ import annotations

import pytest

from jitwasm import Table, Trap
from tests.runtime.support import instantiate

FUNCTIONS = """(module
  (func (export "one") (result i32) i32.const 1)
  (func (export "two") (result i32) i32.const 2)
  (func (export "id") (param i64) (result i64) local.get 0))"""

CALLER = """(module
  (import "m" "t" (table $t 1 funcref))
  (type $f (func (result i32)))
  (func (export "call") (param i32) (result i32) local.get 0 call_indirect (type $f))
  (func (export "get") (param i32) (result funcref) local.get 0 table.get $t)
  (func (export "set") (param i32 funcref) local.get 0 local.get 1 table.set $t)
  (func (export "size") (result i32) table.size $t)
  (func (export "grow") (param funcref i32) (result i32)
    local.get 0 local.get 1 table.grow $t))"""


def test_new_table_is_empty_of_values() -> None:
    table = Table("funcref", 3, 10)
    assert len(table) == 3
    assert list(table) == [None, None, None]


@pytest.mark.parametrize("name", ["funcref", "anyfunc", "externref"])
def test_element_types_by_name(name: str) -> None:
    assert str(Table(name, 0).element) in (name, "funcref")


@pytest.mark.parametrize("name", ["i32", "func", ""])
def test_element_type_must_be_a_reference(name: str) -> None:
    with pytest.raises(ValueError):
        Table(name, 0)


def test_element_type_must_be_a_str() -> None:
    with pytest.raises(TypeError):
        Table(None, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("args", [(-1,), (10_000_001,), (2, 1), (0, 1 << 32)])
def test_sizes_out_of_range_are_refused(args: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be between"):
        Table("funcref", *args)


@pytest.mark.parametrize("bad", ["1", 1.5, None])
def test_sizes_must_be_integers(bad: object) -> None:
    with pytest.raises(TypeError):
        Table("funcref", bad)  # type: ignore[arg-type]


def test_maximum_beyond_the_limit_is_declared_but_not_reached() -> None:
    table = Table("funcref", 0, (1 << 32) - 1)
    assert table.type.limits.maximum == (1 << 32) - 1
    with pytest.raises(ValueError):
        table.grow(10_000_001)


@pytest.mark.parametrize("index", [3, -1, 1 << 70])
def test_access_out_of_range_is_an_index_error(index: int) -> None:
    table = Table("externref", 3)
    for access in (
        lambda: table[index],
        lambda: table.get(index),
        lambda: table.set(index, 1),
        lambda: table.__setitem__(index, 1),
    ):
        with pytest.raises(IndexError, match="out of bounds"):
            access()


@pytest.mark.parametrize("index", ["0", 0.0, None])
def test_index_must_be_an_integer(index: object) -> None:
    with pytest.raises(TypeError):
        Table("externref", 3)[index]  # type: ignore[index]


def test_externref_table_holds_any_object_and_keeps_its_identity() -> None:
    values: list[object] = [object(), 1, "x", [1], (), 10**30, print]
    table = Table("externref", len(values))
    for i, value in enumerate(values):
        table[i] = value
    assert all(got is value for got, value in zip(table, values, strict=True))


def test_none_is_null() -> None:
    table = Table("externref", 1, init="x")
    table[0] = None
    assert table[0] is None
    table[0] = "y"
    table.set(0)
    assert table[0] is None


def test_init_fills_all_elements() -> None:
    value = object()
    assert all(v is value for v in Table("externref", 100, init=value))


def test_grow_returns_the_old_length_and_appends_the_value() -> None:
    table = Table("externref", 1, 4)
    assert table.grow(2, "new") == 1
    assert list(table) == [None, "new", "new"]
    assert table.grow(0) == 3
    for bad in (2, -1, 1 << 70):
        with pytest.raises(ValueError, match="cannot grow"):
            table.grow(bad)
    assert len(table) == 3


def test_functions_keep_their_identity() -> None:
    exports = instantiate(FUNCTIONS).exports
    table = Table("funcref", 2, init=exports.one)
    table[1] = exports.two
    assert table[0] is exports.one
    assert table[1] is exports.two
    assert table[0]() == 1  # type: ignore[operator]


@pytest.mark.parametrize("value", [print, lambda: 1, 3, "f", object()])
def test_only_exported_functions_go_into_a_funcref_table(value: object) -> None:
    table = Table("funcref", 1)
    with pytest.raises(TypeError, match="exported WebAssembly function"):
        table[0] = value
    with pytest.raises(TypeError):
        Table("funcref", 1, init=value)


def test_python_and_wasm_see_the_same_elements() -> None:
    table = Table("funcref", 2)
    functions = instantiate(FUNCTIONS).exports
    caller = instantiate(CALLER, {"m": {"t": table}}).exports
    table[0] = functions.one
    assert caller.call(0) == 1
    caller.set(1, functions.two)
    assert table[1] is functions.two
    assert caller.get(0) is functions.one
    with pytest.raises(Trap, match="uninitialized element"):
        table[1] = None
        caller.call(1)


def test_growth_is_seen_on_both_sides() -> None:
    table = Table("funcref", 1, 5)
    functions = instantiate(FUNCTIONS).exports
    caller = instantiate(CALLER, {"m": {"t": table}}).exports
    assert caller.grow(functions.one, 2) == 1
    assert len(table) == 3
    assert table.grow(2, functions.two) == 3
    assert caller.size() == 5
    assert [caller.call(i) for i in range(1, 5)] == [1, 1, 2, 2]
    assert caller.grow(None, 1) == -1


def test_function_of_another_type_traps_when_called() -> None:
    table = Table("funcref", 1)
    caller = instantiate(CALLER, {"m": {"t": table}}).exports
    table[0] = instantiate(FUNCTIONS).exports.id
    with pytest.raises(Trap, match="indirect call type mismatch"):
        caller.call(0)


def test_exported_table_is_one_object() -> None:
    text = '(module (table (export "a") (export "b") 2 funcref))'
    instance = instantiate(text)
    assert instance.exports.a is instance.exports.b
    again = instantiate(
        '(module (import "m" "t" (table 2 funcref)) (export "t" (table 0)))',
        {"m": {"t": instance.exports.a}},
    )
    assert again.exports.t is instance.exports.a


def test_repr_names_the_type() -> None:
    assert repr(Table("funcref", 1, 2)) == "<Table table i32 1..2 funcref>"


def test_initialiser_of_a_table_fills_it() -> None:
    table = instantiate(
        '(module (func $f) (table (export "t") 3 (ref null func) (ref.func $f)))'
    ).exports.t
    assert len(set(table)) == 1
    assert table[0] is not None


def test_table64_is_used_like_any_other() -> None:
    table = Table("externref", 1, 5, address="i64")
    exports = instantiate(
        """(module (import "m" "t" (table $t i64 1 externref))
             (func (export "get") (param i64) (result externref) local.get 0 table.get $t))""",
        {"m": {"t": table}},
    ).exports
    table[0] = "value"
    assert exports.get(0) == "value"
    with pytest.raises(Trap, match="out of bounds table access"):
        exports.get(1 << 40)
