from __future__ import annotations

import pickle
import sys
from dataclasses import replace

import pytest

from jitwasm.config import ImplementationLimits
from jitwasm.errors import CompileError, InvalidError, MalformedError
from jitwasm.types import ArrayType, DefType, FuncType, RefType, StructType, intern_group
from tests.frontend.binary import (
    ALL_FEATURES,
    decode,
    leb,
    module,
    parse_chunks,
    section,
    signed_leb,
    vector,
)
from tests.support.wat import wat


def types(text: str) -> list[DefType]:
    return decode(wat(f"(module {text})")).types


def test_equal_types_are_one_object_in_all_modules() -> None:
    first = types("(type (func (param i32))) (type (func)) (type (func (param i32)))")
    second = types("(type (func (param i32)))")
    assert first[0] is first[2] is second[0]
    assert first[1] is not first[0]


def test_a_type_of_numbers_is_one_object_however_it_is_written() -> None:
    body = bytes([0x60, 2, 0x7F, 0x7B, 1, 0x7C])  # i32 v128 -> f64
    long = bytes([0x60, 0x82, 0x00, 0x7F, 0x7B, 0x81, 0x00, 0x7C])
    written = (body, long, b"\x4e\x01" + body, b"\x4f\x00" + body, body)
    found = decode(module(vector(1, *written))).types
    assert len(set(map(id, found))) == 1
    assert found[0].group == intern_group(found[0].group)[0].group
    assert intern_group(found[0].group) == (found[0],)
    assert pickle.loads(pickle.dumps(found[0])) is found[0]
    assert str(found[0]) == "(i32, v128) -> (f64)"
    (open_,) = decode(module(vector(1, b"\x50\x00" + body))).types
    assert open_ is not found[0]


def test_a_type_of_numbers_is_refused_as_any_other() -> None:
    vectors = bytes([0x60, 1, 0x7B, 0])
    numbers = bytes([0x60, 2, 0x7F, 0x7E, 2, 0x7F, 0x7E])
    for limits, message in (
        (ImplementationLimits(params=1), "too many parameters: 2, the limit is 1"),
        (ImplementationLimits(results=1), "too many results: 2, the limit is 1"),
    ):
        with pytest.raises(InvalidError, match=message):
            parse_chunks([module(vector(1, numbers))], ALL_FEATURES, limits)
    with pytest.raises(InvalidError, match="v128 requires the feature 'simd'"):
        decode(module(vector(1, vectors)), replace(ALL_FEATURES, simd=False))
    # After a group the limit is reached before the vector's end.
    group = b"\x4e\x03" + 3 * bytes([0x60, 0, 0])
    with pytest.raises(InvalidError, match="too many types, the limit is 3"):
        parse_chunks(
            [module(vector(1, group, numbers))], ALL_FEATURES, ImplementationLimits(types=3)
        )
    # Cut anywhere, and with any byte that is no number.
    for end in range(1, len(numbers)):
        with pytest.raises(CompileError):
            decode(module(section(1, b"\x01" + numbers[:end])))
    for place in (2, 3, 5, 6):
        wrong = bytearray(numbers)
        wrong[place] = 0x40
        with pytest.raises(MalformedError, match="malformed value type"):
            decode(module(vector(1, bytes(wrong))))


def test_groups_are_equal_by_structure() -> None:
    one, other = "$a", "$b"
    group = "(rec (type {0} (struct (field (ref {1})))) (type {1} (func (param (ref {0})))))"
    first = types(group.format(one, other))
    second = types("(type (func))" + group.format("$x", "$y"))
    assert first[0] is second[1]
    assert first[1] is second[2]


def test_a_group_of_one_is_not_a_member_of_a_larger_group() -> None:
    alone, member, _ = types("(type (func)) (rec (type (func)) (type (struct)))")
    assert alone is not member


def test_recursive_references_are_resolved() -> None:
    (node,) = types("(rec (type $n (struct (field (mut (ref null $n))))))")
    assert isinstance(node.comp, StructType)
    (field,) = node.comp.fields
    assert isinstance(field.storage, RefType)
    assert field.storage.heap is node
    assert field.mutable


def test_forms() -> None:
    struct, array, func = types("(type (struct (field i8 f64))) (type (array i16)) (type (func))")
    assert isinstance(struct.comp, StructType)
    assert isinstance(array.comp, ArrayType)
    assert isinstance(func.comp, FuncType)


def test_supertypes() -> None:
    top, middle, bottom = types("""
        (type $top (sub (struct (field i32))))
        (type $middle (sub $top (struct (field i32) (field anyref))))
        (type $bottom (sub final $middle (struct (field i32) (field eqref) (field i8))))
    """)
    assert (top.depth, middle.depth, bottom.depth) == (0, 1, 2)
    assert (top.final, bottom.final) == (False, True)
    assert bottom.is_subtype_of(top)
    assert not top.is_subtype_of(bottom)


