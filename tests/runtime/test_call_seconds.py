"""ImplementationLimits.call_seconds: a wall-clock limit on every outermost call."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import math
import threading
import time
import weakref
from dataclasses import replace
from typing import Any

import pytest

import jitwasm
from jitwasm import Config, ImplementationLimits, Trap, TrapCode
from jitwasm.backend.native import native
from jitwasm.deadlines import time_left
from tests.runtime.support import dies, module_of

TEXT = """(module
  (import "m" "host" (func $host (param i32) (result i32)))
  (table (export "table") 2 funcref) (elem (i32.const 0) $forever $host)
  (func $forever (export "forever") (loop (br 0)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "same") (param externref) (result externref) (local.get 0))
  (func (export "trap") unreachable)
  (func (export "ask") (param i32) (result i32) (call $host (local.get 0)))
  (func (export "ask_forever") (loop (drop (call $host (i32.const 0))) (br 0))))"""

TIERS = ["baseline", "optimized", "auto"]


def config_of(seconds: float | None, tier: str = "auto", **more: Any) -> Config:
    return Config(tier=tier, limits=ImplementationLimits(call_seconds=seconds), **more)


def instance(seconds: float | None, host: Any = None, tier: str = "auto", **more: Any) -> Any:
    module = module_of(TEXT, config_of(seconds, tier, **more))
    return jitwasm.Instance(module, {"m": {"host": host or (lambda value: value)}})


def left(_: int = 0) -> int:
    """Milliseconds until this thread's deadline, or -1: a host function."""
    seconds = time_left()
    return -1 if seconds is None else round(1000 * seconds)


def is_late(trap: pytest.ExceptionInfo[Trap]) -> bool:
    return trap.value.code is TrapCode.DEADLINE


@pytest.mark.parametrize("release_gil", [False, True])
@pytest.mark.parametrize("tier", TIERS)
def test_each_call_has_its_time_and_the_instance_goes_on(tier: str, release_gil: bool) -> None:
    exports = instance(0.05, tier=tier, release_gil=release_gil).exports
    for _ in range(3):
        with pytest.raises(Trap) as late:
            exports.forever()
        assert is_late(late)
        assert [frame.name for frame in late.value.frames] == ["forever"]
        assert exports.add(2, 3) == 5
        assert time_left() is None


@pytest.mark.parametrize("seconds", [0.001, 0.005, 0.021, 0.2])
def test_it_is_met_by_any_length_of_time_while_the_timer_runs(seconds: float) -> None:
    exports = instance(seconds).exports
    for _ in range(5):
        exports.add(1, 2)  # the timer is on from here
        started = time.monotonic()
        with pytest.raises(Trap) as late:
            exports.forever()
        assert is_late(late)
        assert time.monotonic() - started >= seconds


def test_the_start_function_has_it_too() -> None:
    text = "(module (func $start (loop (br 0))) (start $start))"
    with pytest.raises(Trap) as late:
        jitwasm.Instance(module_of(text, config_of(0.05)))
    assert is_late(late)
    assert time_left() is None


def test_functions_of_a_table_have_it() -> None:
    with pytest.raises(Trap) as late:
        instance(0.05).exports.table[0]()
    assert is_late(late)
    # A host function by way of the table.
    assert 50_000 < instance(60, left).exports.table[1](0) <= 60_000


def test_promised_calls_have_it() -> None:
    async def host(milliseconds: int) -> int:
        await asyncio.sleep(milliseconds / 1000)
        return milliseconds

    ask = jitwasm.promising(instance(0.05, host).exports.ask)
    assert asyncio.run(ask(0)) == 0
    with pytest.raises(Trap) as late:
        asyncio.run(ask(60))  # what is awaited counts
    assert is_late(late)
    with pytest.raises(Trap) as late:
        asyncio.run(jitwasm.promising(instance(0.05).exports.forever)())
    assert is_late(late)


