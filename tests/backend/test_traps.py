"""Traps: every kind, everywhere, and that everything works afterwards."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jitwasm.backend.native import native
from jitwasm.errors import StackOverflow, Trap
from jitwasm.trapcodes import TrapCode
from tests.backend.machine import DIVIDE, HOST, LOAD, PAGE, RECURSE, Machine, entries, trap_code

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True, params=["generic", "thunk"], scope="module")
def ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways in and out."""
    with entries(request.param):
        yield


MANY = """
define void @trap(ptr %vm, i32 %code) {
  call void @jw_trap(i32 %code)
  unreachable
}
define i32 @idiv(ptr %vm, i32 %a, i32 %b) {
  %r = call i32 asm sideeffect "cltd; idivl $2", "={ax},{ax},r,~{dx},~{flags}"(i32 %a, i32 %b)
  ret i32 %r
}
define void @ud2(ptr %vm) {
  call void asm sideeffect "ud2", ""()
  ret void
}
define i32 @outer(ptr %vm, i32 %a) {
  %b = add i32 %a, 0
  %r = call i32 @middle(ptr %vm, i32 %b)
  %s = add i32 %r, 1
  ret i32 %s
}
define i32 @middle(ptr %vm, i32 %a) {
  %big = alloca [300 x i64], align 64
  %p = getelementptr [300 x i64], ptr %big, i64 0, i64 7
  store volatile i64 1, ptr %p
  %r = call i32 @load(ptr %vm, i32 %a)
  %v = load volatile i64, ptr %p
  %w = trunc i64 %v to i32
  %s = mul i32 %r, %w
  ret i32 %s
}
define void @deep_fill(ptr %vm, i32 %n, i64 %dst, i64 %length) {
  %last = icmp eq i32 %n, 0
  br i1 %last, label %end, label %deeper
deeper:
  %less = sub i32 %n, 1
  call void @deep_fill(ptr %vm, i32 %less, i64 %dst, i64 %length)
  call void asm sideeffect "", "~{memory}"()
  ret void
end:
  %record.p = getelementptr i8, ptr %vm, i64 24
  %record = load ptr, ptr %record.p
  call void @jw_memory_fill(ptr %record, i64 %dst, i32 1, i64 %length)
  call void asm sideeffect "", "~{memory}"()
  ret void
}
define void @fill_loop(ptr %vm, i32 %n) {
entry:
  %base.p = getelementptr i8, ptr %vm, i64 16
  %base = load ptr, ptr %base.p
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  %at = zext i32 %i to i64
  %p = getelementptr i8, ptr %base, i64 %at
  store i8 7, ptr %p, align 1
  %next = add i32 %i, 1
  %more = icmp ult i32 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret void
}
define i32 @deep_host(ptr %vm, i32 %n) {
  %last = icmp eq i32 %n, 0
  br i1 %last, label %end, label %deeper
deeper:
  %less = sub i32 %n, 1
  %r = call i32 @deep_host(ptr %vm, i32 %less)
  call void asm sideeffect "", "~{memory}"()
  ret i32 %r
end:
  %h = call_import 0 i32 (i32 %n)
  ret i32 %h
}
"""


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(LOAD + DIVIDE + RECURSE + HOST + MANY, opt=2)


def trap_of(function: Callable[..., Any], *arguments: object) -> Trap:
    with pytest.raises(Trap) as caught:
        function(*arguments)
    return caught.value


@pytest.mark.parametrize("code", list(TrapCode))
def test_every_code_has_its_message(machine: Machine, code: TrapCode) -> None:
    trap = trap_of(machine.function("trap", "i32 ->"), int(code))
    assert trap.code is code
    assert trap.message == code.message
    assert isinstance(trap, RuntimeError)
    assert isinstance(trap, StackOverflow) == (code is TrapCode.STACK_OVERFLOW)