VALID = [
    "(type $a (sub (func (param eqref) (result anyref)))) "
    "(type (sub $a (func (param anyref) (result eqref))))",
    "(type $a (sub (array (mut i8)))) (type (sub $a (array (mut i8))))",
    "(type $a (sub (array anyref))) (type (sub $a (array (ref i31))))",
    "(type $a (sub (struct))) (type $f (sub (func (result (ref null $a))))) "
    "(type $b (sub $a (struct))) (type (sub $f (func (result (ref $b)))))",
    "(rec (type $a (sub (struct (field (ref null $b))))) (type $b (sub $a (struct "
    "(field (ref null $b))))))",
]

INVALID = [
    ("(type $a (func)) (type (sub $a (func)))", "sub type 1 has a final super type"),
    ("(type $a (sub final (func))) (type (sub $a (func)))", "final super type"),
    ("(type $a (sub (func))) (type (sub $a (struct)))", "does not match its super type"),
    ("(type $a (sub (func))) (type (sub $a (func (param i32))))", "sub type"),
    (
        "(type $a (sub (func (param anyref)))) (type (sub $a (func (param eqref))))",
        "sub type",
    ),
    ("(type $a (sub (struct (field i32)))) (type (sub $a (struct)))", "sub type"),
    (
        "(type $a (sub (struct (field (mut anyref))))) "
        "(type (sub $a (struct (field (mut eqref)))))",
        "sub type",
    ),
    ("(type $a (sub (array i8))) (type (sub $a (array i16)))", "sub type"),
    ("(type $a (sub (array i8))) (type (sub $a (array i32)))", "sub type"),
    ("(type $a (sub (array i32))) (type (sub $a (array (mut i32))))", "sub type"),
]


@pytest.mark.parametrize("text", VALID)
def test_declared_subtypes_that_match(text: str) -> None:
    types(text)


@pytest.mark.parametrize(("text", "message"), INVALID)
def test_declared_subtypes_that_do_not_match(text: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        types(text)


@pytest.mark.parametrize(
    ("payload", "error", "message"),
    [
        (b"\x50\x02\x00\x00\x60\x00\x00", InvalidError, "more than one super type"),
        (b"\x50\x01\x00\x60\x00\x00", InvalidError, "unknown type 0"),
        (b"\x50\x01\x05\x60\x00\x00", InvalidError, "unknown type 5"),
        (b"\x60\x01\x64\x01\x00", InvalidError, "unknown type 1"),
        (b"\x5e\x78\x02", MalformedError, "malformed mutability"),
        (b"\x5e\x40\x00", MalformedError, "malformed value type"),
        (b"\x60\x01\x78\x00", MalformedError, "malformed value type"),
        (b"\x5d\x00\x00", MalformedError, "malformed definition type"),
        (b"\xe0\x7f\x00\x00", MalformedError, "malformed definition type"),
        (b"\x4e\x01\x4e\x00", MalformedError, "malformed definition type"),
        (b"\x50\x00\x50\x00\x60\x00\x00", MalformedError, "malformed definition type"),
        (b"\x4e\x02\x60\x00\x00", MalformedError, "unexpected end"),
        (b"\x4e\xff\xff\xff\xff\x0f", MalformedError, "unexpected end"),
    ],
)
def test_bad_types(payload: bytes, error: type[CompileError], message: str) -> None:
    with pytest.raises(error, match=message):
        decode(module(vector(1, payload)))


def test_an_empty_group_is_valid() -> None:
    assert decode(module(vector(1, b"\x4e\x00"))).types == []


def test_a_group_sees_no_types_behind_it() -> None:
    with pytest.raises(InvalidError, match="unknown type 1"):
        decode(module(vector(1, b"\x60\x01\x63\x01\x00", b"\x60\x00\x00")))


def _chain(length: int, in_group: bool) -> bytes:
    root = b"\x50\x00\x60\x00\x00"
    subs = [b"\x50\x01" + leb(index) + b"\x60\x00\x00" for index in range(length)]
    if not in_group:
        return module(vector(1, root, *subs))
    group = b"\x4e" + leb(length + 1) + root + b"".join(subs)
    return module(section(1, b"\x01" + group))


@pytest.mark.parametrize("in_group", [False, True])
def test_the_depth_of_supertypes_is_limited(in_group: bool) -> None:
    assert decode(_chain(63, in_group)).types[-1].depth == 63
    with pytest.raises(InvalidError, match="sub types nest too deep, the limit is 63"):
        decode(_chain(64, in_group))
    with pytest.raises(InvalidError, match="sub types nest too deep"):
        decode(_chain(20_000, in_group))


def test_long_chains_of_references_do_not_recurse() -> None:
    length = 4 * sys.getrecursionlimit()
    chain = [b"\x60\x00\x00"]
    indices = map(signed_leb, range(length))
    chain += [b"\x60\x02\x63" + index + b"\x64" + index + b"\x00" for index in indices]
    last = decode(module(vector(1, *chain))).types[-1]
    # Each type names the one before twice: its name must not grow with the length of the chain.
    assert len(str(last)) < 1000


def test_the_number_of_types_counts_group_members() -> None:
    data = module(vector(1, b"\x4e\x02\x60\0\0\x60\0\0", b"\x4e\x02\x60\0\0\x60\0\0"))
    with pytest.raises(InvalidError, match="too many types, the limit is 3"):
        parse_chunks([data], ALL_FEATURES, ImplementationLimits(types=3))
