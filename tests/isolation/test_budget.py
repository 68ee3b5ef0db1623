"""No module keeps LLVM busy beyond its budget: what would is compiled by the one-pass compiler."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

import jitwasm
from jitwasm import Config, ImplementationLimits
from jitwasm.backend.scheduler import BudgetExceeded, WorkerPool
from tests.isolation import explosive

TIMEOUT = 240
SHORT = ImplementationLimits(compile_seconds=0.3)
HOPELESS = explosive.module(explosive.recurrences(200))
"""A body of 1.4 KB that LLVM does not finish in minutes."""


def recurrences(count: int, argument: int) -> int:
    values = [argument, *[0] * (count - 1)]
    while True:
        for i in range(1, count):
            values[i] = (values[i] + values[i - 1]) & 0xFFFFFFFF
        values[0] = (values[0] - 1) & 0xFFFFFFFF
        if not values[0]:
            return values[-1] - (values[-1] >> 31 << 32)


@pytest.mark.parametrize(
    "body",
    [
        explosive.nested_loops(100, 1000),
        explosive.nested_loops(300, 600),
        explosive.loops(3000),
    ],
    ids=["phis", "more phis", "loops"],
)
def test_what_is_out_of_proportion_never_reaches_llvm(body: bytes) -> None:
    with pytest.warns(jitwasm.CompileWarning, match="out of proportion"):
        module = jitwasm.Module(explosive.module(body), Config(tier="optimized", cache=False))
    assert len(module.objects) == 1
    jitwasm.Instance(module)


def test_worker_processes_keep_the_budget() -> None:
    config = Config(tier="optimized", cache=False, executor="processes", limits=SHORT, threads=1)
    with pytest.warns(jitwasm.CompileWarning, match=r"took more than 0\.3 s"):
        module = jitwasm.Module(HOPELESS, config)
    assert jitwasm.Instance(module).exports.f(205) == recurrences(200, 205)


_THREADS = """
import sys, threading, time, warnings
import jitwasm
from tests.isolation.test_budget import HOPELESS, SHORT, recurrences
config = jitwasm.Config(tier="optimized", cache=False, limits=SHORT, threads=1)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    module = jitwasm.Module(HOPELESS, config)
assert "took more than 0.3 s" in str(seen[0].message), seen
assert jitwasm.Instance(module).exports.f(205) == recurrences(200, 205)
# The pool has another thread for what comes next.
small = bytes.fromhex("0061736d010000000105016000017f030201000705010166000" + "00a0601040041070b")
assert jitwasm.Instance(jitwasm.Module(small, config)).exports.f() == 7
print("done")
sys.exit(3)
"""

_BACKGROUND = """
import sys, time
import jitwasm
from jitwasm import tierup
from tests.isolation.test_budget import HOPELESS, SHORT
config = jitwasm.Config(tier_up="early", cache=False, limits=SHORT)
module = jitwasm.Module(HOPELESS, config)
instance = jitwasm.Instance(module)
code = module._parts.lazy
deadline = time.monotonic() + 120
while not tierup.failures(code) and time.monotonic() < deadline:
    instance.exports.f(2)
    time.sleep(0.01)
print(*tierup.failures(code))
"""

_WHILE_BUSY = """
import jitwasm
from tests.isolation.test_budget import HOPELESS, SHORT
promise = jitwasm.compile(HOPELESS, jitwasm.Config(tier="optimized", cache=False, limits=SHORT))
while not promise.progress.functions_translated:
    pass
print("left")
"""


def run(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=TIMEOUT
    )


def test_a_module_gets_by_without_a_thread_that_exceeds_the_budget_and_so_does_the_exit() -> None:
    done = run(_THREADS)
    assert (done.returncode, done.stdout, done.stderr) == (3, "done\n", "")


def test_background_optimisation_keeps_the_budget() -> None:
    done = run(_BACKGROUND)
    assert (done.returncode, done.stdout) == (0, "LLVM took more than 0.3 s\n"), done.stderr


def test_the_exit_waits_for_a_budget_and_no_longer() -> None:
    done = run(_WHILE_BUSY)
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr
    # The thread that waits for the module may still get to say that it goes without LLVM.
    assert not done.stderr or "CompileWarning: not optimised" in done.stderr
    assert "Traceback" not in done.stderr


# -- the pool --------------------------------------------------------------------------------------


def spin(until: threading.Event) -> int:
    while not until.is_set():
        pass
    return 1


def test_a_budget_counts_cpu_time_not_waiting() -> None:
    pool = WorkerPool(1)
    assert pool.within(0.05).submit(time.sleep, 0.3).result(60) is None
    pool.shutdown()


def test_the_thread_is_replaced_and_later_leaves() -> None:
    pool, until = WorkerPool(1), threading.Event()
    stuck = pool.within(0.05).submit(spin, until)
    behind = pool.submit(len, "xyz")
    with pytest.raises(BudgetExceeded, match=r"more than 0\.05 s"):
        stuck.result(60)
    assert behind.result(60) == 3
    assert pool.size == 2
    until.set()
    while pool.size != 1:
        time.sleep(0.001)
    assert pool.submit(len, "ab").result(60) == 2
    pool.shutdown()


def test_budgets_of_many_tasks_are_kept_apart() -> None:
    pool, until = WorkerPool(3), threading.Event()
    fast = [pool.within(30).submit(sum, range(1000)) for _ in range(50)]
    stuck = [pool.within(0.05).submit(spin, until) for _ in range(2)]
    for future in stuck:
        with pytest.raises(BudgetExceeded):
            future.result(60)
    assert [future.result(60) for future in fast] == [499500] * 50
    until.set()
    pool.shutdown()
