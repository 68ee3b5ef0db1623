"""Counterparts of table/*."""

from __future__ import annotations

from typing import Any

import pytest

import jitwasm
from jitwasm import Table
from tests.jsapi.accounting import ported
from tests.jsapi.samples import NOT_INTEGERS, functions

HUGE = [-1, 1 << 32, 1 << 36]
HUGE64 = [-1, 1 << 64]
LIMIT = 10_000_000


class Large:
    def __index__(self) -> int:
        return 1 << 32


def both(name: str, deviation: str | None = None) -> list[Any]:
    """The two types of indices, each with the file that is about it."""
    files = {
        "constructor": ("table/constructor", "table/constructor-memory64"),
        "get-set": ("table/get-set", "table/get-set-memory64"),
        "grow": ("table/grow", "table/grow-memory64"),
        "limits": ("table/limits", "table/limits-memory64"),
    }[name]
    return [
        pytest.param(address, marks=ported(file, deviation))
        for address, file in zip(("i32", "i64"), files, strict=True)
    ]


# table/constructor and table/constructor-memory64


@ported("table/constructor")
def test_name() -> None:
    assert Table.__name__ == "Table" and jitwasm.WebAssembly.Table is Table


@ported("table/constructor", covers=2)
def test_no_arguments() -> None:
    with pytest.raises(TypeError):
        Table()  # type: ignore[call-arg]


@ported("table/constructor", covers=2)
def test_what_is_no_element_type() -> None:
    for argument in (None, False, True, object(), 1, float("nan"), {}):
        with pytest.raises(TypeError):
            Table(argument, 0)  # type: ignore[arg-type]


@ported("table/constructor")
def test_none_as_initial_size() -> None:
    with pytest.raises(TypeError):
        Table("anyfunc", None)  # type: ignore[arg-type]


@ported("table/constructor")
def test_none_as_element_type() -> None:
    with pytest.raises(TypeError):
        Table(None, 0)  # type: ignore[arg-type]


@ported("table/constructor")
@pytest.mark.parametrize("value", NOT_INTEGERS)
@pytest.mark.parametrize("name", ["initial", "maximum"])
def test_sizes_that_are_no_integers(name: str, value: Any) -> None:
    with pytest.raises(TypeError):
        Table("anyfunc", **{"initial": 0, name: value})


@ported("table/constructor", "range")
@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("name", ["initial", "maximum"])
def test_sizes_out_of_range(name: str, value: int) -> None:
    with pytest.raises(ValueError):
        Table("anyfunc", **{"initial": 0, name: value})


@ported("table/constructor-memory64", "range")
@pytest.mark.parametrize("value", HUGE64)
@pytest.mark.parametrize("name", ["initial", "maximum"])
def test_sizes_of_table64_out_of_range(name: str, value: int) -> None:
    with pytest.raises(ValueError):
        Table("anyfunc", address="i64", **{"initial": 0, name: value})


@pytest.mark.parametrize("address", both("constructor", "range"))
def test_initial_beyond_maximum(address: str) -> None:
    with pytest.raises(ValueError):
        Table("anyfunc", 10, 9, address=address)


@pytest.mark.parametrize("size", [0, 5])
@pytest.mark.parametrize("address", both("constructor"))
def test_initial_size(address: str, size: int) -> None:
    table = Table("anyfunc", size, address=address)
    assert len(table) == size and list(table) == [None] * size


@ported("table/constructor", "arguments")
def test_stray_argument_of_the_constructor() -> None:
    with pytest.raises(TypeError):
        Table("anyfunc", 0, None, None, {})  # type: ignore[misc]


@ported("table/constructor", "arguments")
def test_a_descriptor_object_is_no_argument() -> None:
    with pytest.raises(TypeError):
        Table({"element": "anyfunc", "initial": 0})  # type: ignore[call-arg,arg-type]


