"""Async host functions through `promising`."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import jitwasm
from tests.support.wat import wat

MODULE = wat("""
(module
  (import "env" "get" (func $get (param i32) (result i32)))
  (func (export "twice") (param i32) (result i32)
    (i32.add (call $get (local.get 0)) (call $get (i32.add (local.get 0) (i32.const 1))))))
""")


def exports_with(get: object) -> Any:
    return jitwasm.Instance(jitwasm.Module(MODULE), {"env": {"get": get}}).exports


def test_async_import_is_awaited_on_the_event_loop() -> None:
    threads = set()

    async def get(key: int) -> int:
        threads.add(threading.current_thread())
        await asyncio.sleep(0)
        return key * 10

    async def main() -> int:
        return await jitwasm.promising(exports_with(get).twice)(4)

    assert asyncio.run(main()) == 90
    assert threads == {threading.current_thread()}


def test_calls_of_different_instances_overlap() -> None:
    both = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None
    if both is None:
        pytest.skip("asyncio.Barrier came with Python 3.11")

    async def get(key: int) -> int:
        await both.wait()
        return key

    async def main() -> list[int]:
        calls = [jitwasm.promising(exports_with(get).twice)(n) for n in (1, 2)]
        return await asyncio.wait_for(asyncio.gather(*calls), 30)

    assert asyncio.run(main()) == [3, 5]


def test_exception_of_an_async_import_arrives_as_it_is() -> None:
    error = KeyError("key")

    async def get(key: int) -> int:
        raise error

    async def main() -> None:
        await jitwasm.promising(exports_with(get).twice)(1)

    with pytest.raises(KeyError) as caught:
        asyncio.run(main())
    assert caught.value is error


def test_cancelling_the_call_cancels_the_import_it_awaits() -> None:
    ended = []

    async def get(key: int) -> int:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append(key)
            raise
        return 0

    async def main() -> None:
        call = asyncio.ensure_future(jitwasm.promising(exports_with(get).twice)(1))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert ended == [1]


def test_async_import_without_promising_says_what_to_do() -> None:
    async def get(key: int) -> int:
        return key

    with pytest.raises(TypeError, match=r"get\(\) is an async function.*jitwasm\.promising"):
        exports_with(get).twice(1)


def test_plain_imports_work_through_promising() -> None:
    async def main() -> int:
        return await jitwasm.promising(exports_with(lambda key: key).twice)(1)

    assert asyncio.run(main()) == 3
