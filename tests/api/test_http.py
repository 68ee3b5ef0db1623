"""Responses of the real clients, from a real server on the loopback interface."""

from __future__ import annotations

import asyncio
import gzip
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import jitwasm
from tests.support.http import Reply, Server

aiohttp = pytest.importorskip("aiohttp")
httpx = pytest.importorskip("httpx")
requests = pytest.importorskip("requests")
urllib3 = pytest.importorskip("urllib3")

TIMEOUT = 60

Compile = Callable[[str], Any]


def with_urllib(url: str) -> Any:
    try:
        response = urllib.request.urlopen(url, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return jitwasm.compile_streaming(response).result(TIMEOUT)


def with_requests(url: str) -> Any:
    with requests.get(url, stream=True, timeout=TIMEOUT) as response:
        return jitwasm.compile_streaming(response).result(TIMEOUT)


def with_requests_in_memory(url: str) -> Any:
    return jitwasm.compile_streaming(requests.get(url, timeout=TIMEOUT)).result(TIMEOUT)


def with_urllib3(url: str) -> Any:
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url, preload_content=False, timeout=TIMEOUT)
        try:
            return jitwasm.compile_streaming(response).result(TIMEOUT)
        finally:
            response.close()


def with_urllib3_in_memory(url: str) -> Any:
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url, timeout=TIMEOUT)
        return jitwasm.compile_streaming(response).result(TIMEOUT)


def with_httpx(url: str) -> Any:
    with httpx.Client(timeout=TIMEOUT) as client, client.stream("GET", url) as response:
        return jitwasm.compile_streaming(response).result(TIMEOUT)


def with_httpx_in_memory(url: str) -> Any:
    return jitwasm.compile_streaming(httpx.get(url, timeout=TIMEOUT)).result(TIMEOUT)


def with_async_httpx(url: str) -> Any:
    async def main() -> Any:
        client = httpx.AsyncClient(timeout=TIMEOUT)
        async with client, client.stream("GET", url) as response:
            return await jitwasm.compile_streaming(response)

    return asyncio.run(main())


def with_aiohttp(url: str) -> Any:
    async def main() -> Any:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await jitwasm.compile_streaming(response)

    return asyncio.run(main())


def with_aiohttps_request(url: str) -> Any:
    async def main() -> Any:
        async with aiohttp.ClientSession() as session:
            return await jitwasm.compile_streaming(session.get(url))

    return asyncio.run(main())


def with_fetch(url: str) -> Any:
    return jitwasm.compile_streaming(jitwasm.fetch(url)).result(TIMEOUT)


def with_awaited_fetch(url: str) -> Any:
    async def main() -> Any:
        with await jitwasm.fetch(url) as response:
            return await jitwasm.compile_streaming(response)

    return asyncio.run(main())


CLIENTS: dict[str, Compile] = {
    "urllib": with_urllib,
    "requests": with_requests,
    "requests in memory": with_requests_in_memory,
    "urllib3": with_urllib3,
    "urllib3 in memory": with_urllib3_in_memory,
    "httpx": with_httpx,
    "httpx in memory": with_httpx_in_memory,
    "async httpx": with_async_httpx,
    "aiohttp": with_aiohttp,
    "aiohttp's request": with_aiohttps_request,
    "fetch": with_fetch,
    "awaited fetch": with_awaited_fetch,
}


@pytest.fixture(params=CLIENTS)
def compile_with(request: pytest.FixtureRequest) -> Compile:
    return CLIENTS[request.param]


def test_a_good_response(compile_with: Compile, server: Server, add: bytes) -> None:
    module = compile_with(server.url("/add.wasm", Reply(add)))
    assert jitwasm.Instance(module).exports.add(2, 3) == 5


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_response(
    compile_with: Compile, server: Server, add: bytes, encoding: str
) -> None:
    data = gzip.compress(add) if encoding == "gzip" else zlib.compress(add)
    compile_with(server.url("/add.wasm", Reply(data, headers={"Content-Encoding": encoding})))


def test_a_compressed_response_that_ends_early(server: Server, add: bytes) -> None:
    reply = Reply(gzip.compress(add)[:-9], headers={"Content-Encoding": "gzip"})
    with pytest.raises(EOFError, match="too early"):
        with_fetch(server.url("/add.wasm", reply))


def test_a_chunked_response(compile_with: Compile, server: Server, add: bytes) -> None:
    reply = Reply(lambda: (add[i : i + 5] for i in range(0, len(add), 5)), length=False)
    compile_with(server.url("/add.wasm", reply))


@pytest.mark.parametrize(
    "mime_type",
    ["application/wasm", "APPLICATION/WASM", " application/wasm ", "\tApplication/Wasm"],
)
def test_mime_types_that_are_accepted(server: Server, add: bytes, mime_type: str) -> None:
    with_urllib(server.url("/add.wasm", Reply(add, mime_type)))


