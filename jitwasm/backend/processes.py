"""LLVM in processes of its own: what it does there cannot harm ours.

LLVM ends the process where it meets a broken assertion, and its algorithms may take more time and
memory than anyone wants to wait for. `ProcessPool` is an executor whose tasks run in worker
processes with bounds on both. A worker that dies is replaced, and its task fails with a
`WorkerError`; nothing else is lost. (`concurrent.futures.ProcessPoolExecutor` loses all tasks with
one worker, sets no bounds, and imports the caller's main program again.)

Parent and worker speak through a socket: a task is pickled by the parent; the answer is plain
bytes, so that nothing a worker sends is ever unpickled.
"""

from __future__ import annotations

import atexit
import functools
import os
import pickle
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import IO, Any, TypeVar

from jitwasm.backend.scheduler import WORKER_STACK, WorkerPool

__all__ = ["ProcessPool", "WorkerError", "serve", "shared_processes"]

T = TypeVar("T")

_FRAME = struct.Struct("<BQ")  # outcome, size of what follows
_DONE, _FAILED, _NO_MEMORY, _WRONG = range(4)
_SIZE = struct.Struct("<Q")
_WAIT_FACTOR, _WAIT_LEAST = 4, 10
"""On a busy machine a worker gets less than all of a core: how much longer than its CPU time it
may take by the clock, and the seconds that are granted on top."""
_MESSAGE_BYTES = 2000
_START = (
    "import sys; sys.path[:] = {path!r}; from jitwasm.backend.processes import serve; serve({fd})"
)


class WorkerError(RuntimeError):
    """A worker process died, or ran out of memory or time. Its task may be what did it."""


class ProcessPool(Executor):
    """An executor of worker processes. A task is a function of some module and its arguments, all
    of which pickle; its result is `bytes`.

    Args:
        processes: how many; None takes one for each core.
        seconds: CPU time that one task may take; None sets no bound.
        memory: bytes of address space a worker may have; None sets no bound.
    """

    def __init__(
        self,
        processes: int | None = None,
        *,
        seconds: float | None = None,
        memory: int | None = None,
    ) -> None:
        self._threads = WorkerPool(processes)
        self._seconds = seconds
        self._memory = memory
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False
        _pools.add(self)
        # Again, to come before what `_threads` does at exit: its threads wait for workers.
        atexit.unregister(_kill_all)
        atexit.register(_kill_all)

    def _begin_after_fork(self) -> None:
        """In a forked child: the workers are the parent's."""
        self._lock = threading.Lock()
        for worker in (*self._idle, *self._busy):
            worker.disconnect()
        self._idle, self._busy, self._closed = [], set(), False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run `fn(*args, **kwargs)` in a worker.

        The future fails with a `WorkerError` if the worker does not survive it, and with the
        exception of the function otherwise, if that is one of jitwasm's or a builtin.
        """
        task = pickle.dumps((fn, args, kwargs), pickle.HIGHEST_PROTOCOL)
        return self._threads.submit(self._run, task)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers: those that are idle at once, others after their task, unless it is to be
        cancelled."""
        if cancel_futures:
            self._kill()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._kill()
        _pools.discard(self)

    def worker_pids(self) -> list[int]:
        """The process ids of the workers that have been started."""
        with self._lock:
            return [worker.pid for worker in (*self._idle, *self._busy)]

    def _kill(self) -> None:
        with self._lock:
            self._closed = True
            busy, idle = [*self._busy], self._idle
            self._idle = []
        for worker in busy:
            worker.kill()
        for worker in idle:
            worker.end()

    def _run(self, task: bytes) -> Any:
        worker = self._take()
        try:
            outcome, answer = worker.run(task)
        except BaseException:
            with self._lock:
                self._busy.discard(worker)
            worker.end()
            raise
        with self._lock:
            self._busy.discard(worker)
            keep = not self._closed and outcome != _NO_MEMORY
            if keep:
                self._idle.append(worker)
        if not keep:
            worker.end()
        return _result(outcome, answer)

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise WorkerError("the worker processes have been stopped")
            worker = self._idle.pop() if self._idle else None
            if worker is not None:
                self._busy.add(worker)
                return worker
        try:
            worker = _Worker(self._seconds, self._memory)
        except OSError as error:
            raise WorkerError(f"a worker process cannot be started: {error}") from error
        with self._lock:
            self._busy.add(worker)
        return worker


def _result(outcome: int, answer: bytes) -> bytes:
    if outcome == _DONE:
        return answer
    if outcome == _NO_MEMORY:
        raise WorkerError("a worker process ran out of memory")
    name, _, message = answer.decode("utf-8", "replace").partition("\n")
    if outcome == _FAILED:
        raise _exception_class(name)(message)
    raise TypeError(message)


