"""Compile sessions: bytes in any cut, compilation while they arrive, errors, back-pressure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from typing import Any

import pytest

import jitwasm
from jitwasm import CompileSession, Config
from jitwasm.pipeline import FEED_BYTES
from tests.support.wat import wat

TIMEOUT = 60


@pytest.fixture(scope="module")
def many() -> bytes:
    """A module of a thousand functions, `f<i>(x) = x * i + sum of things`."""
    body = " ".join(f"(i32.add (i32.const {k * 77777}) (i32.xor (local.get 0)" for k in range(12))
    close = "(local.get 0)" + "))" * 12
    functions = [
        f'(func (export "f{i}") (param i32) (result i32)'
        f" (i32.add (i32.mul (local.get 0) (i32.const {i})) {body} {close}))"
        for i in range(1000)
    ]
    return wat("(module " + "\n".join(functions) + ")")


def session_of(data: bytes, cut: int, **options: Any) -> CompileSession:
    session = CompileSession(**options)
    for start in range(0, len(data), cut):
        session.feed(data[start : start + cut])
    return session


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1 << 20])
def test_any_cut_gives_the_same_objects(add: bytes, cut: int) -> None:
    whole = jitwasm.Module(add)
    module = session_of(add, cut).finish()
    assert module.objects == whole.objects
    assert jitwasm.Instance(module).exports.add(1, 2) == 3


def test_units_do_not_depend_on_how_the_bytes_arrive(many: bytes) -> None:
    config = Config(opt_level=0)
    first = session_of(many, 1000, config=config).finish()
    second = session_of(many, 1 << 20, config=config).finish()
    assert len(first.objects) > 3
    assert first.objects == second.objects


def test_functions_are_compiled_while_the_last_bytes_are_missing(many: bytes) -> None:
    seen: list[jitwasm.Progress] = []

    def source() -> Iterator[bytes]:
        yield many[: len(many) // 2]
        for _ in range(6000):
            progress = promise.progress
            if progress.functions_compiled > 100:
                break
            threading.Event().wait(0.01)
        seen.append(promise.progress)
        yield many[len(many) // 2 :]

    ready = threading.Event()

    def waiting() -> Iterator[bytes]:
        ready.wait(TIMEOUT)
        yield from source()

    promise = jitwasm.compile_streaming(waiting(), Config(opt_level=0))
    ready.set()
    module = promise.result(TIMEOUT)
    assert seen[0].functions_compiled > 100
    assert seen[0].bytes_received < len(many)
    assert seen[0].functions_total == 1000
    assert promise.progress.functions_compiled == 1000
    assert promise.progress.functions_translated == 1000
    assert promise.progress.bytes_received == len(many)
    assert jitwasm.Instance(module).exports.f999(0) == jitwasm.Instance(module).exports.f0(0)


class Stopped(Executor):
    """An executor that compiles nothing until it is told to."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Future, Any, Any]] = []
        self.arrived = threading.Semaphore(0)
        self.open = False

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        if self.open:
            future.set_result(fn(*args, **kwargs))
        else:
            self.tasks.append((future, fn, args))
            self.arrived.release()
        return future

    def release(self) -> None:
        self.open = True
        while self.tasks:
            future, fn, args = self.tasks.pop()
            if future.set_running_or_notify_cancel():
                future.set_result(fn(*args))


def test_a_slow_compiler_holds_the_source_back(many: bytes) -> None:
    executor = Stopped()
    session = CompileSession(Config(opt_level=0, threads=1), executor)
    taken: list[int] = []

    def feed() -> None:
        for start in range(0, len(many), 100):
            session.feed(many[start : start + 100])
            taken.append(start)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    for _ in range(4):
        assert executor.arrived.acquire(timeout=TIMEOUT)
    assert not executor.arrived.acquire(timeout=0.2)
    assert session.progress.bytes_received < len(many) / 2
    executor.release()
    thread.join(TIMEOUT)
    assert len(session.finish().objects) > 4


def test_units_can_be_compiled_in_other_processes(many: bytes) -> None:
    config = Config(opt_level=0)
    with ProcessPoolExecutor(1) as executor:
        module = session_of(many, FEED_BYTES, config=config, executor=executor).finish()
    assert module.objects == jitwasm.Module(many, config).objects


def test_errors_have_offset_function_and_name() -> None:
    data = bytearray(wat('(module (func $one) (func (export "two") (result i32) i32.const 0))'))
    position = data.index(b"\x41\x00\x0b")
    data[position] = 0x42  # i64.const
    with pytest.raises(jitwasm.InvalidError) as caught:
        jitwasm.Module(data)
    assert caught.value.funcidx == 1
    assert caught.value.name == "two"
    assert caught.value.offset is not None and position <= caught.value.offset < len(data)
    assert "function 1 (two)" in str(caught.value)


def test_an_error_ends_the_session(broken: bytes) -> None:
    session = CompileSession()
    with pytest.raises(jitwasm.InvalidError):
        session.feed(broken)
    with pytest.raises(CancelledError):
        session.finish()


def test_cancelling_a_session(many: bytes) -> None:
    session = CompileSession(Config(opt_level=0))
    session.feed(many[:-1000])
    session.cancel()
    with pytest.raises(CancelledError):
        session.feed(many[-1000:])
    with pytest.raises(CancelledError):
        session.finish()


def test_truncation_at_every_byte_is_an_error(add: bytes) -> None:
    complete = {8, 17}  # only a header; with the type section, and nothing that would need more
    for end in set(range(len(add))) - complete:
        with pytest.raises(jitwasm.CompileError):
            jitwasm.Module(add[:end])
    for end in complete:
        jitwasm.Module(add[:end])


def test_a_module_without_code(add: bytes) -> None:
    module = jitwasm.Module(b"\0asm\1\0\0\0")
    assert module.objects == ()
    assert len(jitwasm.Instance(module).exports) == 0


def test_small_modules_are_optimised_unless_told_otherwise(add: bytes) -> None:
    by_default = jitwasm.Module(add).objects
    assert by_default == jitwasm.Module(add, Config(opt_level=2)).objects
    assert by_default != jitwasm.Module(add, Config(opt_level=0)).objects


def test_ir_is_verified_on_demand(add: bytes) -> None:
    jitwasm.Module(add, Config(verify_ir=True))


def test_many_sessions_at_once(many: bytes, add: bytes) -> None:
    promises = [jitwasm.compile(add) for _ in range(20)] + [
        jitwasm.compile(many, Config(opt_level=0))
    ]
    for promise in promises:
        promise.result(TIMEOUT)