@pytest.mark.parametrize("code", list(TrapCode))
def test_traps_are_like_those_made_in_python(machine: Machine, code: TrapCode) -> None:
    """Native code makes them without calling the class."""
    trap = machine.function("trap", "i32 ->")
    try:
        raise LookupError
    except LookupError as around:
        found = trap_of(trap, int(code))
        assert found.__context__ is around
    made = type(found)(code)
    assert type(found) is (StackOverflow if code is TrapCode.STACK_OVERFLOW else Trap)
    assert (found.args, found.message, repr(found)) == (made.args, made.message, repr(made))
    assert found.code is made.code is code
    assert made.frames == () and len(found.frames) == 1
    assert str(found).splitlines()[0] == str(made) == code.message
    assert gc.is_tracked(found) and found.__cause__ is None and found.__traceback__ is not None
    found.note = "x"  # type: ignore[attr-defined]
    for other in (pickle.loads(pickle.dumps(found)), copy.copy(found)):
        assert type(other) is type(found)
        assert (other.code, other.args, other.frames) == (code, found.args, found.frames)


@pytest.mark.parametrize("address", [PAGE, PAGE - 3, 1 << 20, 0xFFFFFFFF])
def test_load_out_of_bounds(machine: Machine, address: int) -> None:
    load = machine.function("load")
    trap = trap_of(load, address)
    assert trap.code is TrapCode.OUT_OF_BOUNDS_MEMORY
    assert load(PAGE - 4) == 0


def test_hardware_exceptions_in_wasm_code(machine: Machine) -> None:
    idiv = machine.function("idiv", "i32 i32 -> i32")
    assert trap_of(idiv, 1, 0).code is TrapCode.INTEGER_DIVIDE_BY_ZERO
    assert idiv(7, 2) == 3
    assert trap_of(machine.function("ud2", "->")).code is TrapCode.UNREACHABLE


def test_stack_overflow(machine: Machine) -> None:
    recurse = machine.function("recurse")
    for _ in range(3):
        trap = trap_of(recurse, -1)
        assert trap.code is TrapCode.STACK_OVERFLOW
        assert isinstance(trap, RecursionError)
        assert recurse(1000) == 1000


def test_a_fault_in_a_loop_that_became_a_call_is_a_trap(machine: Machine) -> None:
    # LLVM makes a memset of it, which must fault in the arena.
    fill = machine.function("fill_loop", "i32 ->")
    fill(PAGE)
    assert trap_of(fill, PAGE + 1).code is TrapCode.OUT_OF_BOUNDS_MEMORY
    assert bytes(machine.memory.view(0, PAGE)) == b"\7" * PAGE
    machine.memory.view(0, PAGE)[:] = bytes(PAGE)


def deepest(function: Callable[[int], object]) -> int:
    """The largest argument with which it does not overflow the stack."""
    low, high = 100, 10_000_000
    while high - low > 1:
        middle = (low + high) // 2
        if trap_code(function, middle) is None:
            low = middle
        else:
            high = middle
    return low


def test_stack_overflow_in_runtime_code(machine: Machine) -> None:
    fill = machine.function("deep_fill", "i32 i64 i64 ->")
    # Wherever the end of the stack is met, in wasm code, in the helper, in libc: it is a trap.
    low = deepest(lambda depth: fill(depth, 0, 10))
    for depth in range(low - 60, low + 20):
        for length in (10, 100_000):
            # 100 000 bytes are out of bounds.
            assert trap_code(fill, depth, 0, length) in (
                None if length == 10 else TrapCode.OUT_OF_BOUNDS_MEMORY,
                TrapCode.STACK_OVERFLOW,
            )
    fill(5, 0, 10)
    machine.memory.view(0, PAGE)[:] = bytes(PAGE)


@pytest.mark.parametrize("calls", ["fast", "ctypes"])
def test_no_host_function_is_called_near_the_end_of_the_stack(machine: Machine, calls: str) -> None:
    called: list[int] = []
    machine.host(0, "i32 -> i32", lambda x: called.append(x) or 5, calls)
    deep = machine.function("deep_host", "i32 -> i32")
    assert deep(100) == 5
    low = deepest(deep)
    del called[:]
    for depth in (low + 2000, low + 4000, low + 6000):
        assert trap_of(deep, depth).code is TrapCode.STACK_OVERFLOW
    assert not called
    assert deep(3) == 5


def test_frames_name_the_functions(machine: Machine) -> None:
    trap = trap_of(machine.function("outer", "i32 -> i32"), 1 << 20)
    assert [frame.name for frame in trap.frames] == ["load", "middle", "outer"]
    assert all(frame.module == "test" for frame in trap.frames)
    assert all(frame.code_offset > 0 for frame in trap.frames[1:])
    assert str(trap).splitlines()[0] == "out of bounds memory access"
    assert "test.middle (wasm-function[" in str(trap)
    trap = trap_of(machine.function("divide"), 1, 0)
    assert [frame.name for frame in trap.frames] == ["divide"]


