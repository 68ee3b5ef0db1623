"""jitwasm as an engine of its own benchmark."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from jitwasm.benchmark.clock import Download, timed
from jitwasm.benchmark.imports import stand_in
from jitwasm.benchmark.inprocess import InProcess
from jitwasm.benchmark.job import Invocation, Job, wasi_version
from jitwasm.benchmark.repeat import repeat_module
from jitwasm.config import Config
from jitwasm.errors import ExitError
from jitwasm.instance import Instance
from jitwasm.pipeline import Module
from jitwasm.version import __version__
from jitwasm.wasi.wasi import Wasi
from jitwasm.webassembly import compile_streaming, validate

__all__ = ["Jitwasm"]


class Jitwasm:
    """jitwasm with one configuration."""

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self._config = config

    def version(self) -> str:
        return __version__

    def validate(self, job: Job) -> float:
        return timed(lambda: validate(job.data, self._config))

    def compile(self, job: Job) -> float:
        return timed(lambda: Module(job.data, self._config).image())

    def stream(self, job: Job) -> float:
        download = Download(job.data, job.rate)
        compile_streaming(download, self._config).result().image()
        return time.perf_counter() - download.last

    def load(self, job: Job) -> _Loaded:
        return _Loaded(job, self._config)


class _Loaded(InProcess):
    def __init__(self, job: Job, config: Config) -> None:
        self.job = job
        self._module = Module(job.data, config)
        self._wanted = self._module.imports()
        self._open = ExitStack()
        if job.invocation is not None:
            self._bind(job.invocation, config)

    def _bind(self, invocation: Invocation, config: Config) -> None:
        instance = self._instance(self._open.enter_context(self._world(os.devnull)))
        if "_initialize" in instance.exports:
            instance.exports["_initialize"]()
        function = instance.exports[invocation.name]
        self.function: Callable[..., Any] = function
        data = repeat_module(invocation.type, invocation.arguments)
        repeat = Instance(Module(data, config), {"": {"f": function}})
        self.repeat: Callable[[int], None] = repeat.exports["repeat"]

    @contextmanager
    def _world(self, output: str) -> Iterator[Wasi | None]:
        """What a WASI module is given; None for other modules."""
        if wasi_version(self.job.info) is None:
            yield None
            return
        with (
            open(self.job.stdin, "rb") as stdin,
            open(output, "wb") as stdout,
            open(os.devnull, "wb") as stderr,
            Wasi(
                args=[os.path.basename(self.job.path), *self.job.args],
                env=self.job.env,
                stdin=stdin.fileno(),
                stdout=stdout.fileno(),
                stderr=stderr.fileno(),
                dirs=dict(self.job.dirs),
            ) as wasi,
        ):
            yield wasi

    def _instance(self, wasi: Wasi | None) -> Instance:
        imports: dict[str, dict[str, object]] = {}
        if wasi is not None:
            imports.update({name: dict(functions) for name, functions in wasi.imports.items()})
        for row in self._wanted:
            fields = imports.setdefault(row.module, {})
            if row.name not in fields:
                fields[row.name] = stand_in(row)
        return Instance(self._module, imports)

    def instantiate(self, count: int) -> float:
        total = 0.0
        for _ in range(count):
            with self._world(os.devnull) as wasi:
                total += timed(partial(self._instance, wasi))
        return total / count

    def run_main(self, output: str) -> tuple[int, float]:
        code = 0
        with self._world(output) as wasi:
            main = self._instance(wasi).exports["_start"]
            start = time.perf_counter()
            try:
                main()
            except ExitError as exit_:
                code = exit_.code
            return code, time.perf_counter() - start

    def close(self) -> None:
        self._open.close()