@pytest.mark.parametrize(
    "mime_type",
    [
        "",
        "application/octet-stream",
        "text/html",
        "application/javascript",
        "application/wasm;",
        "application/wasm; charset=utf-8",
        "application/wasm;x",
        "application/wasm\x0c",
        "application/wasm x",
        "x application/wasm",
        "application/x-wasm",
        "application/wasm, application/wasm",
        '"application/wasm"',
    ],
)
def test_mime_types_that_are_refused(server: Server, add: bytes, mime_type: str) -> None:
    with pytest.raises(TypeError, match=r"MIME type is .* must be 'application/wasm'") as caught:
        with_urllib(server.url("/add.wasm", Reply(add, mime_type)))
    assert repr(mime_type) in str(caught.value)


def test_another_mime_type(compile_with: Compile, server: Server, add: bytes) -> None:
    with pytest.raises(TypeError, match="MIME type is 'text/html'"):
        compile_with(server.url("/add.wasm", Reply(add, "text/html")))


def test_no_mime_type(compile_with: Compile, server: Server, add: bytes) -> None:
    with pytest.raises(TypeError, match="no Content-Type"):
        compile_with(server.url("/add.wasm", Reply(add, None)))


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_status_that_is_not_ok(
    compile_with: Compile, server: Server, add: bytes, status: int
) -> None:
    with pytest.raises(TypeError, match=f"status is {status}; it must be 200 to 299"):
        compile_with(server.url("/add.wasm", Reply(add, status=status)))


@pytest.mark.parametrize("status", [201, 299])
def test_a_status_that_is_ok(
    compile_with: Compile, server: Server, add: bytes, status: int
) -> None:
    compile_with(server.url("/add.wasm", Reply(add, status=status)))


def test_the_mime_type_is_checked_before_the_status(server: Server) -> None:
    with pytest.raises(TypeError, match="MIME type"):
        with_urllib(server.url("/missing", Reply(b"not found", "text/html", status=404)))


def test_an_empty_body_is_no_module(compile_with: Compile, server: Server) -> None:
    with pytest.raises(jitwasm.CompileError):
        compile_with(server.url("/empty.wasm", Reply(b"")))


def test_bad_bytes(compile_with: Compile, server: Server, broken: bytes) -> None:
    with pytest.raises(jitwasm.InvalidError) as caught:
        compile_with(server.url("/broken.wasm", Reply(broken)))
    assert caught.value.funcidx == 0


def test_a_truncated_module(compile_with: Compile, server: Server, add: bytes) -> None:
    with pytest.raises(jitwasm.MalformedError):
        compile_with(server.url("/short.wasm", Reply(add[:-3])))


LOST: dict[str, tuple[Compile, type[Exception]]] = {
    "urllib": (with_urllib, Exception),
    "requests": (with_requests, requests.RequestException),
    "urllib3": (with_urllib3, urllib3.exceptions.HTTPError),
    "httpx": (with_httpx, httpx.TransportError),
    "async httpx": (with_async_httpx, httpx.TransportError),
    "aiohttp": (with_aiohttp, aiohttp.ClientError),
    "fetch": (with_fetch, Exception),
}


@pytest.mark.parametrize("client", LOST)
def test_a_lost_connection_is_the_clients_own_error(
    client: str, server: Server, add: bytes
) -> None:
    compile_with, error = LOST[client]
    with pytest.raises(error) as caught:
        compile_with(server.url("/lost.wasm", Reply(add[:20], announce=len(add), drop=True)))
    assert not isinstance(caught.value, (jitwasm.WasmError, TypeError))


# The body may be used once.


def test_used_urllib(server: Server, add: bytes) -> None:
    url = server.url("/add.wasm", Reply(add))
    for use in (lambda r: r.read(), lambda r: r.read(1), jitwasm_uses):
        with urllib.request.urlopen(url) as response:
            use(response)
            assert_used(response)


def test_used_chunked_urllib(server: Server, add: bytes) -> None:
    url = server.url("/add.wasm", Reply(add, length=False))
    with urllib.request.urlopen(url) as response:
        response.read(1)
        assert_used(response)


def test_used_requests(server: Server, add: bytes) -> None:
    url = server.url("/add.wasm", Reply(add))
    for use in (lambda r: list(r.iter_content(5)), lambda r: r.raw.read(1), jitwasm_uses):
        with requests.get(url, stream=True) as response:
            use(response)
            assert_used(response)


def test_used_httpx(server: Server, add: bytes) -> None:
    url = server.url("/add.wasm", Reply(add))
    for use in (lambda r: list(r.iter_bytes()), lambda r: next(r.iter_raw()), jitwasm_uses):
        with httpx.stream("GET", url) as response:
            use(response)
            assert_used(response)


def test_used_aiohttp(server: Server, add: bytes) -> None:
    url = server.url("/add.wasm", Reply(add))

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                await response.content.read(1)
                with pytest.raises(TypeError, match="already been used"):
                    await jitwasm.compile_streaming(response)
            async with session.get(url) as response:
                await jitwasm.compile_streaming(response)
                with pytest.raises(TypeError, match="already been used"):
                    await jitwasm.compile_streaming(response)

    asyncio.run(main())


