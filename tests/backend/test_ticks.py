"""Long calls: the GIL is released, deadlines are met, Ctrl-C works; stores admit one thread."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from jitwasm import abi
from jitwasm.backend.native import native
from jitwasm.errors import Trap
from jitwasm.trapcodes import TrapCode
from tests.backend.machine import DIVIDE, HOST, LOAD, SPIN, Machine, entries, signature, trap_code
from tests.backend.test_traps import run


@pytest.fixture(autouse=True)
def no_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimiser sets the pace of timers, too: modules of earlier tests may be in its hands."""
    sampler = native().sampler
    monkeypatch.setattr(sampler, "run", lambda interval: None)
    type(sampler).run(sampler, 0)


@pytest.fixture(autouse=True, params=["generic", "thunk"], scope="module")
def ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways in and out."""
    with entries(request.param):
        yield


LOOP = """
define i32 @host_loop(ptr %vm, i32 %n, i32 %work) {
entry:
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  %s = phi i32 [ 0, %entry ], [ %t, %loop ]
  %w = call i32 @spin(ptr %vm, i32 %work)
  %r = call_import 0 i32 (i32 %i)
  %t = add i32 %s, %r
  %next = add i32 %i, 1
  %more = icmp ult i32 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret i32 %t
}
define i32 @spin_then_load(ptr %vm, i32 %n, i32 %at) {
  %w = call i32 @spin(ptr %vm, i32 %n)
  %r = call i32 @load(ptr %vm, i32 %at)
  ret i32 %r
}
define void @bulk_loop(ptr %vm, i32 %n, i64 %length) {
entry:
  %record.p = getelementptr i8, ptr %vm, i64 24
  %record = load ptr, ptr %record.p
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  call void @jw_memory_copy(ptr %record, ptr %record, i64 0, i64 64, i64 %length)
  %next = add i32 %i, 1
  %more = icmp ne i32 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret void
}
"""
FLOATS = """
define i64 @vectors(ptr %vm, i32 %n, double %seed) {
entry:
  %one = insertelement <8 x double> poison, double %seed, i32 0
  %all = shufflevector <8 x double> %one, <8 x double> poison, <8 x i32> zeroinitializer
"""
FLOATS += "".join(
    f"  %s{i} = fadd <8 x double> %all, <{', '.join(f'double {i + j / 8}' for j in range(8))}>\n"
    for i in range(36)
)
FLOATS += "  br label %loop\nloop:\n  %i = phi i32 [ 0, %entry ], [ %next, %loop ]\n"
FLOATS += "".join(
    f"  %v{i} = phi <8 x double> [ %s{i}, %entry ], [ %w{i}, %loop ]\n" for i in range(36)
)
FLOATS += "".join(
    f"""  %a{i} = fmul <8 x double> %v{i}, splat (double 0.75)
  %b{i} = fmul <8 x double> %v{(i + 1) % 36}, splat (double 0.2499)
  %w{i} = fadd <8 x double> %a{i}, %b{i}
"""
    for i in range(36)
)
FLOATS += "  %next = add i32 %i, 1\n  %more = icmp ult i32 %next, %n\n"
FLOATS += "  br i1 %more, label %loop, label %end\nend:\n  %x0 = add i64 0, 0\n"
FLOATS += "".join(
    f"""  %y{i} = bitcast <8 x double> %w{i} to <8 x i64>
  %z{i} = call i64 @llvm.vector.reduce.add.v8i64(<8 x i64> %y{i})
  %m{i} = mul i64 %x{i}, 31
  %x{i + 1} = xor i64 %m{i}, %z{i}
"""
    for i in range(36)
)
FLOATS += "  ret i64 %x36\n}\ndeclare i64 @llvm.vector.reduce.add.v8i64(<8 x i64>)\n"

BILLION = 1_000_000_000


@pytest.fixture(scope="module")
def image() -> Machine:
    return Machine(LOAD + DIVIDE + HOST + SPIN + LOOP, pages=16, opt=2)


@pytest.fixture
def machine(image: Machine) -> Machine:
    return image


def counters() -> Any:
    """This thread's ThreadState."""
    process = ctypes.CDLL(None)
    process.pthread_getspecific.restype = ctypes.c_void_p
    key = ctypes.c_uint32.from_address(native()._space.symbol("jw_key")).value
    address = process.pthread_getspecific(key)
    return abi.THREAD_STATE.ctype.from_address(address)


@contextmanager
def variable(name: str, value: int) -> Iterator[None]:
    """Another value for one of the runtime's variables."""
    cell = ctypes.c_int64.from_address(native()._space.symbol(name))
    saved, cell.value = cell.value, value
    native().set_deadline(0)  # programs this thread's timer anew
    try:
        yield
    finally:
        cell.value = saved
        native().set_deadline(0)


def in_thread(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Run in a thread; the result is a function that waits for the result."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function(*arguments))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def wait() -> Any:
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    wait.thread = thread  # type: ignore[attr-defined]
    return wait


def test_a_long_call_lets_other_threads_run(machine: Machine) -> None:
    spin = machine.function("spin")
    expected = spin(300_000_000)

    def work() -> tuple[int, int]:
        return spin(300_000_000), counters().releases

    wait = in_thread(work)
    turns = 0
    while wait.thread.is_alive():  # type: ignore[attr-defined]
        time.sleep(0.001)
        turns += 1
    result, releases = wait()
    assert result == expected
    assert releases >= 1
    assert turns >= 10


def test_a_long_call_on_the_main_thread_lets_others_run(machine: Machine) -> None:
    spin = machine.function("spin")
    stop, turns = threading.Event(), [0]

    def count() -> None:
        while not stop.is_set():
            time.sleep(0.001)
            turns[0] += 1

    before = 0
    spin(1)
    before = counters().releases
    wait = in_thread(count)
    time.sleep(0.01)
    start = turns[0]
    spin(400_000_000)
    made = turns[0] - start
    stop.set()
    wait()
    assert made >= 2  # without a release: none, or the one at the call's end
    assert counters().releases > before


COUNT = """
define void @count(ptr %vm) {
entry:
  %base.p = getelementptr i8, ptr %vm, i64 16
  %base = load ptr, ptr %base.p
  %stop = getelementptr i8, ptr %base, i64 8
  br label %loop
loop:
  %n = load volatile i64, ptr %base
  %more = add i64 %n, 1
  store volatile i64 %more, ptr %base
  %ended = load volatile i64, ptr %stop
  %go_on = icmp eq i64 %ended, 0
  br i1 %go_on, label %loop, label %end
end:
  ret void
}
"""


def test_two_calls_run_at_once_without_the_gil() -> None:
    """Both go on while a third thread keeps the GIL: so they can use two cores."""
    machines = [Machine(COUNT) for _ in range(2)]
    cells = [(ctypes.c_uint64 * 2).from_address(machine.memory.base) for machine in machines]
    threads = [threading.Thread(target=machine.function("count", "->")) for machine in machines]
    for thread in threads:
        thread.start()
    before = sys.getswitchinterval()
    try:
        while not all(cell[0] for cell in cells):
            time.sleep(0.01)
        time.sleep(0.05)
        sys.setswitchinterval(1000)  # from here on this thread has the GIL all the time
        for _ in range(3):
            seen = [cell[0] for cell in cells]
            while any(cell[0] == old for cell, old in zip(cells, seen, strict=True)):
                pass
    finally:
        sys.setswitchinterval(before)
        for cell in cells:
            cell[1] = 1
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("thread", ["main", "other"])
def test_every_long_call_releases(machine: Machine, thread: str) -> None:
    # Also the ones that follow each other, and the one around one that has released.
    loop, spin = machine.function("host_loop", "i32 i32 -> i32"), machine.function("spin")
    inner: list[int] = []

    def target(x: int) -> int:
        before = counters().releases
        spin(30_000_000)
        inner.append(counters().releases - before)
        return 1

    machine.host(0, "i32 -> i32", target)

    def work() -> None:
        spin(1)
        for _ in range(5):
            before = counters().releases
            spin(30_000_000)
            assert counters().releases > before
        before = counters().releases
        assert loop(5, 30_000_000) == 5
        assert all(inner)
        assert counters().releases - before >= sum(inner) + 4

    with variable("jw_tick_ns", 500_000):
        work() if thread == "main" else in_thread(work)()


def test_short_calls_release_nothing(machine: Machine) -> None:
    spin = machine.function("spin")

    def work() -> int:
        with variable("jw_tick_ns", 1_000_000):
            for _ in range(20_000):
                spin(100)
        return int(counters().releases)

    assert in_thread(work)() <= 2


def test_timer_goes_off_when_nothing_happens(machine: Machine) -> None:
    spin = machine.function("spin")

    def work() -> tuple[int, int, int]:
        spin(1)
        armed = counters().armed
        time.sleep(0.1)
        ticks = counters().ticks
        time.sleep(0.2)
        return armed, counters().armed, counters().ticks - ticks

    assert in_thread(work)() == (1, 0, 0)


@pytest.mark.parametrize("calls", ["fast", "ctypes"])
def test_host_calls_take_the_gil_back(machine: Machine, calls: str) -> None:
    seen: list[int] = []
    machine.host(0, "i32 -> i32", lambda x: seen.append(x) or x, calls)
    loop = machine.function("host_loop", "i32 i32 -> i32")

    def work() -> tuple[int, int]:
        with variable("jw_tick_ns", 500_000):
            result = loop(40, 3_000_000)
        return result, counters().reacquires

    other = in_thread(lambda: [time.sleep(0.0005) for _ in range(200)])
    result, reacquires = in_thread(work)()
    other()
    assert result == sum(range(40))
    assert seen == list(range(40))
    assert reacquires >= 3


def test_exceptions_after_a_release_arrive(machine: Machine) -> None:
    spin_then_load = machine.function("spin_then_load", "i32 i32 -> i32")
    host_loop = machine.function("host_loop", "i32 i32 -> i32")
    error = KeyError("late")

    def fail(x: int) -> int:
        raise error

    machine.host(0, "i32 -> i32", fail)

    def work() -> int:
        with variable("jw_tick_ns", 500_000):
            for _ in range(5):
                with pytest.raises(Trap, match="out of bounds"):
                    spin_then_load(20_000_000, 1 << 30)
                with pytest.raises(KeyError) as caught:
                    host_loop(1, 20_000_000)
                assert caught.value is error
        return int(counters().releases)

    assert in_thread(work)() >= 5
    assert work() >= 0  # on the main thread as well


def test_bulk_operations_do_not_keep_the_gil() -> None:
    machine = Machine(LOAD + SPIN + HOST + LOOP, pages=64, maximum=64)
    bulk = machine.function("bulk_loop", "i32 i64 ->")

    def work() -> int:
        bulk(400, 4_000_000)
        return int(counters().releases)

    wait = in_thread(work)
    turns = 0
    while wait.thread.is_alive():  # type: ignore[attr-defined]
        time.sleep(0.001)
        turns += 1
    assert wait() >= 1
    assert turns >= 5


def test_release_gil_option(machine: Machine) -> None:
    spin = machine.function("spin", release_gil=True)
    divide = machine.function("divide", release_gil=True)
    host = machine.function("host", release_gil=True)
    machine.host(0, "i32 -> i32", lambda x: x + 1)
    expected = machine.function("spin")(1000)
    for _ in range(100):
        assert spin(1000) == expected
        assert host(3) == 4
        with pytest.raises(Trap):
            divide(1, 0)
    # A switch interval of seconds: only a thread that gives the GIL away lets others run.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5)
    try:
        with variable("jw_tick_ns", 100 * BILLION):
            wait = in_thread(spin, 100_000_000)
            turns = 0
            while wait.thread.is_alive():  # type: ignore[attr-defined]
                time.sleep(0.001)
                turns += 1
            wait()
    finally:
        sys.setswitchinterval(interval)
    assert turns >= 5


def test_a_short_released_call_leaves_the_timer_as_it_is(machine: Machine) -> None:
    """Or each would cost two system calls, several times what it costs itself."""
    held, released = machine.function("spin"), machine.function("spin", release_gil=True)

    def work() -> list[tuple[int, int]]:
        states = []
        for call in (held, released, held, released):
            call(1)
            states.append((counters().armed, counters().interval))
        return states

    with variable("jw_tick_ns", BILLION):
        assert in_thread(work)() == [(1, BILLION)] * 4
        # One long enough to have met a tick had its timer slowed down: held calls need it again.
        with variable("jw_tick_ns", 1_000_000):
            released(50_000_000)
            assert counters().armed == 0
        held(1)
        assert counters().armed == 1
        assert counters().interval in (BILLION, BILLION // 8)


def test_registers_survive_ticks() -> None:
    machine = Machine(FLOATS, opt=2)
    vectors = machine.function("vectors", "i32 f64 -> i64")
    count = 300_000
    with variable("jw_tick_ns", 100 * BILLION):
        expected = [vectors(count, float(seed)) for seed in range(4)]

    def work() -> int:
        for _ in range(5):
            for seed in range(4):
                assert vectors(count, float(seed)) == expected[seed]
        return int(counters().releases)

    with variable("jw_tick_ns", 500_000), variable("jw_poll_ns", 300_000):
        busy = threading.Event()
        noise = in_thread(lambda: [time.sleep(0.0002) for _ in iter(busy.is_set, True)])
        try:
            before = counters().releases
            work()
            assert counters().releases > before + 3
            assert in_thread(work)() >= 3
        finally:
            busy.set()
        noise()


# -- deadlines ------------------------------------------------------------------------------------


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    old = native().set_deadline(time.monotonic_ns() + int(seconds * 1e9))
    try:
        yield
    finally:
        native().set_deadline(old)


@pytest.mark.parametrize("thread", ["main", "other"])
@pytest.mark.parametrize("seconds", [0.0, 0.002, 0.05])
def test_deadline_stops_an_endless_loop(machine: Machine, thread: str, seconds: float) -> None:
    forever, divide = (
        machine.function("forever"),
        machine.function("divide"),
    )

    def work() -> None:
        for _ in range(3):
            with deadline(seconds):
                assert trap_code(forever) is TrapCode.DEADLINE
            assert divide(6, 3) == 2

    work() if thread == "main" else in_thread(work)()


def test_deadline_that_is_not_reached_does_nothing(machine: Machine) -> None:
    spin = machine.function("spin")
    expected = spin(1_000_000)
    with deadline(100):
        for _ in range(20):
            assert spin(1_000_000) == expected


def test_deadline_is_kept_for_nested_and_repeated_calls(machine: Machine) -> None:
    forever, spin = machine.function("forever"), machine.function("spin")
    with deadline(0.03):
        spin(1000)
        with pytest.raises(Trap, match="deadline"):
            while True:
                spin(100_000)
        assert trap_code(forever) is TrapCode.DEADLINE


def test_deadline_in_a_loop_of_host_calls(machine: Machine) -> None:
    machine.host(0, "i32 -> i32", lambda x: time.sleep(0.01) or 1)
    loop = machine.function("host_loop", "i32 i32 -> i32")
    with deadline(0.05):
        assert trap_code(loop, 100_000, 1) is TrapCode.DEADLINE


def test_deadline_in_a_loop_of_bulk_operations() -> None:
    machine = Machine(LOAD + SPIN + HOST + LOOP, pages=64, maximum=64)
    with deadline(0.02):
        bulk = machine.function("bulk_loop", "i32 i64 ->")
        assert trap_code(bulk, 0, 4_000_000) is TrapCode.DEADLINE


def test_deadline_set_inside_of_a_host_function(machine: Machine) -> None:
    def set_it(x: int) -> int:
        native().set_deadline(time.monotonic_ns() + 5_000_000)
        return 1

    machine.host(0, "i32 -> i32", set_it)
    try:
        loop = machine.function("host_loop", "i32 i32 -> i32")
        assert trap_code(loop, 1 << 30, 2_000_000_000) is TrapCode.DEADLINE
    finally:
        native().set_deadline(0)


def test_deadline_is_of_one_thread(machine: Machine) -> None:
    other = Machine(SPIN)
    spin = other.function("spin")
    expected = spin(50_000_000)
    with deadline(0.001):
        assert in_thread(spin, 50_000_000)() == expected


# -- stores ---------------------------------------------------------------------------------------


def test_one_thread_at_a_time_is_inside(machine: Machine) -> None:
    inside: list[int] = []
    most: list[int] = []

    def target(x: int) -> int:
        inside.append(x)
        most.append(len(inside))
        time.sleep(0.0005)
        inside.remove(x)
        return x

    machine.host(0, "i32 -> i32", target)
    host = machine.function("host")
    waits = [in_thread(lambda i=i: [host(100 * i + j) for j in range(20)]) for i in range(5)]
    for i, wait in enumerate(waits):
        assert wait() == [100 * i + j for j in range(20)]
    assert max(most) == 1
    assert machine.store.state.waiters == 0
    assert machine.store.state.depth == 0


def test_a_waiting_thread_leaves_the_gil_to_others(machine: Machine) -> None:
    entered, leave = threading.Event(), threading.Event()

    def target(x: int) -> int:
        entered.set()
        leave.wait()
        return x

    machine.host(0, "i32 -> i32", target)
    host, spin = machine.function("host"), machine.function("spin")
    first = in_thread(host, 1)
    entered.wait()
    second = in_thread(spin, 10)
    for _ in range(100):
        time.sleep(0.001)
    assert second.thread.is_alive()  # type: ignore[attr-defined]
    leave.set()
    assert first() == 1
    assert second() == spin(10)


def test_a_thread_may_enter_again(machine: Machine) -> None:
    spin, host = machine.function("spin"), machine.function("host")
    machine.host(0, "i32 -> i32", lambda x: spin(x))
    assert host(10) == spin(10)
    native().enter_store(machine.env)
    assert machine.store.state.depth == 1
    assert spin(10) == host(10)
    native().leave_store(machine.env)
    assert machine.store.state.depth == 0


def test_deadlock_across_stores_is_an_error() -> None:
    machines = [Machine(HOST + SPIN) for _ in range(2)]
    hosts = [m.function("host") for m in machines]
    both = threading.Barrier(2)
    for i, machine in enumerate(machines):
        other = hosts[1 - i]

        def target(x: int, other: Callable[..., Any] = other) -> int:
            if x == 0:
                both.wait()
                return int(other(1))
            return x

        machine.host(0, "i32 -> i32", target)
    outcomes: list[object] = []

    def work(host: Callable[..., Any]) -> None:
        try:
            outcomes.append(host(0))
        except RuntimeError as error:
            outcomes.append(str(error))

    waits = [in_thread(work, host) for host in hosts]
    for wait in waits:
        wait()
    assert outcomes[0] is not None
    assert any("deadlock" in str(outcome) for outcome in outcomes)
    # Whoever was refused has left, so the other one got in.
    assert sum("deadlock" in str(outcome) for outcome in outcomes) == 1
    for host in hosts:
        assert host(5) == 5


def test_deadline_holds_while_waiting(machine: Machine) -> None:
    entered, leave = threading.Event(), threading.Event()

    def target(x: int) -> int:
        entered.set()
        leave.wait()
        return x

    machine.host(0, "i32 -> i32", target)
    first = in_thread(machine.function("host"), 1)
    entered.wait()
    with deadline(0.05):
        code = trap_code(machine.function("spin"), 1)
    assert code is TrapCode.DEADLINE
    leave.set()
    first()


def test_forked_child_does_not_wait_for_threads_that_are_gone(machine: Machine) -> None:
    forever, spin = machine.function("spin"), machine.function("spin")
    expected = spin(100)
    wait = in_thread(forever, 1_500_000_000)
    time.sleep(0.05)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if spin(100) == expected else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    wait()


def test_fork_inside_of_a_host_function_goes_on_in_both(machine: Machine) -> None:
    pids: list[int] = []

    def target(x: int) -> int:
        if x == 5:
            pids.append(os.fork())
        return x

    machine.host(0, "i32 -> i32", target)
    loop = machine.function("host_loop", "i32 i32 -> i32")
    try:
        result = loop(20, 500_000)
    except BaseException:
        result = -1
    if pids[0] == 0:
        os._exit(0 if result == sum(range(20)) else 1)
    assert result == sum(range(20))
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0


def test_store_is_free_after_every_kind_of_end(machine: Machine) -> None:
    state = machine.store.state
    divide, host = (
        machine.function("divide"),
        machine.function("host"),
    )
    machine.host(0, "i32 -> i32", lambda x: int("x"))
    for function, arguments in (
        (divide, (6, 2)),
        (divide, (1, 0)),
        (host, (1,)),
        (divide, ("x", 1)),
    ):
        with suppress(Trap, ValueError, TypeError):
            function(*arguments)
        assert (state.owner, state.depth, state.waiters) == (None, 0, 0)


# -- many threads ---------------------------------------------------------------------------------


def test_mixed_work_on_many_threads() -> None:
    shared = Machine(LOAD + DIVIDE + HOST + SPIN + LOOP, opt=2)
    shared.host(0, "i32 -> i32", lambda x: x)
    expected = shared.function("spin")(10_000)
    stop = time.monotonic() + 2
    texts = LOAD + DIVIDE + HOST + SPIN + LOOP

    class Mine(Exception):
        pass

    def work(number: int) -> int:
        own = Machine(texts)
        error = Mine(number)

        def target(x: int) -> int:
            if x == 7:
                raise error
            if x == 3:
                return int(own.function("spin")(10_000))
            return x

        own.host(0, "i32 -> i32", target, ("fast", "ctypes")[number % 2])
        rounds = 0
        loop = own.function("host_loop", "i32 i32 -> i32")
        spin_then_load = own.function("spin_then_load", "i32 i32 -> i32")
        while rounds == 0 or time.monotonic() < stop:
            for machine in (own, shared):
                assert machine.function("spin")(10_000) == expected
                assert trap_code(machine.function("divide"), 1, 0) == 2
            assert trap_code(spin_then_load, 2_000_000, 1 << 30) == 5
            with pytest.raises(Mine) as caught:
                loop(20, 100_000)
            assert caught.value is error
            with deadline(0.002):
                assert trap_code(own.function("forever")) is TrapCode.DEADLINE
            rounds += 1
        return rounds

    with variable("jw_tick_ns", 700_000):
        waits = [in_thread(work, number) for number in range(6)]
        assert all(wait() > 0 for wait in waits)
    gc.collect()


# -- Ctrl-C and other signals ---------------------------------------------------------------------


def test_ctrl_c_stops_a_loop() -> None:
    done = run(
        """
        machine = Machine(SPIN + DIVIDE)
        forever, divide = machine.function("forever"), machine.function("divide")
        for _ in range(3):
            try:
                threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT)).start()
                forever()
            except KeyboardInterrupt:
                print("interrupted")
            assert divide(6, 3) == 2
        """
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n" * 3), done.stderr


def test_ctrl_c_stops_a_call_that_released_the_gil() -> None:
    done = run(
        """
        machine = Machine(SPIN + DIVIDE)
        forever = machine.function("forever", release_gil=True)
        short = machine.function("spin", release_gil=True)
        for _ in range(3):
            short(1)  # leaves its timer to the next call
            try:
                threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT)).start()
                forever()
            except KeyboardInterrupt:
                print("interrupted")
        """
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n" * 3), done.stderr


def test_ctrl_c_in_a_waiting_main_thread() -> None:
    done = run(
        """
        machine = Machine(SPIN)
        forever, spin = machine.function("forever"), machine.function("spin")
        threading.Thread(target=forever, daemon=True).start()
        time.sleep(0.1)
        threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            spin(1)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        os._exit(0)
        """
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_signal_handlers_run_while_wasm_runs() -> None:
    done = run(
        """
        machine, other = Machine(SPIN + DIVIDE), Machine(SPIN + DIVIDE)
        spin = machine.function("spin")
        divide = other.function("divide")
        expected = spin(500_000_000)
        seen = []
        def handler(number, frame):
            result = divide(8, 2)
            trap(divide, 1, 0)
            other.function("spin")(20_000_000)
            seen.append(result)
        signal.signal(signal.SIGUSR1, handler)
        def send():
            for count in range(4):
                os.kill(os.getpid(), signal.SIGUSR1)
                while len(seen) == count:  # another one would interrupt the handler
                    time.sleep(0.02)
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        results = []
        while thread.is_alive():
            results.append(spin(500_000_000) == expected)
        thread.join()
        assert all(results) and seen == [4] * 4, (results, seen)
        print("fine")
        """
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_signal_handler_cannot_enter_what_it_interrupted() -> None:
    # The handler is run between two instructions: the instance may be in the midst of anything.
    done = run(
        """
        machine = Machine(SPIN + DIVIDE)
        forever, divide = machine.function("forever"), machine.function("divide")
        signal.signal(signal.SIGUSR1, lambda number, frame: divide(1, 1))
        threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        try:
            forever()
        except RuntimeError as error:
            print(type(error).__name__, error)
        assert divide(6, 3) == 2
        assert machine.store.state.depth == 0
        """
    )
    assert done.returncode == 0, done.stderr
    message = "a signal handler cannot enter an instance that it has interrupted"
    assert done.stdout == f"RuntimeError {message}\n"


def test_asyncio_goes_on_beside_a_call() -> None:
    done = run(
        """
        import asyncio
        machine = Machine(SPIN)
        spin = machine.function("spin")
        async def main():
            turns = 0
            task = asyncio.create_task(asyncio.to_thread(spin, 400_000_000))
            while not task.done():
                await asyncio.sleep(0.001)
                turns += 1
            return turns
        turns = asyncio.run(main())
        assert turns > 10, turns
        print("fine")
        """
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_signature_helper_knows_all_types() -> None:
    assert str(signature("i32 f64 -> v128 funcref")) == "(i32, f64) -> (v128, funcref)"
