"""Fuel: the same execution costs the same at every tier, and no execution outlives its fuel."""

from __future__ import annotations

from typing import Any

import pytest

import jitwasm
from jitwasm import Config, Trap, TrapCode
from tests.support.wat import wat

TIERS = {
    "level 0": {"tier": "optimized", "opt_level": 0},
    "level 2": {"tier": "optimized", "opt_level": 2},
    "explicit bounds": {"tier": "optimized", "opt_level": 3, "bounds": "explicit"},
    "baseline": {"tier": "baseline"},
    "baseline, explicit bounds": {"tier": "baseline", "bounds": "explicit"},
}


def instance(text: str, tier: str, fuel: int | None, imports: Any = None) -> jitwasm.Instance:
    module = jitwasm.Module(wat(text), Config(fuel=fuel, **TIERS[tier]))
    return jitwasm.Instance(module, imports)


def run(made: jitwasm.Instance, *arguments: int) -> tuple[Any, int]:
    """The outcome of its export `f` and what is left afterwards."""
    try:
        outcome: Any = made.exports.f(*arguments)
    except Trap as trap:
        outcome = trap.code
    left = made.fuel
    assert left is not None
    return outcome, left


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return request.param


COUNTED = [
    # (body of `(func (export "f") (param i32) (result i32)`, argument, units)
    ("(i32.const 7)", 0, 2),
    ("nop (block (nop)) (i32.add (local.get 0) (i32.const 1))", 0, 4),
    ("(if (result i32) (local.get 0) (then (i32.const 1)) (else (nop) (i32.const 2)))", 1, 4),
    ("(return (i32.const 7)) (drop (i32.const 8)) (i32.const 9)", 0, 3),
    # Entry, then five rounds of six, then one.
    (
        "(loop (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0)))"
        " (local.get 0)",
        5,
        1 + 5 * 6 + 1,
    ),
    # Taken: up to the branch. Not taken: what follows as well.
    ("(block (br_if 0 (local.get 0)) (drop (i32.const 1))) (i32.const 2)", 1, 1 + 2 + 1),
    ("(block (br_if 0 (local.get 0)) (drop (i32.const 1))) (i32.const 2)", 0, 1 + 2 + 2 + 1),
    # memory.fill of 200 bytes: four instructions and three units for the length.
    ("(memory.fill (i32.const 0) (i32.const 1) (i32.const 200)) (i32.const 2)", 0, 1 + 4 + 3 + 1),
    ("(drop (call $g)) (i32.const 2)", 0, 1 + 2 + 1 + 2),
]


@pytest.mark.parametrize(("body", "argument", "units"), COUNTED)
def test_a_unit_is_an_instruction(tier: str, body: str, argument: int, units: int) -> None:
    text = (
        '(module (memory 1) (func (export "f") (param i32) (result i32)'
        f" {body}) (func $g (result i32) (i32.const 3)))"
    )
    outcome, left = run(instance(text, tier, 1000), argument)
    assert not isinstance(outcome, TrapCode)
    assert left == 1000 - units
    # Exactly enough is enough.
    assert run(instance(text, tier, units), argument) == (outcome, 0)
    assert run(instance(text, tier, units - 1), argument) == (TrapCode.OUT_OF_FUEL, 0)


PROGRAM = """(module
  (memory 1) (table 4 funcref) (elem (i32.const 0) $double $fib $trap)
  (type $unary (func (param i32) (result i32)))
  (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func $fib (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func $trap (param i32) (result i32)
    (i32.load (i32.add (i32.const 65530) (local.get 0))))
  (func $tail (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 5))))
    (return_call $tail (i32.sub (local.get 0) (i32.const 1))))
  (func $work (param i32) (result i32) (local i32 i32)
    (local.set 1 (i32.and (local.get 0) (i32.const 7)))
    (block $a (block $b (block $c (block $d
      (br_table $a $b $c $d (local.get 1)))
      (local.set 2 (call_indirect (type $unary) (local.get 0) (i32.const 0))) (br $a))
      (local.set 2 (call_indirect (type $unary) (local.get 1) (i32.const 1))))
      (loop $next
        (i32.store8 (local.get 2) (local.get 0))
        (local.set 2 (i32.add (i32.const 1) (i32.add (local.get 2) (i32.load8_u (local.get 1)))))
        (br_if $next (i32.lt_u (local.get 2) (i32.const 60)))
        (if (i32.and (local.get 2) (i32.const 1)) (then
          (local.set 2 (i32.add (local.get 2) (i32.const 6)))))))
    (i32.add (local.get 2) (call $tail (local.get 1))))
  (func (export "f") (param i32) (result i32)
    (local i32)
    (memory.fill (i32.const 100) (i32.const 3) (i32.mul (local.get 0) (i32.const 30)))
    (loop $all
      (local.set 1 (i32.add (local.get 1) (call $work (local.get 0))))
      (drop (call_indirect (type $unary) (local.get 0) (i32.const 2)))
      (drop (i32.div_u (i32.const 100) (local.get 0)))
      (br_if $all (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))"""


def test_all_tiers_agree_on_outcome_and_cost() -> None:
    wanted: dict[int, tuple[Any, int]] = {}
    for tier in TIERS:
        for argument in range(12):
            # From 3 on the load is out of bounds; of 0 the division traps.
            got = run(instance(PROGRAM, tier, 100_000), argument)
            assert got == wanted.setdefault(argument, got), (tier, argument)
    assert not isinstance(wanted[2][0], TrapCode)
    assert wanted[3][0] is TrapCode.OUT_OF_BOUNDS_MEMORY
    assert len(set(wanted.values())) > 8


