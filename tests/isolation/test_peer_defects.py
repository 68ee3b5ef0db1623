"""Defects that were found in another runtime's Python binding do not exist here."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import numpy as np
import pytest

import jitwasm
from tests.support.wat import wat

RAISING = """(module (import "m" "raise" (func $raise (param i32)))
  (func (export "f") (param i32) (call $raise (local.get 0))))"""


def test_each_thread_gets_the_exceptions_of_its_own_host_functions() -> None:
    module = jitwasm.Module(wat(RAISING))
    wrong: list[BaseException] = []
    barrier = threading.Barrier(2)

    def work(own: type[Exception]) -> None:
        def fail(number: int) -> None:
            raise own(number)

        f = jitwasm.Instance(module, {"m": {"raise": fail}}).exports.f
        barrier.wait(60)
        for number in range(4000):
            with pytest.raises(BaseException) as caught:
                f(number)
            if caught.type is not own or caught.value.args != (number,):
                wrong.append(caught.value)

    classes = [type(name, (Exception,), {}) for name in ("First", "Second")]
    threads = [threading.Thread(target=work, args=(own,)) for own in classes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_view_of_a_memory_outlives_its_instance_and_module() -> None:
    made = jitwasm.Instance(
        jitwasm.Module(wat('(module (memory (export "m") 4) (data (i32.const 0) "still here"))'))
    )
    view = np.frombuffer(made.exports.m, dtype=np.uint8)
    del made
    gc.collect()
    others = [jitwasm.Memory(4) for _ in range(20)]
    for other in others:
        other.write(0, b"\xff" * 1000)
    assert bytes(view[:10]) == b"still here"
    assert view.sum() == sum(b"still here")
    assert len(view) == 4 << 16


def test_reads_past_the_end_are_errors_and_nothing_is_cut_short() -> None:
    memory = jitwasm.Memory(1)
    with pytest.raises(IndexError):
        memory.read(65530, 7)
    with pytest.raises(IndexError):
        memory.write(65530, b"1234567")
    table = jitwasm.Table("funcref", 2)
    with pytest.raises(IndexError):
        table[2]
    with pytest.raises(IndexError):
        table.get(2)


def test_float_parameters_take_integers() -> None:
    text = '(module (func (export "f") (param f64 f32) (result f64) (local.get 0)))'
    assert jitwasm.Instance(jitwasm.Module(wat(text))).exports.f(3, 4) == 3.0


_CTRL_C = """
import os, signal, threading, time
import jitwasm
from tests.support.wat import wat
text = '(module (func (export "f") (loop (br 0))) (func (export "g") (result i32) i32.const 7))'
exports = jitwasm.Instance(jitwasm.Module(wat(text), jitwasm.Config({config}))).exports
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    exports.f()
except KeyboardInterrupt:
    print("interrupted", exports.g())
"""


@pytest.mark.parametrize("config", ["tier='optimized'", "tier='baseline'"])
def test_ctrl_c_stops_code_that_runs_for_ever(config: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CTRL_C.format(config=config)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "interrupted 7\n"), done.stderr


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_any_exception_of_a_host_function_passes_and_the_instance_goes_on(kind: type) -> None:
    thrown: list[BaseException] = []

    def host(number: int) -> None:
        if number:
            thrown.append(kind("from the host"))
            raise thrown[-1]

    f = jitwasm.Instance(jitwasm.Module(wat(RAISING)), {"m": {"raise": host}}).exports.f
    for _ in range(3):
        with pytest.raises(kind) as caught:
            f(1)
        assert caught.value is thrown[-1]
        f(0)
