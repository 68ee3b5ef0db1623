"""Arguments, environment, clocks, random numbers and the end of a program."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from jitwasm.deadlines import time_left
from jitwasm.errors import ExitError
from jitwasm.wasi.abi import WasiError
from jitwasm.wasi.context import WasiState
from jitwasm.wasi.guest import GuestMemory

__all__ = ["CALLS"]

_MASK64 = 0xFFFFFFFFFFFFFFFF
_RANDOM_PIECE = 1 << 20
_CLOCKS = (
    time.CLOCK_REALTIME,
    time.CLOCK_MONOTONIC,
    time.CLOCK_PROCESS_CPUTIME_ID,
    time.CLOCK_THREAD_CPUTIME_ID,
)


def _put_strings(memory: GuestMemory, strings: Sequence[bytes], pointers: int, data: int) -> None:
    for string in strings:
        memory.put_u32(pointers, data)
        memory.put(data, string + b"\0")
        pointers += 4
        data += len(string) + 1


def _put_sizes(memory: GuestMemory, strings: Sequence[bytes], count: int, size: int) -> None:
    memory.put_u32(count, len(strings))
    memory.put_u32(size, sum(len(string) + 1 for string in strings))


def args_get(state: WasiState, pointers: int, data: int) -> None:
    _put_strings(state.memory(), state.args, pointers, data)


def args_sizes_get(state: WasiState, count: int, size: int) -> None:
    _put_sizes(state.memory(), state.args, count, size)


def environ_get(state: WasiState, pointers: int, data: int) -> None:
    _put_strings(state.memory(), state.env, pointers, data)


def environ_sizes_get(state: WasiState, count: int, size: int) -> None:
    _put_sizes(state.memory(), state.env, count, size)


def clock_res_get(state: WasiState, clock: int, result: int) -> None:
    if not 0 <= clock < len(_CLOCKS):
        raise WasiError("INVAL")
    resolution = 1 if state.clock else max(1, round(time.clock_getres(_CLOCKS[clock]) * 1e9))
    state.memory().put_u64(result, resolution)


def clock_time_get(state: WasiState, clock: int, precision: int, result: int) -> None:
    if not 0 <= clock < len(_CLOCKS):
        raise WasiError("INVAL")
    state.memory().put_u64(result, read_clock(state, clock))


def read_clock(state: WasiState, clock: int) -> int:
    """Nanoseconds of a clock: the host's, or what the embedder's function says."""
    if state.clock is not None:
        return state.clock(clock) & _MASK64
    return time.clock_gettime_ns(_CLOCKS[clock])


def random_get(state: WasiState, pointer: int, size: int) -> None:
    buffer = state.memory().slice(pointer, size)
    source = os.urandom if state.random is None else state.random
    # In pieces, so that it takes no memory of the host's, and no longer than a deadline allows.
    for start in range(0, len(buffer), _RANDOM_PIECE):
        if start and time_left() == 0:
            raise WasiError("INTR")
        piece = buffer[start : start + _RANDOM_PIECE]
        data = source(len(piece))
        if len(data) != len(piece):
            raise ValueError(f"the random source gave {len(data)} bytes instead of {len(piece)}")
        piece[:] = data


def sched_yield(state: WasiState) -> None:
    os.sched_yield()


def proc_exit(state: WasiState, code: int) -> None:
    raise ExitError(code & 0xFFFFFFFF)


_SIGNALS = """
NONE HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM CHLD CONT STOP TSTP
TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH POLL PWR SYS
""".split()
_IGNORED = {"NONE", "CHLD", "CONT", "URG", "WINCH"}


def proc_raise(state: WasiState, number: int) -> None:
    """A signal ends the program, never the process it runs in, as a shell would report it."""
    if not 0 <= number < len(_SIGNALS):
        raise WasiError("INVAL")
    name = _SIGNALS[number]
    if name not in _IGNORED:
        raise ExitError(128 + signal.Signals[f"SIG{name}"].value)


CALLS = {
    function.__name__: function
    for function in (
        args_get,
        args_sizes_get,
        environ_get,
        environ_sizes_get,
        clock_res_get,
        clock_time_get,
        random_get,
        sched_yield,
        proc_exit,
        proc_raise,
    )
}
