"""Compiling many units at once, in the background.

`WorkerPool` is an executor of daemon threads; one serves the whole process, so that any number of
modules compiled at the same time share the machine's cores. `Scheduler` is what one module's
compilation sees of it: a bounded number of units under way, results in order, the first error,
cancellation. A scheduler accepts any `concurrent.futures.Executor`, because what it submits is a
pure function of plain data.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from typing import Any, TypeVar

from jitwasm.backend import libc
from jitwasm.backend.units import CompileUnit
from jitwasm.records import record

__all__ = [
    "WORKER_STACK",
    "BudgetExceeded",
    "CancelledError",
    "Scheduler",
    "WorkerPool",
    "shared_pool",
]

T = TypeVar("T")

WORKER_STACK = 64 << 20
"""Bytes of address space for a worker's stack: LLVM recurses over what it is given."""


class BudgetExceeded(RuntimeError):
    """A task took more CPU time than it may. Its thread goes on: threads cannot be stopped."""


@record(eq=False)
class _Task:
    """A call on its way.

    Attributes:
        seconds: CPU time it may take; None sets no bound.
        thread: which runs it.
        begun: that thread's CPU time at the start.
        abandoned: it has exceeded its budget.
    """

    future: Future[Any]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    seconds: float | None = None
    thread: threading.Thread | None = None
    begun: float = 0.0
    abandoned: bool = False

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.function(*self.arguments, **self.keywords)
        except BaseException as error:
            with contextlib.suppress(InvalidStateError):  # abandoned
                self.future.set_exception(error)
        else:
            with contextlib.suppress(InvalidStateError):
                self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        with contextlib.suppress(InvalidStateError):  # it has just ended
            self.future.set_exception(error)

    def left(self) -> float:
        """Seconds of CPU time that it may still take."""
        assert self.thread is not None and self.seconds is not None
        assert self.thread.ident is not None
        clock = time.pthread_getcpuclockid(self.thread.ident)
        return self.begun + self.seconds - time.clock_gettime(clock)


class WorkerPool(Executor):
    """An executor of daemon threads with large stacks, started as they are needed.

    Unlike those of `ThreadPoolExecutor` its queued tasks do not delay the interpreter's exit: they
    are cancelled, and only tasks that run are waited for, because LLVM must not be running while
    the C library tears the process down. After a fork the child starts with an empty pool.

    A task may have a budget of CPU time. If it exceeds that, its future fails; the thread goes on,
    at the lowest priority, another takes its place in the pool, and the process then ends without
    waiting for it.
    """

    def __init__(self, threads: int | None = None, at_exit: bool = True) -> None:
        """
        Args:
            threads: how many; None means one for each core.
            at_exit: shut it down at the interpreter's exit; else whoever made it does.
        """
        self.size = threads or len(os.sched_getaffinity(0))
        self._reset()
        if at_exit:
            atexit.register(self.shutdown, wait=True, cancel_futures=True)
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._tasks: deque[_Task] = deque()
        self._threads: list[threading.Thread] = []
        self._waiting = 0
        self._closed = False
        self._watched: set[_Task] = set()
        self._watching = False
        self._stuck: set[threading.Thread] = set()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self._submit(_Task(Future(), fn, args, kwargs))

    def within(self, seconds: float | None) -> Executor:
        """This pool, for tasks with a budget of CPU time."""
        return self if seconds is None else _Budgeted(self, seconds)

    def _submit(self, task: _Task) -> Future[Any]:
        with self._changed:
            if self._closed:
                raise RuntimeError("cannot compile any more: the worker threads have been stopped")
            if self._waiting <= len(self._tasks) and len(self._threads) < self.size:
                self._start_thread()
            self._tasks.append(task)
            self._changed.notify()
        return task.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._changed:
            self._closed = True
            dropped = list(self._tasks) if cancel_futures else []
            if cancel_futures:
                self._tasks.clear()
            self._changed.notify_all()
        for task in dropped:
            task.future.cancel()
        if wait:
            self._join()

    def _join(self) -> None:
        for thread in self._threads:
            while thread.is_alive() and thread not in self._stuck:
                thread.join(0.05)
        if any(thread.is_alive() for thread in self._stuck):
            libc.exit_without_destructors()

    def _start_thread(self) -> None:
        thread = threading.Thread(
            target=self._work, name=f"jitwasm-compile-{len(self._threads)}", daemon=True
        )
        previous = threading.stack_size(WORKER_STACK)
        try:
            thread.start()
        finally:
            threading.stack_size(previous)
        self._threads.append(thread)

    def _work(self) -> None:
        while (task := self._next_task()) is not None:
            if task.seconds is not None:
                self._watch(task)
            task.run()
            with self._changed:
                self._watched.discard(task)
                if task.abandoned:
                    self.size -= 1  # there is another thread in place of this one
                    self._stuck.discard(threading.current_thread())
                    return
            del task  # the future's result must not live on in an idle thread

    def _watch(self, task: _Task) -> None:
        task.thread, task.begun = threading.current_thread(), time.thread_time()
        with self._changed:
            self._watched.add(task)
            start = not self._watching
            self._watching = True
        if start:
            threading.Thread(target=self._patrol, name="jitwasm-budgets", daemon=True).start()

    def _patrol(self) -> None:
        """Look after budgets as long as anything runs that has one."""
        while True:
            with self._changed:
                left = {task: task.left() for task in self._watched}
                for task in [task for task, seconds in left.items() if seconds <= 0]:
                    self._abandon(task)
                    del left[task]
                if not left:
                    self._watching = False
                    return
            # CPU time passes no faster than this, and a budget need not be exact.
            time.sleep(max(min(left.values()), 0.02))

    def _abandon(self, task: _Task) -> None:
        assert task.thread is not None
        self._watched.discard(task)
        task.abandoned = True
        self._stuck.add(task.thread)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, task.thread.native_id or 0, 19)
        self.size += 1
        if self._tasks:
            self._start_thread()
        # Callbacks want the lock.
        error = BudgetExceeded(f"LLVM took more than {task.seconds} s")
        threading.Thread(target=task.fail, args=(error,), daemon=True).start()

    def _next_task(self) -> _Task | None:
        with self._changed:
            while not self._tasks:
                if self._closed:
                    return None
                self._waiting += 1
                self._changed.wait()
                self._waiting -= 1
            return self._tasks.popleft()


