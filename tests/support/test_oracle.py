"""The oracle itself: against Python's own arithmetic where that is exact, and against a peer."""

from __future__ import annotations

import itertools
import math
import struct
from importlib import import_module

import pytest

from tests.spec.engine import Trapped
from tests.spec.values import Value
from tests.support.floats import (
    F32,
    F64,
    f32_of_python,
    python_of_f32,
    python_of_f64,
)
from tests.support.oracle import INSTRUCTIONS, NanResult, TrapResult, edge_values

FINITE = [bits for bits in edge_values("f64") if F64.magnitude(bits) < F64.infinity]


def bits_of(value: float) -> int:
    result: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return result


def test_every_scalar_numeric_instruction_is_there() -> None:
    assert len(INSTRUCTIONS) == 136


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_f64_arithmetic_is_that_of_python(name: str) -> None:
    operation = {"add": float.__add__, "sub": float.__sub__, "mul": float.__mul__}[name]
    for a in FINITE:
        for b in FINITE:
            python = operation(python_of_f64(a), python_of_f64(b))
            assert INSTRUCTIONS[f"f64.{name}"].evaluate(a, b) == bits_of(python), (a, b)


def test_f64_sqrt_is_that_of_python() -> None:
    for a in FINITE:
        if not F64.is_negative(a):
            expected = bits_of(math.sqrt(python_of_f64(a)))
            assert INSTRUCTIONS["f64.sqrt"].evaluate(a) == expected, hex(a)


def test_demotion_is_that_of_python() -> None:
    for a in FINITE:
        try:
            expected = struct.unpack("<I", struct.pack("<f", python_of_f64(a)))[0]
        except OverflowError:
            expected = F32.infinity | (a >> 32 & F32.sign_mask)
        assert INSTRUCTIONS["f32.demote_f64"].evaluate(a) == expected, hex(a)


def test_f32_round_trips_through_python_with_every_payload() -> None:
    for bits in edge_values("f32"):
        assert f32_of_python(python_of_f32(bits)) == bits, hex(bits)


def test_decimal_and_hexadecimal_texts_round_once() -> None:
    # Rounded to f64 first, then to f32, this tie goes the other way.
    assert F32.parse("1.00000005960464477540") == 0x3F800001
    assert F32.parse("0x1.000001p0") == 0x3F800000
    assert F64.parse("4.9406564584124654e-324") == 1
    assert F64.parse("2.4703282292062327e-324") == 0
    assert F64.parse("-0x0p0") == 1 << 63
    assert F32.parse("340282356779733661637539395458142568447") == F32.infinity - 1
    assert F32.parse("-nan:0x1") == 0xFF800001


def test_division_traps_and_wraps_as_specified() -> None:
    low = 1 << 31
    assert INSTRUCTIONS["i32.div_s"].evaluate(low, 2**32 - 1) == TrapResult("integer overflow")
    assert INSTRUCTIONS["i32.rem_s"].evaluate(low, 2**32 - 1) == 0
    assert INSTRUCTIONS["i32.div_s"].evaluate(2**32 - 7, 2) == 2**32 - 3
    assert INSTRUCTIONS["i32.rem_s"].evaluate(2**32 - 7, 2) == 2**32 - 1


def test_nan_results_are_canonical_only_if_every_nan_operand_is() -> None:
    add = INSTRUCTIONS["f32.add"].evaluate
    assert add(F32.canonical_nan | F32.sign_mask, 0) is NanResult.CANONICAL
    assert add(F32.canonical_nan, F32.infinity | 1) is NanResult.ARITHMETIC
    assert add(F32.infinity, F32.infinity | F32.sign_mask) is NanResult.CANONICAL


def test_oracle_agrees_with_a_peer() -> None:
    pytest.importorskip("wasmtime", reason="the peer (test extra)")
    peer = import_module("tests.spec.peer_adapter").WasmtimeEngine()
    functions = []
    for row in INSTRUCTIONS.values():
        operands = " ".join(f"(local.get {i})" for i in range(len(row.params)))
        signature = f"(param {' '.join(row.params)}) (result {row.result})"
        name = row.mnemonic
        functions.append(f'(func (export "{name}") {signature} ({name} {operands}))')
    binary = import_module("tests.support.wat").wat(f"(module {' '.join(functions)})")
    instance = peer.instantiate(peer.compile(binary), {})
    for row in INSTRUCTIONS.values():
        step = 1 if len(row.params) == 1 else 5
        for args in itertools.product(*(edge_values(t)[::step] for t in row.params)):
            values = [Value(t, a) for t, a in zip(row.params, args, strict=True)]
            expected = row.evaluate(*args)
            try:
                (result,) = peer.invoke(instance, row.mnemonic, values)
            except Trapped as trap:
                assert expected == TrapResult(str(trap)), (row.mnemonic, args)
                continue
            f = F32 if row.result == "f32" else F64
            if isinstance(expected, NanResult):
                canonical = expected is NanResult.CANONICAL
                test = f.is_canonical_nan if canonical else f.is_arithmetic_nan
                assert test(result.bits), (row.mnemonic, args)
            else:
                assert expected == result.bits, (row.mnemonic, args)