def test_calls_of_host_functions_are_part_of_the_outermost() -> None:
    seen: list[int] = []

    def host(depth: int) -> int:
        seen.append(left())
        time.sleep(0.01)
        return made.exports.ask(depth - 1) if depth else left()

    made = instance(60, host)
    last = made.exports.ask(5)
    assert len(seen) == 6
    assert seen[0] <= 60_000
    assert all(later <= earlier - 10 for earlier, later in itertools.pairwise([*seen, last]))
    assert time_left() is None


def test_a_host_function_that_calls_back_for_ever_is_stopped() -> None:
    def host(_: int) -> int:
        return int(made.exports.add(1, 2))

    made = instance(0.05, host)
    with pytest.raises(Trap) as late:
        made.exports.ask_forever()
    assert is_late(late)
    assert made.exports.add(2, 3) == 5


def test_an_instance_called_by_an_unlimited_one_has_its_own_time() -> None:
    inner = instance(60, left)
    outer = instance(None, lambda _: [inner.exports.ask(0), left()][0])
    assert 50_000 < outer.exports.ask(0) <= 60_000
    assert time_left() is None
    inner = instance(0.05)

    def host(_: int) -> int:
        with pytest.raises(Trap) as late:
            inner.exports.forever()
        assert is_late(late)
        return left()

    assert instance(None, host).exports.ask(0) == -1
    assert 900_000 < instance(1000, host).exports.ask(0) <= 1_000_000


def test_a_loop_goes_on_after_the_calls_that_it_made_in_another_instance() -> None:
    """What the timer was set to for them is undone: the outer deadline is met."""
    inner = instance(30, left)
    outer = instance(None, lambda _: inner.exports.ask(0))
    for _ in range(3):
        with jitwasm.deadline(0.05), pytest.raises(Trap) as late:
            outer.exports.ask_forever()
        assert is_late(late)
        assert time_left() is None


def test_the_earlier_of_limit_and_block_holds_and_the_block_goes_on() -> None:
    made = instance(30, left)
    with jitwasm.deadline(1000):
        assert 20_000 < made.exports.ask(0) <= 30_000
        assert 900 < (time_left() or 0) <= 1000
        with pytest.raises(Trap) as late:
            instance(0.05).exports.forever()
        assert is_late(late)
        assert 900 < (time_left() or 0) <= 1000
    with jitwasm.deadline(10):
        assert 0 < made.exports.ask(0) <= 10_000
        assert 0 < (time_left() or 0) <= 10
    assert time_left() is None
    with jitwasm.deadline(0.05), pytest.raises(Trap) as late:
        made.exports.forever()
    assert is_late(late)


def test_a_block_goes_on_to_hold_for_unlimited_code_after_a_limited_call() -> None:
    made, unlimited = instance(0.005), instance(None)
    with jitwasm.deadline(0.1):
        made.exports.add(1, 2)
        with pytest.raises(Trap) as late:
            unlimited.exports.forever()
    assert is_late(late)


def test_a_block_in_a_host_function_ends_before_the_limit_does() -> None:
    def host(_: int) -> int:
        with jitwasm.deadline(0.05), pytest.raises(Trap) as late:
            other.exports.forever()
        assert is_late(late)
        return left()

    other = instance(None)
    assert 50_000 < instance(60, host).exports.ask(0) <= 60_000


def test_every_way_out_puts_the_deadline_back() -> None:
    def host(_: int) -> int:
        raise KeyError("host")

    exports = instance(30, host).exports
    for call, arguments, error in (
        (exports.trap, (), Trap),
        (exports.ask, (0,), KeyError),
        (exports.add, (1,), TypeError),
        (exports.add, (1, "2"), TypeError),
    ):
        with pytest.raises(error):
            call(*arguments)
        assert time_left() is None
        with jitwasm.deadline(1000):
            with pytest.raises(error):
                call(*arguments)
            assert 900 < (time_left() or 0) <= 1000


