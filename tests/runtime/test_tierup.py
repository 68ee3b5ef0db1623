"""Functions are optimised in the background: results stay the same, calls under way go along."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import jitwasm
from jitwasm import Config, tierchoice, tierup
from jitwasm.livecode import LiveCode, Tier
from jitwasm.module import TierCounts
from tests.support.wat import wat

PATIENCE = 120.0
"""Seconds after which a test gives up on what is to happen in the background."""


@pytest.fixture(autouse=True)
def all_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let "auto" treat the smallest module like a large one."""
    monkeypatch.setattr(tierchoice, "EAGER_BYTES", 0)


def code_of(module: jitwasm.Module) -> LiveCode:
    found = module._parts.lazy
    assert isinstance(found, LiveCode)
    return found


def settle(module: jitwasm.Module) -> None:
    """Wait until all of a module is optimised; nothing may have gone wrong."""
    code = code_of(module)
    assert tierup.settle(code, PATIENCE)
    assert not tierup.failures(code)


def wait_for(condition: Callable[[], bool], pause: float = 0.002) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(pause)


LIBRARY = """(module $lib
  (import "host" "see" (func $see (param i32) (result i32)))
  (memory (export "memory") 1)
  (type $unary (func (param i32) (result i32)))
  (table (export "table") 4 funcref)
  (elem (i32.const 0) $double $divide $calls)
  (func $double (export "double") (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (func $divide (export "divide") (type $unary) (i32.div_u (i32.const 100) (local.get 0)))
  (func $calls (export "calls") (type $unary)
    (i32.add (call $double (local.get 0)) (call $see (local.get 0))))
  (func $load (export "load") (type $unary) (i32.load (local.get 0)))
  (func (export "indirect") (param i32 i32) (result i32)
    (call_indirect (type $unary) (local.get 0) (local.get 1)))
  (func $deep (export "deep") (type $unary)
    (if (result i32) (local.get 0)
      (then (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (call $load (i32.const -4)))))
  (func (export "unreachable") unreachable))"""


def library(mode: str, **options: Any) -> tuple[jitwasm.Module, Any, list[int]]:
    module = jitwasm.Module(wat(LIBRARY), Config(tier_up=mode, **options))
    seen: list[int] = []

    def see(value: int) -> int:
        seen.append(value)
        return value + 1

    return module, jitwasm.Instance(module, {"host": {"see": see}}).exports, seen


def outcome(call: Callable[[], Any]) -> object:
    try:
        return call()
    except jitwasm.Trap as trap:
        return trap.message, [(frame.funcidx, frame.name, frame.module) for frame in trap.frames]


CALLS: list[tuple[str, tuple[int, ...]]] = [
    ("double", (21,)),
    ("divide", (7,)),
    ("divide", (0,)),
    ("calls", (5,)),
    ("load", (0,)),
    ("load", (65535,)),
    ("indirect", (3, 0)),
    ("indirect", (0, 1)),
    ("indirect", (3, 2)),
    ("indirect", (3, 3)),
    ("indirect", (3, 4)),
    ("unreachable", ()),
]


def test_results_and_traps_are_the_same_before_and_after() -> None:
    module, exports, seen = library("early")
    before = [outcome(lambda n=n, a=a: exports[n](*a)) for n, a in CALLS]
    settle(module)
    assert module.tiers == TierCounts(7, 0, 0, 7)
    assert [outcome(lambda n=n, a=a: exports[n](*a)) for n, a in CALLS] == before
    assert seen == [5, 3] * 2


def test_a_trap_in_a_recursion_names_the_functions() -> None:
    module, exports, _ = library("early")
    exports.double(1)
    settle(module)
    with pytest.raises(jitwasm.Trap, match="out of bounds memory access") as caught:
        exports.deep(3)
    # LLVM may have inlined what was called.
    assert {frame.name for frame in caught.value.frames} <= {"deep", "load"}
    assert caught.value.frames[-1].name == "deep"


def test_an_exception_of_the_host_passes_through_optimised_code() -> None:
    module = jitwasm.Module(wat(LIBRARY), Config(tier_up="early"))
    error = KeyError("no")

    def fail(value: int) -> int:
        raise error

    exports = jitwasm.Instance(module, {"host": {"see": fail}}).exports
    settle(module)
    with pytest.raises(KeyError) as caught:
        exports.calls(1)
    assert caught.value is error
    assert exports.double(2) == 4


