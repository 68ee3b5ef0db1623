"""Starts in fresh processes: from nothing to the first result of a real module.

`measure` runs this file as a program. It does one job with one engine and prints what it took, as
JSON: seconds until the module was ready and until the result was there (the engine's import
included, the interpreter's own start not), CPU time of the whole process and its peak memory.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "JOBS",
    "ROWS",
    "Job",
    "Missing",
    "Start",
    "find_module",
    "job_folder",
    "measure",
    "run_in_wasmtime",
]


class Missing(Exception):
    """What is needed for a measurement is not there; the message says what."""


@dataclass(frozen=True)
class Job:
    """What is done with a module.

    Attributes:
        file: the module's file name.
        args, files: of a WASI program: its arguments, and files it finds in /in.
        export: of another module, the export that is called; it returns the address of a string.
        module: the module itself, if it is so small that it is written here; its export is called
            with `numbers`, and returns one.
        result: what the program prints, or the string, begins with.
    """

    file: str
    args: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    export: str = ""
    module: bytes = b""
    numbers: tuple[int, ...] = ()
    result: bytes = b""


_PROBLEM = b"""(set-logic QF_BV)
(declare-fun a () (_ BitVec 16))
(declare-fun b () (_ BitVec 16))
(assert (= (bvmul a b) #x0187))
(assert (bvult #x0001 a))
(check-sat)
(exit)
"""

# (func (export "add") (param i32 i32) (result i32) ...), a page of memory and a data segment.
_ONE_PAGE = bytes.fromhex(
    "0061736d01000000"
    "0107016002 7f7f017f 03020100 0503010001"
    "071002 03616464 0000 066d656d6f7279 0200"
    "0a090107 0020 0020 016a0b"
    "0b0b01 0041080b 0568656c6c6f"
)

JOBS = {
    "one page": Job("", export="add", module=_ONE_PAGE, numbers=(40, 2), result=b"42"),
    "quickjs": Job(
        "quickjs.wasm",
        args=("qjs", "/in/a.js"),
        files=(("a.js", b"console.log(1+2)"),),
        result=b"3\n",
    ),
    "quickjs, busy": Job(
        "quickjs.wasm",
        args=("qjs", "/in/a.js"),
        files=(("a.js", b"function fib(n){return n<2?n:fib(n-1)+fib(n-2)} console.log(fib(25))"),),
        result=b"75025\n",
    ),
    "sqlite": Job("sqlite3_org.wasm", export="sqlite3_libversion", result=b"3."),
    "boolector": Job(
        "boolector.wasm",
        args=("boolector", "--smt2", "/in/p.smt2"),
        files=(("p.smt2", _PROBLEM),),
        result=b"sat",
    ),
    "flite, 21 MB": Job(
        "flite.wasm",
        args=("flite", "-t", "Hello world", "-pw", "-o", "none"),
        result=b"hello world",
    ),
    "yosys, 49 MB": Job("yosys_amaranth.wasm", args=("yosys", "-V"), result=b"Amaranth Yosys "),
}

ROWS = ("jitwasm, no cache", "jitwasm, cached", "wasmtime, no cache", "wasmtime, cached")
"""Engines; what is cached has run before."""


@dataclass(frozen=True)
class Start:
    """One start: seconds until ready and until the result, CPU seconds, and bytes of memory."""

    ready: float
    result: float
    cpu: float
    memory: int


def find_module(job: Job, folders: list[str]) -> Path:
    """The module's file, in one of the folders.

    Raises:
        Missing: it is in none.
    """
    if job.module:
        return Path()
    for folder in folders:
        path = Path(folder, job.file)
        if path.is_file():
            return path
    raise Missing(f"no {job.file}: give its folder by --modules or JITWASM_BENCH_MODULES")


def measure(name: str, path: Path, row: str, cache: Path) -> Start:
    """Do a job once, in a process of its own.

    Args:
        cache: a folder for the caches of both engines; it stays between measurements.

    Raises:
        Missing: the engine is not installed.
    """
    engine, _, how = row.partition(", ")
    if importlib.util.find_spec(engine) is None:
        raise Missing(f"{engine} is not installed")
    environment = {**os.environ, "JITWASM_CACHE": "0", "HOME": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if how == "cached":
        environment["JITWASM_CACHE"] = str(cache / "jitwasm")
    done = subprocess.run(
        [sys.executable, "-m", "bench.starts", name, str(path), engine, how],
        env=environment,
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        check=True,
    )
    return Start(**json.loads(done.stdout))


# --- the program ---------------------------------------------------------------------------------


@contextlib.contextmanager
def job_folder(job: Job) -> Iterator[str]:
    """A folder with the job's files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in job.files:
            Path(folder, name).write_bytes(data)
        yield folder


def _jitwasm(job: Job, data: bytes, folder: str, how: str, ready: Callable[[], None]) -> bytes:
    import jitwasm

    module = jitwasm.Module(data)
    ready()
    if job.module:
        return str(jitwasm.Instance(module).exports[job.export](*job.numbers)).encode()
    if job.export:
        imports: dict[str, dict[str, object]] = {}
        for row in module.imports():
            value: object = _zero(len(row.type.results)) if row.kind == "function" else None
            if row.kind == "memory":
                value = memory = jitwasm.Memory(row.type.limits.minimum, row.type.limits.maximum)
            imports.setdefault(row.module, {})[row.name] = value
        instance = jitwasm.Instance(module, imports)
        instance.exports["__wasm_call_ctors"]()
        return memory.read_str(instance.exports[job.export]()).encode()
    out = io.BytesIO()
    with jitwasm.Wasi(args=list(job.args), dirs={"/in": folder}, stdout=out) as wasi:
        instance = jitwasm.Instance(module, wasi.imports)
        with contextlib.suppress(jitwasm.ExitError):
            instance.exports["_start"]()
    return out.getvalue()


def _zero(results: int) -> Callable[..., object]:
    return lambda *arguments: 0 if results else None


def _wasmtime(job: Job, data: bytes, folder: str, how: str, ready: Callable[[], None]) -> bytes:
    import wasmtime

    config = wasmtime.Config()
    if how == "cached":
        config.cache = True
    engine = wasmtime.Engine(config)
    module = wasmtime.Module(engine, data)
    ready()
    if job.module:
        store = wasmtime.Store(engine)
        add = wasmtime.Instance(store, module, []).exports(store)[job.export]
        return str(add(store, *job.numbers)).encode()
    if job.export:
        store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
        return _call_in_wasmtime(wasmtime, job, store, linker, module)
    return run_in_wasmtime(wasmtime, job, engine, module, folder)


def run_in_wasmtime(wasmtime: Any, job: Job, engine: Any, module: Any, folder: str) -> bytes:
    """Run a WASI program once, in a new instance: what it prints."""
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    linker.define_wasi()
    wasi = wasmtime.WasiConfig()
    wasi.argv = list(job.args)
    wasi.preopen_dir(folder, "/in")
    wasi.stdout_file = os.path.join(folder, "stdout")
    store.set_wasi(wasi)
    with contextlib.suppress(wasmtime.ExitTrap):
        linker.instantiate(store, module).exports(store)["_start"](store)
    return Path(folder, "stdout").read_bytes()


def _call_in_wasmtime(wasmtime: Any, job: Job, store: Any, linker: Any, module: Any) -> bytes:
    for row in module.imports:
        if isinstance(row.type, wasmtime.FuncType):
            value = wasmtime.Func(store, row.type, _zero(len(row.type.results)))
        elif isinstance(row.type, wasmtime.MemoryType):
            value = memory = wasmtime.Memory(store, row.type)
        linker.define(store, row.module, row.name, value)
    exports = linker.instantiate(store, module).exports(store)
    exports["__wasm_call_ctors"](store)
    start = exports[job.export](store)
    text = bytes(memory.read(store, start, start + 100))
    return text[: text.index(0)]


def main(name: str, path: str, engine: str, how: str) -> None:
    job = JOBS[name]
    data = job.module or Path(path).read_bytes()
    times: list[float] = []
    with job_folder(job) as folder:
        begin = time.perf_counter()
        work = _jitwasm if engine == "jitwasm" else _wasmtime
        result = work(job, data, folder, how, lambda: times.append(time.perf_counter()))
        times.append(time.perf_counter())
    assert result.startswith(job.result), result[:100]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    start = {
        "ready": times[0] - begin,
        "result": times[1] - begin,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": 1024 * usage.ru_maxrss,
    }
    json.dump(start, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
