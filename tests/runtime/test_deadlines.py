"""Deadlines, for a block and for a call."""

from __future__ import annotations

import inspect
import math
import threading
from typing import Any

import pytest

import jitwasm
from jitwasm import Trap, TrapCode
from jitwasm.deadlines import time_left
from tests.runtime.support import instantiate

FOREVER = """(module
  (import "m" "host" (func $host (result i32)))
  (func (export "forever") (loop (br 0)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "ask") (result i32) (call $host))
  (func (export "ask_forever") (drop (call $host)) (loop (br 0))))"""


@pytest.fixture
def exports() -> Any:
    return instantiate(FOREVER, {"m": {"host": lambda: round(1000 * (time_left() or -1))}}).exports


def is_late(trap: pytest.ExceptionInfo[Trap]) -> bool:
    return trap.value.code is TrapCode.DEADLINE and len(trap.value.frames) > 0


def test_block_ends_what_runs_too_long(exports: Any) -> None:
    with jitwasm.deadline(0.05), pytest.raises(Trap) as late:
        exports.forever()
    assert is_late(late)
    assert exports.add(2, 3) == 5
    assert time_left() is None


def test_a_call_has_a_deadline_of_its_own_each_time(exports: Any) -> None:
    limited = jitwasm.deadline(0.05)(exports.forever)
    for _ in range(3):
        with pytest.raises(Trap) as late:
            limited()
        assert is_late(late)
    add = jitwasm.deadline(60)(exports.add)
    assert add(2, 3) == 5
    assert add.__name__ == "add"
    assert len(inspect.signature(add).parameters) == 2
    assert time_left() is None


def test_function_may_be_limited_by_a_decorator(exports: Any) -> None:
    @jitwasm.deadline(0.05)
    def work(times: int, *, extra: int) -> int:
        """Some work."""
        if times < 0:
            exports.forever()
        return times + extra

    assert work(1, extra=2) == 3
    assert (work.__name__, work.__doc__) == ("work", "Some work.")
    with pytest.raises(Trap) as late:
        work(-1, extra=0)
    assert is_late(late)


def test_calls_on_several_threads_have_their_own(exports: Any) -> None:
    results: list[object] = []
    limited = jitwasm.deadline(0.1)(instantiate(FOREVER, {"m": {"host": int}}).exports.forever)

    def work() -> None:
        try:
            limited()
        except Trap as trap:
            results.append(trap.code)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert exports.add(2, 3) == 5
    for thread in threads:
        thread.join()
    assert results == [TrapCode.DEADLINE] * 3


def test_the_earlier_of_two_holds(exports: Any) -> None:
    with jitwasm.deadline(1000), jitwasm.deadline(2000):
        assert 900 < (time_left() or 0) <= 1000
        with jitwasm.deadline(0.05), pytest.raises(Trap):
            exports.forever()
        assert 900 < (time_left() or 0) <= 1000
        assert 900_000 < exports.ask() <= 1_000_000
    with jitwasm.deadline(0.05), jitwasm.deadline(1000), pytest.raises(Trap):
        exports.forever()
    assert time_left() is None


def test_it_holds_after_a_host_function(exports: Any) -> None:
    with pytest.raises(Trap) as late:
        jitwasm.deadline(0.05)(exports.ask_forever)()
    assert is_late(late)


def test_no_deadline_is_none(exports: Any) -> None:
    with jitwasm.deadline(None):
        assert time_left() is None
    assert jitwasm.deadline(None)(exports.add)(1, 2) == 3


@pytest.mark.parametrize("seconds", [0, -1, -math.inf, math.nan])
def test_seconds_must_be_positive(seconds: float) -> None:
    with pytest.raises(ValueError, match="positive number of seconds"):
        jitwasm.deadline(seconds)
    with jitwasm.deadline(math.inf):
        assert (time_left() or 0) > 1e8
