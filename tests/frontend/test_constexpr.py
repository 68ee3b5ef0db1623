from __future__ import annotations

import pickle

import pytest

from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.moduleinfo import ConstExpr
from jitwasm.types import I32, ref_type
from tests.frontend.binary import ALL_FEATURES, Features, decode, leb, module, vector
from tests.support.wat import wat


def init(type_: str, expr: str, before: str = "") -> ConstExpr:
    """The initialiser of the last global of a module."""
    return decode(wat(f"(module {before} (global {type_} {expr}))")).global_inits[-1]


def raw(type_: bytes, expr: bytes) -> ConstExpr:
    return decode(module(vector(6, type_ + b"\x00" + expr))).global_inits[-1]


@pytest.mark.parametrize(
    ("type_", "expr", "ops"),
    [
        ("i32", "(i32.const -1)", (("i32.const", -1),)),
        ("i64", "(i64.const 0x8000000000000000)", (("i64.const", -(2**63)),)),
        ("f32", "(f32.const nan:0x200001)", (("f32.const", 0x7FA00001),)),
        ("f64", "(f64.const -0.0)", (("f64.const", 1 << 63),)),
        ("v128", "(v128.const i64x2 1 -1)", (("v128.const", b"\1" + bytes(7) + b"\xff" * 8),)),
        ("funcref", "(ref.null func)", (("ref.null", "func"),)),
        ("externref", "(ref.null extern)", (("ref.null", "extern"),)),
        ("anyref", "(ref.null none)", (("ref.null", "none"),)),
        ("(ref i31)", "(ref.i31 (i32.const 7))", (("i32.const", 7), ("ref.i31", None))),
        (
            "i32",
            "(i32.mul (i32.const 2) (i32.sub (i32.const 3) (i32.const 4)))",
            (
                ("i32.const", 2),
                ("i32.const", 3),
                ("i32.const", 4),
                ("i32.sub", None),
                ("i32.mul", None),
            ),
        ),
    ],
)
def test_constants(type_: str, expr: str, ops: tuple[tuple[str, object], ...]) -> None:
    assert init(type_, expr).ops == ops


def test_the_type_is_that_of_the_value() -> None:
    assert init("anyref", "(ref.i31 (i32.const 0))").type is ref_type(False, "i31")
    assert init("i32", "(i32.const 0)").type is I32


def test_globals_before_are_visible() -> None:
    expr = init(
        "i32",
        "(i32.add (global.get 0) (global.get 1))",
        before="""
        (import "" "" (global i32)) (global i32 (i32.const 1))
    """,
    )
    assert expr.ops == (("global.get", 0), ("global.get", 1), ("i32.add", None))


def test_a_function_reference_has_the_function_s_type() -> None:
    info = decode(
        wat("(module (type $t (func)) (func $f (type $t)) (global (ref $t) (ref.func $f)))")
    )
    assert info.global_inits[0].type is ref_type(False, info.types[0])
    assert info.global_inits[0].ops == (("ref.func", 0),)


def test_structures_and_arrays() -> None:
    types = "(type $s (struct (field i8) (field f64))) (type $a (array (mut i64)))"
    struct = init("(ref $s)", "(struct.new $s (i32.const 1) (f64.const 0))", types)
    default = init("(ref null $s)", "(struct.new_default $s)", types)
    array = init("(ref $a)", "(array.new $a (i64.const 1) (i32.const 2))", types)
    zeros = init("(ref $a)", "(array.new_default $a (i32.const 2))", types)
    fixed = init("(ref $a)", "(array.new_fixed $a 2 (i64.const 1) (i64.const 2))", types)
    struct_type = default.ops[-1][1]
    array_type = zeros.ops[-1][1]
    assert struct.ops[-1] == ("struct.new", struct_type)
    assert array.ops[-1] == ("array.new", array_type)
    assert fixed.ops[-1] == ("array.new_fixed", (array_type, 2))
    assert fixed.type is ref_type(False, array_type)


def test_conversions_keep_nullability() -> None:
    assert init("anyref", "(any.convert_extern (ref.null extern))").type is ref_type(True, "any")
    expr = init("(ref extern)", "(extern.convert_any (ref.i31 (i32.const 0)))")
    assert expr.type is ref_type(False, "extern")


def test_expressions_pickle() -> None:
    expr = init("(ref $s)", "(struct.new_default $s)", "(type $s (struct (field i64)))")
    assert pickle.loads(pickle.dumps(expr)) == expr


