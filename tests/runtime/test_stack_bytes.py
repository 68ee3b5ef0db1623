"""ImplementationLimits.stack_bytes: a limit on the machine's stack for every outermost call."""

from __future__ import annotations

import ctypes
import itertools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import jitwasm
from jitwasm import Config, ImplementationLimits, StackOverflow, Trap, TrapCode
from jitwasm.abi import THREAD_STATE
from jitwasm.backend.native import native
from tests.runtime.support import module_of
from tests.runtime.test_loop_entry import replace_all_loops
from tests.support.wat import wat

KIB = 1024
TIERS = {
    "baseline": {"tier": "baseline"},
    "level 0": {"tier": "optimized", "opt_level": 0},
    "level 2": {"tier": "optimized", "opt_level": 2},
    "strict": {"tier": "optimized", "strict": True},
    "auto": {"tier": "auto", "tier_up": "early"},
}

TEXT = """(module
  (import "m" "host" (func $host (param i32) (result i32)))
  (table (export "table") 1 funcref) (elem (i32.const 0) $deeper)
  (type $unary (func (param i32) (result i32)))
  (global $depth (export "depth") (mut i32) (i32.const 0))
  (func $dive (export "dive") (param i32) (result i32)
    (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (i32.add (i32.const 1) (call $dive (i32.sub (local.get 0) (i32.const 1)))))))
  (func $deeper (export "deeper") (param i32) (result i32)
    (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
    (i32.add (global.get $depth)
      (call_indirect (type $unary) (local.get 0) (i32.const 0))))
  (func $circle (export "circle") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
    (return_call $circle (i32.sub (local.get 0) (i32.const 1))))
  (func $swap (export "swap") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $back (i32.sub (local.get 0) (i32.const 1)) (local.get 1) (i32.const 5)))
  (func $back (param i32 i32 i32) (result i32)
    (return_call $swap (local.get 0) (i32.add (local.get 1) (local.get 2))))
  (func (export "ask") (param i32) (result i32) (call $host (local.get 0)))
  (func (export "dive_and_ask") (param i32) (result i32)
    (i32.add (call $host (local.get 0)) (call $dive (local.get 0)))))"""


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return request.param


def config_of(size: int | None, tier: str) -> Config:
    choice: dict[str, Any] = TIERS[tier]
    return Config(limits=ImplementationLimits(stack_bytes=size), **choice)


def instance(size: int | None, tier: str, host: Any = None, text: str = TEXT) -> jitwasm.Instance:
    module = module_of(text, config_of(size, tier))
    return jitwasm.Instance(module, {"m": {"host": host or (lambda value: value)}})


def thread_state() -> Any:
    process = ctypes.CDLL(None)
    process.pthread_getspecific.restype = ctypes.c_void_p
    key = ctypes.c_uint32.from_address(native()._space.symbol("jw_key")).value
    return THREAD_STATE.ctype.from_address(process.pthread_getspecific(key))


def depth_reached(made: jitwasm.Instance, call: Callable[..., Any]) -> int:
    """How many calls were open when the stack was used up."""
    made.exports.depth.value = 0
    with pytest.raises(StackOverflow) as caught:
        call(1 << 30)
    assert caught.value.code is TrapCode.STACK_OVERFLOW
    assert isinstance(caught.value, RecursionError)
    assert len(caught.value.frames) > 10
    return int(made.exports.depth.value)


def test_recursion_ends_in_proportion_and_the_instance_goes_on(tier: str) -> None:
    reached = []
    for size in (64 * KIB, 128 * KIB, 256 * KIB):
        made = instance(size, tier)
        for call in (made.exports.dive, made.exports.deeper, made.exports.table[0]):
            assert 100 < depth_reached(made, call) <= size // 16
            assert made.exports.dive(20) == 20
        reached.append(depth_reached(made, made.exports.deeper))
    steps = [later - earlier for earlier, later in itertools.pairwise(reached)]
    # Twice the stack, twice the depth; "auto" may get other code between two of them.
    if tier != "auto":
        assert abs(steps[1] - 2 * steps[0]) <= 2
    assert reached == sorted(reached)


