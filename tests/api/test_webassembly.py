"""validate, compile, instantiate, their streaming forms, and the JavaScript namespace."""

from __future__ import annotations

import array
import asyncio
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

import jitwasm
from jitwasm import WebAssembly
from tests.support.ids import stable_repr
from tests.support.wat import wat

TIMEOUT = 60
EMPTY = b"\0asm\1\0\0\0"

WITH_IMPORT = wat(
    '(module (import "env" "log" (func $log (param i32)))'
    ' (func (export "run") (call $log (i32.const 7))))'
)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it does not happen")


# validate


def test_validate(add: bytes, broken: bytes) -> None:
    assert jitwasm.validate(add) is True
    assert jitwasm.validate(broken) is False
    assert jitwasm.validate(b"") is False
    assert jitwasm.validate(EMPTY) is True
    assert jitwasm.validate(add[:-1]) is False


@pytest.mark.parametrize("make", [bytearray, memoryview, lambda data: array.array("Q", data)])
def test_validate_takes_any_buffer(make: Callable[[bytes], Any]) -> None:
    assert jitwasm.validate(make(EMPTY))


@pytest.mark.parametrize("wrong", ["", 5, None, [0, 97, 115, 109], object()], ids=stable_repr)
def test_validate_refuses_what_is_no_buffer(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"validate\(\)"):
        jitwasm.validate(wrong)


def test_validate_knows_the_features() -> None:
    simd = wat("(module (func (result v128) v128.const i64x2 0 0))")
    assert jitwasm.validate(simd)
    features = jitwasm.Features(simd=False, relaxed_simd=False)
    assert not jitwasm.validate(simd, jitwasm.Config(features=features))


# compile


def test_compile(add: bytes) -> None:
    assert isinstance(jitwasm.compile(add).result(TIMEOUT), jitwasm.Module)


@pytest.mark.parametrize("start", [jitwasm.compile, jitwasm.instantiate])
@pytest.mark.parametrize("wrong", ["", 5, None, [0, 97, 115, 109], iter([EMPTY])], ids=stable_repr)
def test_what_is_no_buffer_is_refused_through_the_promise(start: Any, wrong: Any) -> None:
    promise = start(wrong)
    with pytest.raises(TypeError, match=start.__name__):
        promise.result(TIMEOUT)


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0asm", b"\0asm\2\0\0\0", b"not wasm"], ids=stable_repr
)
def test_bad_bytes_fail_the_promise(data: bytes) -> None:
    for start in (
        jitwasm.compile,
        jitwasm.instantiate,
        jitwasm.compile_streaming,
        jitwasm.instantiate_streaming,
    ):
        with pytest.raises(jitwasm.CompileError):
            start(data).result(TIMEOUT)


# instantiate


def test_instantiate_of_bytes_gives_module_and_instance(add: bytes) -> None:
    result = jitwasm.instantiate(add).result(TIMEOUT)
    module, instance = result
    assert result.module is module and result.instance is instance
    assert result._fields == ("module", "instance")
    assert isinstance(result, jitwasm.ResultObject)
    assert instance.exports.add(2, 3) == 5


def test_instantiate_of_a_module_gives_an_instance(add: bytes) -> None:
    instance = jitwasm.instantiate(jitwasm.Module(add)).result(TIMEOUT)
    assert isinstance(instance, jitwasm.Instance)


def test_imports_of_a_module_are_read_at_the_call() -> None:
    imports: dict[str, Any] = {"env": {"log": print}}
    promise = jitwasm.instantiate(jitwasm.Module(WITH_IMPORT), imports)
    imports.clear()
    promise.result(TIMEOUT)


def test_imports_with_bytes_are_read_after_the_compilation() -> None:
    reads: list[str] = []

    class Imports:
        def __getattr__(self, name: str) -> Any:
            reads.append(threading.current_thread().name)
            return {"log": print}

    jitwasm.instantiate(WITH_IMPORT, Imports()).result(TIMEOUT)
    assert reads == ["jitwasm-promise"]


