"""jitwasm as an engine of the corpus harness: real jobs on real third-party modules.

The harness calls `RT.compile(bytes)`, then `RT(module, driver)` and the methods below; a driver
gives its imports as a flat mapping of (module, field) to a function. Imports a driver does not
give get a stub that returns zeros, as with the other engines of the harness.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import jitwasm
from jitwasm.config import default_config

_ZEROS = {"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0}


class RT:
    """One instance of a module, driven by one job."""

    @staticmethod
    def compile(data: bytes) -> jitwasm.Module:
        # What is on disk from the last time is not what is measured.
        return jitwasm.Module(data, replace(default_config(), cache=False))

    def __init__(self, module: jitwasm.Module, driver: ModuleType) -> None:
        self.memory: jitwasm.Memory | None = None
        self.out, self.err = io.BytesIO(), io.BytesIO()
        self._folder = tempfile.TemporaryDirectory()
        self.dirs: dict[str, str] = {}
        given = driver.imports(self) if hasattr(driver, "imports") else {}
        imports: dict[str, dict[str, object]] = {}
        if any(i.module.startswith("wasi_") for i in module.imports()) and not getattr(
            driver, "NOWASI", False
        ):
            self.wasi = self._wasi_of(driver)
            imports.update({name: dict(fields) for name, fields in self.wasi.imports.items()})
        for wanted in module.imports():
            fields = imports.setdefault(wanted.module, {})
            key = (wanted.module, wanted.name)
            if key in given or wanted.name not in fields:
                fields[wanted.name] = self._import(wanted, given.get(key))
        self.instance = jitwasm.Instance(module, imports)
        self.exports = self.instance.exports
        if self.memory is None:
            for value in self.exports.values():
                if isinstance(value, jitwasm.Memory):
                    self.memory = value
                    break

    def _wasi_of(self, driver: ModuleType) -> jitwasm.Wasi:
        options = getattr(driver, "WASI", None) or {}
        if callable(options):
            options = options()
        for guest, files in options.get("dirs", {}).items():
            self.dirs[guest] = folder = tempfile.mkdtemp(dir=self._folder.name)
            for name, data in (files or {}).items():
                Path(folder, name).write_bytes(data)
        return jitwasm.Wasi(
            args=options.get("args", ["prog"]),
            env=options.get("env"),
            stdin=options.get("stdin"),
            stdout=self.out,
            stderr=self.err,
            dirs=dict(self.dirs),
        )

    def _import(self, wanted: Any, given: Any) -> object:
        if wanted.kind == "function":
            return given or _stub(wanted.type)
        if wanted.kind == "memory":
            self.memory = jitwasm.Memory(
                wanted.type.limits.minimum, wanted.type.limits.maximum, shared=wanted.type.shared
            )
            return self.memory
        if wanted.kind == "table":
            limits = wanted.type.limits
            return jitwasm.Table(str(wanted.type.element), limits.minimum, limits.maximum)
        value = given or _ZEROS[str(wanted.type.value)]
        return jitwasm.Global(str(wanted.type.value), value, mutable=wanted.type.mutable)

    @property
    def _memory(self) -> jitwasm.Memory:
        assert self.memory is not None
        return self.memory

    def has(self, name: str) -> bool:
        return name in self.exports

    def call(self, name: str, *args: object) -> Any:
        return self.exports[name](*args)

    def glob(self, name: str) -> Any:
        return self.exports[name].value

    def read(self, pointer: int, size: int) -> bytes:
        return self._memory.read(pointer & 0xFFFFFFFF, size)

    def write(self, pointer: int, data: bytes) -> None:
        self._memory.write(pointer & 0xFFFFFFFF, data)

    def memcpy(self, to: int, source: int, size: int) -> None:
        self.write(to, self.read(source, size))

    def cstr(self, pointer: int) -> bytes:
        buffer = self._memory.buffer
        start = pointer & 0xFFFFFFFF
        end = start
        while True:
            chunk = bytes(buffer[end : end + 256])
            at = chunk.find(b"\0")
            if at >= 0:
                return bytes(buffer[start : end + at])
            end += len(chunk)

    def mem_size(self) -> int:
        return len(self._memory.buffer)

    def mem_grow(self, pages: int) -> int:
        try:
            return self._memory.grow(pages)
        except (ValueError, MemoryError):
            return -1

    def run(self, name: str = "_start") -> int:
        try:
            self.call(name)
        except jitwasm.ExitError as exit_:
            return exit_.code
        return 0

    def stdout(self) -> bytes:
        return self.out.getvalue()

    def stderr(self) -> bytes:
        return self.err.getvalue()

    def close(self) -> None:
        del self.instance, self.exports, self.memory
        self._folder.cleanup()


def _stub(type_: Any) -> Callable[..., object]:
    zeros = tuple(_ZEROS[str(t)] for t in type_.results)
    value = None if not zeros else zeros[0] if len(zeros) == 1 else zeros
    return lambda *args: value
