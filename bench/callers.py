"""Callables for the call benchmarks: the same functions through every way of calling native code
from Python, and the host calls each wasm engine offers.

`callers()` gives one row per peer. A row has `functions`, name -> Python callable; a peer leaves
out what it cannot do.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bench.build import build_library
from bench.engines import ENGINES
from bench.peers import cffi, jitwasm, wasm3, wasmtime

__all__ = ["ARGUMENTS", "CALLERS", "CALL_MODULE", "Caller"]

# `host` is imported as a Python function, `builtin` as a C builtin, `native` (a C function that
# adds) and `sin` (from libm) as C functions, directly where the engine can. The loops call them `n`
# times from inside.
CALL_MODULE = """
(module
  (import "env" "host" (func $host (param i32) (result i32)))
  (import "env" "builtin" (func $builtin (param i32) (result i32)))
  (import "env" "native" (func $native (param f64) (result f64)))
  (import "env" "sin" (func $sin (param f64) (result f64)))
  (memory (export "memory") 33)
  (func (export "nop"))
  (func (export "i32") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "i64") (param i64 i64) (result i64)
    (i64.add (local.get 0) (local.get 1)))
  (func (export "f64") (param f64 f64) (result f64)
    (f64.add (local.get 0) (local.get 1)))
  (func (export "six") (param i32 i64 f64 i32 i64 f64) (result f64)
    (f64.add
      (f64.add (local.get 2) (local.get 5))
      (f64.add
        (f64.convert_i32_s (i32.add (local.get 0) (local.get 3)))
        (f64.convert_i64_s (i64.add (local.get 1) (local.get 4))))))
  (func (export "trap") unreachable)
  (func (export "call_host") (param $n i32) (result i32) (local $x i32)
    (loop $again
      (local.set $x (call $host (local.get $x)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))
  (func (export "call_builtin") (param $n i32) (result i32) (local $x i32)
    (loop $again
      (local.set $x (call $builtin (local.get $x)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))
  (func (export "call_native") (param $n i32) (result f64) (local $x f64)
    (loop $again
      (local.set $x (call $native (local.get $x)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))
  (func (export "call_sin") (param $n i32) (result f64) (local $x f64)
    (local.set $x (f64.const 0.5))
    (loop $again
      (local.set $x (call $sin (local.get $x)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))
  THREE)
"""
_THREE = """
  (func (export "three") (param i32) (result i32 i64 f64)
    (local.get 0) (i64.const 2) (f64.const 3))
"""

# The same functions in C, for the ways of calling a shared library.
CALL_SOURCE = """
#define EXPORT __attribute__((visibility("default")))
EXPORT void nop(void) {}
EXPORT int i32(int a, int b) { return a + b; }
EXPORT long long i64(long long a, long long b) { return a + b; }
EXPORT double f64(double a, double b) { return a + b; }
EXPORT double six(int a, long long b, double c, int d, long long e, double f)
{
    return c + f + (a + d) + (double)(b + e);
}
EXPORT double native(double x) { return x + 1; }
EXPORT double loop(int n, double (*function)(double), double x)
{
    while (n--)
        x = function(x);
    return x;
}
"""

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "nop": (),
    "i32": (1, 2),
    "i64": (1, 2),
    "f64": (1.5, 2.5),
    "six": (1, 2, 3.5, 4, 5, 6.5),
    "three": (7,),
    "trap": (),
}
EXPECTED: dict[str, Any] = {
    "nop": None,
    "i32": 3,
    "i64": 3,
    "f64": 4.0,
    "six": 22.0,
    "three": (7, 2, 3.0),
}


def host(x: int) -> int:
    """The Python function that is imported."""
    return x + 1


builtin = operator.neg
"""The C builtin that is imported."""


@dataclass(frozen=True)
class Caller:
    """One peer.

    Attributes:
        functions: the call module's exports as Python callables.
        trap_error: what its `trap` raises.
        read, write: (offset, size) -> bytes and (offset, data) on its memory, if it has one.
        keep: whatever must stay alive.
    """

    functions: Mapping[str, Callable[..., Any]]
    trap_error: type[BaseException] | None = None
    read: Callable[[int, int], Any] | None = None
    write: Callable[[int, bytes], Any] | None = None
    keep: object = None


def call_module(multi_value: bool = True) -> bytes:
    """The call module; wasm3's Python package does not take several results."""
    text = CALL_MODULE.replace("THREE", _THREE if multi_value else "")
    return bytes(wasmtime.wat2wasm(text))


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(str(build_library("calls", CALL_SOURCE)))


def _c_functions() -> tuple[Any, Any]:
    """`native` and `sin`, f64 to f64, as functions of shared libraries."""
    found = _library().native, ctypes.CDLL("libm.so.6").sin
    for function in found:
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    return found


def _python() -> Caller:
    """Plain Python functions, the cost a caller of Python is used to."""

    def nop() -> None:
        pass

    def add(a: Any, b: Any) -> Any:
        return a + b

    def six(a: int, b: int, c: float, d: int, e: int, f: float) -> float:
        return c + f + (a + d) + (b + e)

    def three(a: int) -> tuple[int, int, float]:
        return a, 2, 3.0

    def trap() -> None:
        raise RuntimeError("unreachable")

    def call_host(n: int) -> int:
        x = 0
        for _ in range(n):
            x = host(x)
        return x

    functions: dict[str, Callable[..., Any]] = {
        "nop": nop,
        "i32": add,
        "i64": add,
        "f64": add,
        "six": six,
        "three": three,
        "trap": trap,
        "call_host": call_host,
    }
    return Caller(functions, RuntimeError)


def _builtin() -> Caller:
    """Builtins of CPython, the floor for anything callable from Python."""
    add = operator.add
    return Caller({"i32": add, "i64": add, "f64": add})


def _ctypes() -> Caller:
    library = _library()
    i32, i64, f64 = ctypes.c_int, ctypes.c_longlong, ctypes.c_double
    prototypes: dict[str, tuple[Any, list[Any]]] = {
        "nop": (None, []),
        "i32": (i32, [i32, i32]),
        "i64": (i64, [i64, i64]),
        "f64": (f64, [f64, f64]),
        "six": (f64, [i32, i64, f64, i32, i64, f64]),
    }
    functions = {}
    for name, (result, parameters) in prototypes.items():
        functions[name] = getattr(library, name)
        functions[name].restype, functions[name].argtypes = result, parameters
    pointer = ctypes.CFUNCTYPE(f64, f64)
    native, sine = (ctypes.cast(function, pointer) for function in _c_functions())
    loop = library.loop
    loop.restype, loop.argtypes = f64, [i32, pointer, f64]
    functions["call_native"] = lambda n: loop(n, native, 0.0)
    functions["call_sin"] = lambda n: loop(n, sine, 0.5)
    return Caller(functions)


def _cffi() -> Caller:
    ffi = cffi.FFI()
    ffi.cdef(
        "void nop(void); int i32(int, int); long long i64(long long, long long);"
        "double f64(double, double);"
        "double six(int, long long, double, int, long long, double);"
    )
    library = ffi.dlopen(str(build_library("calls", CALL_SOURCE)))
    names = ("nop", "i32", "i64", "f64", "six")
    return Caller({name: getattr(library, name) for name in names}, keep=(ffi, library))


def _jitwasm(**options: Any) -> Caller:
    native, sine = _c_functions()
    module = jitwasm.Module(call_module(), jitwasm.Config(opt_level=2, **options))
    imports = {"env": {"host": host, "builtin": builtin, "native": native, "sin": sine}}
    instance = jitwasm.Instance(module, imports)
    exports = instance.exports
    memory = exports["memory"]
    names = [entry.name for entry in module.exports() if entry.kind == "function"]
    functions = {name: exports[name] for name in names}
    return Caller(functions, jitwasm.Trap, memory.read, memory.write, instance)


def _wasmtime() -> Caller:
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, call_module())
    i32, f64 = wasmtime.ValType.i32(), wasmtime.ValType.f64()
    integer, real = wasmtime.FuncType([i32], [i32]), wasmtime.FuncType([f64], [f64])
    native, sine = _c_functions()
    imports = [
        wasmtime.Func(store, integer, host),
        wasmtime.Func(store, integer, builtin),
        wasmtime.Func(store, real, native),
        wasmtime.Func(store, real, sine),
    ]
    exports = wasmtime.Instance(store, module, imports).exports(store)
    memory: Any = exports["memory"]

    def bind(name: str) -> Callable[..., Any]:
        function: Any = exports[name]
        return lambda *arguments: function(store, *arguments)

    def three(x: int) -> tuple[Any, ...]:
        return tuple(exports["three"](store, x))

    names = sorted(_WASM3 - {"memory"})
    return Caller(
        {**{name: bind(name) for name in names}, "three": three},
        wasmtime.Trap,
        lambda at, size: memory.read(store, at, at + size),
        lambda at, data: memory.write(store, data, at),
        store,
    )


def _pywasm3() -> Caller:
    environment = wasm3.Environment()
    runtime = environment.new_runtime(1 << 16)
    module = environment.parse_module(call_module(multi_value=False))
    runtime.load(module)
    native, sine = _c_functions()
    module.link_function("env", "host", "i(i)", host)
    module.link_function("env", "builtin", "i(i)", builtin)
    module.link_function("env", "native", "F(F)", native)
    module.link_function("env", "sin", "F(F)", sine)
    names = sorted(_WASM3 - {"memory"})

    def read(at: int, size: int) -> bytes:
        return bytes(runtime.get_memory(0)[at : at + size])

    def write(at: int, data: bytes) -> None:
        runtime.get_memory(0)[at : at + len(data)] = data

    functions = {name: runtime.find_function(name) for name in names}
    return Caller(functions, RuntimeError, read, write, (environment, runtime, module))


def _numba() -> Caller:
    numba = importlib.import_module("numba")

    def add(a: Any, b: Any) -> Any:
        return a + b

    i32 = numba.njit("int32(int32, int32)")(add)
    i64 = numba.njit("int64(int64, int64)")(add)
    f64 = numba.njit("float64(float64, float64)")(add)
    return Caller({"i32": i32, "i64": i64, "f64": f64})


@dataclass(frozen=True)
class CallerRow:
    """How a peer is made, why it may be missing, and what it offers: names of the call module's
    functions, and "memory"."""

    make: Callable[[], Caller]
    missing: Callable[[], str | None]
    offers: frozenset[str]


def _nothing_missing() -> str | None:
    return None


def _needs_wasmtime() -> str | None:
    return None if wasmtime else "wasmtime, whose assembler is used, is not installed"


def _needs_jitwasm() -> str | None:
    return ENGINES["jitwasm"].unavailable() or _needs_wasmtime()


def _needs_wasm3() -> str | None:
    return _needs_wasmtime() if wasm3 else "pywasm3 is not installed"


def _needs_cffi() -> str | None:
    return ENGINES["native"].unavailable() if cffi else "cffi is not installed"


def _needs_numba() -> str | None:
    return None if importlib.util.find_spec("numba") else "numba is not installed"


_NUMBERS = frozenset({"i32", "i64", "f64"})
_C = _NUMBERS | {"nop", "six"}
_NATIVE = frozenset({"call_native", "call_sin"})
_HOST = _NATIVE | {"call_host", "call_builtin"}
_WASM3 = _C | _HOST | {"trap", "memory"}
_WASM = _WASM3 | {"three"}

CALLERS: dict[str, CallerRow] = {
    "builtin": CallerRow(_builtin, _nothing_missing, _NUMBERS),
    "python": CallerRow(_python, _nothing_missing, _C | {"three", "trap", "call_host", "memory"}),
    "jitwasm": CallerRow(_jitwasm, _needs_jitwasm, _WASM),
    "jitwasm-ctypes": CallerRow(lambda: _jitwasm(host_calls="ctypes"), _needs_jitwasm, _HOST),
    "jitwasm-release": CallerRow(lambda: _jitwasm(release_gil=True), _needs_jitwasm, _C | _HOST),
    "wasmtime": CallerRow(_wasmtime, _needs_wasmtime, _WASM),
    "pywasm3": CallerRow(_pywasm3, _needs_wasm3, _WASM3),
    "ctypes": CallerRow(_ctypes, ENGINES["native"].unavailable, _C | _NATIVE),
    "cffi": CallerRow(_cffi, _needs_cffi, _C),
    "numba": CallerRow(_numba, _needs_numba, _NUMBERS),
}
"""Rows by name. Node, which calls from JavaScript, is added in test_calls.py."""
