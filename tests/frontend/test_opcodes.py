"""The instruction table against itself, the text assembler and the handlers."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields

import pytest

from jitwasm.config import Config, Features
from jitwasm.errors import InvalidError
from jitwasm.frontend.instruction import PREFIX_SHIFT, Op
from jitwasm.frontend.opcodes import MNEMONICS, OPCODES
from tests.frontend.binary import code, leb, module, vector
from tests.support.irtext import translate, verify
from tests.support.wat import wat

SWITCHES = {field.name for field in fields(Features)}
TYPES = {"i32", "i64", "f32", "f64", "v128", "addr", "eqref", "arrayref", "i31ref"}
PREFIXES = {0xFB, 0xFC, 0xFD, 0xFE}


def test_codes_and_mnemonics_are_unique() -> None:
    assert not [name for name, n in Counter(op.mnemonic for op in OPCODES).items() if n > 1]
    assert not [hex(value) for value, n in Counter(op.code for op in OPCODES).items() if n > 1]
    assert len(MNEMONICS) == len(OPCODES)


def test_the_table_has_all_of_webassembly_3_and_threads() -> None:
    count = Counter(op.feature for op in OPCODES)
    assert count["mvp"] == 172
    assert count["sign_extension"] == 5
    assert count["saturating_float_to_int"] == 8
    assert count["simd"] == 236
    assert count["relaxed_simd"] == 20
    assert count["threads"] == 67
    assert count["gc"] == 32
    assert count["tail_call"] == 3
    assert count["exceptions"] == 3
    assert count["function_references"] == 4


def test_prefixes_are_those_of_the_specification() -> None:
    assert {op.code >> PREFIX_SHIFT for op in OPCODES if op.code >= 0x100} == PREFIXES


def test_signatures_name_value_types() -> None:
    for op in OPCODES:
        if op.signature is not None:
            params, arrow, results = op.signature.partition("->")
            assert arrow, op
            assert {*params.split(), *results.split()} <= TYPES, op


def _plain(op: Op) -> bool:
    return op.signature is not None and not op.immediates and "addr" not in op.signature


PLAIN = [op for op in OPCODES if _plain(op)]


def _function(op: Op) -> str:
    """A function that does nothing but the instruction."""
    assert op.signature is not None
    params, _, results = op.signature.partition("->")
    gets = " ".join(f"(local.get {i})" for i in range(len(params.split())))
    return f"(func (param {params}) (result {results}) {gets} ({op.mnemonic}))"


def test_codes_are_those_of_the_text_assembler() -> None:
    for op in PLAIN:
        sub = op.code & ((1 << PREFIX_SHIFT) - 1)
        encoded = bytes([op.code]) if op.code < 0x100 else _prefixed(op.code >> PREFIX_SHIFT, sub)
        assert encoded + b"\x0b" in wat(f"(module {_function(op)})"), op


def _prefixed(prefix: int, sub: int) -> bytes:
    return bytes([prefix]) + leb(sub)


def test_handlers_keep_the_signatures() -> None:
    ops = [op for op in PLAIN if op.feature not in ("gc", "threads")]
    assert len(ops) > 300
    info, functions = translate(wat(f"(module {' '.join(map(_function, ops))})"))
    verify(info, functions)


@pytest.mark.parametrize("feature", ["simd", "relaxed_simd", "tail_call"])
def test_instructions_of_a_disabled_feature_name_it(feature: str) -> None:
    op = next(op for op in OPCODES if op.feature == feature)
    sub = op.code & ((1 << PREFIX_SHIFT) - 1)
    encoded = bytes([op.code]) if op.code < 0x100 else _prefixed(op.code >> PREFIX_SHIFT, sub)
    body = b"\0" + encoded + b"\0\0\x0b"
    binary = module(vector(1, b"\x60\0\0"), vector(3, b"\0"), code(body))
    with pytest.raises(InvalidError, match=re.escape(f"requires the feature '{feature}'")):
        translate(binary, Config(features=Features(**{feature: False})))


@pytest.mark.parametrize(
    ("opcode", "mnemonic"), [(b"\xfb\x00", "struct.new"), (b"\xfe\x03", "atomic.fence")]
)
def test_gc_and_threads_are_named_where_they_are_missing(opcode: bytes, mnemonic: str) -> None:
    body = b"\0" + opcode + b"\0\x0b"
    types, functions = vector(1, b"\x60\0\0"), vector(3, b"\0")
    with pytest.raises(InvalidError, match=re.escape(mnemonic)):
        translate(module(types, functions, code(body)))


def test_every_feature_column_is_a_switch_or_always_on() -> None:
    always = {"mvp", "sign_extension", "saturating_float_to_int", "bulk_memory", "reference_types"}
    assert {op.feature for op in OPCODES} <= SWITCHES | always
