"""Both engines with what fuzzing needs beyond scripts: the environment, and all of the state.

An engine here belongs to one session: it has one environment instance and one host.
"""

from __future__ import annotations

import ctypes
import random
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi

import jitwasm
from jitwasm.abi import MEMORY64_RESERVED
from jitwasm.table import TABLE_LIMIT
from tests.fuzz.environment import ENVIRONMENT, HOST, Host, HostFailure
from tests.spec.adapter import JitwasmEngine, Linked, Provided
from tests.spec.engine import Outcome, Unlinkable
from tests.spec.peer_adapter import _KINDS, WasmtimeEngine
from tests.spec.peer_adapter import _outcome as peer_outcome
from tests.spec.values import Ref, Value
from tests.support.wat import wat

__all__ = ["Failed", "Ours", "Peer", "Resources", "attempt", "peer_engine"]

DIGESTED_BYTES = 64 << 20
"""What is compared of a memory that is larger: its beginning, and a page at the end."""

TABLE_ROWS = 12
FUEL = 3_000_000

State = dict[str, Any]


class Failed(Outcome):
    """A host function raised, and the exception came out."""


class Resources(Outcome):
    """The engine has no room; nothing can be said about the module."""


def attempt(operation: Callable[..., Any], *args: Any) -> Any:
    """What it returns, or the `Outcome` it raises."""
    try:
        return operation(*args)
    except Outcome as outcome:
        return outcome


class Ours(JitwasmEngine):
    """jitwasm, for one session. `functions_of` is the instance that function arguments are of."""

    functions_of: Linked

    def __init__(self, config: jitwasm.Config, host: Host) -> None:
        super().__init__(config)
        self.host = host
        self.functions = {name: self._bound(name) for name in HOST}

    def environment(self, module: Any) -> Linked:
        return self.instantiate(module, {"host": self.host_namespace()})

    def instantiate(self, module: Any, imports: Any) -> Linked:
        try:
            return super().instantiate(module, imports)
        except MemoryError as error:
            raise Resources(str(error)) from None
        except HostFailure:
            raise Failed("the host raised") from None

    def invoke(self, linked: Linked, name: str, args: Sequence[Value | Ref]) -> list[Value | Ref]:
        try:
            return super().invoke(linked, name, self._resolved(args))
        except HostFailure:
            raise Failed("the host raised") from None

    def _resolved(self, args: Sequence[Any]) -> list[Any]:
        return [
            _Function(self.functions_of.exports[arg.payload]) if is_function(arg) else arg
            for arg in args
        ]

    def to_python(self, value: Any) -> object:
        return value.function if isinstance(value, _Function) else super().to_python(value)

    def _bound(self, name: str) -> Any:
        params, results = HOST[name]

        def function(*args: Any) -> Any:
            # A reference that came in goes out as the same object.
            given = [self.from_python(v, t) for v, t in zip(args, params, strict=True)]
            out: list[Any] = [
                args[0] if type_.endswith("ref") else self.to_python(value)
                for value, type_ in zip(self.host.call(name, given), results, strict=True)
            ]
            return None if not results else out[0] if len(out) == 1 else out

        return function

    def host_namespace(self) -> Provided:
        """The host functions, to import from."""
        return Provided(self.functions)

    # The host changes what is exported.

    def grow_memory(self, linked: Linked, name: str, pages: int) -> int:
        try:
            return int(linked.exports[name].grow(pages))
        except ValueError:
            return -1

    def set_global(self, linked: Linked, name: str, value: Value) -> None:
        linked.exports[name].value = self.to_python(value)

    def clear_element(self, linked: Linked, name: str, index: int) -> bool:
        try:
            linked.exports[name].set(index, None)
        except IndexError:
            return False
        return True

    def state(self, linked: Linked, keep: bool) -> State:
        found: State = {"fuel": linked.instance.fuel}
        for name, type_ in linked.types.items():
            if isinstance(type_, jitwasm.MemoryType):
                data = memoryview(linked.exports[name])
                found[f"memory {name}"] = _digest(data, keep)
            elif isinstance(type_, jitwasm.GlobalType):
                found[f"global {name}"] = self.get(linked, name)
            elif isinstance(type_, jitwasm.TableType):
                table = linked.exports[name]
                rows = min(len(table), TABLE_ROWS)
                elements = [self._from_reference(table.get(i)) for i in range(rows)]
                found[f"table {name}"] = (len(table), *elements)
        return found


