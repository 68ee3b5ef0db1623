"""Arithmetic never passes on a signalling NaN, whatever LLVM finds it to be equal to."""

from __future__ import annotations

import pytest

import jitwasm
from tests.support.wat import wat

SIGNALLING = 0x7FA00001
QUIET = 0x7FE00001
X = "(f32.reinterpret_i32 (local.get 0))"
WIDE = f"(f64.promote_f32 {X})"
EXPRESSIONS = {
    **{
        f"{op} {c} {side}": f"(f32.{op} {X} (f32.const {c}))"
        if side == "right"
        else f"(f32.{op} (f32.const {c}) {X})"
        for op in ("add", "sub", "mul", "div", "min", "max")
        for c in ("0", "-0", "1", "-1")
        for side in ("left", "right")
    },
    "min itself": f"(f32.min {X} {X})",
    "demote promote": f"(f32.demote_f64 {WIDE})",
    "demote neg": f"(f32.demote_f64 (f64.neg {WIDE}))",
    "demote abs": f"(f32.demote_f64 (f64.abs {WIDE}))",
    "demote copysign": f"(f32.demote_f64 (f64.copysign {WIDE} {WIDE}))",
    "demote select": f"(f32.demote_f64 (select {WIDE} (f64.const 1) (local.get 0)))",
    "demote block": f"""(f32.demote_f64
        (if (result f64) (local.get 0) (then {WIDE}) (else (f64.const 1))))""",
    "demote local": f"""(if (local.get 0) (then (local.set 1 {WIDE})))
        (f32.demote_f64 (local.get 1))""",
    "demote zero": f"(f32.demote_f64 (f64.sub {WIDE} (f64.const 0)))",
}


@pytest.fixture(scope="module", params=[0, 2])
def instance(request: pytest.FixtureRequest) -> jitwasm.Instance:
    functions = "".join(
        f'(func (export "{name}") (param i32) (result i32) (local f64)'
        f" (i32.and (i32.const 0x7fffffff) (i32.reinterpret_f32 (block (result f32) {code}))))\n"
        for name, code in EXPRESSIONS.items()
    )
    config = jitwasm.Config(opt_level=request.param, tier="optimized")
    return jitwasm.Instance(jitwasm.Module(wat(f"(module {functions})"), config))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_result_is_quiet(instance: jitwasm.Instance, name: str) -> None:
    assert instance.exports[name](SIGNALLING) == QUIET
