"""Every vector instruction, compiled and compared with the plain-Python oracle."""

from __future__ import annotations

import functools
import random

import pytest

from jitwasm.config import Config
from jitwasm.frontend.opcodes import MNEMONICS
from jitwasm.frontend.opcodes_simd import SIMD_OPCODES
from jitwasm.types import F32, F64, I32, I64, V128, ValType
from tests.support import simd_oracle
from tests.support.simd_oracle import ORACLE, Nan
from tests.support.simd_values import FLOAT_EDGES, cases
from tests.support.vector_harness import CompiledVectors, Value, VectorModule
from tests.support.wat import wat

CASES = 100
TYPES = {t.name: t for t in (I32, I64, F32, F64, V128)}
LANEWISE = sorted(op.mnemonic for op in SIMD_OPCODES if not op.immediates)
SHAPES = {"i8x16": 8, "i16x8": 16, "i32x4": 32, "i64x2": 64, "f32x4": 32, "f64x2": 64}

# (portable IR, opt level, processor; None is this machine)
TARGETS = [
    (False, 0, None),
    (False, 2, None),
    (False, 2, "x86-64-v2"),
    (False, 2, "x86-64-v3"),
    (True, 0, None),
    (True, 2, None),
]
Target = tuple[bool, int, str | None]


def signature(mnemonic: str) -> tuple[tuple[ValType, ...], ValType]:
    params, _, result = (MNEMONICS[mnemonic].signature or "").partition("->")
    return tuple(TYPES[word] for word in params.split()), TYPES[result.strip()]


def function(name: str, mnemonic: str, immediates: str = "") -> str:
    """The text of a function that applies one instruction to its parameters."""
    params, result = signature(mnemonic)
    gets = " ".join(f"(local.get {i})" for i in range(len(params)))
    types = " ".join(type_.name for type_ in params)
    return (
        f'(func (export "{name}") (param {types}) (result {result.name})'
        f" ({mnemonic} {immediates} {gets}))"
    )


@functools.cache
def lanewise_module(portable: bool) -> VectorModule:
    functions = "\n".join(function(mnemonic, mnemonic) for mnemonic in LANEWISE)
    return VectorModule(wat(f"(module {functions})"), Config(portable_ir=portable))


@functools.cache
def lanewise(target: Target) -> CompiledVectors:
    portable, level, cpu = target
    return lanewise_module(portable).compile(level, cpu)


def shown(value: Value) -> str:
    return value.hex() if isinstance(value, bytes) else hex(value)


def check(mnemonic: str, operands: list[Value], got: Value) -> None:
    want = ORACLE[mnemonic](*operands)
    text = f"{mnemonic} of {', '.join(map(shown, operands))}: {shown(got)}, not {want!r}"
    assert simd_oracle.matches(want, got), text


@pytest.mark.parametrize("mnemonic", LANEWISE)
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_results_are_those_of_the_oracle(target: Target, mnemonic: str) -> None:
    params, _ = signature(mnemonic)
    operands = cases(random.Random(mnemonic), mnemonic, params, CASES)
    for row, got in zip(operands, lanewise(target).call(mnemonic, operands), strict=True):
        check(mnemonic, row, got)


def test_the_oracle_knows_every_instruction_without_immediates() -> None:
    assert [mnemonic for mnemonic in LANEWISE if mnemonic not in ORACLE] == []


def test_the_oracle_tells_nan_classes_apart() -> None:
    quiet, signalling, other = (
        b.to_bytes(4, "little") * 4 for b in (0xFFC00000, 0x7FA00000, 0x7FC00001)
    )
    canonical = simd_oracle.FloatLanes(simd_oracle.F32, (Nan.CANONICAL,) * 4)
    arithmetic = simd_oracle.FloatLanes(simd_oracle.F32, (Nan.ARITHMETIC,) * 4)
    assert [canonical.matches(v) for v in (quiet, signalling, other)] == [True, False, False]
    assert [arithmetic.matches(v) for v in (quiet, signalling, other)] == [True, False, True]


# --- literal operands: what LLVM may fold ---------------------------------------------------------

BINARY_FLOAT = [
    f"{shape}.{name}"
    for shape in ("f32x4", "f64x2")
    for name in ("add", "sub", "mul", "div", "min", "max", "pmin", "pmax")
]
IDENTITIES = {  # 0, -0, 1, -1, 2, a signalling NaN
    32: (0, 0x80000000, 0x3F800000, 0xBF800000, 0x40000000, 0x7FA00000),
    64: (0, 1 << 63, 0x3FF << 52, 0xBFF << 52, 1 << 62, 0x7FF4 << 48),
}


def const(value: bytes) -> str:
    return f"(v128.const i8x16 {' '.join(map(str, value))})"