class _Function:
    """An exported function as an argument."""

    def __init__(self, function: Any) -> None:
        self.function = function


def is_function(arg: Any) -> bool:
    """Whether an argument names an export to be passed as a function reference."""
    return isinstance(arg, Ref) and arg.kind == "func"


def _digest(data: Any, keep: bool) -> tuple[Any, ...]:
    size = len(data)
    checksum = zlib.crc32(data[:DIGESTED_BYTES])
    if size > DIGESTED_BYTES:  # grown to gigabytes, which nothing but the growth has touched
        return (size, zlib.crc32(data[-65536:], checksum))
    return (size, checksum, *([bytes(data)] if keep else []))


@lru_cache(maxsize=2)
def peer_engine(canonical: bool) -> wasmtime.Engine:
    """wasmtime with the proposals that jitwasm has, and fuel.

    Args:
        canonical: make NaNs canonical, and let relaxed instructions do what they do everywhere.
            What comes out the same without it does not depend on what engines may choose.
    """
    config = wasmtime.Config()
    for name, value in {
        "wasm_gc": False,
        "wasm_exceptions": False,
        "wasm_threads": False,
        "wasm_function_references": True,
        "wasm_tail_call": True,
        "wasm_multi_memory": True,
        "wasm_memory64": True,
        "wasm_relaxed_simd": True,
        "parallel_compilation": False,
        "consume_fuel": True,
        "max_wasm_stack": 512 << 10,
        "memory_reservation": MEMORY64_RESERVED,  # else growing copies gigabytes
        "cranelift_nan_canonicalization": canonical,
        "wasm_relaxed_simd_deterministic": canonical,
    }.items():
        setattr(config, name, value)
    return wasmtime.Engine(config)