def test_frames_of_a_deep_recursion_are_bounded(machine: Machine) -> None:
    trap = trap_of(machine.function("recurse"), -1)
    assert 10 <= len(trap.frames) <= 100
    assert {frame.name for frame in trap.frames} == {"recurse"}


def test_frames_lead_through_the_runtimes_helpers(machine: Machine) -> None:
    trap = trap_of(machine.function("deep_fill", "i32 i64 i64 ->"), 3, PAGE, 1)
    assert trap.code is TrapCode.OUT_OF_BOUNDS_MEMORY
    assert [frame.name for frame in trap.frames] == ["deep_fill"] * 4


def test_frames_outlive_the_code() -> None:
    machine = Machine(LOAD)
    trap = trap_of(machine.function("load"), 1 << 20)
    del machine
    gc.collect()
    other = Machine(LOAD.replace("@load", "@other"))
    assert [frame.name for frame in trap.frames] == ["load"]
    assert pickle.loads(pickle.dumps(trap)).frames == trap.frames
    assert other.function("other", "i32 -> i32")(0) == 0


def test_each_trap_has_its_own_frames(machine: Machine) -> None:
    load = machine.function("load")
    first = trap_of(load, 1 << 20)
    second = trap_of(machine.function("outer", "i32 -> i32"), 1 << 20)
    third = trap_of(load, 1 << 20)
    assert [len(trap.frames) for trap in (first, second, third)] == [1, 3, 1]


def test_traceback_shows_python_frames_only(machine: Machine) -> None:
    trap = trap_of(machine.function("divide"), 1, 0)
    names = [frame.name for frame in traceback.extract_tb(trap.__traceback__)]
    assert names == ["trap_of"]
    assert trap.__context__ is None


def test_thousands_of_traps_leave_nothing(machine: Machine) -> None:
    load, divide = (
        machine.function("load"),
        machine.function("divide"),
    )
    for _ in range(3000):
        for function, arguments in ((load, (1 << 20,)), (divide, (1, 0))):
            assert trap_code(function, *arguments)
    assert machine.store.state.depth == 0
    assert machine.store.state.owner is None
    assert divide(6, 3) == 2


