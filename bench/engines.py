"""The engines: native code, jitwasm, and its peers, all behind one interface.

An engine loads a workload and runs it round by round; a round initialises the data and times `run`
alone, next to the compiled code, so that what a call into the engine costs does not count. jitwasm
is touched here, in callers.py and in the phase benchmarks of its own stages, nowhere else.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.build import build
from bench.catalog import Workload
from bench.peers import jitwasm, jitwasm_missing, wasmtime
from jitwasm.benchmark.nodepeer import NodeProcess as DrivenNode
from jitwasm.benchmark.nodepeer import node_executable

__all__ = [
    "DEFAULT_ENGINES",
    "ENGINES",
    "Engine",
    "NodeProcess",
    "Program",
    "Sample",
    "repeated",
    "timed",
]


@dataclass(frozen=True)
class Sample:
    """Seconds one piece of work took: wall-clock, and CPU of the thread (or, in Node and where a
    compiler has threads, of the process)."""

    wall: float
    cpu: float


def timed(work: Callable[[], object], cpu_clock: Callable[[], float] = time.thread_time) -> Sample:
    cpu = cpu_clock()
    wall = time.perf_counter()
    work()
    return Sample(time.perf_counter() - wall, cpu_clock() - cpu)


def repeated(work: Callable[[], object], count: int) -> Sample:
    """The mean of `count` times."""

    def loop() -> None:
        for _ in range(count):
            work()

    total = timed(loop)
    return Sample(total.wall / count, total.cpu / count)


class Program(ABC):
    """A workload loaded into an engine."""

    @abstractmethod
    def round(self, n: int) -> Sample:
        """Initialises the data and times `run(n)`."""

    @abstractmethod
    def checksum(self) -> int | float:
        """Condensed output of the last round."""

    def close(self) -> None:  # noqa: B027  # most have nothing to free
        """Frees what garbage collection would not."""


class _Callables(Program):
    """A workload whose functions are Python callables of this process."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]], keep: object = None) -> None:
        self._init, self._run = functions["init"], functions["run"]
        self._checksum = functions["checksum"]
        self._keep = keep

    def round(self, n: int) -> Sample:
        self._init(n)
        run = self._run
        return timed(lambda: run(n))

    def checksum(self) -> int | float:
        result: int | float = self._checksum()
        return result


class Engine(ABC):
    """One row of the tables."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why this engine cannot run here, or None."""

    @abstractmethod
    def load(self, workload: Workload, variant: str) -> Program:
        """Builds and loads a workload; `variant` is one of wasm's, or native's for native."""

    def version(self) -> str:
        return ""

    @property
    def is_native(self) -> bool:
        return False

    def compile(self, wasm: Path) -> Sample:
        """From the file's bytes to executable code, all functions; CPU of all threads."""
        raise NotImplementedError

    def instantiate(self, wasm: Path, count: int) -> Sample:
        """The mean of `count` instantiations of a compiled module."""
        raise NotImplementedError


class NativeEngine(Engine):
    """The same source as a shared library, through ctypes."""

    @property
    def is_native(self) -> bool:
        return True

    def unavailable(self) -> str | None:
        return _ziglang_missing()

    def load(self, workload: Workload, variant: str) -> Program:
        library = ctypes.CDLL(str(build(workload, variant)))
        library.init.argtypes = library.run.argtypes = [ctypes.c_int]
        library.init.restype = library.run.restype = None
        library.checksum.argtypes = []
        library.checksum.restype = ctypes.c_double if workload.result == "f64" else ctypes.c_int64
        return _Callables({name: getattr(library, name) for name in ("init", "run", "checksum")})


class JitwasmEngine(Engine):
    """jitwasm with one configuration."""

    def __init__(self, name: str, **config: Any) -> None:
        super().__init__(name)
        self._config = config

    def unavailable(self) -> str | None:
        return jitwasm_missing or _ziglang_missing()

    def version(self) -> str:
        return str(jitwasm.__version__)

    @property
    def config(self) -> Any:
        return jitwasm.Config(**self._config)

    def load(self, workload: Workload, variant: str) -> Program:
        module = jitwasm.Module(build(workload, variant).read_bytes(), self.config)
        instance = jitwasm.Instance(module)
        return _Callables(
            {name: instance.exports[name] for name in ("init", "run", "checksum")}, instance
        )

    def compile(self, wasm: Path) -> Sample:
        config, data = self.config, wasm.read_bytes()
        return timed(lambda: jitwasm.Module(data, config).image(), time.process_time)

    def instantiate(self, wasm: Path, count: int) -> Sample:
        module = jitwasm.Module(wasm.read_bytes(), self.config)
        jitwasm.Instance(module)
        return repeated(lambda: jitwasm.Instance(module), count)


class AotEngine(JitwasmEngine):
    """The module compiled ahead of time to a shared library, as `jitwasm compile` makes it."""

    def load(self, workload: Workload, variant: str) -> Program:
        module = jitwasm.Module(build(workload, variant).read_bytes(), jitwasm.Config(opt_level=0))
        emitted = module.emit("bench", cpu="native", **self._config)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "bench.so")
            path.write_bytes(emitted.shared_library())
            library = ctypes.CDLL(str(path))
        library.bench_instantiate.restype = ctypes.c_void_p
        instance = ctypes.c_void_p(library.bench_instantiate(None, None, None))

        def bind(name: str, result: Any, *parameters: Any) -> Callable[..., Any]:
            function = library[f"bench__{name}"]
            function.restype, function.argtypes = result, [ctypes.c_void_p, *parameters]
            return lambda *arguments: function(instance, *arguments)

        checksum = ctypes.c_double if workload.result == "f64" else ctypes.c_int64
        functions = {name: bind(name, None, ctypes.c_int32) for name in ("init", "run")}
        return _Callables({**functions, "checksum": bind("checksum", checksum)}, library)

    def compile(self, wasm: Path) -> Sample:
        module = jitwasm.Module(wasm.read_bytes(), jitwasm.Config(opt_level=0))
        return timed(
            lambda: module.emit_object("bench", cpu="native", loadable=False, **self._config),
            time.process_time,
        )

    def instantiate(self, wasm: Path, count: int) -> Sample:
        raise NotImplementedError


