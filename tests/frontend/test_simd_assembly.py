"""Vector instructions compile to the machine's vector instructions, at every opt level.

The processors are named, so this does not depend on the machine that runs it. The assembly is only
searched for what must and must not be there.
"""

from __future__ import annotations

import functools
import re

import llvmlite.binding as llvm
import pytest

from jitwasm.backend.codegen import TargetSpec, compile_assembly
from jitwasm.config import Config
from jitwasm.frontend.opcodes import MNEMONICS
from tests.frontend.test_simd import LANEWISE, lanewise_module
from tests.support.vector_harness import VectorModule
from tests.support.wat import wat

CPUS = ["x86-64-v2", "x86-64-v3", "x86-64-v4"]
LEVELS = [0, 2]

SCALAR = re.compile(
    r"(?:call|j[a-z]+|v?pextr|v?pinsr|v?cvtt?s[sd]2|v?cvt\w+2s[sd]"
    r"|v?(?:add|sub|mul|div|min|max|sqrt|round|ucomi)s[sd]\b|i?div\b|imul|v?extractps)"
)
"""Instructions that work on one lane, calls and jumps."""

EXPECTED = {
    "i8x16.swizzle": ["paddusb", "pshufb"],
    "i8x16.relaxed_swizzle": ["pshufb"],
    "i32x4.dot_i16x8_s": ["pmaddwd"],
    "f32x4.min": ["minps", "minps", "addps", "cmp(?:un)?ordps"],
    "f64x2.max": ["maxpd", "maxpd", "addpd", "cmp(?:un)?ordpd"],
    "f64x2.relaxed_min": ["minpd"],
    "f32x4.pmin": ["minps"],
    "f64x2.pmax": ["maxpd"],
    "f32x4.relaxed_max": ["maxps"],
    "i8x16.narrow_i16x8_s": ["packsswb"],
    "i8x16.narrow_i16x8_u": ["packuswb"],
    "i16x8.narrow_i32x4_s": ["packssdw"],
    "i16x8.extmul_low_i8x16_s": ["pmovsxbw", "pmovsxbw", "pmullw"],
    "i16x8.extmul_high_i8x16_u": ["pmullw"],
    "i64x2.extmul_low_i32x4_s": ["pmul(?:dq|lq)"],
    "i16x8.extadd_pairwise_i8x16_s": ["pmaddubsw"],
    "i32x4.extadd_pairwise_i16x8_s": ["pmaddwd"],
    "i16x8.q15mulr_sat_s": ["pmulhrsw", "pcmpeqw", "pxor"],
    "i8x16.avgr_u": ["pavgb"],
    "i16x8.avgr_u": ["pavgw"],
    "i8x16.add_sat_s": ["paddsb"],
    "i16x8.sub_sat_u": ["psubusw"],
    "i8x16.min_u": ["pminub"],
    "i32x4.max_s": ["pmaxsd"],
    "i32x4.mul": ["pmulld"],
    "i32x4.abs": ["pabsd"],
    "i8x16.bitmask": ["pmovmskb"],
    "i32x4.bitmask": ["movmskps"],
    "v128.any_true": ["ptest"],
    "i32x4.shl": ["pslld"],
    "i16x8.shr_s": ["psraw"],
    "f32x4.nearest": ["roundps"],
    "f64x2.sqrt": ["sqrtpd"],
    "i32x4.trunc_sat_f32x4_s": ["cvttps2dq"],
    "i32x4.trunc_sat_f64x2_s_zero": ["cvttpd2dq"],
    "i32x4.relaxed_trunc_f32x4_s": ["cvttps2dq"],
    "f32x4.convert_i32x4_s": ["cvtdq2ps"],
    "f64x2.convert_low_i32x4_s": ["cvtdq2pd"],
    "f32x4.demote_f64x2_zero": ["cvtpd2ps"],
    "f64x2.promote_low_f32x4": ["cvtps2pd"],
    "i16x8.relaxed_dot_i8x16_i7x16_s": ["pmaddubsw"],
    "i16x8.relaxed_q15mulr_s": ["pmulhrsw"],
}
"""Instructions that must be there, in any order, with or without the AVX prefix."""

LENGTHS = {
    "i8x16.swizzle": 5,
    "i32x4.dot_i16x8_s": 2,
    "f32x4.min": 8,
    "f64x2.min": 8,
    "f32x4.pmin": 2,
    "i8x16.narrow_i16x8_s": 2,
    "i16x8.narrow_i32x4_s": 2,
    "i32x4.extmul_low_i16x8_s": 5,
    "i16x8.extadd_pairwise_i8x16_s": 4,
    "i16x8.q15mulr_sat_s": 5,
    "i8x16.avgr_u": 2,
    "v128.any_true": 5,
    "v128.bitselect": 5,
    "i32x4.trunc_sat_f32x4_s": 13,
    "f32x4.relaxed_madd": 3,
    "i8x16.relaxed_laneselect": 4,
}
"""At most this many instructions on AVX2 at level 2, the return included."""