def test_threads_have_their_own() -> None:
    results: list[object] = []
    made = instance(0.1)
    longer = instance(60, left)

    def work(exports: Any) -> None:
        if 50_000 < longer.exports.ask(0) <= 60_000:
            results.append("longer")
        try:
            exports.forever()
        except Trap as trap:
            results.append(trap.code)
        results.append(time_left())

    threads = [threading.Thread(target=work, args=(instance(0.1).exports,)) for _ in range(3)]
    threads += [threading.Thread(target=work, args=(made.exports,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(TrapCode.DEADLINE) == 5
    assert results.count(None) == results.count("longer") == 5


def test_an_imported_function_is_limited_by_whoever_is_called() -> None:
    text = """(module (import "m" "f" (func $f))
      (func (export "g") (call $f)) (export "f" (func $f)))"""
    library = instance(None)
    imports = {"m": {"f": library.exports.forever}}
    made = jitwasm.Instance(module_of(text, config_of(0.05)), imports)
    assert made.exports.f is library.exports.forever
    with pytest.raises(Trap) as late:
        made.exports.g()
    assert is_late(late)


def test_exports_are_what_they_are_without_a_limit() -> None:
    limited, plain = instance(60), instance(None)
    for name in ("add", "forever", "ask"):
        got, wanted = getattr(limited.exports, name), getattr(plain.exports, name)
        assert type(got) is type(wanted)
        assert (got.__name__, got.__doc__, got.__module__) == (
            wanted.__name__,
            wanted.__doc__,
            wanted.__module__,
        )
        assert inspect.signature(got) == inspect.signature(wanted)
        assert got is getattr(limited.exports, name)
    text = """(module (import "m" "f" (func $f (param i32 i32) (result i32)))
      (func (export "f") (result i32) (call $f (i32.const 2) (i32.const 3))))"""
    linked = jitwasm.Instance(module_of(text), {"m": {"f": limited.exports.add}})
    assert linked.exports.f() == 5
    limited.exports.table[0] = limited.exports.add
    assert limited.exports.table[0] is limited.exports.add
    marker = object()
    assert limited.exports.same(marker) is marker
    reference = weakref.ref(limited.exports.add)
    del got, limited, linked
    assert dies(reference, collect=True)


@pytest.mark.parametrize("made", ["never", "always"])
def test_adapters_of_a_type_serve_limited_functions(made: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(native()._adapters, "made", made)
    text = """(module (import "m" "host" (func $host (result i32)))
      (func (export "f") (param i64 f32 f64 f32) (result i64 f64)
        (drop (call $host)) (local.get 0) (local.get 2))
      (func (export "left") (param i64 f32 f64 f32) (result i32) (call $host)))"""
    module = module_of(text, config_of(60.0 if made == "always" else 61.0))
    exports = jitwasm.Instance(module, {"m": {"host": left}}).exports
    for _ in range(3):
        assert exports.f(1 << 40, 0.0, 2.5, 0.0) == (1 << 40, 2.5)
        assert 50_000 < exports.left(0, 0.0, 0.0, 0.0) <= 61_000
    assert time_left() is None


def test_functions_that_are_called_often_stay_limited() -> None:
    exports = instance(60, left).exports
    for _ in range(20_000):
        exports.add(1, 2)
    native().settle()
    assert 50_000 < exports.ask(0) <= 60_000
    with pytest.raises(Trap) as late:
        instance(0.05).exports.forever()
    assert is_late(late)


def test_infinite_time_is_no_error() -> None:
    assert instance(math.inf, lambda _: left() // 1000).exports.ask(0) > 10**8


@pytest.mark.parametrize("seconds", [0, -1, 0.0, -math.inf, math.nan])
def test_the_value_must_be_positive(seconds: float) -> None:
    with pytest.raises(ValueError, match="call_seconds must be a positive number"):
        ImplementationLimits(call_seconds=seconds)
    with pytest.raises(ValueError, match="call_seconds"):
        replace(ImplementationLimits(), call_seconds=seconds)


@pytest.mark.parametrize("seconds", ["1", True, 1j, []])
def test_the_value_must_be_a_number(seconds: Any) -> None:
    with pytest.raises(TypeError, match="call_seconds must be None or a number"):
        ImplementationLimits(call_seconds=seconds)


def test_compiled_files_have_no_such_limit() -> None:
    module = module_of("(module)", config_of(1.0))
    with pytest.raises(ValueError, match="call_seconds"):
        module.emit()