def test_a_frame_that_is_larger_than_the_limit_is_refused(tier: str) -> None:
    """The frame counts, not only what was there before: its 4000 values live across a call."""
    count = 4000
    loads = "\n".join(f"(local.set {i} (i64.load (i32.const {8 * i})))" for i in range(count))
    # Nothing of this can be computed before the call.
    uses = "\n".join(f"(i64.xor (local.get {i})) (i64.mul (local.get $r))" for i in range(count))
    text = f"""(module (import "m" "host" (func $host (param i32) (result i32))) (memory 1)
      (func (export "small") (result i32) (call $host (i32.const 1)))
      (func (export "f") (result i64) (local {"i64 " * count}) (local $r i64) {loads}
        (local.set $r (i64.extend_i32_u (call $host (i32.const 0)))) (i64.const 0) {uses}))"""
    seen: list[int] = []

    def host(value: int) -> int:
        seen.append(value)
        return value

    made = instance(20 * KIB, tier, host, text)
    with pytest.raises(StackOverflow):
        made.exports.f()
    assert made.exports.small() == 1
    assert seen == [1]
    assert instance(256 * KIB, tier, host, text).exports.f() == 0
    assert seen == [1, 0]


def test_tail_calls_use_none(tier: str) -> None:
    exports = instance(16 * KIB, tier).exports
    assert exports.circle(100_000) == 7
    assert exports.swap(100_000, 1) == 500_001


def test_calls_of_host_functions_are_part_of_the_outermost(tier: str) -> None:
    depths = []

    def host(value: int) -> int:
        depths[-1] += 1
        return int(made.exports.ask(value + 1))

    for size in (64 * KIB, 128 * KIB):
        made = instance(size, tier, host)
        depths.append(0)
        with pytest.raises(StackOverflow):
            made.exports.ask(0)
        assert made.exports.dive(20) == 20
    assert 3 < depths[0] < depths[1] < sys.getrecursionlimit() // 2


def test_a_nested_call_has_what_is_left_and_its_own_limit_if_that_is_less(tier: str) -> None:
    reached: list[int] = []

    def host(_: int) -> int:
        reached.extend(depth_reached(made, made.exports.deeper) for made in (small, large))
        return 0

    small, large = instance(64 * KIB, tier), instance(1024 * KIB, tier)
    for made in (small, large) * 3 if tier == "auto" else (small, large):
        depth_reached(made, made.exports.deeper)  # the code stays the same from here on
    alone = [depth_reached(made, made.exports.deeper) for made in (small, large)]
    assert instance(256 * KIB, tier, host).exports.ask(0) == 0
    if tier == "auto":
        return  # new code may come at any moment
    assert abs(reached[0] - alone[0]) <= 2
    assert alone[0] < reached[1] < alone[1] // 3
    # Nothing of that is left.
    assert depth_reached(large, large.exports.deeper) == alone[1]


def test_an_unlimited_instance_between_changes_nothing(tier: str) -> None:
    def host(value: int) -> int:
        return int(unlimited.exports.dive(10_000) and unlimited.exports.ask(value))

    def again(value: int) -> int:
        return int(made.exports.dive(value))

    unlimited, made = instance(None, tier, again), instance(64 * KIB, tier, host)
    assert made.exports.ask(10) == 10
    with pytest.raises(StackOverflow):
        made.exports.ask(10_000)
    assert unlimited.exports.dive(10_000) == 10_000


def test_calls_into_other_instances_are_limited_where_those_are(tier: str) -> None:
    def linked(size: int | None, library: jitwasm.Instance) -> Any:
        text = """(module (import "m" "dive" (func $dive (param i32) (result i32)))
          (func (export "f") (param i32) (result i32)
            (i32.add (i32.const 1) (call $dive (local.get 0)))))"""
        module = module_of(text, config_of(size, tier))
        return jitwasm.Instance(module, {"m": {"dive": library.exports.dive}}).exports.f

    # Both limited: the entry's limit holds, whichever is larger.
    assert linked(1024 * KIB, instance(16 * KIB, tier))(2000) == 2001
    with pytest.raises(StackOverflow):
        linked(16 * KIB, instance(1024 * KIB, tier))(10_000)
    # The code of an unlimited instance does not look; that of a limited one looks for the entry's.
    assert linked(16 * KIB, instance(None, tier))(10_000) == 10_001
    assert linked(None, instance(16 * KIB, tier))(10_000) == 10_001


