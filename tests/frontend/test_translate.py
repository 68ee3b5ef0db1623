"""Properties of the emitted IR that the goldens do not show, and functions that are extreme."""

from __future__ import annotations

import re

import pytest

from jitwasm.config import Config, Features
from jitwasm.ir import FunctionIR
from tests.frontend.binary import code, leb, module, vector
from tests.support.irtext import body_lines, translate, translate_text, verify


def only(text: str, config: Config | None = None) -> FunctionIR:
    """The IR of the last function of a module."""
    return translate_text(f"(module {text})", config)[-1]


def phis(function: FunctionIR) -> list[str]:
    return [line for line in body_lines(function) if " = phi " in line]


def body_module(body: bytes, type_: bytes = b"\x60\0\0") -> bytes:
    return module(vector(1, type_), vector(3, b"\0"), vector(5, b"\0\1"), code(body))


# -- SSA form ------------------------------------------------------------------------------------


def test_locals_that_differ_but_are_not_read_get_no_phi() -> None:
    function = only(
        """(func (param i32) (local i32 i32)
             (if (local.get 0) (then (local.set 1 (i32.const 1)) (local.set 2 (i32.const 2)))))"""
    )
    assert not phis(function)


def test_a_merge_of_equal_values_gets_no_phi() -> None:
    function = only(
        """(func (param i32 i32) (result i32)
             (if (local.get 0)
               (then (local.set 0 (local.get 1)))
               (else (local.set 0 (local.get 1))))
             (local.get 0))"""
    )
    assert not phis(function)
    assert "ret i32 %1" in body_lines(function)


def test_loops_have_phis_only_for_what_they_assign() -> None:
    function = only(
        """(func (param i32 i32 i32) (result i32)
             (loop $l
               (local.set 0 (i32.add (local.get 0) (i32.mul (local.get 1) (local.get 2))))
               (br_if $l (local.get 0)))
             (local.get 0))"""
    )
    assert len(phis(function)) == 1


def test_a_value_can_come_through_loops_that_do_not_read_it() -> None:
    function = only(
        """(func (param i32 i32) (result i32)
             (loop $a
               (loop $b
                 (if (local.get 0) (then (local.set 1 (i32.const 5))))
                 (br_if $b (local.get 0)))
               (br_if $a (local.get 0)))
             (local.get 1))"""
    )
    assert len(phis(function)) == 3


def test_operands_of_branches_become_phis_where_they_differ() -> None:
    function = only(
        """(func (param i32) (result i32 i32)
             (block $b (result i32 i32)
               (br_if $b (i32.const 1) (i32.const 2) (local.get 0))
               (drop) (drop) (i32.const 1) (i32.const 3)))"""
    )
    assert [line.split(" = ")[1] for line in phis(function)] == ["phi i32 [ 2, %b0 ], [ 3, %b2 ]"]


def test_comparisons_and_eqz_feed_branches_directly() -> None:
    function = only(
        """(func (param i32 i32)
             (block (br_if 0 (i32.eqz (i32.lt_u (local.get 0) (local.get 1))))))"""
    )
    lines = body_lines(function)
    assert sum("icmp" in line for line in lines) == 1
    assert not any("zext" in line or "xor" in line for line in lines)


def test_numbers_of_values_increase() -> None:
    function = only(
        """(func (param i32 f64 i64) (result i32) (local i32)
             (loop $l (br_if $l (local.tee 3 (i32.add (local.get 3) (local.get 0)))))
             (if (result i32) (local.get 0) (then (local.get 3)) (else (i32.const 7))))"""
    )
    numbers = [int(n) for n in re.findall(r"^  %(\d+) = ", function.text, re.MULTILINE)]
    assert numbers == sorted(set(numbers))


def test_translation_is_deterministic() -> None:
    text = """(module (memory 1) (table 3 funcref)
        (func (param i32) (result i32)
          (block (br_table 0 0 0 (local.get 0)))
          (i32.div_s (i32.load (local.get 0)) (call_indirect (result i32) (local.get 0)))))"""
    assert translate_text(text) == translate_text(text)