def test_importers_and_tables_of_others_reach_the_optimised_code() -> None:
    module, exports, _ = library("early")
    importer = jitwasm.Module(
        wat("""(module (type $unary (func (param i32) (result i32)))
          (import "lib" "double" (func $double (type $unary)))
          (import "lib" "table" (table 4 funcref))
          (export "again" (func $double))
          (func (export "direct") (type $unary) (call $double (local.get 0)))
          (func (export "through_table") (type $unary)
            (call_indirect (type $unary) (local.get 0) (i32.const 0))))"""),
        Config(tier_up="early"),
    )
    other = jitwasm.Instance(importer, {"lib": exports}).exports
    for _ in range(2):
        assert (other.direct(4), other.through_table(5), other.again(6)) == (8, 10, 12)
        assert exports.table[0](7) == 14
        settle(module)
        settle(importer)


def test_all_instances_and_those_to_come_use_the_optimised_code() -> None:
    module, first, _ = library("early")
    second = jitwasm.Instance(module, {"host": {"see": lambda x: 0}}).exports
    settle(module)
    third = jitwasm.Instance(module, {"host": {"see": lambda x: 0}}).exports
    code = code_of(module)
    called = list(code.called)
    assert [e.indirect(8, 0) for e in (first, second, third)] == [16, 16, 16]
    assert code.called == called  # no stub was entered: slots led to optimised code


def test_threads_call_while_functions_are_replaced() -> None:
    module = jitwasm.Module(wat(LIBRARY), Config(tier_up="early"))

    def work(results: list[int]) -> None:
        exports = jitwasm.Instance(module, {"host": {"see": lambda x: x}}).exports
        results += [exports.indirect(number, 2) for number in range(300)]

    results: list[list[int]] = [[] for _ in range(4)]
    threads = [threading.Thread(target=work, args=(row,)) for row in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[3 * number for number in range(300)]] * 4
    settle(module)


def test_nothing_is_optimised_where_that_is_not_wanted() -> None:
    module, exports, _ = library("never")
    assert exports.calls(1) == 4
    assert module.tiers == TierCounts(7, 5, 2, 0)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="tier_up must be"):
        Config(tier_up="always")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Config(tier="baseline"), TierCounts(7, 0, 7, 0)),
        (Config(tier="optimized", opt_level=0), TierCounts(7, 0, 0, 7)),
    ],
)
def test_modules_of_one_tier_tell_their_counts(config: Config, expected: TierCounts) -> None:
    assert jitwasm.Module(wat(LIBRARY), config).tiers == expected


# -- what is hot is found -------------------------------------------------------------------------

BUSY = """(module
  (func $cold (export "cold") (result i32) (i32.const 3))
  (func $work (export "work") (param $n i32) (result i32) (local $s i32)
    (loop $next
      (local.set $s (i32.add (local.get $s) (i32.mul (local.get $n) (local.get $n))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s)))"""


def square_sum(n: int) -> int:
    total = n * (n + 1) * (2 * n + 1) // 6 % (1 << 32)
    return total - (1 << 32) if total >> 31 else total


def test_a_loop_called_often_becomes_optimised_and_the_rest_does_not() -> None:
    module = jitwasm.Module(wat(BUSY), Config(tier_up="hot"))
    exports = jitwasm.Instance(module).exports
    code = code_of(module)
    assert exports.cold() == 3
    wait_for(lambda: exports.work(100_000) == square_sum(100_000) and code.tier(1) == 2)
    assert exports.work(1000) == square_sum(1000)
    assert code.tier(0) == Tier.BASELINE
    assert code.hot[0] == 1


def test_the_rest_follows_what_is_hot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tierup, "REST_AFTER", 0.01)
    module = jitwasm.Module(wat(BUSY), Config())
    exports = jitwasm.Instance(module).exports
    exports.work(10)
    settle(module)
    assert module.tiers == TierCounts(2, 0, 0, 2)


@pytest.mark.parametrize("thread", ["main", "other"])
def test_short_calls_are_seen(thread: str) -> None:
    module = jitwasm.Module(wat(BUSY), Config(tier_up="hot"))
    exports = jitwasm.Instance(module).exports
    code = code_of(module)

    def work() -> None:
        wait_for(lambda: [exports.work(300) for _ in range(200)] != [] and code.tier(1) == 2)

    if thread == "main":
        work()
    else:
        other = threading.Thread(target=work)
        other.start()
        other.join()
    assert code.tier(1) == Tier.OPTIMIZED


