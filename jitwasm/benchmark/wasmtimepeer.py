"""wasmtime-py as an engine, where it is installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from jitwasm.benchmark.clock import Download, timed
from jitwasm.benchmark.inprocess import InProcess
from jitwasm.benchmark.job import Job, Unavailable, wasi_version
from jitwasm.benchmark.repeat import repeat_module

__all__ = ["Wasmtime"]


class Wasmtime:
    """wasmtime, with Cranelift as it is by default."""

    name = "wasmtime"

    def __init__(self) -> None:
        try:
            self._api: Any = importlib.import_module("wasmtime")
        except ImportError:
            raise Unavailable("it is not installed: pip install wasmtime") from None
        self._engine = self._api.Engine()

    def version(self) -> str:
        return importlib.metadata.version("wasmtime")

    def validate(self, job: Job) -> float:
        return timed(lambda: self._api.Module.validate(self._engine, job.data))

    def compile(self, job: Job) -> float:
        return timed(lambda: self._api.Module(self._engine, job.data))

    def stream(self, job: Job) -> float:
        # It cannot stream: it compiles when all has been downloaded.
        download = Download(job.data, job.rate)
        self._api.Module(self._engine, b"".join(download))
        return time.perf_counter() - download.last

    def load(self, job: Job) -> _Loaded:
        try:
            return _Loaded(self._api, self._engine, job)
        except self._api.WasmtimeError as error:
            raise Unavailable(_first_line(error)) from None


class _Loaded(InProcess):
    def __init__(self, api: Any, engine: Any, job: Job) -> None:
        self._api, self._engine, self.job = api, engine, job
        self._module = api.Module(engine, job.data)
        self._is_wasi = wasi_version(job.info) is not None
        if job.invocation is not None:
            store, exports = self._instance(self._wasi(os.devnull))
            if "_initialize" in exports:
                exports["_initialize"](store)
            function = exports[job.invocation.name]
            self.function: Callable[..., Any] = partial(function, store)
            repeat = api.Module(
                engine, repeat_module(job.invocation.type, job.invocation.arguments)
            )
            exports = api.Instance(store, repeat, [function]).exports(store)
            self.repeat: Callable[[int], None] = partial(exports["repeat"], store)

    def _wasi(self, output: str) -> Any:
        if not self._is_wasi:
            return None
        config = self._api.WasiConfig()
        config.argv = [os.path.basename(self.job.path), *self.job.args]
        config.env = list(self.job.env.items())
        config.stdin_file = self.job.stdin
        config.stdout_file = output
        config.stderr_file = os.devnull
        for guest, host in self.job.dirs.items():
            config.preopen_dir(host, guest)
        return config

    def _instance(self, wasi: Any) -> tuple[Any, Any]:
        """A store, which an instance needs, and its exports."""
        store = self._api.Store(self._engine)
        linker = self._api.Linker(self._engine)
        if wasi is not None:
            store.set_wasi(wasi)
            linker.define_wasi()
        linker.allow_shadowing = True
        for row in self._module.imports:
            if not (self._is_wasi and row.module == wasi_version(self.job.info)):
                linker.define(store, row.module, row.name, self._stand_in(store, row.type))
        return store, linker.instantiate(store, self._module).exports(store)

    def _stand_in(self, store: Any, type_: Any) -> Any:
        api = self._api
        if isinstance(type_, api.FuncType):
            results = [_zero(str(row)) for row in type_.results]
            result = results[0] if len(results) == 1 else results
            return api.Func(store, type_, lambda *arguments: result)
        if isinstance(type_, api.MemoryType):
            return api.Memory(store, type_)
        if isinstance(type_, api.TableType):
            return api.Table(store, type_, None)
        if isinstance(type_, api.GlobalType):
            return api.Global(store, type_, _zero(str(type_.content)))
        raise Unavailable(f"nothing stands in for an import of type {type(type_).__name__}")

    def instantiate(self, count: int) -> float:
        total = 0.0
        for _ in range(count):
            total += timed(partial(self._instance, self._wasi(os.devnull)))
        return total / count

    def run_main(self, output: str) -> tuple[int, float]:
        store, exports = self._instance(self._wasi(output))
        main, code = exports["_start"], 0
        start = time.perf_counter()
        try:
            main(store)
        except self._api.ExitTrap as exit_:
            code = exit_.code
        return code, time.perf_counter() - start

    def close(self) -> None:
        """Nothing is held beyond the objects."""


def _zero(type_: str) -> Any:
    if type_ in ("i32", "i64"):
        return 0
    return 0.0 if type_ in ("f32", "f64") else None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
