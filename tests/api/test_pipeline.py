"""Compile sessions: bytes in any cut, compilation while they arrive, errors, back-pressure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

import jitwasm
from jitwasm import CompileSession, Config
from jitwasm.backend import executors
from jitwasm.backend.units import MAX_BODY_BYTES
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


@pytest.mark.parametrize("config", [Config(), Config(tier="baseline"), Config(opt_level=0)])
def test_progress_ends_with_all_functions_whatever_the_tier(many: bytes, config: Config) -> None:
    config = replace(config, cache=False)
    pieces = [many[at : at + 4096] for at in range(0, len(many), 4096)]
    seen: list[tuple[int, int | None]] = []

    def source() -> Iterator[bytes]:
        for piece in pieces:
            seen.append((promise.progress.functions_compiled, promise.progress.functions_total))
            yield piece

    ready = threading.Event()

    def waiting() -> Iterator[bytes]:
        ready.wait(TIMEOUT)
        yield from source()

    promise = jitwasm.compile_streaming(waiting(), config)
    ready.set()
    promise.result(TIMEOUT)
    done = promise.progress
    assert (done.functions_compiled, done.functions_total) == (1000, 1000)
    assert [count for count, _ in seen] == sorted(count for count, _ in seen)
    assert seen[0] == (0, None) and seen[-1][1] == 1000


def test_a_slow_compiler_holds_the_source_back(
    many: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, compile_task = threading.Event(), executors.compile_task

    def stalled(*args: Any, **kwargs: Any) -> bytes:
        go_on.wait(TIMEOUT)
        return compile_task(*args, **kwargs)

    monkeypatch.setattr(executors, "compile_task", stalled)
    # Without the cache: what is found there need not be compiled.
    session = CompileSession(Config(tier="optimized", opt_level=0, threads=1, cache=False))

    def feed() -> None:
        for start in range(0, len(many), 100):
            session.feed(many[start : start + 100])

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    before, received = -1, 0
    while before != received:
        before = received
        thread.join(0.3)
        received = session.progress.bytes_received
    # What waits: the four units that one worker may have, and one that is being made.
    before_code = many.index(b"f999")
    assert before_code < received < before_code + 5 * MAX_BODY_BYTES[0] + 1000 < len(many) / 2
    go_on.set()
    thread.join(TIMEOUT)
    assert session.finish().objects


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


def test_modules_start_at_baseline_unless_a_level_is_chosen(add: bytes) -> None:
    by_default = jitwasm.Module(add).objects
    assert by_default == jitwasm.Module(add, Config(tier="baseline")).objects
    levels = [jitwasm.Module(add, Config(opt_level=level)).objects for level in (0, 2)]
    assert levels[1] == jitwasm.Module(add, Config(tier="optimized")).objects
    assert by_default != levels[0] != levels[1] != by_default


def test_ir_is_verified_on_demand(add: bytes) -> None:
    jitwasm.Module(add, Config(verify_ir=True))


def test_many_sessions_at_once(many: bytes, add: bytes) -> None:
    promises = [jitwasm.compile(add) for _ in range(20)] + [
        jitwasm.compile(many, Config(opt_level=0))
    ]
    for promise in promises:
        promise.result(TIMEOUT)