@ported("table/constructor", "coercion")
def test_the_element_type_is_a_string_and_nothing_that_makes_one() -> None:
    class Text:
        def __str__(self) -> str:
            return "anyfunc"

    with pytest.raises(TypeError):
        Table(Text(), 1)  # type: ignore[arg-type]


@ported("table/constructor", "arguments")
def test_sizes_are_converted_in_their_order() -> None:
    order: list[str] = []

    class Size:
        def __init__(self, name: str) -> None:
            self.name = name

        def __index__(self) -> int:
            order.append(self.name)
            return 1

    Table(maximum=Size("maximum"), initial=Size("initial"), element="anyfunc")  # type: ignore[arg-type]
    assert order == ["initial", "maximum"]


@ported("table/constructor")
def test_first_value_of_an_externref_table() -> None:
    value = object()
    table = Table("externref", 3, None, value)
    assert len(table) == 3 and all(element is value for element in table)


@ported("table/constructor", "range")
@pytest.mark.parametrize("element", ["i32"])
def test_element_types_are_references(element: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        Table(element, 3)


@ported("table/constructor")
def test_first_value_of_a_function_table() -> None:
    fn, _ = functions()
    assert [element is fn for element in Table("anyfunc", 3, None, fn)] == [True] * 3


@ported("table/constructor")
def test_first_values_that_are_no_functions() -> None:
    for value in ({}, "cannot be used as a wasm function", 37):
        with pytest.raises(TypeError):
            Table("anyfunc", 3, None, value)


@pytest.mark.parametrize("address", both("constructor"))
def test_type_of_the_index(address: str) -> None:
    table = Table("anyfunc", 3, address=address)
    assert len(table) == 3 and address in str(table.type)


@ported("table/constructor", "range")
def test_unknown_index_type() -> None:
    with pytest.raises(ValueError):
        Table("anyfunc", 3, address="unknown")


@ported("table/constructor-memory64", "coercion")
@pytest.mark.parametrize("given", [{"initial": "3"}, {"initial": 0, "maximum": "3"}])
def test_a_string_is_no_size(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Table("anyfunc", address="i64", **given)


@ported("table/constructor-memory64")
@pytest.mark.parametrize("given", [{"initial": True}, {"initial": 0, "maximum": True}])
def test_true_is_one(given: dict[str, Any]) -> None:
    table = Table("anyfunc", address="i64", **given)
    table.grow(1 - len(table))
    assert len(table) == 1


# table/get-set and table/get-set-memory64


@ported("table/get-set")
@pytest.mark.parametrize("method", ["get", "set"])
def test_access_without_arguments(method: str) -> None:
    with pytest.raises(TypeError):
        getattr(Table("anyfunc", 5), method)()


@ported("table/get-set")
@pytest.mark.parametrize("method", ["get", "set"])
def test_access_to_something_else(method: str) -> None:
    for value in (None, True, "", 1, {}, Table):
        with pytest.raises((TypeError, AttributeError)):
            getattr(Table, method)(value, 0)


@pytest.mark.parametrize("address", both("get-set"))
def test_what_is_set_can_be_got(address: str) -> None:
    fn, fn2 = functions()
    table = Table("anyfunc", 5, address=address)
    assert table.set(0, fn) is None  # type: ignore[func-returns-value]
    table.set(2, fn2)
    table[4] = fn
    assert list(table) == [fn, None, fn2, None, fn]
    table.set(0, None)
    assert list(table) == [None, None, fn2, None, fn] and table[2] is fn2


@pytest.mark.parametrize("address", both("get-set"))
def test_growth_keeps_the_elements(address: str) -> None:
    fn, fn2 = functions()
    table = Table("anyfunc", 5, address=address)
    table.set(0, fn)
    table.set(2, fn2)
    table.grow(4)
    assert list(table) == [fn, None, fn2, None, None, None, None, None, None]


@pytest.mark.parametrize("address", both("get-set", "range"))
def test_setting_out_of_bounds(address: str) -> None:
    fn, _ = functions()
    table = Table("anyfunc", 5, address=address)
    for index in (-1, 5):
        with pytest.raises(IndexError):
            table.set(index, fn)
    assert list(table) == [None] * 5


@ported("table/get-set")
def test_setting_what_is_no_function() -> None:
    table = Table("anyfunc", 1)
    for value in (True, False, "test", object(), 7, float("nan"), {}):
        with pytest.raises(TypeError):
            table.set(0, value)
    assert list(table) == [None]


@ported("table/get-set")
@pytest.mark.parametrize("value", [print, lambda: None], ids=["builtin", "lambda"])
def test_setting_a_function_of_python(value: object) -> None:
    table = Table("anyfunc", 1)
    with pytest.raises(TypeError):
        table.set(0, value)
    assert table[0] is None


ACCESS = [
    pytest.param(lambda table, index: table.get(index), id="get"),
    pytest.param(lambda table, index: table.set(index, None), id="set"),
]


@ported("table/get-set")
@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("index", [None, *NOT_INTEGERS, "0x100000000"])
def test_indices_that_are_no_integers(access: Any, index: Any) -> None:
    with pytest.raises(TypeError):
        access(Table("anyfunc", 1), index)


@ported("table/get-set", "range")
@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("index", [*HUGE, Large()])
def test_indices_out_of_range(access: Any, index: Any) -> None:
    with pytest.raises(IndexError):
        access(Table("anyfunc", 1), index)


@ported("table/get-set-memory64", "range")
@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("index", HUGE64)
def test_indices_of_table64_out_of_range(access: Any, index: int) -> None:
    with pytest.raises(IndexError):
        access(Table("anyfunc", 1, address="i64"), index)


@ported("table/get-set-memory64")
@pytest.mark.parametrize("access", ACCESS)
def test_a_string_is_no_index_of_a_table64(access: Any) -> None:
    with pytest.raises(TypeError):
        access(Table("anyfunc", 1, address="i64"), "0x10000000000000000")


@ported("table/get-set")
def test_the_index_is_converted_before_the_value() -> None:
    called = []

    class Zero:
        def __index__(self) -> int:
            called.append(1)
            return 0

    with pytest.raises(TypeError):
        Table("anyfunc", 1).set(Zero(), {})  # type: ignore[arg-type]
    assert called == [1]


@ported("table/get-set", "arguments")
def test_stray_arguments_of_access() -> None:
    table = Table("anyfunc", 1)
    for call in (lambda: table.get(0, {}), lambda: table.set(0, None, {})):  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            call()


@ported("table/get-set")
def test_a_value_left_out_is_null() -> None:
    fn, _ = functions()
    table = Table("anyfunc", 1, None, fn)
    assert table[0] is fn
    table.set(0)
    assert table[0] is None
    table.set(0, fn)
    assert table[0] is fn
    for value in ({}, 37):
        with pytest.raises(TypeError):
            table.set(0, value)


@ported("table/get-set", "undefined")
def test_values_of_an_externref_table() -> None:
    value = object()
    table = Table("externref", 1, None, value)
    assert table[0] is value
    table.set(0)
    assert table[0] is None
    table[0] = value
    assert table[0] is value
    table.set(0, 37)
    assert table[0] == 37


# table/grow and table/grow-memory64


@ported("table/grow")
def test_grow_without_argument() -> None:
    with pytest.raises(TypeError):
        Table("anyfunc", 5).grow()  # type: ignore[call-arg]


@ported("table/grow")
def test_grow_of_something_else() -> None:
    for value in (None, True, "", 1, {}, Table):
        with pytest.raises((TypeError, AttributeError)):
            Table.grow(value, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", both("grow"))
def test_grow(address: str) -> None:
    table = Table("anyfunc", 5, address=address)
    assert table.grow(3) == 5 and list(table) == [None] * 8


@pytest.mark.parametrize("address", both("grow"))
def test_grow_up_to_the_maximum(address: str) -> None:
    table = Table("anyfunc", 3, 5, address=address)
    assert table.grow(2) == 3 and list(table) == [None] * 5


@pytest.mark.parametrize("address", both("grow", "range"))
def test_grow_beyond_the_maximum(address: str) -> None:
    table = Table("anyfunc", 2, 5, address=address)
    with pytest.raises(ValueError):
        table.grow(4)
    assert list(table) == [None] * 2


@ported("table/grow")
@pytest.mark.parametrize("value", [None, *NOT_INTEGERS, "0x100000000"])
def test_grow_by_what_is_no_integer(value: Any) -> None:
    with pytest.raises(TypeError):
        Table("anyfunc", 1).grow(value)


@ported("table/grow", "range")
@pytest.mark.parametrize("value", [*HUGE, Large()])
def test_grow_out_of_range(value: Any) -> None:
    with pytest.raises(ValueError):
        Table("anyfunc", 1).grow(value)


@ported("table/grow-memory64", "range")
@pytest.mark.parametrize("value", HUGE64)
def test_grow_of_table64_out_of_range(value: int) -> None:
    with pytest.raises(ValueError):
        Table("anyfunc", 1, address="i64").grow(value)


@ported("table/grow-memory64")
def test_grow_of_table64_by_a_string() -> None:
    with pytest.raises(TypeError):
        Table("anyfunc", 1, address="i64").grow("0x10000000000000000")  # type: ignore[arg-type]


@ported("table/grow", "arguments")
def test_stray_argument_of_grow() -> None:
    with pytest.raises(TypeError):
        Table("anyfunc", 5).grow(3, None, {})  # type: ignore[call-arg]


@ported("table/grow")
def test_grow_with_a_function() -> None:
    fn, _ = functions()
    table = Table("anyfunc", 1)
    assert table.grow(2, fn) == 1
    assert list(table) == [None, fn, fn]


@ported("table/grow")
@pytest.mark.parametrize("value", [{}, lambda: True], ids=["dict", "lambda"])
def test_grow_with_what_is_no_exported_function(value: object) -> None:
    table = Table("anyfunc", 1)
    with pytest.raises(TypeError):
        table.grow(2, value)
    assert len(table) == 1


# table/length


@ported("table/length")
def test_length_of_something_else() -> None:
    for value in (None, True, "", 1, {}):
        with pytest.raises((TypeError, AttributeError)):
            Table.__len__(value)  # type: ignore[arg-type]


@ported("table/length", "arguments")
def test_length_is_len() -> None:
    table = Table("anyfunc", 2)
    assert len(table) == 2
    with pytest.raises(TypeError):
        table.__len__({})  # type: ignore[call-arg]


@ported("table/length", "frozen")
def test_length_cannot_be_set() -> None:
    table = Table("anyfunc", 2)
    with pytest.raises(AttributeError):
        table.length = 4  # type: ignore[attr-defined]
    assert len(table) == 2


# table/limits and table/limits-memory64


@pytest.mark.parametrize("address", both("limits"))
def test_maximum_beyond_the_limit_is_a_type_like_any_other(address: str) -> None:
    assert len(Table("anyfunc", 1, LIMIT + 1, address=address)) == 1


@pytest.mark.parametrize("address", both("limits", "range"))
def test_initial_beyond_the_limit(address: str) -> None:
    with pytest.raises(ValueError):
        Table("anyfunc", LIMIT + 1, address=address)


@pytest.mark.parametrize("address", both("limits", "range"))
def test_grow_beyond_the_limit(address: str) -> None:
    table = Table("anyfunc", 1, LIMIT + 1, address=address)
    with pytest.raises(ValueError):
        table.grow(LIMIT)
    assert len(table) == 1


@ported("table/toString")
def test_repr_names_the_class() -> None:
    assert repr(Table("anyfunc", 0)).startswith("<Table")
