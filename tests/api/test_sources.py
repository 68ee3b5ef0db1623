"""What compile_streaming takes, and what it refuses."""

from __future__ import annotations

import array
import asyncio
import concurrent.futures
import io
import mmap
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jitwasm
from tests.support.ids import stable_repr

TIMEOUT = 60


def pieces(data: bytes, size: int = 7) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def generator(data: bytes) -> Iterator[bytes]:
    yield from pieces(data)


async def async_generator(data: bytes) -> AsyncIterator[bytes]:
    for piece in pieces(data):
        await asyncio.sleep(0)
        yield piece


async def coroutine(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def future(value: Any) -> concurrent.futures.Future:
    made: concurrent.futures.Future = concurrent.futures.Future()
    threading.Timer(0.01, made.set_result, [value]).start()
    return made


class AsyncFile:
    """As aiofiles and asyncio.StreamReader have it: `read` is a coroutine."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, size: int) -> bytes:
        await asyncio.sleep(0)
        return self._file.read(min(size, 9))


class TextFile:
    def read(self, size: int) -> str:
        return "text"


def anonymous_map(data: bytes) -> mmap.mmap:
    made = mmap.mmap(-1, len(data))
    made[:] = data
    return made


SOURCES: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "array": lambda data: array.array("b", data),
    "wide array": lambda data: array.array("H", data + b"\0" * (len(data) % 2)),
    "mmap": anonymous_map,
    "binary file": io.BytesIO,
    "buffered file": lambda data: io.BufferedReader(io.BytesIO(data)),
    "list": pieces,
    "tuple of other buffers": lambda data: tuple(map(bytearray, pieces(data))),
    "generator": generator,
    "async generator": async_generator,
    "async file": AsyncFile,
    "awaitable of bytes": lambda data: coroutine(data),
    "awaitable of an iterable": lambda data: coroutine(generator(data)),
    "awaitable of an async iterable": lambda data: coroutine(async_generator(data)),
    "awaitable of an awaitable": lambda data: coroutine(coroutine(data)),
    "future of bytes": future,
    "future of an async iterable": lambda data: future(async_generator(data)),
    "awaitable of a future": lambda data: coroutine(future(data)),
}


@pytest.fixture(params=SOURCES)
def source_of(request: pytest.FixtureRequest) -> Callable[[bytes], Any]:
    return SOURCES[request.param]


@pytest.fixture
def even(add: bytes) -> bytes:
    """`add` with an even number of bytes: a custom section behind it."""
    return add + bytes([0, 2 + len(add) % 2, 1]) + b"x" + b"\0" * (len(add) % 2)


def test_every_source_without_a_loop(source_of: Callable[[bytes], Any], even: bytes) -> None:
    module, instance = jitwasm.instantiate_streaming(source_of(even)).result(TIMEOUT)
    assert isinstance(module, jitwasm.Module)
    assert instance.exports.add(2, 3) == 5


def test_every_source_with_a_loop(source_of: Callable[[bytes], Any], even: bytes) -> None:
    async def main() -> int:
        result = await jitwasm.instantiate_streaming(source_of(even))
        return result.instance.exports.add(2, 3)

    assert asyncio.run(main()) == 5


def test_paths(add: bytes, tmp_path: Path) -> None:
    class OwnPath:
        def __fspath__(self) -> str:
            return os.fspath(path)

    path = tmp_path / "add.wasm"
    path.write_bytes(add)
    for source in (path, OwnPath()):
        promise = jitwasm.compile_streaming(source)
        assert promise.result(TIMEOUT).exports()[0].name == "add"
        assert promise.progress.bytes_total == len(add)


def test_a_file_is_read_from_where_it_stands(add: bytes, tmp_path: Path) -> None:
    path = tmp_path / "behind.bin"
    path.write_bytes(b"header" + add)
    with open(path, "rb") as file:
        file.seek(6)
        jitwasm.compile_streaming(file).result(TIMEOUT)
    with open(path, "rb", buffering=0) as file:
        file.seek(6)
        jitwasm.compile_streaming(file).result(TIMEOUT)


def test_an_asyncio_future(add: bytes) -> None:
    async def main() -> None:
        source = asyncio.get_running_loop().create_future()
        promise = jitwasm.compile_streaming(source)
        source.set_result(add)
        await promise

    asyncio.run(main())


def test_a_missing_file_is_the_operating_systems_error(tmp_path: Path) -> None:
    promise = jitwasm.compile_streaming(tmp_path / "missing.wasm")
    with pytest.raises(FileNotFoundError) as caught:
        promise.result(TIMEOUT)
    assert caught.value.filename == str(tmp_path / "missing.wasm")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("lib.wasm", r"str: pass pathlib\.Path\(...\).* jitwasm\.fetch"),
        (5, "not int"),
        (None, "not NoneType"),
        (object(), "not object"),
        ([1, 2], r"yield bytes, not int"),
        (["ab"], "yield bytes, not str"),
        (TextFile(), "not str: open the file in binary mode"),
        ({"a": 1}, "yield bytes, not str"),
    ],
    ids=stable_repr,
)
def test_other_things_are_a_type_error_through_the_promise(source: Any, message: str) -> None:
    promise = jitwasm.compile_streaming(source)
    with pytest.raises(TypeError, match=message) as caught:
        promise.result(TIMEOUT)
    assert "compile_streaming()" in str(caught.value)
    with pytest.raises(TypeError, match=message):
        jitwasm.instantiate_streaming(future(source)).result(TIMEOUT)


@pytest.mark.parametrize(
    "source", [[b""], [], b"", iter(()), async_generator(b"")], ids=stable_repr
)
def test_nothing_is_no_module(source: Any) -> None:
    with pytest.raises(jitwasm.CompileError):
        jitwasm.compile_streaming(source).result(TIMEOUT)


def test_an_error_of_the_source_arrives_as_it_is(add: bytes) -> None:
    error = ConnectionResetError("gone")

    def failing() -> Iterator[bytes]:
        yield add[:20]
        raise error

    async def failing_async() -> AsyncIterator[bytes]:
        yield add[:20]
        raise error

    async def main() -> None:
        with pytest.raises(ConnectionResetError) as caught:
            await jitwasm.compile_streaming(failing_async())
        assert caught.value is error

    for source in (failing(), failing_async()):
        assert jitwasm.compile_streaming(source).exception(TIMEOUT) is error
    asyncio.run(main())


def test_an_error_of_a_pending_source_arrives_as_it_is() -> None:
    error = TimeoutError()
    failed: concurrent.futures.Future = concurrent.futures.Future()
    failed.set_exception(error)

    async def failing() -> None:
        raise error

    async def main() -> None:
        for source in (failed, failing()):
            with pytest.raises(TimeoutError) as caught:
                await jitwasm.compile_streaming(source)
            assert caught.value is error

    asyncio.run(main())
    assert jitwasm.compile_streaming(failed).exception(TIMEOUT) is error
    assert jitwasm.compile_streaming(failing()).exception(TIMEOUT) is error


def test_a_buffer_is_copied_at_the_call(add: bytes) -> None:
    data = bytearray(add)
    for start in (jitwasm.compile, jitwasm.compile_streaming, jitwasm.instantiate):
        promise = start(data)
        data[:] = b"\0" * len(data)
        promise.result(TIMEOUT)
        data[:] = add


def test_a_generator_is_closed_after_a_failure() -> None:
    closed = threading.Event()

    def source() -> Iterator[bytes]:
        try:
            yield b"not wasm"
            yield b"more"
        finally:
            closed.set()

    made = source()
    with pytest.raises(jitwasm.MalformedError):
        jitwasm.compile_streaming(made).result(TIMEOUT)
    assert closed.wait(TIMEOUT)


def test_what_is_not_wasm_is_refused_at_its_first_bytes() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"<!doctype html>" * 100

    with pytest.raises(jitwasm.MalformedError, match="magic"):
        jitwasm.compile_streaming(endless()).result(TIMEOUT)
    assert taken == 1


class Gigabyte(io.RawIOBase):
    """A file of a gigabyte of zeros, which counts what is read of it."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), (1 << 30) - self.taken)
        buffer[:size] = bytes(size)
        self.taken += size
        return size


@pytest.mark.parametrize("wrap", [lambda raw: raw, io.BufferedReader], ids=["raw", "buffered"])
def test_of_a_gigabyte_that_is_not_wasm_the_first_bytes_are_read(wrap: Any) -> None:
    file = Gigabyte()
    with pytest.raises(jitwasm.MalformedError, match="magic"):
        jitwasm.compile_streaming(wrap(file)).result(TIMEOUT)
    assert 0 < file.taken <= 1 << 16
