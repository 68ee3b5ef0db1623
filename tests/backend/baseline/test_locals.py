"""Where locals are kept: in registers, by how often they are read, and across calls."""

from __future__ import annotations

import pytest

import jitwasm
from jitwasm.config import Config
from tests.support.wat import wat

COUNT = 12


def call_between(type_: str) -> str:
    """Many locals that are read often, before and after a call of a function of the same kind."""
    sets = "".join(
        f"(local.set {i} ({type_}.add (local.get 0) ({type_}.const {i})))"
        for i in range(1, COUNT + 1)
    )
    total = f"({type_}.const 0)"
    for _ in range(4):
        for i in range(1, COUNT + 1):
            total = f"({type_}.add {total} ({type_}.mul (local.get {i}) (local.get {i})))"
    local = f"(local {' '.join([type_] * COUNT)})"
    return f"""(module
      (func $other (param {type_}) (result {type_}) {local} {sets} {total})
      (func (export "f") (param {type_}) (result {type_}) {local} {sets}
        (drop (call $other ({type_}.const 1000))) {total}))"""


@pytest.mark.parametrize("type_", ["i32", "i64", "f32", "f64"])
def test_locals_in_registers_survive_calls(type_: str) -> None:
    module = jitwasm.Module(wat(call_between(type_)), Config(tier="baseline"))
    instance = jitwasm.Instance(module)
    assert instance.exports["f"](2) == 4 * sum((2 + i) ** 2 for i in range(1, COUNT + 1))