class WasmtimeEngine(Engine):
    """wasmtime-py, with Cranelift at its highest level."""

    def unavailable(self) -> str | None:
        return _ziglang_missing() if wasmtime else "wasmtime is not installed"

    def version(self) -> str:
        return importlib.metadata.version("wasmtime")

    def _engine(self) -> Any:
        config = wasmtime.Config()
        config.strategy = "cranelift"
        config.cranelift_opt_level = "speed"
        return wasmtime.Engine(config)

    def load(self, workload: Workload, variant: str) -> Program:
        engine_ = self._engine()
        module = wasmtime.Module(engine_, build(workload, variant).read_bytes())
        store = wasmtime.Store(engine_)
        exports = wasmtime.Instance(store, module, []).exports(store)

        def bind(name: str) -> Callable[..., Any]:
            function = exports[name]
            return lambda *arguments: function(store, *arguments)

        return _Callables({name: bind(name) for name in ("init", "run", "checksum")}, store)

    def compile(self, wasm: Path) -> Sample:
        engine_, data = self._engine(), wasm.read_bytes()
        return timed(lambda: wasmtime.Module(engine_, data), time.process_time)

    def instantiate(self, wasm: Path, count: int) -> Sample:
        engine_ = self._engine()
        module = wasmtime.Module(engine_, wasm.read_bytes())

        return repeated(lambda: wasmtime.Instance(wasmtime.Store(engine_), module, []), count)


class NodeProcess(DrivenNode):
    """A Node process that answers the requests of node_driver.mjs."""

    def __init__(self, *flags: str) -> None:
        super().__init__(Path(__file__).with_name("node_driver.mjs"), flags)

    def sample(self, op: str, **arguments: object) -> Sample:
        answer = self.ask(op, **arguments)
        return Sample(answer["wall"], answer["cpu"])


class _NodeProgram(Program):
    def __init__(self, process: NodeProcess) -> None:
        self._process = process

    def round(self, n: int) -> Sample:
        return self._process.sample("round", n=n)

    def checksum(self) -> int | float:
        answer = self._process.ask("checksum")
        return int(answer["i64"]) if "i64" in answer else float(answer["f64"])

    def close(self) -> None:
        self._process.close()


class NodeEngine(Engine):
    """V8 in a Node process of its own, with one set of compiler flags."""

    def __init__(self, name: str, *flags: str) -> None:
        super().__init__(name)
        self.flags = flags

    def unavailable(self) -> str | None:
        return _ziglang_missing() if node_executable() else "node is not installed"

    def version(self) -> str:
        return _node_version()

    def load(self, workload: Workload, variant: str) -> Program:
        process = NodeProcess(*self.flags)
        process.ask("load", path=str(build(workload, variant)))
        return _NodeProgram(process)

    def compile(self, wasm: Path) -> Sample:
        return self._once("compile", path=str(wasm))

    def instantiate(self, wasm: Path, count: int) -> Sample:
        return self._once("instantiate", path=str(wasm), count=count)

    def _once(self, op: str, **arguments: object) -> Sample:
        """In a process of its own, because V8 shares the code of modules with equal bytes."""
        process = NodeProcess(*self.flags)
        try:
            return process.sample(op, **arguments)
        finally:
            process.close()


def _ziglang_missing() -> str | None:
    if importlib.util.find_spec("ziglang") is None:
        return "ziglang is not installed, so no workload can be built"
    return None


@lru_cache(maxsize=1)
def _node_version() -> str:
    process = NodeProcess()
    try:
        answer = process.ask("version")
    finally:
        process.close()
    return f"{answer['node']} (V8 {answer['v8']})"


ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        NativeEngine("native"),
        NativeEngine("native-ieee"),
        JitwasmEngine("jitwasm", opt_level=2),
        JitwasmEngine("jitwasm-O3", opt_level=3),
        JitwasmEngine("jitwasm-O1", opt_level=1),
        JitwasmEngine("jitwasm-O0", opt_level=0),
        JitwasmEngine("jitwasm-baseline", tier="baseline"),
        JitwasmEngine("jitwasm-strict", opt_level=2, strict=True),
        JitwasmEngine("jitwasm-explicit", opt_level=2, bounds="explicit"),
        AotEngine("aot", opt_level=3),
        WasmtimeEngine("wasmtime"),
        NodeEngine("node", "--no-liftoff", "--no-wasm-lazy-compilation"),
        NodeEngine("node-liftoff", "--liftoff-only", "--no-wasm-lazy-compilation"),
    )
}
"""Rows by name, in the order of the tables."""

DEFAULT_ENGINES = (
    "native native-ieee jitwasm jitwasm-O0 jitwasm-baseline jitwasm-strict wasmtime node "
    "node-liftoff"
).split()