# -- traps and memory ----------------------------------------------------------------------------


def test_each_trap_has_one_block() -> None:
    function = only(
        """(func (param i32) (result i32)
             (i32.div_u (i32.const 1) (i32.div_u (i32.const 2) (local.get 0))))"""
    )
    assert function.text.count("call void @jw_trap(i32 2)") == 1
    assert function.text.count("label %t2") == 2


def test_unreachable_traps_are_not_declared() -> None:
    function = only(
        """(func (result i32)
             (return (i32.const 1)) (i32.div_u (i32.const 1) (i32.const 0)))"""
    )
    assert not function.declares


@pytest.mark.parametrize(
    "use",
    [
        "(drop (i32.load (local.get 0)))",
        "(local.set 1 (i32.load (local.get 0)))",
        "(local.set 1 (i32.load (local.get 0))) (local.set 1 (i32.const 0)) (drop (local.get 1))",
        "(if (local.get 0) (then (local.set 1 (i32.load (local.get 0)))))",
        "(i32.load (local.get 0)) (br 0)",
        "(i32.load (local.get 0)) (i32.const 1) (br_table 0 0)",
        "(i32.load (local.get 0)) (unreachable)",
        # Lost on one way only, or left in an outer frame.
        "(i32.load (local.get 0)) (br_if 0 (local.get 0)) (local.set 1)",
        "(block (i32.load (local.get 0)) (block (br 1)) (local.set 1))",
        "(block (i32.load (local.get 0)) (block (br_if 1 (local.get 0))) (local.set 1))",
        "(i32.load (local.get 0)) (block (return)) (drop)",
        "(block (i32.load (local.get 0)) (block (br_table 0 1 (local.get 0))) (local.set 1))",
    ],
)
def test_loads_without_use_stay(use: str) -> None:
    assert "load volatile" in only(f"(memory 1) (func (param i32) (local i32) {use})").text


@pytest.mark.parametrize(
    "use",
    [
        "(drop (i32.eqz (i32.load (local.get 0))))",
        "(drop (f64.sqrt (f64.load (local.get 0))))",
        "(local.set 1 (i32.add (i32.load (local.get 0)) (i32.const 1)))",
        """(drop (if (result i32) (local.get 0)
             (then (i32.load (local.get 0))) (else (i32.const 0))))""",
    ],
)
def test_values_computed_from_loads_are_used(use: str) -> None:
    text = only(f"(memory 1) (func (param i32) (local i32) {use})").text
    assert "asm sideeffect" in text


@pytest.mark.parametrize(
    "use",
    [
        "(drop (call $f))",
        "(drop (local.get 0))",
        "(drop (i32.const 1))",
        "(drop (global.get $g))",
        "(local.set 1 (i32.load (local.get 0))) (i32.store (local.get 0) (local.get 1))",
        "(local.set 1 (call $f))",
        # The label takes the value along.
        """(block (result i32) (br_if 0 (i32.load (local.get 0)) (local.get 0)))
           (global.set $g)""",
    ],
)
def test_nothing_is_invented_for_other_values(use: str) -> None:
    text = only(
        f"""(import "m" "f" (func $f (result i32))) (memory 1) (global $g (mut i32) (i32.const 0))
            (func (param i32) (local i32) {use})"""
    ).text
    assert "volatile" not in text
    assert "asm" not in text


def test_strict_mode_keeps_all_accesses() -> None:
    text = only(
        "(memory 1) (func (param i32) (i32.store (local.get 0) (i32.load8_u (local.get 0))))",
        Config(strict=True),
    ).text
    assert text.count("volatile") == 2


def test_a_static_offset_is_added_in_64_bits() -> None:
    text = only("(memory 1) (func (result i32) (i32.load offset=0xfffffff0 (i32.const -1)))").text
    assert f"i64 {0xFFFFFFF0 + 0xFFFFFFFF}" in text


# -- calls ---------------------------------------------------------------------------------------


