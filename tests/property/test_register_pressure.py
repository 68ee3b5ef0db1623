"""An instruction leaves the operands below it alone, however many there are.

Each numeric instruction runs on top of ever more pending operands of both kinds, all of them
computed and none a plain local, so that compilers run out of registers in the middle of it.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.floats import F64
from tests.support.oracle import INSTRUCTIONS, Instruction, NanResult, TrapResult, edge_values

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")
jitwasm = pytest.importorskip("jitwasm")
adapter = pytest.importorskip("tests.spec.adapter")

from tests.spec.engine import Trapped  # noqa: E402
from tests.spec.values import Value  # noqa: E402
from tests.support.wat import wat  # noqa: E402

SEED = 23
CASES = 6
PRESSURES = ((3, 2), (6, 7), (9, 0), (0, 9), (14, 14))
"""Numbers of pending integers and floats."""
CONFIGS = {
    "opt0": jitwasm.Config(tier="optimized", opt_level=0),
    "baseline": jitwasm.Config(tier="baseline"),
}
_ROWS = [*INSTRUCTIONS.values()]


def function(row: Instruction, pressure: tuple[int, int]) -> str:
    """Push the pending operands, apply the instruction, return everything."""
    ints, floats = pressure
    operands = " ".join(f"(local.get {2 + i})" for i in range(len(row.params)))
    pending = [f"(i64.add (local.get 0) (i64.const {i}))" for i in range(ints)]
    pending += [f"(f64.add (local.get 1) (f64.const {i}))" for i in range(floats)]
    random.Random(row.mnemonic).shuffle(pending)
    results = ["i64" if "i64.add" in text else "f64" for text in pending]
    signature = f"(param i64 f64 {' '.join(row.params)}) (result {' '.join(results)} {row.result})"
    name = f"{row.mnemonic} {ints} {floats}"
    code = f"{' '.join(pending)} ({row.mnemonic} {operands})"
    return f'(func (export "{name}") {signature} {code})'


def pending_values(row: Instruction, pressure: tuple[int, int], base: int) -> list[Value]:
    ints, floats = pressure
    values = [Value("i64", (base + i) % 2**64) for i in range(ints)]
    values += [Value("f64", F64.round(F64.value(F64.round(base)) + i)) for i in range(floats)]
    random.Random(row.mnemonic).shuffle(values)
    return values


def result_is_right(expected: object, actual: Value) -> bool:
    # NaNs are the numeric test's business.
    return isinstance(expected, NanResult) or actual.bits == expected


@pytest.fixture(scope="module", params=CONFIGS)
def engine(request: pytest.FixtureRequest) -> Any:
    return adapter.JitwasmEngine(CONFIGS[request.param])


@pytest.mark.parametrize("pressure", PRESSURES, ids=lambda p: f"{p[0]}ints-{p[1]}floats")
def test_instruction_leaves_pending_operands_alone(engine: Any, pressure: tuple[int, int]) -> None:
    text = " ".join(function(row, pressure) for row in _ROWS)
    instance = engine.instantiate(engine.compile(wat(f"(module {text})")), {})
    wrong = []
    for row in _ROWS:
        source = random.Random(f"{SEED} {row.mnemonic}")
        for _ in range(CASES):
            base = source.getrandbits(40)
            args = [source.choice(edge_values(type_)) for type_ in row.params]
            operands = [Value(t, a) for t, a in zip(row.params, args, strict=True)]
            first = [Value("i64", base), Value("f64", F64.round(base))]
            name = f"{row.mnemonic} {pressure[0]} {pressure[1]}"
            expected = row.evaluate(*args)
            try:
                results = engine.invoke(instance, name, [*first, *operands])
            except Trapped as trap:
                assert expected == TrapResult(str(trap)), name
                continue
            if results[:-1] != pending_values(row, pressure, base):
                wrong.append(f"{row.mnemonic}({args}): pending operands changed")
            if not result_is_right(expected, results[-1]):
                wrong.append(f"{row.mnemonic}({args}) = {results[-1]}, not {expected}")
    assert not wrong, "\n".join(wrong[:20])