# -- calls under way ------------------------------------------------------------------------------

SPIN = """(module
  (import "host" "enough" (func $enough (result i32)))
  (func $none)
  (elem declare func $none)
  (func (export "spin")
    (param $a i32) (param $b i64) (param $c f32) (param $d f64) (param $e externref)
    (param $f i32) (param $g i64) (param $h i32) (param $i i64)
    (result i32 i64 f32 f64 externref i32 i64 i32 i64 funcref i32 f64 i64 i64)
    (local $turns i32) (local $ref funcref) (local $sum f64) (local $vec v128) (local $half i32)
    (local $x0 i64) (local $x1 i64) (local $x2 i64) (local $x3 i64)
    (local.set $ref (ref.func $none))
    (local.set $vec (i64x2.splat (i64.const 5)))
    (local.set $x0 (i64.const -1)) (local.set $x1 (i64.const 2)) (local.set $x2 (i64.const 3))
    (block $out
      (loop $outer
        (local.set $half (i32.const 0))
        (loop $inner
          (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
          (local.set $sum (f64.add (local.get $sum) (f64.const 0.5)))
          (local.set $vec (i64x2.add (local.get $vec) (i64x2.splat (i64.const 1))))
          (local.set $x3 (i64.add (local.get $x3) (local.get $x1)))
          (br_if $inner (i32.lt_u
            (local.tee $half (i32.add (local.get $half) (i32.const 1))) (i32.const 5000))))
        (br_if $out (call $enough))
        (br $outer)))
    (local.get $a) (local.get $b) (local.get $c) (local.get $d) (local.get $e)
    (local.get $f) (local.get $g) (local.get $h) (local.get $i)
    (local.get $ref) (local.get $turns) (local.get $sum) (local.get $x3)
    (i64.add (i64.mul (local.get $x0) (local.get $x2))
      (i64x2.extract_lane 1 (local.get $vec)))))"""


def spin_until(module: jitwasm.Module, condition: Callable[[], bool], *arguments: Any) -> Any:
    """Call the export "spin", which loops until "enough" gives 1: once the condition holds."""
    end = time.monotonic() + PATIENCE

    def enough() -> int:
        assert time.monotonic() < end
        return condition()

    return jitwasm.Instance(module, {"host": {"enough": enough}}).exports.spin(*arguments)


@pytest.mark.parametrize("bounds", ["guard", "explicit"])
def test_a_call_that_loops_goes_on_in_optimised_code(bounds: str) -> None:
    module = jitwasm.Module(wat(SPIN), Config(tier_up="hot", bounds=bounds))
    code = code_of(module)
    values = (-7, -(1 << 60), 1.5, -2.25, ["x"], 11, 1 << 40, -1, 99)
    found = spin_until(module, lambda: bool(code.replaced), *values)
    assert found[:9] == values
    assert found[4] is values[4]
    assert found[9].__name__ == "none"
    turns = found[10] % (1 << 32)
    assert turns % 5000 == 0 and turns > 0
    assert found[11] % (1 << 31) == found[10] % (1 << 32) * 0.5 % (1 << 31)
    assert found[12] == 2 * (found[11] * 2)
    assert found[13] == -3 + 5 + found[11] * 2
    assert not tierup.failures(code)
    # The next call starts in optimised code.
    assert code.tier(2) == Tier.OPTIMIZED


WORK = """(loop $w (local.set $n (i32.add (local.get $n) (i32.const 1)))
  (br_if $w (i32.rem_u (local.get $n) (i32.const 5000))))"""
NESTS = {
    "if": f"""(loop $l (if (i32.and (local.get $k) (i32.const 1)) (then {WORK})
        (else (call $step) {WORK} (nop)))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $l (i32.eqz (call $enough))))""",
    "operands under the inner loop": """(loop $l (local.set $n (i32.add (local.get $n)
          (loop $m (result i32)
            (br_if $m (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1)))
              (i32.const 5000)))
            (local.set $k (i32.const 0)) (i32.const 5000))))
        (br_if $l (i32.eqz (call $enough))))""",
    "jump table": """(block $out (loop $l
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (block $a (br_table $a $l $a $l (i32.rem_u (local.get $n) (i32.const 5000))))
        (br_if $l (i32.rem_u (local.get $n) (i32.const 5000)))
        (br_if $out (call $enough)) (br $l)))""",
    "two loops, one behind the other": f"""(loop $l {WORK} (call $step) {WORK}
        (br_if $l (i32.eqz (call $enough))))""",
}


