"""wasmtime as an `Engine`: to test the runner itself, and to compare results with.

wasmtime's Python API has no v128, no exact f32 NaNs and few reference types, so calls go through
its C interface with raw values; host functions and objects are the Python API's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi

from tests.spec.engine import (
    PRINT_FUNCTIONS,
    SPECTEST,
    Exhausted,
    Invalid,
    Malformed,
    Outcome,
    Thrown,
    Trapped,
    Unlinkable,
    Unsupported,
)
from tests.spec.values import Ref, Value

__all__ = ["WasmtimeEngine", "peer_engine"]

_KINDS = {"i32": 0, "i64": 1, "f32": 2, "f64": 3, "v128": 4, "func": 5, "extern": 6, "any": 7}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_WIDTHS = {"i32": 4, "i64": 8, "f32": 4, "f64": 8, "v128": 16}
_HEAPS = {
    "func": "func",
    "nofunc": "func",
    "extern": "extern",
    "noextern": "extern",
}

# Parts of wasmtime's texts for traps, in the order they are looked for, with those of the suite
# that they may mean.
_TRAP_TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("undefined element", ("undefined element", "out of bounds table access")),
    ("uninitialized element", ("uninitialized element",)),
    ("`unreachable` instruction", ("unreachable",)),
    ("out of bounds memory access", ("out of bounds memory access",)),
    ("out of bounds array access", ("out of bounds array access",)),
    ("integer divide by zero", ("integer divide by zero",)),
    ("integer overflow", ("integer overflow",)),
    ("invalid conversion to integer", ("invalid conversion to integer",)),
    ("indirect call type mismatch", ("indirect call type mismatch",)),
    ("cast failure", ("cast failure",)),
    (
        "null reference",
        (
            "null reference",
            "null function reference",
            "null structure reference",
            "null array reference",
            "null i31 reference",
        ),
    ),
    ("unaligned atomic", ("unaligned atomic",)),
    ("atomic wait on non-shared memory", ("expected shared memory",)),
)


def peer_engine() -> wasmtime.Engine:
    """An engine with every feature of 3.0 that wasmtime has."""
    config = wasmtime.Config()
    config.wasm_exceptions = True
    config.wasm_gc = True
    config.wasm_function_references = True
    config.wasm_tail_call = True
    config.wasm_multi_memory = True
    config.wasm_memory64 = True
    config.wasm_relaxed_simd = True
    config.shared_memory = True
    config.max_wasm_stack = 512 << 10
    config.memory_reservation = 1 << 32
    return wasmtime.Engine(config)


class WasmtimeEngine:
    """An `Engine` over wasmtime-py."""

    threads = False

    def __init__(self, engine: wasmtime.Engine | None = None) -> None:
        self.engine = engine or peer_engine()
        self.store = wasmtime.Store(self.engine)

    def compile(self, binary: bytes) -> wasmtime.Module:
        try:
            return wasmtime.Module(self.engine, binary)
        except wasmtime.WasmtimeError as error:
            message = str(error)
        # wasmtime's errors do not say which of the two it is: whatever decodes is only invalid.
        raise _AnyCompileError(message)

    def instantiate(self, module: wasmtime.Module, imports: Mapping[str, Any]) -> wasmtime.Instance:
        provided: list[Any] = []
        for wanted in module.imports:
            try:
                provided.append(imports[wanted.module].exports(self.store)[wanted.name])
            except KeyError:
                raise Unlinkable(f"unknown import {wanted.module} {wanted.name}") from None
            if isinstance(provided[-1], wasmtime.SharedMemory):
                raise Unsupported("wasmtime-py 50 cannot import a shared memory")
        try:
            return wasmtime.Instance(self.store, module, provided)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            raise _outcome(error, linking=True) from None

    def spectest(self) -> wasmtime.Instance:
        functions = []
        for name, params in PRINT_FUNCTIONS.items():
            types = [getattr(wasmtime.ValType, param)() for param in params]
            signature = wasmtime.FuncType(types, [])
            functions.append(wasmtime.Func(self.store, signature, _printer(name)))
        module = wasmtime.Module(self.engine, SPECTEST)
        return wasmtime.Instance(self.store, module, functions)

    def invoke(
        self, instance: wasmtime.Instance, name: str, args: Sequence[Value | Ref]
    ) -> list[Value | Ref]:
        function = self._export(instance, name)
        context = self.store._context()
        raw_args = (ffi.wasmtime_val_t * len(args))(*[self._raw(arg) for arg in args])
        results = (ffi.wasmtime_val_t * self._result_count(function))()
        trap = ctypes.POINTER(ffi.wasm_trap_t)()
        error = ffi.wasmtime_func_call(
            context,
            ctypes.byref(function._func),
            raw_args,
            len(raw_args),
            results,
            len(results),
            ctypes.byref(trap),
        )
        if error:
            raise _outcome(wasmtime.WasmtimeError._from_ptr(error))
        if trap:
            raise _outcome(wasmtime.Trap._from_ptr(trap))
        return [self._value(result) for result in results]

    def get(self, instance: wasmtime.Instance, name: str) -> Value | Ref:
        exported = self._export(instance, name)
        raw = ffi.wasmtime_val_t()
        ffi.wasmtime_global_get(
            self.store._context(), ctypes.byref(exported._global), ctypes.byref(raw)
        )
        return self._value(raw)

    def memory(self, instance: wasmtime.Instance, name: str) -> bytes:
        """The contents of an exported memory."""
        exported = self._export(instance, name)
        return bytes(exported.read(self.store, 0, exported.data_len(self.store)))

    def _export(self, instance: wasmtime.Instance, name: str) -> Any:
        return instance.exports(self.store)[name]

    def _result_count(self, function: wasmtime.Func) -> int:
        type_ = ffi.wasmtime_func_type(self.store._context(), ctypes.byref(function._func))
        count: int = ffi.wasm_functype_results(type_).contents.size
        ffi.wasm_functype_delete(type_)
        return count

    def _raw(self, value: Value | Ref) -> ffi.wasmtime_val_t:
        if isinstance(value, Value):
            raw = ffi.wasmtime_val_t(kind=_KINDS[value.type])
            bits = value.bits.to_bytes(_WIDTHS[value.type], "little")
            ctypes.memmove(ctypes.byref(raw.of), bits, len(bits))
            return raw
        if value.kind == "null":
            return ffi.wasmtime_val_t(kind=_KINDS[_HEAPS.get(str(value.payload), "any")])
        if value.kind != "extern":
            raise Unsupported(f"{value} as an argument")
        return wasmtime.Val.externref(value.payload)._new_raw(self.store)

    def _value(self, raw: ffi.wasmtime_val_t) -> Value | Ref:
        name = _NAMES.get(raw.kind, "exn")
        if name in _WIDTHS:
            return Value(name, int.from_bytes(bytes(raw.of)[: _WIDTHS[name]], "little"))
        if name == "func":
            return Ref("func" if raw.of.funcref.store_id else "null")
        if name == "extern":
            payload = wasmtime.Val._from_raw(self.store, raw, owned=False).value
            return Ref("null") if raw.of.externref.store_id == 0 else Ref("extern", payload)
        if name == "any":
            return self._any_value(raw)
        raise Unsupported(f"a result of kind {raw.kind}")

    def _any_value(self, raw: ffi.wasmtime_val_t) -> Ref:
        if raw.of.anyref.store_id == 0:
            return Ref("null")
        context, ref = self.store._context(), ctypes.byref(raw.of.anyref)
        number = ctypes.c_uint32()
        if ffi.wasmtime_anyref_i31_get_u(context, ref, ctypes.byref(number)):
            return Ref("i31", number.value)
        if ffi.wasmtime_anyref_is_struct(context, ref):
            return Ref("struct")
        if ffi.wasmtime_anyref_is_array(context, ref):
            return Ref("array")
        raise Unsupported("a host object as a result of type anyref")


class _AnyCompileError(Malformed, Invalid):
    """wasmtime refused the module, as malformed or as invalid."""


def _printer(name: str) -> Any:
    widths = PRINT_FUNCTIONS[name]

    def printer(*args: object) -> None:
        assert len(args) == len(widths)

    return printer


def _outcome(error: Exception, linking: bool = False) -> Outcome:
    message = str(error)
    if "call stack exhausted" in message:
        return Exhausted("call stack exhausted")
    if "uncaught" in message or "thrown Wasm exception" in message or "exception" in message:
        return Thrown(message)
    for text, official in _TRAP_TEXTS:
        if text in message:
            return Trapped(*official)
    return Unlinkable(message) if linking else Trapped(message)
