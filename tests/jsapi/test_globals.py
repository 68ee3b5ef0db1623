"""Counterparts of global/* and tag/*."""

from __future__ import annotations

import struct
from typing import Any

import pytest

import jitwasm
from jitwasm import Global, Tag
from tests.jsapi.accounting import ported

NUMBERS = ["i32", "i64", "f32", "f64"]
OBJECTS = [None, True, 1, -0.0, 1.5, -2, object(), "string", {"an": "object"}, lambda: None]


# global/constructor


@ported("global/constructor")
def test_name() -> None:
    assert Global.__name__ == "Global" and jitwasm.WebAssembly.Global is Global


@ported("global/constructor", covers=2)
def test_no_arguments() -> None:
    with pytest.raises(TypeError):
        Global()  # type: ignore[call-arg]


@ported("global/constructor", "arguments")
def test_the_type_is_read_before_the_value() -> None:
    with pytest.raises((TypeError, ValueError), match="i16"):
        Global("i16", object())


@ported("global/constructor")
def test_what_is_no_type() -> None:
    for argument in (None, False, True, object(), 1, float("nan"), {}, []):
        with pytest.raises(TypeError):
            Global(argument)  # type: ignore[arg-type]


@ported("global/constructor", "range")
def test_types_that_do_not_exist() -> None:
    for name in ("i16", "i128", "f16", "f128", "u32", "u64", "i32\0", "", "test"):
        with pytest.raises((TypeError, ValueError)):
            Global(name)


@ported("global/constructor")
@pytest.mark.parametrize("type_", NUMBERS)
def test_the_default_is_zero(type_: str) -> None:
    value = Global(type_).value
    assert value == 0 and type(value) is (int if type_[0] == "i" else float)


class Index:
    def __index__(self) -> int:
        return 8


class Floating:
    def __float__(self) -> float:
        return 9.0


VALUES = {
    "i32": [(True, 1), (False, 0), (2, 2), (Index(), 8)],
    "f32": [(True, 1), (False, 0), (2, 2), (Index(), 8), (Floating(), 9)],
    "f64": [(True, 1), (False, 0), (2, 2), (Index(), 8), (Floating(), 9)],
    "i64": [(True, 1), (False, 0), (123, 123), (Index(), 8)],
}


@ported("global/constructor")
@pytest.mark.parametrize(
    ("type_", "given", "expected"),
    [(t, given, expected) for t, rows in VALUES.items() for given, expected in rows],
)
def test_first_values(type_: str, given: Any, expected: object) -> None:
    assert Global(type_, given).value == expected


class Text:
    def __str__(self) -> str:
        return "5"


NO_VALUES: list[tuple[str, Any]] = [
    (t, value) for t in ("i32", "f32", "f64", "i64") for value in (None, "3", Text(), object(), {})
]


@ported("global/constructor", "coercion")
@pytest.mark.parametrize(("type_", "given"), NO_VALUES)
def test_first_values_that_are_none(type_: str, given: Any) -> None:
    with pytest.raises(TypeError):
        Global(type_, given)


@ported("global/constructor", "coercion")
@pytest.mark.parametrize("given", [Floating(), 2.5, 666.0])
def test_no_floats_for_integers(given: Any) -> None:
    for type_ in ("i32", "i64"):
        with pytest.raises(TypeError):
            Global(type_, given)


@ported("global/constructor", "bigint")
@pytest.mark.parametrize("type_", NUMBERS)
def test_one_kind_of_integer_for_all_types(type_: str) -> None:
    assert Global(type_, 666).value == 666


@ported("global/constructor", "wrapping")
@pytest.mark.parametrize(("type_", "given"), [("i32", 1 << 32), ("i64", 1 << 64)])
def test_integers_that_do_not_fit(type_: str, given: int) -> None:
    with pytest.raises(OverflowError):
        Global(type_, given)


@ported("global/constructor", "arguments")
def test_stray_argument_of_the_constructor() -> None:
    with pytest.raises(TypeError):
        Global("i32", 0, False, {})  # type: ignore[call-arg]


@ported("global/constructor", "vectors")
def test_vectors_are_sixteen_bytes() -> None:
    assert Global("v128").value == bytes(16)
    assert Global("v128", bytes(range(16))).value == bytes(range(16))


@ported("global/constructor")
def test_any_object_in_an_externref_global() -> None:
    for value in OBJECTS:
        assert Global("externref", value).value is value


@ported("global/constructor", "undefined")
def test_the_default_of_an_externref_global_is_null() -> None:
    assert Global("externref").value is None


# global/value-get-set and global/valueOf