def splatted(bits: int, x: int) -> bytes:
    return x.to_bytes(bits // 8, "little") * (128 // bits)


def literal_name(mnemonic: str, side: int, literal: int) -> str:
    return f"{mnemonic}/{side}/{literal:x}"


@functools.cache
def literal_module(level: int, how: str) -> CompiledVectors:
    """Each float operation with one literal operand; `how` the literal is written."""
    functions = []
    for mnemonic in BINARY_FLOAT:
        shape = mnemonic[:5]
        bits = SHAPES[shape]
        for literal in IDENTITIES[bits]:
            text = const(splatted(bits, literal))
            if how == "splat":
                scalar = f"(f{bits}.reinterpret_i{bits} (i{bits}.const {literal}))"
                if literal not in IDENTITIES[bits][-1:]:
                    scalar = f"(f{bits}.const {simd_oracle.FLOATS[bits].value(literal)!r})"
                text = f"({shape}.splat {scalar})"
            for side in (0, 1):
                pair = [text, "(local.get 0)"][:: -1 if side else 1]
                functions.append(
                    f'(func (export "{literal_name(mnemonic, side, literal)}") (param v128)'
                    f" (result v128) ({mnemonic} {' '.join(pair)}))"
                )
    return VectorModule(wat(f"(module {' '.join(functions)})"), Config()).compile(level)


@pytest.mark.parametrize("mnemonic", BINARY_FLOAT)
@pytest.mark.parametrize("how", ["const", "splat"])
@pytest.mark.parametrize("level", [0, 2])
def test_a_literal_operand_folds_nothing_away(level: int, how: str, mnemonic: str) -> None:
    bits = SHAPES[mnemonic[:5]]
    compiled = literal_module(level, how)
    values = [splatted(bits, x) for x in FLOAT_EDGES[bits]]
    for literal in IDENTITIES[bits]:
        for side in (0, 1):
            name = literal_name(mnemonic, side, literal)
            for value, got in zip(values, compiled.call(name, [[v] for v in values]), strict=True):
                operands: list[Value] = [splatted(bits, literal), value]
                check(mnemonic, operands[:: -1 if side else 1], got)


def vector_operands(mnemonic: str) -> bool:
    return all(type_ is V128 for type_ in signature(mnemonic)[0])


CONSTANT = [mnemonic for mnemonic in LANEWISE if vector_operands(mnemonic)]
CONSTANT_CASES = 2


def constant_operands(mnemonic: str) -> list[list[Value]]:
    params, _ = signature(mnemonic)
    return cases(random.Random(f"{mnemonic} constants"), mnemonic, params, CONSTANT_CASES)


@functools.cache
def constant_module(portable: bool) -> CompiledVectors:
    functions = []
    for mnemonic in CONSTANT:
        _, result = signature(mnemonic)
        for i, operands in enumerate(constant_operands(mnemonic)):
            consts = " ".join(const(v) for v in operands if isinstance(v, bytes))
            functions.append(
                f'(func (export "{mnemonic}/{i}") (result {result.name}) ({mnemonic} {consts}))'
            )
    module = VectorModule(wat(f"(module {' '.join(functions)})"), Config(portable_ir=portable))
    return module.compile(2)


@pytest.mark.parametrize("mnemonic", CONSTANT)
@pytest.mark.parametrize("portable", [False, True])
def test_constant_folding_gives_the_same_results(portable: bool, mnemonic: str) -> None:
    compiled = constant_module(portable)
    for i, operands in enumerate(constant_operands(mnemonic)):
        got = compiled.run(f"{mnemonic}/{i}")
        assert got is not None
        check(mnemonic, operands, got)


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("between", ["", "f64x2.neg", "f64x2.abs"])
def test_demoting_what_was_promoted_quiets_nans(level: int, between: str) -> None:
    inner = "(f64x2.promote_low_f32x4 (local.get 0))"
    if between:
        inner = f"({between} {inner})"
    text = f"""(module (func (export "f") (param v128) (result v128)
        (f32x4.demote_f64x2_zero {inner})))"""
    compiled = VectorModule(wat(text), Config()).compile(level)
    for x in FLOAT_EDGES[32]:
        got = simd_oracle.lanes(compiled.call("f", [[splatted(32, x)]])[0], 32)  # type: ignore[arg-type]
        fmt = simd_oracle.F32
        if fmt.is_nan(x):
            assert fmt.is_nan(got[0]) and got[0] & fmt.quiet
        else:
            sign = {"f64x2.neg": x ^ fmt.sign, "f64x2.abs": x & ~fmt.sign}
            assert got == [sign.get(between, x)] * 2 + [0, 0]
