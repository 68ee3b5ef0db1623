"""Units: what is in one LLVM module, and where units end."""

from __future__ import annotations

import pickle
import re

import pytest

from jitwasm.abi import VMLayout
from jitwasm.backend.codegen import compile_assembly, compile_unit, host_target
from jitwasm.backend.units import MAX_BODY_BYTES, MAX_FUNCTIONS, UnitBuilder, unit_text
from jitwasm.ir import FunctionIR

LAYOUT = VMLayout(
    memories=1,
    tables=1,
    types=3,
    imported_functions=2,
    defined_functions=100,
    imported_globals=0,
    defined_globals=1,
    data_segments=0,
    elem_segments=0,
    tags=0,
)
TYPE = "i32 (ptr, i32)"
UNIVERSAL = f"i32 ({', '.join(['ptr', *['i64'] * 5, *['<2 x i64>'] * 8])})"


def function(
    funcidx: int,
    *callees: int,
    declares: tuple[str, ...] = (),
    body_size: int = 10,
) -> FunctionIR:
    lines = [f"define i32 @f{funcidx}(ptr %vmctx, i32 %l0) #0 {{"]
    lines += [f"  call i32 @f{callee}(ptr %vmctx, i32 %l0)" for callee in callees]
    lines += ["  ret i32 %l0", "}"]
    return FunctionIR(
        funcidx,
        "\n".join(lines),
        dict.fromkeys(callees, TYPE),
        frozenset(declares),
        TYPE,
        body_size,
    )


def universal(funcidx: int) -> FunctionIR:
    parameters = ", ".join(f"{t} %p{i}" for i, t in enumerate(UNIVERSAL[5:-1].split(", ")))
    text = f"define i32 @u{funcidx}({parameters}) #0 {{\n  ret i32 7\n}}"
    return FunctionIR(funcidx, text, {}, frozenset(), UNIVERSAL, 10, universal=True)


def assembly(*functions: FunctionIR) -> str:
    return compile_assembly(unit_text(functions, LAYOUT), host_target(0))


def test_a_call_inside_the_unit_needs_no_stub() -> None:
    text = unit_text([function(2, 3), function(3)], LAYOUT)
    assert "module asm" not in text
    assert "declare" not in text


def test_a_call_to_a_function_outside_jumps_through_its_slot() -> None:
    slot = LAYOUT.function_slot(50)
    assert re.search(rf"f50:\s+jmpq\s+\*{slot}\(%rdi\)", assembly(function(2, 50)))


def test_a_call_to_an_import_enters_the_imports_environment() -> None:
    slot = LAYOUT.import_slot(1)
    assert re.search(
        rf"f1:\s+movq\s+{slot}\(%rdi\), %rax\s+movq\s+{slot + 8}\(%rdi\), %rdi\s+jmpq\s+\*%rax",
        assembly(function(2, 1)),
    )


def test_stubs_are_local_and_functions_global() -> None:
    text = assembly(function(2, 1, 50))
    assert set(re.findall(r"\.globl\s+(\S+)", text)) == {"f2"}


def test_calls_to_stubs_and_neighbours_need_no_relocation() -> None:
    text = unit_text([function(2, 1, 3, 50), function(3, 2)], LAYOUT)
    assert b".rela.text" not in compile_unit(text, host_target(0), verify=True)


def test_each_callee_and_declaration_appears_once() -> None:
    trap = "declare void @jw_trap(i32) cold noreturn"
    text = unit_text([function(2, 50, declares=(trap,)), function(3, 50, declares=(trap,))], LAYOUT)
    assert text.count(trap) == 1
    assert text.count("declare dso_local i32 @f50(ptr, i32)") == 1


def test_structure_results_are_declared_whole() -> None:
    caller = FunctionIR(
        2,
        "define void @f2(ptr %vmctx) #0 {\n"
        "  %r = call { i32, double } @f50(ptr %vmctx)\n  ret void\n}",
        {50: "{ i32, double } (ptr)"},
        frozenset(),
        "void (ptr)",
        1,
    )
    assert "declare dso_local { i32, double } @f50(ptr)" in unit_text([caller], LAYOUT)
    compile_unit(unit_text([caller], LAYOUT), host_target(2), verify=True)


@pytest.mark.parametrize("level", [0, 2])
def test_a_universal_function_is_also_known_by_its_typed_name(level: int) -> None:
    text = unit_text([universal(5), function(2, 5)], LAYOUT)
    code = compile_assembly(text, host_target(level))
    assert ".globl\tf5" in code
    assert re.search(r"(call|jmp)q?\s+f5\b", code), "the typed call must not see the definition"
    assert compile_unit(text, host_target(level), verify=True)


def test_a_unit_ends_where_it_is_full() -> None:
    builder = UnitBuilder(LAYOUT, 0)
    size = MAX_BODY_BYTES[0] // 4
    units = [unit for i in range(2, 10) for unit in builder.add(function(i, body_size=size))]
    assert [unit.funcidxs for unit in units] == [(2, 3, 4, 5), (6, 7, 8, 9)]
    assert [unit.index for unit in units] == [0, 1]
    assert builder.flush() == []


def test_a_unit_has_a_limited_number_of_functions() -> None:
    builder = UnitBuilder(LAYOUT, 0)
    units = [builder.add(function(i, body_size=1)) for i in range(2, MAX_FUNCTIONS + 2)]
    assert [len(row) for row in units] == [0] * (MAX_FUNCTIONS - 1) + [1]


def test_flush_gives_what_is_left() -> None:
    builder = UnitBuilder(LAYOUT, 2)
    assert builder.add(function(2)) == []
    (unit,) = builder.flush()
    assert (unit.funcidxs, unit.body_size, unit.opt_level) == ((2,), 10, 2)
    assert builder.flush() == []


def test_a_huge_function_is_compiled_alone_and_not_optimised() -> None:
    builder = UnitBuilder(LAYOUT, 2, max_optimized=100)
    assert builder.add(function(2)) == []
    units = builder.add(function(3, body_size=101))
    assert [(unit.index, unit.funcidxs, unit.opt_level) for unit in units] == [
        (0, (2,), 2),
        (1, (3,), 0),
    ]
    assert builder.add(function(4, body_size=100)) == []


def test_units_are_plain_data_with_a_stable_digest() -> None:
    units = []
    for _ in range(2):
        builder = UnitBuilder(LAYOUT, 2)
        builder.add(function(2, 1, 50, 7))
        units += builder.flush()
    assert units[0] == units[1]
    assert units[0].digest == pickle.loads(pickle.dumps(units[1])).digest