@ported("global/value-get-set")
def test_value_of_something_else() -> None:
    descriptor = vars(Global)["value"]
    for value in (None, True, "", 1, {}, Global):
        with pytest.raises((TypeError, AttributeError)):
            descriptor.fget(value)
        with pytest.raises((TypeError, AttributeError)):
            descriptor.fset(value, 1)


IMMUTABLE: list[dict[str, Any]] = [
    {}, {"mutable": None}, {"mutable": False}, {"mutable": ""}, {"mutable": 0}, {"mutable": ()},
]  # fmt: skip
MUTABLE: list[dict[str, Any]] = [
    {"mutable": True}, {"mutable": 1}, {"mutable": "x"}, {"mutable": [0]},
]  # fmt: skip


@ported("global/value-get-set")
@pytest.mark.parametrize("options", IMMUTABLE, ids=str)
@pytest.mark.parametrize("type_", NUMBERS)
def test_immutable(type_: str, options: dict[str, Any]) -> None:
    global_ = Global(type_, **options)
    with pytest.raises(TypeError):
        global_.value = 1
    assert global_.value == 0 and not global_.mutable


@ported("global/value-get-set")
@pytest.mark.parametrize("options", IMMUTABLE, ids=str)
@pytest.mark.parametrize("type_", NUMBERS)
def test_immutable_does_not_look_at_the_value(type_: str, options: dict[str, Any]) -> None:
    class Untouchable:
        def __index__(self) -> int:
            raise AssertionError("converted")

        __float__ = __index__  # type: ignore[assignment]

    global_ = Global(type_, **options)
    with pytest.raises(TypeError):
        global_.value = Untouchable()
    assert global_.value == 0


@ported("global/value-get-set")
@pytest.mark.parametrize("options", MUTABLE, ids=str)
@pytest.mark.parametrize("type_", NUMBERS)
def test_mutable(type_: str, options: dict[str, Any]) -> None:
    global_ = Global(type_, **options)
    assert global_.value == 0 and global_.mutable
    global_.value = 1
    with pytest.raises(TypeError):
        global_.value = "2"
    assert global_.value == 1


@ported("global/value-get-set", "coercion")
def test_values_of_an_i64_global() -> None:
    global_ = Global("i64", mutable=True)
    for given, expected in ((123, 123), (1 << 63, -(1 << 63)), (True, 1), (False, 0)):
        global_.value = given
        assert global_.value == expected
    with pytest.raises(OverflowError):
        global_.value = 1 << 64
    for given in (None, 4.2, object(), "456"):
        with pytest.raises(TypeError):
            global_.value = given


@ported("global/value-get-set", "undefined")
def test_nothing_is_no_value() -> None:
    global_ = Global("i32", 5, mutable=True)
    with pytest.raises(TypeError):
        vars(Global)["value"].fset(global_)
    with pytest.raises(TypeError):
        global_.value = None
    assert global_.value == 5


@ported("global/value-get-set", "arguments")
def test_stray_argument_of_the_setter() -> None:
    global_ = Global("i32", mutable=True)
    with pytest.raises(TypeError):
        vars(Global)["value"].fset(global_, 1, {})
    with pytest.raises(TypeError):
        vars(Global)["value"].fget(global_, {})


@ported("global/value-get-set")
def test_any_object_may_be_assigned_to_an_externref_global() -> None:
    global_ = Global("externref", mutable=True)
    for value in OBJECTS:
        global_.value = value
        assert global_.value is value


@ported("global/valueOf", covers=2)
def test_value_is_what_javascript_has_valueof_for() -> None:
    assert Global("f32", 0.1).value == struct.unpack("f", struct.pack("f", 0.1))[0]


@ported("global/toString")
def test_repr_names_the_class() -> None:
    assert repr(Global("i32")).startswith("<Global")


# tag/*


@ported("tag/constructor")
def test_name_of_tags() -> None:
    assert Tag.__name__ == "Tag" and jitwasm.WebAssembly.Tag is Tag


@ported("tag/constructor", "arguments", covers=2)
def test_tag_without_arguments() -> None:
    assert Tag().parameters == ()


@ported("tag/constructor")
def test_what_is_no_list_of_types() -> None:
    for argument in (None, False, True, object(), 1, float("nan")):
        with pytest.raises(TypeError):
            Tag(argument)  # type: ignore[arg-type]


@ported("tag/constructor", "range")
def test_tags_of_types_that_do_not_exist() -> None:
    for name in ("i16", "i128", "f16", "f128", "u32", "u64", "i32\0"):
        with pytest.raises((TypeError, ValueError)):
            Tag([name])


@ported("tag/toString")
def test_repr_of_tags_names_the_class() -> None:
    assert repr(Tag([])).startswith("<Tag")