def test_used_fetch(server: Server, add: bytes) -> None:
    url = server.url("/add.wasm", Reply(add))
    for use in (lambda r: r.read(), lambda r: r.read(1), lambda r: list(r), jitwasm_uses):
        with jitwasm.fetch(url).result(TIMEOUT) as response:
            assert not response.body_used
            use(response)
            assert response.body_used
            assert_used(response)


def jitwasm_uses(response: Any) -> None:
    jitwasm.compile_streaming(response).result(TIMEOUT)


def assert_used(response: Any) -> None:
    with pytest.raises(TypeError, match="already been used"):
        jitwasm.compile_streaming(response).result(TIMEOUT)


def test_a_body_the_client_keeps_in_memory_may_be_used_again(server: Server, add: bytes) -> None:
    url = server.url("/add.wasm", Reply(add))
    for response in (requests.get(url), httpx.get(url)):
        for _ in range(2):
            jitwasm.compile_streaming(response).result(TIMEOUT)


# Cancelling stops the download.


@pytest.fixture
def stalled(server: Server, add: bytes) -> Iterator[str]:
    """The URL of a module of which only the beginning arrives until the test is over."""
    release = threading.Event()

    def body() -> Iterator[bytes]:
        yield add[:20]
        release.wait(TIMEOUT)
        for _ in range(1000):  # more than any buffer on the way: sooner or later this fails
            yield b"\0" * 65536

    server.disconnected.clear()
    yield server.url("/stalled.wasm", Reply(body, announce=1 << 30))
    release.set()


def wait_for_bytes(promise: jitwasm.Promise[Any], count: int) -> None:
    deadline = threading.Event()
    for _ in range(6000):
        if promise.progress.bytes_received >= count:
            return
        deadline.wait(0.01)
    raise AssertionError("the bytes do not arrive")


def no_promise_threads() -> bool:
    for _ in range(6000):
        if not any(thread.name == "jitwasm-promise" for thread in threading.enumerate()):
            return True
        threading.Event().wait(0.01)
    return False


def test_cancel_ends_a_blocked_read_of_urllib(stalled: str) -> None:
    with urllib.request.urlopen(stalled) as response:
        promise = jitwasm.compile_streaming(response)
        wait_for_bytes(promise, 20)
        assert promise.cancel()
        assert no_promise_threads()


def test_cancel_ends_a_blocked_read_of_requests(stalled: str) -> None:
    with requests.get(stalled, stream=True) as response:
        promise = jitwasm.compile_streaming(response)
        threading.Event().wait(0.1)  # requests hands nothing out yet
        assert promise.cancel()
        assert no_promise_threads()


def test_cancel_ends_a_blocked_read_of_httpx(stalled: str) -> None:
    with httpx.Client(timeout=None) as client, client.stream("GET", stalled) as response:
        promise = jitwasm.compile_streaming(response)
        wait_for_bytes(promise, 20)
        assert promise.cancel()
        assert no_promise_threads()


def test_cancelling_a_task_ends_the_download(stalled: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            promise = jitwasm.compile_streaming(session.get(stalled))
            while promise.progress.bytes_received < 20:
                await asyncio.sleep(0.01)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(promise, 0.01)
            assert promise.cancelled()

    asyncio.run(main())
    assert no_promise_threads()


def test_a_bad_module_ends_the_download(server: Server) -> None:
    def body() -> Iterator[bytes]:
        while True:
            yield b"not wasm" * 1000

    server.disconnected.clear()
    url = server.url("/endless", Reply(body, announce=1 << 40))
    with pytest.raises(jitwasm.MalformedError):
        jitwasm.compile_streaming(jitwasm.fetch(url)).result(TIMEOUT)
    assert server.disconnected.wait(TIMEOUT)


# fetch


def test_fetch_of_a_url(server: Server, add: bytes) -> None:
    url = server.url("/add.wasm", Reply(add))
    with jitwasm.fetch(url).result(TIMEOUT) as response:
        assert (response.status, response.ok, response.url) == (200, True, url)
        assert response.headers["content-type"] == "application/wasm"
        assert response.read() == add


def test_fetch_of_a_status_is_no_error(server: Server) -> None:
    with jitwasm.fetch(server.url("/x", Reply(b"", status=404))).result(TIMEOUT) as response:
        assert (response.status, response.ok) == (404, False)


@pytest.mark.parametrize("kind", ["path", "str", "url"])
def test_fetch_of_a_file(add: bytes, tmp_path: Any, monkeypatch: Any, kind: str) -> None:
    path = tmp_path / "a b.wasm"
    path.write_bytes(add)
    monkeypatch.chdir(tmp_path)
    resource = {"path": path, "str": "a b.wasm", "url": path.as_uri()}[kind]
    with jitwasm.fetch(resource).result(TIMEOUT) as response:
        assert response.status == 200
        jitwasm.compile_streaming(response).result(TIMEOUT)


def test_fetch_of_a_missing_file(tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError):
        jitwasm.fetch(tmp_path / "missing.wasm").result(TIMEOUT)


def test_fetch_without_a_server() -> None:
    with pytest.raises(OSError):
        jitwasm.fetch("http://127.0.0.1:9/").result(TIMEOUT)