@pytest.mark.parametrize(
    ("type_", "expr", "message"),
    [
        ("i32", "(i64.const 0)", "type mismatch: expected"),
        ("i32", "", "type mismatch"),
        ("i32", "(i32.const 0) (i32.const 0)", "type mismatch"),
        ("i32", "(i32.add (i32.const 0))", "type mismatch"),
        ("i32", "(i32.add (i32.const 0) (i64.const 0))", "type mismatch"),
        ("i64", "(i64.mul (i32.const 0) (i64.const 0))", "type mismatch"),
        ("i32", "(i32.div_s (i32.const 1) (i32.const 1))", "constant expression required"),
        ("i32", "(i32.ctz (i32.const 1))", "constant expression required"),
        ("f32", "(f32.neg (f32.const 1))", "constant expression required"),
        ("i32", "(nop)", "constant expression required"),
        ("i32", "(i32.const 0) (nop)", "constant expression required"),
        ("i32", "(memory.size 0)", "constant expression required"),
        ("i32", "(call 0)", "constant expression required"),
        ("v128", "(i8x16.splat (i32.const 0))", "constant expression required"),
        ("i32", "(global.get 0)", "unknown global 0"),
        ("i32", "(global.get 3)", "unknown global 3"),
        ("funcref", "(ref.func 0)", "unknown function 0"),
        ("(ref func)", "(ref.null func)", "type mismatch"),
        ("funcref", "(ref.null extern)", "type mismatch"),
        ("(ref i31)", "(ref.i31 (i64.const 0))", "type mismatch"),
    ],
)
def test_invalid_constants(type_: str, expr: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        init(type_, expr)


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ("(struct.new $s (i32.const 0) (ref.null any))", "type mismatch"),
        ("(struct.new $s (ref.i31 (i32.const 0)))", "type mismatch"),
        ("(struct.new_default $s)", "has no default value"),
        ("(array.new_default $a (i32.const 1))", "has no default value"),
        ("(array.new $a (ref.i31 (i32.const 0)) (i64.const 0))", "type mismatch"),
        ("(array.new_fixed $a 2 (ref.i31 (i32.const 0)))", "type mismatch"),
        ("(array.new_fixed $a 4294967295)", "type mismatch"),
        ("(array.new_default $s (i32.const 1))", "an array type is expected"),
        ("(struct.new_default $a)", "a structure type is expected"),
        ("(struct.new_default 9)", "unknown type 9"),
        ("(ref.null 9)", "unknown type 9"),
    ],
)
def test_invalid_aggregates(expr: str, message: str) -> None:
    types = "(type $s (struct (field i8) (field (ref any)))) (type $a (array (ref any)))"
    with pytest.raises(InvalidError, match=message):
        init("anyref", expr, types)


def test_a_mutable_global_is_not_constant() -> None:
    with pytest.raises(InvalidError, match="constant expression required"):
        init("i32", "(global.get 0)", '(import "" "" (global (mut i32)))')


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        (b"\x41\x00", "unexpected end of section or function"),
        (b"\x41", "unexpected end of section or function"),
        (b"", "unexpected end of section or function"),
        (b"\x43\x00\x00\x00", "unexpected end of section or function"),
        (b"\xfd\x0c" + bytes(15), "unexpected end of section or function"),
        (b"\xff\x0b", "illegal opcode ff"),
        (b"\xf3\x00\x0b", "illegal opcode f3"),
        (b"\xfd\x80\x80\x01\x0b", "illegal opcode"),
        (b"\xfb\xff\xff\xff\xff\x0f\x0b", "illegal opcode"),
        (b"\x41\x80\x80\x80\x80\x80\x00\x0b", "integer representation too long"),
        (b"\x41\xff\xff\xff\xff\x4f\x0b", "integer too large"),
        (b"\xd0\x40\x0b", "malformed heap type"),
    ],
)
def test_malformed_constants(expr: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        raw(b"\x7f", expr)


def test_wide_structures_are_looked_at_once_however_often_they_are_made() -> None:
    fields = 10_000
    types = vector(1, b"\x5f" + leb(fields) + b"\x7f\x00" * fields)
    make = b"\xfb\x01\x00" * 100_000
    with pytest.raises(InvalidError, match="type mismatch"):
        decode(module(types, vector(6, b"\x6e\x00" + make + b"\x0b")))


def test_long_expressions_do_not_recurse() -> None:
    count = 100_000
    expr = raw(b"\x7f", b"\x41\x01" * count + b"\x6a" * (count - 1) + b"\x0b")
    assert len(expr.ops) == 2 * count - 1


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("(module (type $s (struct)) (global eqref (struct.new $s)))", "gc"),
        ("(module (global i32 (i32.const 0)) (elem anyref (ref.i31 (i32.const 0))))", "gc"),
    ],
)
def test_constants_of_a_feature_that_is_off(text: str, feature: str) -> None:
    with pytest.raises(InvalidError, match=f"requires the feature '{feature}'"):
        decode(wat(text), Features())
    decode(wat(text), ALL_FEATURES)
