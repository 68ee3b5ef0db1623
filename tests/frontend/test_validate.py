"""Validation of function bodies: each rule's error, its text, and where the error says it is."""

from __future__ import annotations

import pytest

from jitwasm.config import Config, Features, ImplementationLimits
from jitwasm.errors import CompileError, InvalidError, MalformedError
from tests.frontend.binary import code, leb, module, vector
from tests.support.irtext import translate, translate_text
from tests.support.wat import wat

INVALID = {
    "(func (result i32))": "type mismatch",
    "(func (i32.const 1))": "type mismatch",
    "(func (drop))": "type mismatch",
    "(func (result i32) (i64.const 1))": "type mismatch",
    "(func (param f32) (drop (i32.add (local.get 0) (i32.const 1))))": "type mismatch",
    "(func (result i32) (if (result i32) (i32.const 1) (then (i32.const 1))))": "type mismatch",
    "(func (block (result i32) (br 0)) (drop))": "type mismatch",
    "(func (loop (param i32) (br 0)))": "type mismatch",
    "(func (unreachable) (i64.add (i32.const 1)) (drop))": "type mismatch",
    "(func (result i32) (unreachable) (i64.const 1))": "type mismatch",
    """(func (block (result i32)
           (block (br_table 0 1 (i32.const 1) (i32.const 0))) (i32.const 1)) (drop))""": (
        "type mismatch"
    ),
    "(func (param externref) (drop (select (local.get 0) (local.get 0) (i32.const 1))))": (
        "type mismatch"
    ),
    "(func (local.set 1 (i32.const 1)))": "unknown local 1",
    "(func (loop (local.set 1 (i32.const 1))))": "unknown local 1",
    "(func (drop (global.get 0)))": "unknown global 0",
    "(global i32 (i32.const 1)) (func (global.set 0 (i32.const 1)))": "immutable global",
    "(func (call 7))": "unknown function 7",
    "(func (br 2))": "unknown label 2",
    "(func (drop (i32.load (i32.const 0))))": "unknown memory 0",
    "(memory 1) (func (drop (memory.size 1)))": "unknown memory 1",
    "(func (drop (table.size 0)))": "unknown table 0",
    "(table 1 externref) (func (call_indirect (i32.const 0)))": "type mismatch",
    "(table 1 funcref) (func (table.init 0 3 (i32.const 0) (i32.const 0) (i32.const 0)))": (
        "unknown elem segment 3"
    ),
    """(table 1 funcref) (table 1 externref)
       (func (table.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0)))""": ("type mismatch"),
    "(func (drop (ref.func 0)))": "undeclared function reference",
    "(func (local (ref func)) (drop (local.get 0)))": "uninitialized local 0",
    """(func (param (ref func)) (local (ref func))
         (block (local.set 1 (local.get 0))) (drop (local.get 1)))""": ("uninitialized local 1"),
    "(func (result i32) (return_call 1)) (func (result i64) (i64.const 1))": "type mismatch",
    "(type $t (func)) (func (param funcref) (call_ref $t (local.get 0)))": "type mismatch",
    "(func (param i32) (drop (ref.is_null (local.get 0))))": "type mismatch",
    "(memory i64 1) (func (drop (i32.load (i32.const 0))))": "type mismatch",
    """(memory i64 1) (memory 1)
       (func (memory.copy 0 1 (i64.const 0) (i32.const 0) (i64.const 0)))""": "type mismatch",
}

VALID = [
    "(func (result i32) (unreachable) (i32.add))",
    "(func (result i32 f64) (br 0 (i32.const 1) (f64.const 1)) (select))",
    "(func (unreachable) (br_table 0 0) (drop))",
    "(func (block (block (br_table 0 1 0 (unreachable)))))",
    """(func (result i32)
         (block (result i32) (block (result i64) (unreachable)) (drop) (i32.const 0)))""",
    "(func (param (ref func)) (result funcref) (block (result funcref) (local.get 0)))",
    """(func (param (ref func)) (local (ref func))
         (local.set 1 (local.get 0)) (block (drop (local.get 1))))""",
    "(func $f) (elem declare func $f) (func (result (ref func)) (ref.func $f))",
    "(func (param i32) (local.get 0) (local.get 0) (if (param i32) (result i32) (then)) (drop))",
    "(type $t (func)) (func (param (ref null $t)) (result funcref) (local.get 0))",
    "(func (unreachable) (call_indirect (param i64) (result f32)) (drop)) (table 1 funcref)",
]


@pytest.mark.parametrize("text", INVALID)
def test_invalid_bodies_are_refused(text: str) -> None:
    with pytest.raises(InvalidError, match=f"^{INVALID[text]}"):
        translate(wat(f"(module {text})"))


@pytest.mark.parametrize("text", VALID)
def test_valid_bodies_give_valid_ir(text: str) -> None:
    translate_text(f"(module {text})")


def _module(body: bytes, *sections: bytes) -> bytes:
    return module(vector(1, b"\x60\0\0"), vector(3, b"\0"), *sections, code(body))