class Peer(WasmtimeEngine):
    """wasmtime, for one session. `functions_of` is the instance that function arguments are of."""

    functions_of: wasmtime.Instance

    def __init__(self, canonical: bool, host: Host, most: int = MEMORY64_RESERVED) -> None:
        """`most`: bytes that memories may have, as jitwasm lets them: growing must fail alike."""
        super().__init__(peer_engine(canonical))
        self.store.set_limits(memory_size=most, table_elements=TABLE_LIMIT)
        self.host = host
        self._callbacks: list[Any] = []
        self._exports: dict[int, tuple[Any, Any]] = {}
        self._failure: BaseException | None = None

    def environment(self, module: Any) -> Any:
        self.refuel()
        provided = [self._bound(row) for row in module.imports]
        return wasmtime.Instance(self.store, module, provided)

    def instantiate(self, module: Any, imports: Any) -> Any:
        self.refuel()
        provided: list[Any] = []
        for row in module.imports:
            if row.module == "host":
                provided.append(self._bound(row))
                continue
            try:
                provided.append(self._named(imports[row.module], row.name))
            except KeyError:
                raise Unlinkable(f"unknown import {row.module} {row.name}") from None
        try:
            return wasmtime.Instance(self.store, module, provided)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            text = str(error)
            if any(part in text for part in _RESOURCES):
                raise Resources(text) from None
            raise self._outcome(text) from None

    def invoke(self, instance: Any, name: str, args: Sequence[Any]) -> list[Value | Ref]:
        try:
            return super().invoke(instance, name, [self._resolve(a) for a in args])
        except Outcome as outcome:
            raise self._outcome(str(outcome), outcome) from None

    def _outcome(self, text: str, found: Outcome | None = None) -> Outcome:
        if _MARK in text:
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure
            return Failed("the host raised")
        return found or peer_outcome(Exception(text), linking=True)

    def _resolve(self, arg: Any) -> Any:
        if not is_function(arg):
            return arg
        raw = ffi.wasmtime_val_t(kind=_KINDS["func"])
        raw.of.funcref = self._named(self.functions_of, arg.payload)._func
        return raw

    def _raw(self, value: Any) -> ffi.wasmtime_val_t:
        return value if isinstance(value, ffi.wasmtime_val_t) else super()._raw(value)

    def _named(self, instance: Any, name: str) -> Any:
        return self._all(instance)[name]

    def _all(self, instance: Any) -> dict[str, Any]:
        # wasmtime-py makes them anew each time they are asked for.
        cached = self._exports.get(id(instance))
        if cached is None:
            found = dict(instance.exports(self.store)._extern_map)
            cached = self._exports[id(instance)] = (instance, found)
        return cached[1]

    def _export(self, instance: Any, name: str) -> Any:
        return self._named(instance, name)

    def _bound(self, row: wasmtime.ImportType) -> wasmtime.Func:
        # The type is the import's own: wasmtime's C interface cannot make one with v128.
        name = row.name or ""
        results = HOST[name][1]

        def callback(_env: Any, _caller: Any, args: Any, count: int, out: Any, _n: int) -> int:
            try:
                given = [self._value(args[i]) for i in range(count)]
                values = self.host.call(name, given)
                for i, value in enumerate(values):
                    out[i] = args[0] if results[i].endswith("ref") else self._raw(value)
                return 0
            except HostFailure:
                pass
            except BaseException as error:  # it cannot pass through C; raised when back in Python
                self._failure = error
            message = ctypes.create_string_buffer(_MARK.encode())
            trap = ffi.wasmtime_trap_new(message, len(_MARK))
            return ctypes.cast(trap, ctypes.c_void_p).value or 0

        pointer = ffi.wasmtime_func_callback_t(callback)
        self._callbacks.append(pointer)
        made = ffi.wasmtime_func_t()
        ffi.wasmtime_func_new(
            self.store._context(), row.type.ptr(), pointer, None, _NO_FINALIZER, ctypes.byref(made)
        )
        return wasmtime.Func._from_raw(made)

    def refuel(self) -> None:
        """Fill the tank: each step may take that much."""
        self.store.set_fuel(FUEL)

    # The host changes what is exported.

    def grow_memory(self, instance: Any, name: str, pages: int) -> int:
        try:
            return int(self._named(instance, name).grow(self.store, pages))
        except wasmtime.WasmtimeError:
            return -1

    def set_global(self, instance: Any, name: str, value: Value) -> None:
        raw = self._raw(value)
        target = self._named(instance, name)._global
        error = ffi.wasmtime_global_set(
            self.store._context(), ctypes.byref(target), ctypes.byref(raw)
        )
        assert not error

    def clear_element(self, instance: Any, name: str, index: int) -> bool:
        table = self._named(instance, name)
        kind = ffi.wasmtime_val_t(kind=self._element_kind(table))
        error = ffi.wasmtime_table_set(
            self.store._context(), ctypes.byref(table._table), index, ctypes.byref(kind)
        )
        if error:
            wasmtime.WasmtimeError._from_ptr(error)
        return not error

    def _element_kind(self, table: Any) -> int:
        """Of a null reference; wasmtime-py's types of references do not tell more."""
        text = str(table.type(self.store).element)
        return _KINDS["extern" if text in ("anyref", "externref") else "func"]

    def state(self, instance: Any, keep: bool) -> State:
        found: State = {}
        for name, item in self._all(instance).items():
            if isinstance(item, wasmtime.Memory):
                size = item.data_len(self.store)
                address = ctypes.cast(item.data_ptr(self.store), ctypes.c_void_p).value or 0
                data = (ctypes.c_uint8 * size).from_address(address) if size else b""
                found[f"memory {name}"] = _digest(memoryview(data), keep)
            elif isinstance(item, wasmtime.Global):
                found[f"global {name}"] = self.get(instance, name)
            elif isinstance(item, wasmtime.Table):
                found[f"table {name}"] = self._table_state(item)
        return found

    def _table_state(self, table: wasmtime.Table) -> tuple[Any, ...]:
        size = table.size(self.store)
        raw = ffi.wasmtime_val_t()
        rows: list[Any] = []
        for i in range(min(size, TABLE_ROWS)):
            context, place = self.store._context(), ctypes.byref(table._table)
            assert ffi.wasmtime_table_get(context, place, i, ctypes.byref(raw))
            rows.append(self._value(raw))
        return (size, *rows)


_MARK = "<the host raised>"
_RESOURCES = ("exceeds", "failed to allocate", "allocate memory", "out of memory", "too large")
_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(0)


@lru_cache(maxsize=16)
def environment_module(compile_: Any) -> Any:
    """The environment, compiled once for each way of compiling."""
    return compile_(wat(ENVIRONMENT))


def seeded(*parts: Any) -> random.Random:
    """A source of numbers that depends on these parts alone."""
    return random.Random(" ".join(map(str, parts)))
