"""The scheduler and its pool, with compile functions that the tests control."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait

import pytest

from jitwasm.backend.scheduler import Scheduler, WorkerPool, shared_pool
from jitwasm.backend.units import CompileUnit

TIMEOUT = 60


def unit(index: int, functions: int = 1) -> CompileUnit:
    return CompileUnit(index, 0, tuple(range(functions)), f"unit {index}", 1)


def encode(unit: CompileUnit) -> bytes:
    return unit.text.encode()


class Gate:
    """A compile function that waits until it is let through."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.started: list[str] = []
        self.entered = threading.Semaphore(0)

    def __call__(self, unit: CompileUnit) -> bytes:
        self.started.append(unit.text)
        self.entered.release()
        assert self.open.wait(TIMEOUT)
        return unit.text.encode()


@pytest.fixture
def pool():
    pool = WorkerPool(2)
    yield pool
    pool.shutdown()


def in_thread(function, *arguments) -> Future:
    future: Future = Future()

    def run() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def test_results_come_in_the_order_of_the_units(pool) -> None:
    scheduler = Scheduler(encode, pool, max_pending=3)
    for index in range(20):
        scheduler.submit(unit(index))
    assert scheduler.results() == [f"unit {index}".encode() for index in range(20)]


def test_units_run_at_the_same_time(pool) -> None:
    meeting = threading.Barrier(2, timeout=TIMEOUT)
    scheduler = Scheduler(lambda unit: bytes(meeting.wait()), pool, max_pending=2)
    scheduler.submit(unit(0))
    scheduler.submit(unit(1))
    scheduler.results()


def test_functions_are_counted_when_their_unit_is_done(pool) -> None:
    gate = Gate()
    scheduler = Scheduler(gate, pool, max_pending=4)
    scheduler.submit(unit(0, functions=3))
    scheduler.submit(unit(1, functions=4))
    assert scheduler.functions_compiled == 0
    gate.open.set()
    scheduler.results()
    assert scheduler.functions_compiled == 7


def test_submit_blocks_while_too_many_units_are_pending(pool) -> None:
    gate = Gate()
    scheduler = Scheduler(gate, pool, max_pending=3)
    for index in range(3):
        scheduler.submit(unit(index))
    fourth = in_thread(scheduler.submit, unit(3))
    assert not wait([fourth], timeout=0.05).done
    gate.open.set()
    fourth.result(TIMEOUT)
    assert len(scheduler.results()) == 4


def test_the_first_error_stops_everything(pool) -> None:
    gate = Gate()
    error = ValueError("broken")

    def compile(unit: CompileUnit) -> bytes:
        if unit.index == 1:
            raise error
        return gate(unit)

    scheduler = Scheduler(compile, pool, max_pending=10)
    scheduler.submit(unit(0))
    gate.entered.acquire(timeout=TIMEOUT)
    failed = scheduler.submit(unit(1))
    wait([failed], timeout=TIMEOUT)
    with pytest.raises(ValueError) as caught:
        scheduler.submit(unit(2))
    assert caught.value is error
    gate.open.set()
    with pytest.raises(ValueError) as caught:
        scheduler.results()
    assert caught.value is error
    assert gate.started == ["unit 0"]


def test_a_blocked_submit_gets_the_error(pool) -> None:
    gate = Gate()

    def compile(unit: CompileUnit) -> bytes:
        gate(unit)
        raise ValueError(unit.text)

    scheduler = Scheduler(compile, pool, max_pending=1)
    scheduler.submit(unit(0))
    blocked = in_thread(scheduler.submit, unit(1))
    gate.open.set()
    with pytest.raises(ValueError, match="unit 0"):
        blocked.result(TIMEOUT)


def test_cancel_drops_what_is_queued(pool) -> None:
    gate = Gate()
    scheduler = Scheduler(gate, pool, max_pending=10)
    futures = [scheduler.submit(unit(index)) for index in range(10)]
    for _ in range(2):
        gate.entered.acquire(timeout=TIMEOUT)
    scheduler.cancel()
    assert sum(future.cancelled() for future in futures) == 8
    gate.open.set()
    with pytest.raises(CancelledError):
        scheduler.results()
    with pytest.raises(CancelledError):
        scheduler.submit(unit(10))
    assert len(gate.started) == 2