class _Budgeted(Executor):
    """A pool, as seen by tasks with a budget."""

    def __init__(self, pool: WorkerPool, seconds: float) -> None:
        self._pool = pool
        self._seconds = seconds

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self._pool._submit(_Task(Future(), fn, args, kwargs, self._seconds))


@functools.cache
def shared_pool(threads: int | None = None) -> WorkerPool:
    """The pool of the process with so many threads; None means one for each core."""
    return WorkerPool(threads)


class Scheduler:
    """The units of one module on their way through an executor.

    Attributes:
        functions_compiled: of how many functions the code is ready.
    """

    def __init__(
        self,
        compile: Callable[[CompileUnit], bytes],
        executor: Executor,
        max_pending: int,
        is_loss: Callable[[BaseException], bool] = lambda error: False,
    ) -> None:
        """Compile units by calling `compile(unit)` on `executor`.

        Args:
            max_pending: how many units may be queued or running; `submit` then blocks.
            is_loss: whether an error only means that its unit did not get compiled; others go on.
        """
        self._is_loss = is_loss
        self.functions_compiled = 0
        self._compile = compile
        self._executor = executor
        self._slots = threading.Semaphore(max_pending)
        self._lock = threading.Lock()
        self._futures: list[Future[bytes]] = []
        self._units: list[tuple[int, ...]] = []
        self._error: BaseException | None = None
        self._cancelled = False
        self._collected = False
        self._pid = os.getpid()

    def submit(self, unit: CompileUnit) -> Future[bytes]:
        """Queue a unit, in order of index; block while too many are pending.

        Raises:
            CancelledError: `cancel` has been called.
            Exception: the error of an earlier unit; nothing more is compiled.
        """
        self._check()
        self._slots.acquire()
        try:
            self._check()
            future = self._hand_over(unit)
        except BaseException:
            self._slots.release()
            raise
        self._futures.append(future)
        self._units.append(unit.funcidxs)
        future.add_done_callback(functools.partial(self._done, len(unit.funcidxs)))
        if self._cancelled:
            future.cancel()
        return future

    def _hand_over(self, unit: CompileUnit) -> Future[bytes]:
        try:
            return self._executor.submit(self._compile, unit)
        except Exception as error:
            if not self._is_loss(error):
                raise
            failed: Future[bytes] = Future()
            failed.set_exception(error)
            return failed

    def results(
        self, replace: Callable[[Sequence[int], BaseException], bytes] | None = None
    ) -> list[bytes]:
        """Wait for everything submitted; the objects in the order of the units.

        This is the last call: the objects are not kept here.

        Args:
            replace: makes the object of a unit that got lost, given the functions it defines and
                the error.
        """
        self._check()
        objects: list[bytes] = []
        try:
            for future, funcidxs in zip(self._futures, self._units, strict=True):
                error = _outcome(future)
                self._check()
                if error is None:
                    objects.append(future.result())
                elif replace is not None and self._is_loss(error):
                    objects.append(replace(funcidxs, error))
                else:
                    raise error
        except (CancelledError, Exception):
            self._check()  # the first error cancels the other units
            raise
        with self._lock:
            # A future wakes who waits for it before it calls `_done`: that may still be to come.
            self._collected = True
            self.functions_compiled = sum(map(len, self._units))
        self._futures.clear()
        self._units.clear()
        return objects

    def cancel(self) -> None:
        """Drop what is queued. What runs is finished, and its result dropped."""
        self._cancelled = True
        self._drop()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._cancelled:
            raise CancelledError
        if os.getpid() != self._pid:
            raise RuntimeError("a compilation cannot go on in a forked child process")

    def _done(self, functions: int, future: Future[bytes]) -> None:
        self._slots.release()
        error = _outcome(future)
        with self._lock:
            if error is None:
                self.functions_compiled += 0 if self._collected else functions
                return
            if isinstance(error, CancelledError) or self._is_loss(error):
                return
            if self._error is None:
                self._error = error
        self._drop()

    def _drop(self) -> None:
        for future in tuple(self._futures):
            future.cancel()


def _outcome(future: Future[bytes]) -> BaseException | None:
    """How a future ends: None, or an error."""
    try:
        return future.exception()
    except CancelledError as error:
        return error