def test_functions_with_tail_calls_are_universal() -> None:
    functions = translate_text(
        "(module (func $a (param i32)) (func (param i32) (return_call $a (local.get 0))))"
    )
    assert [function.universal for function in functions] == [False, True]
    assert "define void @u1(" in functions[1].text
    assert functions[0].fn_ir == "void (ptr, i32)"
    assert functions[1].fn_ir.count("i64>") == 8


def test_tail_calls_never_have_arguments_on_the_stack() -> None:
    params = "(param " + "i64 " * 20 + "f64 " * 20 + ")"
    gets = " ".join(f"(local.get {i})" for i in range(40))
    function = only(f"(func $f {params} (return_call $f {gets}))")
    (call,) = [line for line in body_lines(function) if "musttail" in line]
    assert call.count(", i64 ") == 5
    assert call.count(", <2 x i64> ") == 8


def test_callees_are_listed_with_their_types() -> None:
    function = only(
        """(import "m" "f" (func $f (param f32) (result i64 i32)))
           (func (drop (call $f (f32.const 1))) (drop))
           (func (call 1) (return) (call 2))"""
    )
    assert function.calls == {1: "void (ptr)"}


# -- extremes ------------------------------------------------------------------------------------


def test_deep_nesting_does_not_recurse() -> None:
    deep = 20_000
    body = b"\1\1\x7f" + b"\3\x40" * deep + b"\x20\0\x0d\0\x0b" * deep + b"\x0b"
    info, functions = translate(body_module(body))
    assert functions[0].text.count("br i1") == deep
    assert info.functions


def test_a_local_read_behind_thousands_of_merges_does_not_recurse() -> None:
    merges = [b"\x20\0\4\x40\x41" + leb(i % 50 + 1) + b"\x21\1\x0b" for i in range(5_000)]
    body = b"\1\2\x7f" + b"".join(merges) + b"\x20\1\x0b"
    info, functions = translate(body_module(body, b"\x60\0\1\x7f"))
    verify(info, functions)
    assert len(phis(functions[0])) == 5_000


def test_a_local_carried_through_thousands_of_loops_does_not_recurse() -> None:
    loop = b"\3\x40\x20\0\4\x40\x41\7\x21\1\x0b\x20\0\x0d\0\x0b"
    body = b"\1\2\x7f" + loop * 3_000 + b"\x20\1\x0b"
    info, functions = translate(body_module(body, b"\x60\0\1\x7f"))
    verify(info, functions)


def test_too_many_locals_for_snapshots_live_in_stack_slots() -> None:
    sets = b"".join(b"\x41\1\x21" + leb(i) for i in range(2_000))
    blocks = b"\2\x40\x20\0\x0d\0\x0b" * 2_000
    body = b"\1" + leb(2_000) + b"\x7f" + sets + blocks + b"\x20\0\x0b"
    info, functions = translate(body_module(body, b"\x60\0\1\x7f"))
    verify(info, functions)
    assert functions[0].text.count(" = alloca i32") == 2_000
    assert not phis(functions[0])


def test_a_large_jump_table_has_one_edge_for_each_target() -> None:
    targets = 200
    labels = b"".join(leb(i % targets) for i in range(50_001))
    body = b"\1\2\x7f" + b"\2\x40" * targets + b"\x20\0\x0e" + leb(50_000) + labels
    body += b"\x41\1\x21\1\x0b" * targets + b"\x20\1\x0b"
    info, functions = translate(body_module(body, b"\x60\0\1\x7f"))
    verify(info, functions)
    assert all(line.count("[ ") <= 2 for line in phis(functions[0]))


@pytest.mark.parametrize("feature", ["tail_call", "function_references", "multi_memory"])
def test_features_can_be_turned_off(feature: str) -> None:
    bodies = {
        "tail_call": b"\0\x12\0\x0b",
        "function_references": b"\0\x14\0\x0b",
        "multi_memory": b"\0\x41\0\x28\x42\0\0\x1a\x0b",
    }
    config = Config(features=Features(**{feature: False}))
    with pytest.raises(Exception, match=f"requires the feature '{feature}'"):
        translate(body_module(bodies[feature]), config)
