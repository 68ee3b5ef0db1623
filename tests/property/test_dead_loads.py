"""A load whose value nobody uses must still trap.

What the program itself discards is kept at every level. What only an optimiser finds to be unused
may go, unless `strict` says otherwise; the one-pass tier keeps everything anyway.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")
jitwasm = pytest.importorskip("jitwasm")

from tests.support.wat import wat  # noqa: E402

# LOAD stands for a load that is out of bounds.
DISCARDED = {
    "drop": "(drop LOAD)",
    "drop of a computed value": "(drop (i64.popcnt (i64.extend8_s LOAD)))",
    "drop of a comparison": "(drop (i64.eqz LOAD))",
    "local never read": "(local.set 0 LOAD)",
    "local overwritten": "(local.set 0 LOAD) (local.set 0 (i64.const 1)) (drop (local.get 0))",
    "tee": "(drop (local.tee 0 LOAD))",
    "return": "LOAD return",
    "return of a computed value": "(i64.clz LOAD) return",
    "branch": "LOAD br 0",
    "branch out of inner blocks": "(i64.ctz LOAD) (block (block (br 2))) drop",
    "return out of inner blocks": "(i64.ctz LOAD) (loop (block (return))) drop",
    "trap out of inner blocks": "(i64.ctz LOAD) (block (unreachable)) drop",
    "branch with another value": """
        (drop (block (result i32) (i64.ctz LOAD) (i32.const 3) (br 0)))""",
    "conditional branch": "LOAD (br_if 0 (i32.const 1)) drop",
    "branch table": "LOAD (br_table 0 0 (i32.const 1))",
    "tail call": "LOAD (return_call $nothing)",
    "unreachable": "LOAD unreachable",
    "end of the function": "(block $b (br_if $b (i32.eqz (i32.const 1))) (drop LOAD))",
}
FOLDED = {
    "masked away": "(global.set $g (i64.and (i64.const 0) LOAD))",
    "multiplied by zero": "(global.set $g (i64.mul (i64.const 0) LOAD))",
    "global overwritten": "(global.set $g LOAD) (global.set $g (i64.const 1))",
    "argument nobody reads": "(call $ignore LOAD)",
    "condition without effect": "(if (i64.eqz LOAD) (then))",
    "not selected": "(drop (select LOAD (i64.const 3) (i32.const 0)))",
}
MEMORIES = {
    "i32": ("(memory 0 9)", "i32", ("-5", "5")),
    "i64": ("(memory i64 0 9)", "i64", ("-2650612250883416893", "5")),
}
EXACT: dict[str, dict[str, Any]] = {
    "opt0 strict": {"tier": "optimized", "opt_level": 0, "strict": True},
    "opt2 strict": {"tier": "optimized", "opt_level": 2, "strict": True},
    "opt2 strict explicit": {
        "tier": "optimized",
        "opt_level": 2,
        "strict": True,
        "bounds": "explicit",
    },
    "baseline": {"tier": "baseline"},
    "baseline explicit": {"tier": "baseline", "bounds": "explicit"},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "opt0": {"tier": "optimized", "opt_level": 0},
    "opt2": {"tier": "optimized", "opt_level": 2},
    "opt2 explicit": {"tier": "optimized", "opt_level": 2, "bounds": "explicit"},
    **EXACT,
}


def exports_of(bodies: dict[str, str], memory: str, config: dict[str, Any]) -> Any:
    declaration, address_type, addresses = MEMORIES[memory]
    functions = []
    for (name, body), address in itertools.product(bodies.items(), addresses):
        load = f"(i64.load32_u offset=16 ({address_type}.const {address}))"
        code = body.replace("LOAD", load)
        functions.append(f'(func (export "{name} {address}") (local i64) {code})')
    text = f"""(module {declaration} (global $g (mut i64) (i64.const 0))
        (func $nothing) (func $ignore (param i64)) {" ".join(functions)})"""
    return jitwasm.Instance(jitwasm.Module(wat(text), jitwasm.Config(**config)), {}).exports


def silent(exports: Any) -> list[str]:
    """The functions that do not trap as they should."""
    found = []
    for name in exports:
        try:
            exports[name]()
        except jitwasm.Trap as trap:
            if trap.message == "out of bounds memory access":
                continue
        found.append(name)
    return found


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("memory", MEMORIES)
def test_load_that_the_program_discards_traps(memory: str, config: str) -> None:
    assert silent(exports_of(DISCARDED, memory, CONFIGS[config])) == []


@pytest.mark.parametrize("config", EXACT)
@pytest.mark.parametrize("memory", MEMORIES)
def test_load_that_folding_makes_useless_traps_when_strict(memory: str, config: str) -> None:
    assert silent(exports_of(FOLDED, memory, EXACT[config])) == []
