"""A pickled module holds machine code: who takes it is told, and may refuse it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest

import jitwasm
from jitwasm import Config, pipeline
from tests.support.wat import wat

TEXT = '(module (func (export "f") (result i32) (i32.const {})))'


@pytest.fixture
def forged() -> bytes:
    """The pickle of a module whose code is that of another one."""
    config = Config(tier="baseline", cache=False)
    right, wrong = (jitwasm.Module(wat(TEXT.format(n)), config) for n in (7, 666))
    function, (cls, data, _, *rest) = right.__reduce__()[:2]

    class Forged:
        def __reduce__(self) -> tuple[Any, ...]:
            return function, (cls, data, wrong.objects, *rest)

    return pickle.dumps(Forged())


def test_pickled_code_is_run_as_it_is(forged: bytes) -> None:
    # What the documentation warns of: here the pickle decides what runs.
    assert jitwasm.Instance(pickle.loads(forged)).exports.f() == 666


@pytest.mark.parametrize("tier", ["baseline", "optimized"])
def test_code_in_pickles_can_be_refused(forged: bytes, tier: str, monkeypatch) -> None:
    monkeypatch.setenv("JITWASM_PICKLED_CODE", "0")
    assert jitwasm.Instance(pickle.loads(forged)).exports.f() == 7
    module = jitwasm.Module(wat(TEXT.format(5)), Config(tier=tier, cache=False))
    compiled = []
    compile_parts = pipeline._compile_parts
    monkeypatch.setattr(
        pipeline, "_compile_parts", lambda *a: compiled.append(a[0]) or compile_parts(*a)
    )
    again = pickle.loads(pickle.dumps(module))
    assert compiled == [wat(TEXT.format(5))]
    assert jitwasm.Instance(again).exports.f() == 5


def test_code_that_is_refused_leaves_bytes_that_are_validated(monkeypatch) -> None:
    monkeypatch.setenv("JITWASM_PICKLED_CODE", "0")
    module = jitwasm.Module(wat(TEXT.format(5)), Config(cache=False))
    function, (cls, data, *rest) = module.__reduce__()[:2]
    invalid = data.replace(b"\x41\x05\x0b", b"\x1a\x1a\x0b")  # drop, drop
    assert invalid != data
    with pytest.raises(jitwasm.CompileError):
        function(cls, invalid, *rest)


_AUDIT = """
import pickle, sys
import jitwasm
seen = []
def hook(event, arguments):
    if event.startswith("jitwasm."):
        seen.append(event)
        if event == "jitwasm.unpickle":
            raise PermissionError("no code from pickles")
data = bytes.fromhex("0061736d010000000105016000017f03020100070501016600000a0601040041070b")
pickled = pickle.dumps(jitwasm.Module(data, jitwasm.Config(cache=False)))
sys.addaudithook(hook)
try:
    pickle.loads(pickled)
except PermissionError as error:
    print(error, *seen)
"""


def test_an_audit_hook_sees_and_can_stop_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AUDIT], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "no code from pickles jitwasm.unpickle\n", done.stderr