def test_cancel_wakes_a_blocked_submit(pool) -> None:
    gate = Gate()
    scheduler = Scheduler(gate, pool, max_pending=3)
    for index in range(3):
        scheduler.submit(unit(index))
    blocked = in_thread(scheduler.submit, unit(3))
    for _ in range(2):
        gate.entered.acquire(timeout=TIMEOUT)
    scheduler.cancel()  # the third is queued: its place becomes free
    with pytest.raises(CancelledError):
        blocked.result(TIMEOUT)
    gate.open.set()


def test_schedulers_share_a_pool_without_mixing(pool) -> None:
    schedulers = [Scheduler(encode, pool, max_pending=2) for _ in range(5)]

    def work(number: int) -> list[bytes]:
        for index in range(30):
            schedulers[number].submit(unit(100 * number + index))
        return schedulers[number].results()

    with ThreadPoolExecutor(5) as callers:
        results = list(callers.map(work, range(5)))
    assert results == [[f"unit {100 * n + i}".encode() for i in range(30)] for n in range(5)]


def test_any_executor_will_do() -> None:
    with ThreadPoolExecutor(1) as executor:
        scheduler = Scheduler(encode, executor, max_pending=2)
        scheduler.submit(unit(0))
        assert scheduler.results() == [b"unit 0"]


def test_threads_start_as_they_are_needed() -> None:
    pool = WorkerPool(4)
    for _ in range(20):
        pool.submit(int).result(TIMEOUT)
    assert len(pool._threads) <= 2  # the first may not yet be idle when the second task comes
    pool.shutdown()


def test_a_pool_that_is_shut_down_refuses_work() -> None:
    pool = WorkerPool(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="stopped"):
        pool.submit(int)


def test_shutdown_finishes_what_is_queued_unless_told_otherwise() -> None:
    gate = Gate()
    pool = WorkerPool(1)
    running = pool.submit(gate, unit(0))
    gate.entered.acquire(timeout=TIMEOUT)
    queued = pool.submit(encode, unit(1))
    pool.shutdown(wait=False)
    gate.open.set()
    assert running.result(TIMEOUT) == b"unit 0"
    assert queued.result(TIMEOUT) == b"unit 1"


def test_the_shared_pool_is_one_for_all() -> None:
    assert shared_pool(None) is shared_pool(None)
    assert shared_pool(None).size == len(os.sched_getaffinity(0))
    assert shared_pool(3).size == 3


def run_python(program: str) -> str:
    done = subprocess.run(
        # From 3.12 on Python warns of every fork of a process with threads.
        [sys.executable, "-W", "ignore:This process", "-c", program],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_queued_work_does_not_delay_the_interpreters_exit() -> None:
    run_python(
        "import threading, time\n"
        "from jitwasm.backend.scheduler import shared_pool\n"
        "pool = shared_pool(1)\n"
        "started = threading.Event()\n"
        "pool.submit(lambda: (started.set(), time.sleep(0.2)))\n"
        "for _ in range(10): pool.submit(time.sleep, 3600)\n"
        "started.wait()\n"
    )


def test_exit_waits_for_llvm() -> None:
    out = run_python(
        "import threading, time\n"
        "from jitwasm.backend.scheduler import shared_pool\n"
        "started = threading.Event()\n"
        "def work():\n"
        "    started.set(); time.sleep(0.2); print('finished', flush=True)\n"
        "shared_pool(1).submit(work)\n"
        "started.wait()\n"
    )
    assert out == "finished\n"


def test_a_forked_child_has_a_working_pool() -> None:
    out = run_python(
        "import os, sys, threading\n"
        "from jitwasm.backend.scheduler import shared_pool\n"
        "from jitwasm.backend.codegen import compile_unit, host_target\n"
        "text, target = 'define void @f() { ret void }', host_target(0)\n"
        "pool = shared_pool(2)\n"
        "first = pool.submit(compile_unit, text, target).result()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    same = pool.submit(compile_unit, text, target).result(30) == first\n"
        "    print('child', same, flush=True)\n"
        "    sys.exit(0)\n"
        "print('parent', os.waitpid(pid, 0)[1], pool.submit(int).result(30))\n"
    )
    assert out == "child True\nparent 0 0\n"


def test_a_compilation_does_not_go_on_in_a_forked_child() -> None:
    out = run_python(
        "import os\n"
        "from jitwasm.backend.scheduler import Scheduler, shared_pool\n"
        "scheduler = Scheduler(str.encode, shared_pool(1), 2)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    try: scheduler.results()\n"
        "    except RuntimeError as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    assert "forked" in out
