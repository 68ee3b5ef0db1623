"""A process that only runs baseline code loads neither LLVM nor what else it can do without."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from jitwasm.backend.runtime.prebuilt import OBJECTS, prebuilt_object
from tests.support.wat import wat

ROOT = Path(__file__).resolve().parents[2]

MODULE = """
(module
  (import "env" "log" (func $log (param i32)))
  (import "env" "pair" (func $pair (param f64 i64) (result i64 f64)))
  (import "env" "echo" (func $echo (param externref) (result externref)))
  (import "env" "wide" (func $wide (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "c" "hypot" (func $hypot (param f64 f64) (result f64)))
  (memory (export "memory") 1)
  (table $t 2 funcref)
  (elem (i32.const 0) $add)
  (func $add (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "say") (param i32)
    (call $log (local.get 0)))
  (func (export "swap") (param f64 i64) (result i64 f64)
    (call $pair (local.get 0) (local.get 1)))
  (func (export "echo") (param externref) (result externref)
    (call $echo (local.get 0)))
  (func (export "wide") (param i32) (result i32)
    (call $wide (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)
      (i32.const 5) (i32.const 6)))
  (func (export "splat") (param i32) (result v128)
    (i32x4.splat (local.get 0)))
  (func (export "hypot") (param f64 f64) (result f64)
    (call $hypot (local.get 0) (local.get 1)))
  (func (export "single") (param f32) (result f32)
    (f32.mul (local.get 0) (f32.const 2)))
  (func (export "through") (param i32) (result i32)
    (call_indirect (param i32 i32) (result i32)
      (i32.const 40) (i32.const 2) (local.get 0)))
  (func (export "grow") (result i32)
    (memory.fill (i32.const 0) (i32.const 7) (i32.const 100))
    (memory.copy (i32.const 200) (i32.const 0) (i32.const 100))
    (memory.grow (i32.const 1)))
  (func (export "trap") unreachable))
"""

PROGRAM = """
    import ctypes, sys
    import jitwasm

    seen = []
    libm = ctypes.CDLL("libm.so.6")
    libm.hypot.restype, libm.hypot.argtypes = ctypes.c_double, [ctypes.c_double] * 2
    imports = {
        "env": {
            "log": seen.append,
            "pair": lambda x, n: (n, x),
            "echo": lambda value: value,
            "wide": lambda *values: sum(values),
        },
        "c": {"hypot": libm.hypot},
    }
    module = jitwasm.Module(open(sys.argv[1], "rb").read(), jitwasm.Config(tier="baseline"))
    exports = jitwasm.Instance(module, imports).exports
    assert exports.add(2**31 - 1, 1) == -(2**31)
    for i in range(3000):
        exports.say(i)
    assert seen == list(range(3000))
    assert exports.swap(0.5, -1) == (-1, 0.5)
    thing = object()
    assert exports.echo(thing) is thing and exports.echo(None) is None
    assert exports.wide(10) == 31
    assert exports.splat(1) == b"\\1\\0\\0\\0" * 4
    assert exports.hypot(3.0, 4.0) == 5.0
    assert exports.single(0.25) == 0.5
    assert exports.through(0) == 42
    assert exports.grow() == 1 and exports.memory[200:300] == b"\\7" * 100
    for function, kind in ((lambda: exports.trap(), jitwasm.Trap),
                           (lambda: exports.through(1), jitwasm.Trap),
                           (lambda: exports.add(1), TypeError),
                           (lambda: exports.add(2**40, 1), OverflowError)):
        try:
            function()
        except kind:
            pass
        else:
            raise AssertionError(kind)
    print("llvmlite" in sys.modules)
"""


FIRST_RESULT = """
    import sys
    before = set(sys.modules)
    import jitwasm

    module = jitwasm.Module(open(sys.argv[1], "rb").read())
    imports = {"env": dict.fromkeys(("log", "pair", "echo", "wide"), print),
               "c": {"hypot": print}}
    assert jitwasm.Instance(module, imports).exports.add(40, 2) == 42
    print(*set(sys.modules) - before)
"""

DISPENSABLE = {
    # Of the standard library: each takes a millisecond or more, alone or with what it imports.
    *("asyncio", "concurrent.futures", "dataclasses", "hashlib", "inspect", "logging", "pathlib"),
    *("re", "tempfile", "traceback", "typing", "urllib.parse"),
    # What LLVM is needed for, and what the package was built with.
    *("llvmlite", "jitwasm.backend.llvm", "jitwasm.backend.scheduler", "jitwasm.llvmpool"),
    *("jitwasm.backend.adaptercode", "jitwasm.backend.irtext", "jitwasm.backend.thunks"),
    *("jitwasm.backend.runtime.assemble", "jitwasm.frontend.translate"),
}
COMPILERS = {
    *("jitwasm.compilation", "jitwasm.tiers", "jitwasm.frontend.validator"),
    *("jitwasm.backend.baseline.assembler", "jitwasm.backend.baseline.compiler"),
}


def test_the_first_result_needs_no_more_than_it_has_to(tmp_path: Path) -> None:
    """What is imported before it is most of a small module's time."""
    path = tmp_path / "module.wasm"
    path.write_bytes(wat(MODULE))
    # Without `site`: what it runs in this environment may import anything.
    command = [sys.executable, "-S", "-c", textwrap.dedent(FIRST_RESULT), str(path)]
    loaded = []
    # Where the package was not built, the first process compiles the native runtime.
    for cache in (str(tmp_path / "cache"), str(tmp_path / "cache"), "0"):
        folders = os.pathsep.join(sys.path)
        environment = {**os.environ, "JITWASM_CACHE": cache, "PYTHONPATH": folders}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        loaded.append(set(done.stdout.split()))
    assert not loaded[1] & (DISPENSABLE | COMPILERS)
    if all(map(prebuilt_object, OBJECTS)):
        assert not loaded[2] & DISPENSABLE


def test_baseline_code_runs_without_llvm(tmp_path: Path) -> None:
    path = tmp_path / "module.wasm"
    path.write_bytes(wat(MODULE))
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(path)]
    # Where the package was not built, the first process compiles the native runtime.
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    assert done.stdout == "False\n"