MEMORY = vector(5, b"\0\1")
MALFORMED = {
    "no end": (b"\0\x41\1\x1a", "unexpected end of section or function"),
    "truncated immediate": (b"\0\x41\x80", "unexpected end of section or function"),
    "truncated f64": (b"\0\x44\1\2\3", "unexpected end of section or function"),
    "truncated br_table": (b"\0\x41\0\x0e\x05\0\0", "unexpected end of section or function"),
    "unknown opcode": (b"\0\xff\x0b", "illegal opcode ff"),
    "unknown opcode behind a prefix": (b"\0\xfc\x7f\x0b", "illegal opcode"),
    "bytes behind the last end": (b"\0\x0b\x01", "END opcode expected"),
    "long integer": (b"\0\x41\x80\x80\x80\x80\x80\0\x1a\x0b", "integer representation too long"),
    "large integer": (b"\0\x41\x80\x80\x80\x80\x70\x1a\x0b", "integer too large"),
    "data segment without a count": (b"\0\xfc\x09\0\x0b", "data count section required"),
    "else without if": (b"\0\x05\x0b", "unexpected 'else'"),
    "block type": (b"\0\x02\x50\x0b\x0b", "malformed"),
    "memory flags": (b"\0\x41\0\x28\x80\1\0\x1a\x0b", "malformed memop flags"),
    "too many locals": (b"\2\xff\xff\xff\xff\x0f\x7f\1\x7f\x0b", "too many locals"),
    "value type of locals": (b"\1\1\x33\x0b", "malformed value type"),
}


@pytest.mark.parametrize("title", MALFORMED)
def test_malformed_bodies_are_refused(title: str) -> None:
    body, message = MALFORMED[title]
    with pytest.raises(MalformedError, match=f"^{message}"):
        translate(_module(body, MEMORY))


def test_alignment_is_at_most_natural() -> None:
    binary = _module(b"\0\x41\0\x28\3\0\x1a\x0b", MEMORY)
    with pytest.raises(InvalidError, match=r"^alignment must not be larger than natural"):
        translate(binary)


def test_static_offsets_of_32_bit_memories_have_32_bits() -> None:
    binary = _module(b"\0\x41\0\x28\2\x80\x80\x80\x80\x10\x1a\x0b", MEMORY)
    with pytest.raises(InvalidError, match=r"^offset out of range"):
        translate(binary)


def test_typed_select_takes_one_type() -> None:
    binary = _module(b"\0\x41\0\x41\0\x41\0\x1c\2\x7f\x7f\x1a\x0b")
    with pytest.raises(InvalidError, match=r"^invalid result arity"):
        translate(binary)


def test_errors_say_where() -> None:
    binary = wat("(module (func) (func $broken (i32.const 1) (i64.const 2) (i32.add) (drop)))")
    with pytest.raises(InvalidError) as caught:
        translate(binary)
    error = caught.value
    assert error.funcidx == 1
    assert error.name == "broken"
    assert error.offset is not None
    assert binary[error.offset] == 0x6A  # i32.add
    assert "in function 1 (broken)" in str(error)


def test_errors_inside_an_immediate_say_where() -> None:
    binary = _module(b"\0\x41\0\x1a\x41\x80\x80\x80\x80\x80\x80\0\x0b")
    with pytest.raises(MalformedError) as caught:
        translate(binary)
    assert caught.value.offset is not None
    assert binary[caught.value.offset : caught.value.offset + 2] == b"\x80\x80"


def test_types_of_disabled_features_are_refused_in_bodies() -> None:
    config = Config(features=Features(simd=False))
    with pytest.raises(CompileError, match="requires the feature 'simd'"):
        translate(_module(b"\1\1\x7b\x0b"), config)


def test_locals_are_limited() -> None:
    config = Config(limits=ImplementationLimits(locals=10))
    translate(_module(b"\1\x0a\x7f\x0b"), config)
    with pytest.raises(InvalidError, match="too many locals: 11, the limit is 10"):
        translate(_module(b"\1\x0b\x7f\x0b"), config)


def test_nesting_is_limited() -> None:
    config = Config(limits=ImplementationLimits(nesting=100))
    translate(_module(b"\0" + b"\2\x40" * 99 + b"\x0b" * 100), config)
    with pytest.raises(InvalidError, match="nested too deeply"):
        translate(_module(b"\0" + b"\2\x40" * 100 + b"\x0b" * 101), config)


def test_declared_counts_allocate_nothing() -> None:
    with pytest.raises(MalformedError):
        translate(_module(leb(0xFFFF_FFFF) + b"\x0b"))
    with pytest.raises(MalformedError):
        translate(_module(b"\0\x41\0\x0e" + leb(0xFFFF_FFFF) + b"\0\x0b"))


def test_few_bytes_cannot_stand_for_endless_lists_of_values() -> None:
    many = b"\x60\0" + leb(1000) + b"\x7f" * 1000
    body = b"\0" + b"\x10\0" * 5000 + b"\0\x0b"
    binary = module(vector(1, many), vector(3, b"\0"), code(body))
    with pytest.raises(InvalidError, match="too complex"):
        translate(binary)
