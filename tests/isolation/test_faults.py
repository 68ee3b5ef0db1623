"""What goes wrong around a module gives a clear error or a clean exit, and loses nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import jitwasm
from jitwasm import Config, ImplementationLimits
from tests.support.wat import wat

TIMEOUT = 240

_PRELUDE = """
import os, resource, sys, threading, time
import jitwasm
from jitwasm import Config
from tests.support.wat import wat

def used(kind):
    with open("/proc/self/status") as status:
        row = next(line for line in status if line.startswith(kind))
    return int(row.split()[1]) * 1024

def many(count, loops=1):
    body = "(loop (local.set 1 (i32.add (local.get 1) (i32.mul (local.get 0) (i32.const 77777))))"
    body += " (br_if 0 (local.tee 0 (i32.shr_u (local.get 0) (i32.const 1)))))"
    functions = (
        f'(func (export "f{i}") (param i32) (result i32) (local i32) {body * loops}'
        f" (i32.add (local.get 1) (i32.const {i})))" for i in range(count))
    return wat("(module " + " ".join(functions) + ")")
"""


def run(source: str, expected: str, code: int = 0) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + source], capture_output=True, text=True, timeout=TIMEOUT
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, expected, "")


def test_no_address_space_for_a_memory_is_a_memory_error() -> None:
    run(
        """
module = jitwasm.Module(wat('(module (memory (export "m") 1))'))
jitwasm.Instance(module)
_, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used("VmSize") + (1 << 30), hard))
kept = []
try:
    for _ in range(100):
        kept.append(jitwasm.Instance(module).exports.m)
except MemoryError as error:
    print("MemoryError", len(kept) < 20)
try:
    jitwasm.Memory(1), jitwasm.Memory(1), jitwasm.Memory(1)
except MemoryError as error:
    print("cannot reserve" in str(error))
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
print(jitwasm.Instance(module).exports.m.pages)
""",
        "MemoryError True\nTrue\n1\n",
    )


def test_no_memory_to_grow_into_is_told_as_wasm_and_python_tell_it() -> None:
    run(
        """
text = '''(module (memory (export "m") 1)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))'''
exports = jitwasm.Instance(jitwasm.Module(wat(text))).exports
exports.m.write(100, b"kept")
_, hard = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (used("VmData") + (64 << 20), hard))
print(exports.grow(10000))
try:
    exports.m.grow(10000)
except (MemoryError, ValueError, OverflowError) as error:
    print("error")
print(exports.m.pages, exports.m.read(100, 4))
resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
print(exports.grow(10), exports.m.pages)
""",
        "-1\nerror\n1 b'kept'\n1 11\n",
    )


def test_a_compiler_without_memory_leaves_the_module_at_the_baseline() -> None:
    limits = ImplementationLimits(compile_memory=60 << 20)  # too little for LLVM to be loaded
    config = Config(tier="optimized", executor="processes", limits=limits, cache=False, threads=1)
    text = '(module (func (export "f") (result i32) (i32.const 7)))'
    with pytest.warns(jitwasm.CompileWarning):
        module = jitwasm.Module(wat(text), config)
    assert jitwasm.Instance(module).exports.f() == 7


_MODES = {
    "optimised in threads": "tier='optimized'",
    "in processes": "tier='optimized', executor='processes'",
    "lazily": "",
    "in the background": "tier_up='early'",
}


@pytest.mark.parametrize("mode", _MODES)
def test_the_interpreter_ends_cleanly_while_compiling(mode: str) -> None:
    run(
        f"""
data = many(3000)
config = Config(cache=False, {_MODES[mode]})
def chunks():
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]
promise = jitwasm.compile_streaming(chunks(), config)
instance = jitwasm.Instance(jitwasm.Module(many(2000), Config(cache=False, tier_up="early")))
instance.exports.f7(5)
print("left", flush=True)
sys.exit(5)
""",
        "left\n",
        5,
    )


@pytest.mark.parametrize("mode", _MODES)
def test_a_fork_while_compiling_leaves_both_processes_working(mode: str) -> None:
    run(
        f"""
config = Config(cache=False, threads=2, {_MODES[mode]})
data = many(600)
promise = jitwasm.compile(data, config)
while not promise.progress.functions_translated:
    pass
child = os.fork()
if not child:
    made = jitwasm.Instance(jitwasm.Module(many(50), config))
    os._exit(made.exports.f3(0) - 3)
print(os.waitpid(child, 0)[1], jitwasm.Instance(promise.result(200)).exports.f599(0))
""",
        "0 599\n",
    )


def test_sys_exit_in_a_host_function_ends_the_program_with_its_code() -> None:
    run(
        """
text = '(module (import "m" "f" (func $f)) (func (export "run") (call $f)))'
instance = jitwasm.Instance(jitwasm.Module(wat(text)), {"m": {"f": lambda: sys.exit(9)}})
print("running", flush=True)
instance.exports.run()
""",
        "running\n",
        9,
    )


def test_python_code_called_from_deep_wasm_ends_in_an_error_and_not_a_crash() -> None:
    run(
        """
text = '''(module (import "m" "f" (func $f (param i32)))
  (func $deep (export "deep") (param i32)
    (if (i32.eqz (local.get 0)) (then (call $f (local.get 0))))
    (call $deep (i32.sub (local.get 0) (i32.const 1)))))'''
def recurse(n=0):
    import json
    json.loads("[" * 400 + "]" * 400)
    recurse(n + 1)
instance = jitwasm.Instance(jitwasm.Module(wat(text)), {"m": {"f": lambda n: recurse()}})
for depth in (0, 100, 10_000, 60_000, 10**9):
    try:
        instance.exports.deep(depth)
    except RecursionError as error:
        print(type(error).__name__ in ("RecursionError", "StackOverflow"))
""",
        "True\n" * 5,
    )
