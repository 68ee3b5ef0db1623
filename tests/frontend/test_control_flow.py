"""Random structured control flow over locals computes what wasmtime computes."""

from __future__ import annotations

import pytest
import wasmtime

from jitwasm.config import Config
from tests.support.programs import control_flow_module
from tests.support.vector_harness import VectorModule
from tests.support.wat import wat

CASES = [(a, b) for a in (0, 1, -1, 5, 7) for b in (0, 3, -2)]
SEEDS_IN_A_TEST = 10


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("first", range(0, 60, SEEDS_IN_A_TEST))
def test_control_flow_is_the_one_of_wasmtime(first: int, level: int) -> None:
    engine = wasmtime.Engine()
    for seed in range(first, first + SEEDS_IN_A_TEST):
        binary = wat(control_flow_module(seed, budget=20 + seed))
        store = wasmtime.Store(engine)
        peer = wasmtime.Instance(store, wasmtime.Module(engine, binary), [])
        run = peer.exports(store)["run"]
        assert isinstance(run, wasmtime.Func)
        expected = [run(store, a, b) % 2**32 for a, b in CASES]
        compiled = VectorModule(binary, Config()).compile(level)
        operands = [(a % 2**32, b % 2**32) for a, b in CASES]
        assert compiled.call("run", operands) == expected, f"seed {seed}"