NEEDS_FMA = {mnemonic for mnemonic in LANEWISE if mnemonic.endswith("madd")}


@functools.cache
def assembly(cpu: str, level: int, portable: bool = False) -> dict[str, list[str]]:
    """The instructions of each function."""
    module = lanewise_module(portable)
    text = compile_assembly(module.functions_text, TargetSpec(cpu, "", level))
    return split(text, module)


def split(text: str, module: VectorModule) -> dict[str, list[str]]:
    bodies = dict(re.findall(r"^f(\d+):.*?\n(.*?)^\.Lfunc_end", text, re.S | re.M))
    return {
        name: re.findall(r"^\t([a-z]\w*)", bodies[str(funcidx)], re.M)
        for name, funcidx in module.exports.items()
    }


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("portable", [False, True])
def test_nothing_is_done_lane_by_lane(portable: bool, level: int, cpu: str) -> None:
    scalar = {
        name: found
        for name, instructions in assembly(cpu, level, portable).items()
        if (found := [i for i in instructions if SCALAR.match(i)])
        # FMA is the one thing that only a call can give on a processor without it.
        and not (cpu == "x86-64-v2" and name in NEEDS_FMA)
    }
    assert scalar == {}


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("mnemonic", EXPECTED)
def test_the_machine_has_an_instruction_for_it(mnemonic: str, level: int, cpu: str) -> None:
    left = list(assembly(cpu, level)[mnemonic])
    for wanted in EXPECTED[mnemonic]:
        found = next((i for i in left if re.fullmatch(f"v?{wanted}[dq]?", i)), None)
        assert found, f"{wanted} is not in {assembly(cpu, level)[mnemonic]}"
        left.remove(found)


@pytest.mark.parametrize("mnemonic", LENGTHS)
def test_optimised_code_is_short(mnemonic: str) -> None:
    assert len(assembly("x86-64-v3", 2)[mnemonic]) <= LENGTHS[mnemonic]


@pytest.mark.parametrize("level", LEVELS)
def test_popcnt_counts_all_bytes_at_once(level: int) -> None:
    assert assembly("x86-64-v3", level)["i8x16.popcnt"].count("vpshufb") == 2
    assert "vpopcntb" in assembly("znver4", level)["i8x16.popcnt"]


@pytest.mark.parametrize("level", LEVELS)
def test_relaxed_madd_is_one_fused_instruction(level: int) -> None:
    for cpu in CPUS[1:]:
        found = [i for i in assembly(cpu, level)["f32x4.relaxed_madd"] if "fmadd" in i]
        assert len(found) == 1


@pytest.mark.parametrize("level", LEVELS)
def test_a_fenced_literal_costs_no_instruction(level: int) -> None:
    text = """(module (func (export "f") (param v128) (result v128)
        (f32x4.mul (local.get 0) (v128.const f32x4 1 1 1 1))))"""
    module = VectorModule(wat(text), Config())
    code = compile_assembly(module.functions_text, TargetSpec("x86-64-v3", "", level))
    body = split(code, module)["f"]
    assert [i for i in body if not i.startswith(("vbroadcast", "vmova"))] == ["vmulps", "retq"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["v128.load32_zero", "v128.load64_splat", "v128.load8x8_s"])
def test_partial_loads_are_one_memory_access(level: int, name: str) -> None:
    text = f"""(module (memory 1) (func (export "f") (param i32) (result v128)
        ({name} (local.get 0))))"""
    module = VectorModule(wat(text), Config())
    code = compile_assembly(module.functions_text, TargetSpec("x86-64-v3", "", level))
    assert not [i for i in split(code, module)["f"] if SCALAR.match(i)]


@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "riscv64-unknown-linux-gnu"])
def test_portable_ir_compiles_for_other_targets(triple: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(opt=0)
    module = llvm.parse_assembly(lanewise_module(True).functions_text)
    module.triple = triple
    module.verify()
    assert len(machine.emit_object(module)) > 0


def test_portable_ir_names_no_processor() -> None:
    assert "llvm.x86" not in lanewise_module(True).functions_text
    assert "llvm.x86" in lanewise_module(False).functions_text


def test_every_instruction_without_immediates_was_looked_at() -> None:
    assert set(LANEWISE) == set(assembly("x86-64-v3", 0))
    assert all(not MNEMONICS[mnemonic].immediates for mnemonic in LANEWISE)