def _exception_class(name: str) -> type[Exception]:
    """By its module and name, if that is loaded here already: a worker cannot make us import."""
    module, _, cls = name.rpartition(".")
    found = getattr(sys.modules.get(module), cls, None)
    if isinstance(found, type) and issubclass(found, Exception):
        return found
    return RuntimeError


class _Worker:
    """One worker process, as its parent sees it."""

    def __init__(self, seconds: float | None, memory: int | None) -> None:
        if not sys.executable:
            raise OSError("the Python interpreter's executable is not known")
        self._seconds = seconds
        ours, theirs = socket.socketpair()
        self._log: IO[bytes] = os.fdopen(os.memfd_create("jitwasm-worker"), "w+b")
        with theirs:
            package = str(Path(__file__).resolve().parents[2])
            path = [package, *(entry for entry in sys.path if entry and entry != package)]
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START.format(path=path, fd=theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C is the parent's to handle.
                start_new_session=True,
            )
        self._socket = ours
        self.pid = self._process.pid
        limits = pickle.dumps((seconds, memory))
        self._socket.sendall(_SIZE.pack(len(limits)) + limits)

    def run(self, task: bytes) -> tuple[int, bytes]:
        """What the worker makes of a pickled task."""
        if self._seconds is not None:
            self._socket.settimeout(_WAIT_FACTOR * self._seconds + _WAIT_LEAST)
        try:
            self._socket.sendall(_SIZE.pack(len(task)))
            self._socket.sendall(task)
            outcome, size = _FRAME.unpack(_receive(self._socket, _FRAME.size))
            return outcome, _receive(self._socket, size)
        except TimeoutError:
            raise WorkerError(f"a worker process took more than {self._seconds} s") from None
        except (OSError, EOFError):
            raise WorkerError(self._obituary()) from None

    def _obituary(self) -> str:
        self._process.kill()  # it may have closed the socket and live
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return f"a worker process took more than {self._seconds} s"
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _MESSAGE_BYTES))
        said = self._log.read().decode("utf-8", "replace").strip()
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return f"a worker process died ({how})" + (f": {said}" if said else "")

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        """Kill it and clean up."""
        self._process.kill()
        self._process.wait()
        self._socket.close()
        self._log.close()

    def disconnect(self) -> None:
        """Leave it to the process that started it."""
        self._process.returncode = 0  # not ours to wait for
        self._socket.close()
        self._log.close()


def _receive(source: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = source.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


# -- the worker's side -----------------------------------------------------------------------------


def serve(fd: int) -> None:
    """Run tasks until the other side of the socket is closed (in a worker process)."""
    # Not on the main thread: LLVM needs a larger stack.
    threading.stack_size(WORKER_STACK)
    thread = threading.Thread(target=_serve, args=(fd,))
    thread.start()
    thread.join()


def _serve(fd: int) -> None:
    connection = socket.socket(fileno=fd)
    seconds, memory = pickle.loads(_receive(connection, *_SIZE.unpack(_receive(connection, 8))))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    while True:
        try:
            task = _receive(connection, *_SIZE.unpack(_receive(connection, 8)))
        except EOFError:
            return
        if seconds is not None:
            _limit_cpu_time(seconds)
        outcome, answer = _perform(task)
        connection.sendall(_FRAME.pack(outcome, len(answer)))
        connection.sendall(answer)


def _limit_cpu_time(seconds: float) -> None:
    """So much more of it; then the kernel ends the process (SIGXCPU)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used + seconds) + 1
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def _perform(task: bytes) -> tuple[int, bytes]:
    try:
        function, arguments, keywords = pickle.loads(task)
        result = function(*arguments, **keywords)
    except MemoryError:
        return _NO_MEMORY, b""
    except Exception as error:
        cls = type(error)
        return _FAILED, f"{cls.__module__}.{cls.__qualname__}\n{error}".encode()
    if not isinstance(result, bytes):
        kind = type(result).__name__
        return _WRONG, f"\na task of a worker process gives bytes, not {kind}".encode()
    return _DONE, result


# -- pools of the process --------------------------------------------------------------------------

_pools: weakref.WeakSet[ProcessPool] = weakref.WeakSet()  # so that exits and forks find them


def _kill_all() -> None:
    for pool in list(_pools):
        pool._kill()


def _forget_all() -> None:
    for pool in list(_pools):
        pool._begin_after_fork()


os.register_at_fork(after_in_child=_forget_all)


@functools.cache
def shared_processes(
    processes: int | None, seconds: float | None, memory: int | None
) -> ProcessPool:
    """The pool of the process with these bounds."""
    return ProcessPool(processes, seconds=seconds, memory=memory)
