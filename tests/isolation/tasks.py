"""Functions for worker processes: they have to be importable there."""

from __future__ import annotations

import os
import signal
import time

from jitwasm.backend.codegen import LLVMError, TargetSpec
from jitwasm.backend.executors import compile_task
from jitwasm.backend.units import CompileUnit


def echo(data: bytes) -> bytes:
    print("a worker may print", flush=True)
    return data


def abort(data: bytes) -> bytes:
    os.write(2, b"Assertion failed: something\n")
    os.abort()


def kill_self(data: bytes) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def spin(data: bytes) -> bytes:
    while True:
        pass


def sleep(data: bytes) -> bytes:
    time.sleep(1000)
    return data


def allocate(data: bytes) -> bytes:
    return bytes(1 << 40)


def fail(data: bytes) -> bytes:
    raise LLVMError("cannot parse")


def fail_in_its_own_way(data: bytes) -> bytes:
    class Unknown(Exception):
        pass

    raise Unknown("it says")


def text(data: bytes) -> str:
    return "not bytes"


def compile_unless_marked(
    unit: CompileUnit, target: TargetSpec, verify: bool, expected: str
) -> bytes:
    """In place of `compile_task`: dies as LLVM does of units that mention 0xdead."""
    if "57005" in unit.text:
        os.abort()
    return compile_task(unit, target, verify, expected)