@pytest.mark.parametrize("imports", [5, "", True, b"x", [1]], ids=stable_repr)
def test_imports_of_the_wrong_kind(add: bytes, imports: Any) -> None:
    for promise in (
        jitwasm.instantiate(add, imports),
        jitwasm.instantiate(jitwasm.Module(add), imports),
        jitwasm.instantiate_streaming(add, imports),
    ):
        with pytest.raises(TypeError, match="imports"):
            promise.result(TIMEOUT)


@pytest.mark.parametrize("imports", [None, {}, {"env": {}}, {"env": {"log": 5}}], ids=stable_repr)
def test_imports_that_are_missing_or_do_not_match(imports: Any) -> None:
    for promise in (
        jitwasm.instantiate(WITH_IMPORT, imports),
        jitwasm.instantiate(jitwasm.Module(WITH_IMPORT), imports),
        jitwasm.instantiate_streaming(WITH_IMPORT, imports),
    ):
        with pytest.raises(jitwasm.LinkError, match="'env' 'log'"):
            promise.result(TIMEOUT)


def test_a_trap_of_the_start_function_fails_the_promise() -> None:
    data = wat("(module (start $f) (func $f unreachable))")
    for promise in (
        jitwasm.instantiate(data),
        jitwasm.instantiate(jitwasm.Module(data)),
        jitwasm.instantiate_streaming([data]),
    ):
        with pytest.raises(jitwasm.Trap, match="unreachable"):
            promise.result(TIMEOUT)


def test_an_exception_of_the_start_function_is_the_same_object() -> None:
    error = KeyError("mine")

    def log(value: int) -> None:
        raise error

    data = wat(
        '(module (import "env" "log" (func $log (param i32))) (start $f)'
        " (func $f (call $log (i32.const 7))))"
    )
    imports = {"env": {"log": log}}
    assert jitwasm.instantiate(data, imports).exception(TIMEOUT) is error
    assert jitwasm.instantiate_streaming([data], imports).exception(TIMEOUT) is error


def test_imports_can_be_left_out(add: bytes) -> None:
    async def main() -> int:
        result = await jitwasm.instantiate_streaming(iter([add]))
        return result.instance.exports.add(1, 1)

    assert asyncio.run(main()) == 2


def test_a_host_function_sees_the_callers_context() -> None:
    variable = ContextVar("variable", default=0)
    variable.set(3)
    seen: list[int] = []
    data = wat('(module (import "env" "f" (func $f)) (start $f))')
    jitwasm.instantiate(data, {"env": {"f": lambda: seen.append(variable.get())}}).result(TIMEOUT)
    assert seen == [3]


def test_a_settled_promise_keeps_neither_source_nor_imports(add: bytes) -> None:
    class Source:
        def __iter__(self) -> Iterator[bytes]:
            yield add

    def imported() -> None:
        pass

    source = Source()
    references = [weakref.ref(source), weakref.ref(imported)]
    promise = jitwasm.instantiate_streaming(source, {"env": {"f": imported}})
    del source, imported
    promise.result(TIMEOUT)
    wait_for(lambda: not any(t.name == "jitwasm-promise" for t in threading.enumerate()))
    assert [reference() for reference in references] == [None, None]
    assert promise.progress.bytes_received == len(add)


# cancelling


def test_cancelling_stops_the_source(add: bytes) -> None:
    entered, release, closed = threading.Event(), threading.Event(), threading.Event()

    def source() -> Iterator[bytes]:
        try:
            yield add[:10]
            entered.set()
            release.wait(TIMEOUT)
            yield add[10:]
        finally:
            closed.set()

    promise = jitwasm.compile_streaming(source())
    assert entered.wait(TIMEOUT)
    assert promise.cancel()
    release.set()
    assert closed.wait(TIMEOUT)
    assert promise.cancelled()


