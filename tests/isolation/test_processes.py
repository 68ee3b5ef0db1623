"""Worker processes: a task that harms its process harms nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait

import pytest

from jitwasm.backend.codegen import LLVMError
from jitwasm.backend.processes import ProcessPool, WorkerError
from tests.isolation import tasks

TIMEOUT = 120


@pytest.fixture(scope="module")
def pool():
    with ProcessPool(1, seconds=1, memory=2 << 30) as pool:
        yield pool


def test_tasks_run_in_another_process_one_after_the_other(pool) -> None:
    big = bytes(range(256)) * 20_000
    assert pool.submit(tasks.echo, big).result(TIMEOUT) == big
    first = pool.worker_pids()
    assert pool.submit(tasks.echo, b"").result(TIMEOUT) == b""
    assert pool.worker_pids() == first
    assert os.getpid() not in first


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (tasks.abort, r"died \(SIGABRT\): .*Assertion failed: something"),
        (tasks.kill_self, r"died \(SIGKILL\)"),
        (tasks.spin, "took more than 1 s"),
        (tasks.allocate, "ran out of memory"),
    ],
    ids=["abort", "kill", "time", "memory"],
)
def test_a_worker_that_does_not_survive_is_an_error_and_is_replaced(pool, task, message) -> None:
    with pytest.raises(WorkerError, match=f"(?s){message}"):
        pool.submit(task, b"").result(TIMEOUT)
    assert pool.submit(tasks.echo, b"next").result(TIMEOUT) == b"next"


def test_exceptions_of_ours_pass_and_unknown_ones_keep_their_message(pool) -> None:
    with pytest.raises(LLVMError, match=r"^cannot parse$"):
        pool.submit(tasks.fail, b"").result(TIMEOUT)
    with pytest.raises(RuntimeError, match=r"^it says$"):
        pool.submit(tasks.fail_in_its_own_way, b"").result(TIMEOUT)


def test_only_bytes_come_back(pool) -> None:
    with pytest.raises(TypeError, match="gives bytes, not str"):
        pool.submit(tasks.text, b"").result(TIMEOUT)


def test_what_cannot_be_pickled_is_refused_at_once(pool) -> None:
    with pytest.raises(Exception, match="pickle"):
        pool.submit(lambda: b"")


def test_a_killed_worker_costs_only_its_own_task() -> None:
    with ProcessPool(2) as pool:
        wait([pool.submit(tasks.echo, b"") for _ in range(4)], TIMEOUT)
        sleeping = pool.submit(tasks.sleep, b"")
        while not sleeping.running() or not pool._busy:
            pass
        (victim,) = [worker.pid for worker in pool._busy]
        others = [pool.submit(tasks.echo, bytes([i])) for i in range(8)]
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(WorkerError, match="SIGKILL"):
            sleeping.result(TIMEOUT)
        assert [future.result(TIMEOUT) for future in others] == [bytes([i]) for i in range(8)]


def test_shutdown_ends_the_workers() -> None:
    pool = ProcessPool(1)
    pool.submit(tasks.echo, b"").result(TIMEOUT)
    (pid,) = pool.worker_pids()
    running = pool.submit(tasks.sleep, b"")
    while not running.running():  # or it would be cancelled
        time.sleep(0.001)
    pool.shutdown(cancel_futures=True)
    with pytest.raises(WorkerError):
        running.result(TIMEOUT)
    assert not os.path.exists(f"/proc/{pid}")
    with pytest.raises(RuntimeError, match="stopped"):
        pool.submit(tasks.echo, b"")


_EXIT_WHILE_BUSY = """
import sys, time
from jitwasm.backend.processes import ProcessPool
from tests.isolation import tasks
pool = ProcessPool(2)
futures = [pool.submit(tasks.sleep, b"") for _ in range(4)]
while len(pool.worker_pids()) < 2:
    time.sleep(0.01)
print(*pool.worker_pids())
"""

_FORK = """
import os, sys
from jitwasm.backend.processes import ProcessPool
from tests.isolation import tasks
pool = ProcessPool(1)
assert pool.submit(tasks.echo, b"parent").result(60) == b"parent"
(pid,) = pool.worker_pids()
child = os.fork()
if not child:
    assert pool.submit(tasks.echo, b"child").result(60) == b"child"
    assert pool.worker_pids() != [pid]
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert pool.submit(tasks.echo, b"again").result(60) == b"again"
assert pool.worker_pids() == [pid]
print("done")
"""


def run(source: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_exit_does_not_wait_for_workers_and_leaves_none_behind() -> None:
    for pid in run(_EXIT_WHILE_BUSY).split():
        assert not os.path.exists(f"/proc/{pid}")


def test_workers_are_not_shared_with_forked_children() -> None:
    assert run(_FORK) == "done\n"