@pytest.mark.parametrize("nest", NESTS)
def test_loops_of_many_shapes_are_left(nest: str) -> None:
    text = f"""(module (import "host" "enough" (func $enough (result i32)))
      (global $steps (mut i32) (i32.const 0))
      (func $step (global.set $steps (i32.add (global.get $steps) (i32.const 1))))
      (func (export "spin") (param $n i32) (result i32 i32) (local $k i32)
        {NESTS[nest]} (local.get $n) (local.get $k)))"""
    module = jitwasm.Module(wat(text), Config(tier_up="hot", verify_ir=True))
    code = code_of(module)
    n, k = spin_until(module, lambda: bool(code.replaced), 0)
    assert not tierup.failures(code)
    assert n % 5000 == 0 and n > 0
    assert (k > 0) == (nest == "if")


def test_traps_in_a_replaced_loop_name_the_function() -> None:
    text = f"""(module (import "host" "enough" (func $enough (result i32)))
      (func $f (export "spin") (param i32) (result i32) (local $n i32)
        (loop $l {WORK} (br_if $l (i32.eqz (call $enough))))
        (i32.div_u (i32.const 1) (local.get 0))))"""
    module = jitwasm.Module(wat(text), Config(tier_up="hot"))
    code = code_of(module)
    with pytest.raises(jitwasm.Trap, match="integer divide by zero") as caught:
        spin_until(module, lambda: bool(code.replaced), 0)
    assert [frame.name for frame in caught.value.frames] == ["f"]


# -- lifetimes ------------------------------------------------------------------------------------


def test_what_is_dropped_is_not_kept_by_the_background() -> None:
    module, exports, _ = library("early")
    code = weakref.ref(code_of(module))
    exports.double(1)
    del module, exports
    # A collection holds the GIL, in a large process for long: without pauses the background,
    # which gives way to everybody, would hardly get on.
    wait_for(lambda: gc.collect() >= 0 and code() is None, pause=0.2)


def test_a_pickled_module_goes_on() -> None:
    module = pickle.loads(pickle.dumps(library("early")[0]))
    exports = jitwasm.Instance(module, {"host": {"see": abs}}).exports
    assert exports.calls(3) == 9
    settle(module)
    assert exports.calls(3) == 9


def run(script: str) -> subprocess.CompletedProcess[str]:
    prelude = (
        "import os, sys, time, gc, threading, jitwasm\n"
        "from jitwasm import Config, tierchoice, tierup\n"
        "tierchoice.EAGER_BYTES = 0\n"
        "from tests.support.wat import wat\n"
        "from tests.runtime.test_tierup import BUSY, square_sum, code_of, settle\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prelude + script], capture_output=True, text=True, timeout=200
    )


def test_a_forked_child_goes_on_optimising() -> None:
    done = run("""
module = jitwasm.Module(wat(BUSY), Config(tier_up="hot"))
exports = jitwasm.Instance(module).exports
exports.work(10)
pid = os.fork()
if pid == 0:
    child = jitwasm.Instance(module).exports
    code = code_of(module)
    while code.tier(1) != 2:
        assert exports.work(100_000) == child.work(100_000) == square_sum(100_000)
    os._exit(7)
assert os.waitpid(pid, 0)[1] == 7 << 8
while code_of(module).tier(1) != 2:
    assert exports.work(100_000) == square_sum(100_000)
print("fine")
""")
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


@pytest.mark.parametrize("pause", [0, 0.05, 0.3])
def test_the_interpreter_ends_amid_optimisation(pause: float) -> None:
    done = run(f"""
body = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.load (local.get 0))))"
big = f'(func (export "f") (param i32) (result i32) {{body * 2000}} (local.get 0))'
module = jitwasm.Module(wat(f"(module (memory 1) {{big}})"), Config(tier_up="early"))
exports = jitwasm.Instance(module).exports
time.sleep({pause})
print("fine", flush=True)
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_the_background_thread_sleeps_when_nothing_happens() -> None:
    done = run("""
module = jitwasm.Module(wat(BUSY), Config(tier_up="hot"))
exports = jitwasm.Instance(module).exports
exports.work(10)
time.sleep(0.2)
(thread,) = [t for t in threading.enumerate() if t.name == "jitwasm-tierup"]
def switches():
    with open(f"/proc/self/task/{thread.native_id}/status") as file:
        return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
before = switches()
time.sleep(0.5)
print(switches() - before)
""")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 2
