"""Global: values and their types, mutability, sharing with wasm."""

from __future__ import annotations

import math
import struct

import pytest

from jitwasm import Global, Tag
from tests.runtime.support import instantiate


@pytest.mark.parametrize(
    ("type_", "given", "got"),
    [
        ("i32", 5, 5),
        ("i32", -(1 << 31), -(1 << 31)),
        ("i32", (1 << 32) - 1, -1),
        ("i32", True, 1),
        ("i64", (1 << 64) - 1, -1),
        ("i64", -(1 << 63), -(1 << 63)),
        ("f32", 1.5, 1.5),
        ("f32", 1e40, math.inf),
        ("f32", 16777217, 16777216.0),
        ("f64", 0.1, 0.1),
        ("f64", 3, 3.0),
        ("v128", bytes(range(16)), bytes(range(16))),
        ("externref", "x", "x"),
        ("externref", None, None),
        ("funcref", None, None),
    ],
)
def test_value_comes_back(type_: str, given: object, got: object) -> None:
    value = Global(type_, given).value
    assert value == got
    assert type(value) is type(got)


@pytest.mark.parametrize("type_", ["i32", "i64", "f32", "f64", "v128", "externref", "funcref"])
def test_value_defaults_to_zero_or_null(type_: str) -> None:
    expected = {"v128": bytes(16), "externref": None, "funcref": None}
    assert Global(type_).value == expected.get(type_, 0)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("i32", 1.0),
        ("i32", "1"),
        ("i32", None),
        ("i64", 1.5),
        ("f32", "1"),
        ("f64", None),
        ("f64", b"1"),
        ("v128", 1),
        ("funcref", print),
        ("funcref", 1),
    ],
)
def test_value_of_the_wrong_kind_is_a_type_error(type_: str, value: object) -> None:
    with pytest.raises(TypeError):
        Global(type_, value)


@pytest.mark.parametrize(
    ("type_", "value"),
    [("i32", 1 << 32), ("i32", -(1 << 31) - 1), ("i64", 1 << 64), ("f64", 10**400)],
)
def test_number_out_of_range_is_an_overflow_error(type_: str, value: int) -> None:
    with pytest.raises(OverflowError):
        Global(type_, value)


def test_vector_has_sixteen_bytes() -> None:
    with pytest.raises(ValueError, match="16 bytes, not 3"):
        Global("v128", b"abc")


def test_unknown_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown value type 'i16'"):
        Global("i16")
    with pytest.raises(TypeError):
        Global(32)  # type: ignore[arg-type]


def test_nan_payloads_survive() -> None:
    for bits in (0x7F800001, 0xFFC12345, 0x7FC00000, 0xFF800002):
        variable = Global("f32", 0.0, mutable=True)
        double = (bits >> 31) << 63 | 0x7FF << 52 | (bits & 0x7FFFFF) << 29
        variable.value = struct.unpack("<d", struct.pack("<Q", double))[0]
        assert struct.pack("<d", variable.value) == struct.pack("<Q", double)


def test_negative_zero_keeps_its_sign() -> None:
    assert math.copysign(1, Global("f32", -0.0).value) == -1  # type: ignore[arg-type]


def test_mutable_global_can_be_assigned() -> None:
    variable = Global("i32", 1, mutable=True)
    variable.value = 2
    assert variable.value == 2
    assert variable.mutable


def test_immutable_global_cannot() -> None:
    constant = Global("i32", 1)
    with pytest.raises(TypeError, match="immutable"):
        constant.value = 2
    assert constant.value == 1


def test_failed_assignment_keeps_the_value() -> None:
    variable = Global("i32", 7, mutable=True)
    with pytest.raises(TypeError):
        variable.value = "x"
    with pytest.raises(OverflowError):
        variable.value = 1 << 40
    assert variable.value == 7


COUNTER = """(module
  (import "m" "g" (global $g (mut i64)))
  (func (export "add") (param i64) global.get $g local.get 0 i64.add global.set $g)
  (export "g" (global $g)))"""


def test_imported_mutable_global_is_shared() -> None:
    variable = Global("i64", 5, mutable=True)
    first = instantiate(COUNTER, {"m": {"g": variable}}).exports
    second = instantiate(COUNTER, {"m": {"g": first.g}}).exports
    assert first.g is variable
    assert second.g is variable
    first.add(1)
    second.add(10)
    assert variable.value == 16
    variable.value = -1
    first.add(0)
    assert second.g.value == -1


def test_exported_global_reads_and_writes_the_instance() -> None:
    exports = instantiate(
        """(module (global $g (export "g") (mut f64) (f64.const 1.25))
             (global (export "c") i32 (i32.const -3))
             (func (export "get") (result f64) global.get $g))"""
    ).exports
    assert exports.g.value == 1.25
    exports.g.value = 2
    assert exports.get() == 2.0
    assert exports.c.value == -3
    assert not exports.c.mutable
    assert exports.g is exports["g"]


def test_reference_global_keeps_objects_and_functions() -> None:
    value = object()
    exports = instantiate(
        """(module (global $e (export "e") (mut externref) (ref.null extern))
             (global $f (export "f") funcref (ref.func $own))
             (func $own (export "own"))
             (func (export "get") (result externref) global.get $e))"""
    ).exports
    exports.e.value = value
    assert exports.get() is value
    assert exports.f.value is exports.own


def test_vector_global_is_sixteen_bytes() -> None:
    exports = instantiate(
        """(module (global (export "g") (mut v128) (v128.const i32x4 1 2 3 4))
             (func (export "get") (result v128) global.get 0))"""
    ).exports
    assert exports.g.value == struct.pack("<4I", 1, 2, 3, 4)
    exports.g.value = b"x" * 16
    assert exports.get() == b"x" * 16


def test_initial_values_may_use_earlier_globals_and_arithmetic() -> None:
    exports = instantiate(
        """(module (import "m" "base" (global $base i32))
             (global (export "a") i32
               (i32.mul (i32.add (global.get $base) (i32.const 2)) (i32.const -3)))
             (global (export "b") i64 (i64.sub (i64.const 1) (i64.const 2))))""",
        {"m": {"base": 40}},
    ).exports
    assert (exports.a.value, exports.b.value) == (-126, -1)


def test_repr_shows_type_and_value() -> None:
    assert repr(Global("i32", 5, mutable=True)) == "<Global mut i32 5>"


def test_tags_have_parameters_and_identity() -> None:
    tag = Tag(["i32", "externref"])
    assert [str(t) for t in tag.parameters] == ["i32", "externref"]
    assert repr(tag) == "<Tag (i32, externref)>"
    with pytest.raises(ValueError):
        Tag(["i16"])
