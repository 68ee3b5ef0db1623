"""A module that exports every function of WASI as it imports it, to call each by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wasmtime

import jitwasm
from jitwasm.wasi.abi import FUNCTIONS, PREVIEW1, UNSTABLE, Errno, Version
from tests.support.wat import wat

CONFIG = jitwasm.Config(opt_level=0)
DATA = 1024  # where calls put names and data
RESULT = 64


def module_of(version: Version, pages: int = 4) -> bytes:
    rows = []
    for name in version.functions:
        result = "" if name == "proc_exit" else "(result i32)"
        type_ = f"(param {FUNCTIONS[name]}) {result}"
        rows.append(f'(import "{version.module}" "{name}" (func ${name} {type_}))')
    rows.append(f'(memory (export "memory") {pages})')
    for name in version.functions:
        gets = "".join(f"(local.get {i})" for i in range(len(FUNCTIONS[name].split())))
        result = "" if name == "proc_exit" else "(result i32)"
        rows.append(
            f'(func (export "{name}") (param {FUNCTIONS[name]}) {result} (call ${name} {gets}))'
        )
    return wat(f"(module {' '.join(rows)})")


class Machine:
    """Calls with numbers; names and data are put into memory first. Results are errno names."""

    def __init__(self, function: Callable[[str], Callable[..., int]], memory: Any) -> None:
        self._function = function
        self.memory = memory

    def call(self, name: str, *args: int | str | bytes) -> str:
        """Call a function; text and bytes become a pointer and a size."""
        words: list[int] = []
        at = DATA
        for arg in args:
            if isinstance(arg, int):
                words.append(arg)
                continue
            data = arg.encode() if isinstance(arg, str) else arg
            self.write(at, data)
            words += [at, len(data)]
            at += len(data) + 8
        try:
            code = self._function(name)(*words)
        except wasmtime.WasmtimeError:  # numbers that mean nothing: it traps
            return "INVAL"
        return str(Errno(code or 0).name)

    def write(self, at: int, data: bytes) -> None:
        self.memory.write(at, data)

    def read(self, at: int, size: int) -> bytes:
        return bytes(self.memory.read(at, size))

    def u32(self, at: int = RESULT) -> int:
        return int(struct.unpack("<I", self.read(at, 4))[0])

    def u64(self, at: int = RESULT) -> int:
        return int(struct.unpack("<Q", self.read(at, 8))[0])

    def iovec(self, at: int, *rows: tuple[int, int]) -> int:
        self.write(at, b"".join(struct.pack("<II", *row) for row in rows))
        return at

    def open(self, name: str, oflags: int = 0, rights: int = (1 << 29) - 1, fd: int = 3) -> int:
        """Open a path below a folder; raises AssertionError with the errno."""
        code = self.call("path_open", fd, 1, name, oflags, rights, rights, 0, RESULT)
        assert code == "SUCCESS", code
        return self.u32()

    def put(self, fd: int, data: bytes) -> str:
        self.write(DATA, data)
        return self.call("fd_write", fd, self.iovec(128, (DATA, len(data))), 1, RESULT)

    def get(self, fd: int, size: int) -> bytes:
        code = self.call("fd_read", fd, self.iovec(128, (DATA, size)), 1, RESULT)
        assert code == "SUCCESS", code
        return self.read(DATA, self.u32())


def ours(wasi: jitwasm.Wasi, version: Version = PREVIEW1, pages: int = 4) -> Machine:
    module = jitwasm.Module(module_of(version, pages), CONFIG)
    instance = jitwasm.Instance(module, wasi.imports)
    return Machine(lambda name: instance.exports[name], instance.exports.memory)


class _PeerMemory:
    def __init__(self, memory: wasmtime.Memory, store: wasmtime.Store) -> None:
        self._memory, self._store = memory, store

    def write(self, at: int, data: bytes) -> None:
        self._memory.write(self._store, data, at)

    def read(self, at: int, size: int) -> bytes:
        return bytes(self._memory.read(self._store, at, at + size))


def theirs(folder: Path) -> Machine:
    store = wasmtime.Store()
    linker = wasmtime.Linker(store.engine)
    linker.define_wasi()
    config = wasmtime.WasiConfig()
    config.preopen_dir(str(folder), "/work")
    store.set_wasi(config)
    instance = linker.instantiate(store, wasmtime.Module(store.engine, module_of(PREVIEW1)))
    exports = instance.exports(store)

    def function(name: str) -> Callable[..., int]:
        return lambda *args: exports[name](store, *args)

    return Machine(function, _PeerMemory(exports["memory"], store))


__all__ = ["CONFIG", "DATA", "RESULT", "UNSTABLE", "Machine", "module_of", "ours", "theirs"]