def test_cancelling_an_async_source(add: bytes) -> None:
    closed = threading.Event()

    async def source() -> Any:
        try:
            yield add[:10]
            await asyncio.sleep(3600)
        finally:
            closed.set()

    async def main() -> None:
        promise = jitwasm.compile_streaming(source())
        while promise.progress.bytes_received < 10:
            await asyncio.sleep(0.001)
        promise.cancel()
        while not closed.is_set():
            await asyncio.sleep(0.001)

    asyncio.run(main())
    closed.clear()
    promise = jitwasm.compile_streaming(source())
    while promise.progress.bytes_received < 10:
        threading.Event().wait(0.001)
    promise.cancel()
    assert closed.wait(TIMEOUT)


def test_an_abandoned_promise_does_not_keep_the_program_alive() -> None:
    program = (
        "import jitwasm, threading\n"
        "def source():\n"
        "    yield b'\\0asm'\n"
        "    threading.Event().wait()\n"
        "jitwasm.compile_streaming(source())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], timeout=TIMEOUT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


# asyncio itself may complain of the source's generator, whose loop is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_ends_takes_its_promises_along(add: bytes) -> None:
    async def source() -> Any:
        yield add[:10]
        await asyncio.sleep(3600)

    async def main() -> Any:
        promise = jitwasm.compile_streaming(source())
        while promise.progress.bytes_received < 10:
            await asyncio.sleep(0.001)
        return promise

    promise = asyncio.run(main())
    wait_for(promise.cancelled)


# audit


@pytest.fixture
def audited() -> Iterator[Callable[[str], None]]:
    """Forbids an event for the time of a test (hooks cannot be removed)."""
    forbidden: set[str] = set()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in forbidden:
            raise PermissionError(f"{event} {type(arguments[0]).__name__}")

    sys.addaudithook(hook)
    yield forbidden.add
    forbidden.clear()


def test_a_policy_can_forbid_compilation(add: bytes, audited: Callable[[str], None]) -> None:
    audited("jitwasm.compile")
    with pytest.raises(PermissionError, match="bytes"):
        jitwasm.Module(add)
    for start in (
        jitwasm.compile,
        jitwasm.instantiate,
        jitwasm.compile_streaming,
        jitwasm.instantiate_streaming,
    ):
        with pytest.raises(PermissionError, match="bytes"):
            start(add).result(TIMEOUT)


def test_a_policy_can_forbid_instantiation(add: bytes, audited: Callable[[str], None]) -> None:
    module = jitwasm.Module(add)
    audited("jitwasm.instantiate")
    with pytest.raises(PermissionError, match="Module"):
        jitwasm.Instance(module)
    with pytest.raises(PermissionError, match="Module"):
        jitwasm.instantiate_streaming([add]).result(TIMEOUT)


# The JavaScript namespace


def test_the_names_of_the_javascript_api() -> None:
    assert WebAssembly.Module is jitwasm.Module
    assert WebAssembly.Instance is jitwasm.Instance
    assert WebAssembly.Memory is jitwasm.Memory
    assert WebAssembly.Table is jitwasm.Table
    assert WebAssembly.Global is jitwasm.Global
    assert WebAssembly.Tag is jitwasm.Tag
    assert WebAssembly.CompileError is jitwasm.CompileError
    assert WebAssembly.LinkError is jitwasm.LinkError
    assert WebAssembly.RuntimeError is jitwasm.Trap is jitwasm.RuntimeError
    assert WebAssembly.validate is jitwasm.validate
    assert WebAssembly.compile is jitwasm.compile
    assert WebAssembly.instantiate is jitwasm.instantiate
    assert WebAssembly.compileStreaming is jitwasm.compile_streaming
    assert WebAssembly.instantiateStreaming is jitwasm.instantiate_streaming


def test_mdns_first_example(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "simple.wasm").write_bytes(
        wat(
            '(module (import "my_namespace" "imported_func" (func $i (param i32)))'
            ' (func (export "exported_func") i32.const 42 call $i))'
        )
    )
    monkeypatch.chdir(tmp_path)
    seen: list[int] = []
    import_object = {"my_namespace": {"imported_func": seen.append}}

    async def main() -> None:
        fetch = jitwasm.fetch
        result = await WebAssembly.instantiateStreaming(fetch("simple.wasm"), import_object)
        result.instance.exports.exported_func()

    asyncio.run(main())
    assert seen == [42]