def test_all_tiers_stop_at_the_same_place() -> None:
    traces = []
    for tier in TIERS:
        made = instance(PROGRAM, tier, 0)
        trace = []
        for budget in range(900):
            made.add_fuel(budget - (made.fuel or 0))
            trace.append(run(made, 2))
        traces.append(trace)
    outcomes = [outcome for outcome, _ in traces[0]]
    first_success = next(
        i for i, outcome in enumerate(outcomes) if not isinstance(outcome, TrapCode)
    )
    assert 50 < first_success < 899
    assert all(outcome is TrapCode.OUT_OF_FUEL for outcome in outcomes[:first_success])
    assert all(trace == traces[0] for trace in traces)


@pytest.mark.parametrize(
    "body",
    [
        "(loop (br 0))",
        "(loop (br_if 0 (i32.const 1)))",
        "(loop (block (br_table 1 1 (i32.const 0))))",
        "(call $f)",
        "(return_call $f)",
        "(loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 60000)) (br 0))",
    ],
)
def test_nothing_runs_for_ever(tier: str, body: str) -> None:
    text = f'(module (memory 1) (func $f (export "f") {body}))'
    made = instance(text, tier, 5000)
    assert run(made) == (TrapCode.OUT_OF_FUEL, 0)
    assert run(made) == (TrapCode.OUT_OF_FUEL, 0)
    made.add_fuel(5000)
    assert run(made) == (TrapCode.OUT_OF_FUEL, 0)


def test_a_huge_length_costs_no_less(tier: str) -> None:
    text = """(module (memory i64 1) (func (export "f")
      (memory.fill (i64.const 0) (i32.const 0) (i64.const -1))))"""
    assert run(instance(text, tier, 1 << 40)) == (TrapCode.OUT_OF_FUEL, 0)
    text = """(module (memory 1) (func (export "f")
      (memory.fill (i32.const 0) (i32.const 0) (i32.const -1))))"""
    assert run(instance(text, tier, 1 << 40)) == (
        TrapCode.OUT_OF_BOUNDS_MEMORY,
        (1 << 40) - 5 - (0xFFFFFFFF >> 6),
    )


def test_functions_compiled_when_they_are_first_called_are_charged(monkeypatch) -> None:
    monkeypatch.setattr("jitwasm.tierchoice.EAGER_BYTES", 0)
    module = jitwasm.Module(wat(PROGRAM), Config(fuel=100_000))
    assert not module.objects
    assert run(jitwasm.Instance(module), 2) == run(instance(PROGRAM, "level 2", 100_000), 2)


def test_the_start_function_and_host_calls_are_part_of_the_account(tier: str) -> None:
    seen: list[int | None] = []

    def host() -> None:
        seen.append(made.fuel)
        made.add_fuel(100)

    text = """(module (import "m" "host" (func $host)) (global (mut i32) (i32.const 0))
      (func $start (global.set 0 (i32.const 1))) (start $start)
      (func (export "f") (call $host) (call $host)))"""
    made = instance(text, tier, 20, {"m": {"host": host}})
    assert made.fuel == 17
    made.exports.f()
    assert seen == [14, 114]
    assert made.fuel == 214


def test_fuel_is_an_instances_own(tier: str) -> None:
    library = instance('(module (func (export "g") (nop)))', tier, 10)
    text = '(module (import "m" "g" (func $g)) (func (export "f") (call $g)))'
    caller = instance(text, tier, 10, {"m": library.exports})
    caller.exports.f()
    assert (library.fuel, caller.fuel) == (9, 8)


def test_the_account_is_checked() -> None:
    plain = jitwasm.Instance(jitwasm.Module(wat('(module (func (export "f")))')))
    assert plain.fuel is None
    with pytest.raises(ValueError, match="without Config"):
        plain.add_fuel(1)
    made = instance('(module (func (export "f")))', "level 0", 5)
    with pytest.raises(ValueError, match="2\\^62"):
        made.add_fuel(1 << 62)
    with pytest.raises(TypeError):
        made.add_fuel(1.5)  # type: ignore[arg-type]
    assert made.fuel == 5
    made.add_fuel(-10)
    assert made.fuel == 0
    for wrong in (-1, (1 << 62) + 1):
        with pytest.raises(ValueError, match="fuel must be None or 0"):
            Config(fuel=wrong)


def test_compiled_files_cannot_be_charged_for() -> None:
    module = jitwasm.Module(wat("(module)"), Config(fuel=1))
    with pytest.raises(ValueError, match="without fuel"):
        module.emit()


def test_an_invalid_body_is_refused_as_it_is_without_fuel() -> None:
    # i32.const 1; end -- of a function without results; then an opcode that does not exist.
    data = bytes.fromhex("0061736d01000000010401600000030201000a0701050041010bff")
    messages = []
    for fuel in (None, 1):
        for tier in ("baseline", "optimized"):
            with pytest.raises(jitwasm.CompileError) as caught:
                jitwasm.Module(data, Config(tier=tier, fuel=fuel))
            messages.append(str(caught.value))
    assert len(set(messages)) == 1