def test_threads_have_their_own(tier: str) -> None:
    made = instance(64 * KIB, tier, lambda value: value)
    for _ in range(3):
        depth_reached(made, made.exports.deeper)
    native().settle()  # adapters take another amount of stack
    reached: list[int] = []
    errors: list[BaseException] = []
    lock = threading.Lock()

    def work() -> None:
        try:
            for _ in range(10):
                with lock:
                    reached.append(depth_reached(made, made.exports.deeper))
                assert made.exports.dive(20) == 20
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(reached) == 40
    # The stacks lie elsewhere, the room is the same but for what entering takes, which is another
    # amount once the function's type has a thunk of its own.
    if tier != "auto":
        assert max(reached) - min(reached) <= max(reached) // 20


def test_the_start_function_is_limited(tier: str) -> None:
    text = """(module (func $start (call $start) (call $start)) (start $start))"""
    with pytest.raises(StackOverflow):
        instance(64 * KIB, tier, text=text)
    assert thread_state().stack_floor == 0


def test_every_way_out_puts_the_floor_back(tier: str) -> None:
    def host(value: int) -> int:
        assert thread_state().stack_floor > 0
        raise KeyError("host")

    exports = instance(64 * KIB, tier, host).exports
    for call, arguments, error in (
        (exports.ask, (0,), KeyError),
        (exports.dive, (1 << 30,), Trap),
        (exports.dive, (), TypeError),
        (exports.dive, ("2",), TypeError),
    ):
        with pytest.raises(error):
            call(*arguments)
        assert thread_state().stack_floor == 0


@pytest.mark.parametrize("level", [0, 2])
def test_code_that_begins_at_a_loop_is_limited(level: int) -> None:
    text = """(module (import "m" "host" (func $host (param i32) (result i32)))
      (global $depth (export "depth") (mut i32) (i32.const 0))
      (func $run (export "run") (param i32) (result i32)
        (local $sum i32)
        (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
        (loop $l
          (if (local.get 0) (then
            (local.set $sum (i32.add (local.get $sum)
              (call $run (i32.sub (local.get 0) (i32.const 1)))))
            (local.set 0 (i32.const 0))
            (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
            (br $l))))
        (local.get $sum)))"""
    limits = ImplementationLimits(stack_bytes=64 * KIB)
    module = jitwasm.Module(wat(text), Config(tier_up="never", limits=limits))
    assert replace_all_loops(module, level) == 1
    made = jitwasm.Instance(module, {"m": {"host": lambda value: value}})
    assert made.exports.run(50) == 50
    assert 100 < depth_reached(made, made.exports.run) <= 64 * KIB // 16


def test_without_a_limit_code_and_entries_are_what_they_were() -> None:
    for choice in ({"tier": "baseline"}, {"tier": "optimized"}):
        seconds = Config(limits=ImplementationLimits(call_seconds=1.0), **choice)  # type: ignore[arg-type]
        plain, timed = (jitwasm.Module(wat(TEXT), c) for c in (Config(**choice), seconds))  # type: ignore[arg-type]
        assert plain.objects == timed.objects
        assert plain.objects


@pytest.mark.parametrize("size", [0, -1, 16 * KIB - 1, (1 << 62) + 1])
def test_the_value_must_be_sensible(size: int) -> None:
    with pytest.raises(ValueError, match="stack_bytes must be 16 KiB to 2"):
        ImplementationLimits(stack_bytes=size)


@pytest.mark.parametrize("size", [1e6, "1", True])
def test_the_value_must_be_a_number_ofwat(size: Any) -> None:
    with pytest.raises(TypeError, match="stack_bytes must be None or an int"):
        ImplementationLimits(stack_bytes=size)


def test_more_than_the_thread_has_is_no_limit(tier: str) -> None:
    made = instance(1 << 62, tier)
    assert depth_reached(made, made.exports.deeper) > 10_000
    assert made.exports.dive(20) == 20


def test_compiled_files_have_no_such_limit() -> None:
    module = module_of("(module)", config_of(64 * KIB, "baseline"))
    with pytest.raises(ValueError, match="stack_bytes"):
        module.emit()