def test_traps_on_several_threads(machine: Machine) -> None:
    counts: list[int] = []
    texts = LOAD + DIVIDE + RECURSE
    machines = [Machine(texts) for _ in range(4)]

    def work(own: Machine) -> None:
        load = own.function("load")
        divide = own.function("divide")
        recurse = own.function("recurse")
        count = 0
        for _ in range(200):
            for function, arguments in ((load, (1 << 20,)), (divide, (1, 0)), (recurse, (-1,))):
                count += trap_code(function, *arguments) is not None
            assert divide(9, 3) == 3
        counts.append(count)

    threads = [threading.Thread(target=work, args=(own,)) for own in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [600] * 4


def test_stack_overflow_on_threads_with_small_stacks(machine: Machine) -> None:
    results: list[object] = []

    def work() -> None:
        try:
            machine.function("recurse")(-1)
        except Trap as trap:
            results.append(trap.code)

    size = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(size)
    thread.join()
    assert results == [TrapCode.STACK_OVERFLOW]


def test_many_short_threads(machine: Machine) -> None:
    divide = machine.function("divide")
    failures: list[object] = []

    def work() -> None:
        try:
            divide(1, 0)
            failures.append("no trap")
        except Trap:
            pass

    def mappings() -> int:
        return len(Path("/proc/self/maps").read_text().splitlines())

    for round_ in range(2):
        for _ in range(100):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        if round_ == 0:
            before = mappings()
    assert not failures
    assert mappings() < before + 30


def test_traps_in_a_forked_child(machine: Machine) -> None:
    load, recurse = (
        machine.function("load"),
        machine.function("recurse"),
    )
    trap_of(load, 1 << 20)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            trap_of(load, 1 << 20)
            trap_of(recurse, -1)
            status = 0 if load(0) == 0 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    trap_of(load, 1 << 20)


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    prelude = """
    import faulthandler, os, signal, sys, threading, time
    from tests.backend.machine import *
    from jitwasm.errors import Trap
    def make():
        machine = Machine(LOAD + DIVIDE + RECURSE + HOST)
        return machine, machine.function("load"), machine.function("divide")
    def trap(function, *arguments):
        try:
            function(*arguments)
        except Trap as trap:
            return trap
        raise AssertionError("no trap")
    """
    text = textwrap.dedent(prelude) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, *options, "-c", text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


def test_faulthandler_enabled_before() -> None:
    done = run(
        """
        machine, load, divide = make()
        for _ in range(100):
            trap(load, 1 << 20)
        assert divide(4, 2) == 2
        print("fine")
        """,
        "-X",
        "faulthandler",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_faulthandler_enabled_after_a_pause_or_a_load() -> None:
    done = run(
        """
        machine, load, divide = make()
        trap(load, 1 << 20)
        faulthandler.enable()
        other = make()
        trap(load, 1 << 20)
        faulthandler.disable()
        trap(load, 1 << 20)
        faulthandler.enable()
        time.sleep(0.2)
        for _ in range(3):
            trap(load, 1 << 20)
        print("fine")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_faulthandler_enabled_just_before_a_trap_reports_but_does_not_kill() -> None:
    done = run(
        """
        machine, load, divide = make()
        trap(load, 1 << 20)
        faulthandler.enable()
        trap(load, 1 << 20)
        trap(load, 1 << 20)
        print("fine")
        """
    )
    assert (done.returncode, done.stdout) == (0, "fine\n")


@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_true_crashes_are_reported_and_kill(when: str) -> None:
    done = run(
        f"""
        if {when == "before"}:
            faulthandler.enable()
        machine, load, divide = make()
        trap(load, 1 << 20)
        if {when == "after"}:
            faulthandler.enable()
            other = make()
            trap(load, 1 << 20)
        import ctypes
        ctypes.string_at(8)
        """
    )
    assert done.returncode == -11
    assert ("Segmentation fault" in done.stderr) == (when != "never")


@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_true_crash_inside_a_host_function_kills(when: str) -> None:
    done = run(
        f"""
        import ctypes
        if {when == "before"}:
            faulthandler.enable()
        machine, load, divide = make()
        if {when == "after"}:
            faulthandler.enable()
            other = make()
        machine.host(0, "i32 -> i32", lambda x: len(ctypes.string_at(8)))
        machine.function("host")(1)
        """
    )
    assert done.returncode == -11
    assert ("Segmentation fault" in done.stderr) == (when != "never")


@pytest.mark.parametrize("faulthandler", [False, True])
def test_a_signal_that_was_sent_kills(faulthandler: bool) -> None:
    for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL"):
        done = run(
            f"""
            machine, load, divide = make()
            if {faulthandler}:
                faulthandler.enable()
                other = make()
            os.kill(os.getpid(), signal.{name})
            time.sleep(5)
            """
        )
        assert done.returncode < 0


def test_handlers_of_others_get_what_is_not_ours() -> None:
    done = run(
        """
        import ctypes
        seen = []
        signal.signal(signal.SIGFPE, lambda number, frame: seen.append(number))
        machine, load, divide = make()
        trap(load, 1 << 20)
        os.kill(os.getpid(), signal.SIGFPE)
        assert seen == [signal.SIGFPE], seen
        signal.signal(signal.SIGURG, lambda number, frame: seen.append(number))
        other = make()
        del seen[:]  # ticks that came before ours was on top again
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGURG)
        assert seen == [signal.SIGURG], seen
        print("fine")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_daemon_threads_in_wasm_code_do_not_disturb_the_exit() -> None:
    done = run(
        """
        import atexit
        machines = [Machine(SPIN + LOAD) for _ in range(3)]
        for own in machines:
            threading.Thread(target=own.function("forever"), daemon=True).start()
        time.sleep(0.1)
        class Slow:
            def __del__(self):
                time.sleep(0.01)
        keep = Slow()
        print("fine")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_entry_near_the_end_of_the_stack_is_refused() -> None:
    # 3.12 and later have a limit of their own, which is met first.
    done = run(
        """
        machine, load, divide = make()
        host = machine.function("host")
        machine.host(0, "i32 -> i32", lambda x: host(x + 1))
        sys.setrecursionlimit(10**6)
        try:
            host(0)
        except RecursionError as error:
            print(type(error).__mro__[-3 if type(error) is RecursionError else 0].__name__)
        assert divide(6, 2) == 3
        print("fine")
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("fine\n")


def test_runtime_is_made_once() -> None:
    assert native() is native()
