"""Promises: waiting, awaiting, cancelling."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from concurrent.futures import CancelledError

import pytest

import jitwasm
from jitwasm.promise import Promise

TIMEOUT = 60


def promised(value: object, delay: float = 0.01) -> Promise[object]:
    promise: Promise[object] = Promise()
    threading.Timer(delay, promise._resolve, [value]).start()
    return promise


def refused(error: BaseException, delay: float = 0.01) -> Promise[object]:
    promise: Promise[object] = Promise()
    threading.Timer(delay, promise._reject, [error]).start()
    return promise


def test_result_waits_without_an_event_loop() -> None:
    assert promised(5).result(TIMEOUT) == 5


def test_result_gives_up_after_the_timeout() -> None:
    with pytest.raises(concurrent.futures.TimeoutError):
        Promise().result(0.01)


def test_concurrent_futures_functions_take_it() -> None:
    promises = [promised(i) for i in range(3)]
    done = concurrent.futures.wait(promises, TIMEOUT).done
    assert {promise.result() for promise in done} == {0, 1, 2}
    assert len(list(concurrent.futures.as_completed(promises))) == 3


def test_await_gives_the_result() -> None:
    async def main() -> object:
        return await promised(5)

    assert asyncio.run(main()) == 5


def test_await_of_a_settled_promise() -> None:
    async def main() -> object:
        promise: Promise[int] = Promise()
        promise._resolve(3)
        return await promise, await promise

    assert asyncio.run(main()) == (3, 3)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        TimeoutError(),
        concurrent.futures.TimeoutError(),
        OSError(1, "x"),
        jitwasm.MalformedError("x", 3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_same_exception_object_arrives(error: BaseException) -> None:
    async def main() -> None:
        await refused(error)

    with pytest.raises(type(error)) as caught:
        asyncio.run(main())
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        refused(error).result(TIMEOUT)
    assert caught.value is error
    assert refused(error).exception(TIMEOUT) is error


def test_gather_and_wait_for_take_it() -> None:
    async def main() -> object:
        both = await asyncio.gather(promised(1), promised(2))
        return [*both, await asyncio.wait_for(promised(3), TIMEOUT)]

    assert asyncio.run(main()) == [1, 2, 3]


def test_wait_for_cancels_it() -> None:
    promise: Promise[object] = Promise()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(promise, 0.01)

    asyncio.run(main())
    assert promise.cancelled()


def test_cancelling_the_awaiting_task_cancels_it() -> None:
    promise: Promise[object] = Promise()

    async def wait() -> None:
        await promise

    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert promise.cancelled()


def test_several_tasks_may_await_it() -> None:
    async def main() -> list[object]:
        promise = promised(4)

        async def wait() -> object:
            return await promise

        return await asyncio.gather(*(wait() for _ in range(3)))

    assert asyncio.run(main()) == [4, 4, 4]


def test_await_of_a_cancelled_promise_is_asyncios_error() -> None:
    async def main() -> None:
        promise: Promise[object] = Promise()
        asyncio.get_running_loop().call_soon(promise.cancel)
        with pytest.raises(asyncio.CancelledError):
            await promise
        with pytest.raises(asyncio.CancelledError):
            await promise

    asyncio.run(main())


def test_cancel_tells_everyone_who_waits() -> None:
    promise: Promise[object] = Promise()
    calls: list[int] = []
    promise._on_cancel = lambda: calls.append(1)
    threading.Timer(0.01, promise.cancel).start()
    assert concurrent.futures.wait([promise], TIMEOUT).done == {promise}
    with pytest.raises(CancelledError):
        promise.result(TIMEOUT)
    assert promise.cancel()
    assert calls == [1]


def test_a_settled_promise_cannot_be_cancelled() -> None:
    promise: Promise[int] = Promise()
    promise._resolve(1)
    assert not promise.cancel()
    assert promise.result() == 1


def test_a_result_that_comes_after_cancellation_is_dropped() -> None:
    promise: Promise[int] = Promise()
    promise.cancel()
    promise._resolve(1)
    promise._reject(ValueError())
    assert promise.cancelled()


def test_waiting_in_the_loop_that_delivers_the_result_is_refused() -> None:
    async def main() -> None:
        promise: Promise[object] = Promise()
        promise._loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="await the promise"):
            promise.result()
        with pytest.raises(RuntimeError, match="await the promise"):
            promise.exception()
        promise._resolve(1)
        assert promise.result() == 1

    asyncio.run(main())


def test_the_loop_may_be_gone_when_the_result_comes() -> None:
    promise: Promise[object] = Promise()

    async def main() -> None:
        task = asyncio.ensure_future(asyncio.shield(asyncio.ensure_future(_wait(promise))))
        await asyncio.sleep(0)
        task.cancel()

    async def _wait(promise: Promise[object]) -> None:
        await promise

    asyncio.run(main())
    promise._resolve(1)
