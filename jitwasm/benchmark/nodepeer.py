"""Node (V8) as an engine, where it is installed: in processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jitwasm.benchmark.clock import CHUNK_BYTES
from jitwasm.benchmark.job import Job, Outcome, Unavailable, texts, wasi_version
from jitwasm.benchmark.repeat import repeat_module
from jitwasm.types import I64, V128, FuncType, GlobalType, MemoryType, TableType, ValType

__all__ = ["Node", "NodeError", "NodeProcess", "node_executable"]

DRIVER = Path(__file__).with_name("node_driver.mjs")


class NodeError(Exception):
    """Node could not do what it was asked for."""


def node_executable() -> str | None:
    """The path of node: JITWASM_BENCH_NODE, or what the search path has."""
    return os.environ.get("JITWASM_BENCH_NODE") or shutil.which("node")


class NodeProcess:
    """A process that runs a driver, which answers lines of JSON with lines of JSON."""

    def __init__(self, driver: Path, flags: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [node_executable() or "node", *flags, str(driver)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, op: str, **arguments: object) -> dict[str, Any]:
        """One request. Raises `NodeError`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise NodeError(f"node ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NodeError(f"node: {answer['error']}")
        return answer

    def close(self) -> None:
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait(timeout=10)
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Node:
    """V8 as Node has it, or with flags."""

    def __init__(self, name: str = "node", *flags: str) -> None:
        if node_executable() is None:
            raise Unavailable("it is not installed")
        self.name = name
        self._flags = ("--no-warnings", *flags)

    def version(self) -> str:
        answer = self._once("version")
        return f"{answer['node']} (V8 {answer['v8']})"

    def _once(self, op: str, **arguments: object) -> dict[str, Any]:
        # In a process of its own: V8 shares the code of modules with equal bytes.
        with NodeProcess(DRIVER, self._flags) as process:
            return process.ask(op, **arguments)

    def validate(self, job: Job) -> float:
        return float(self._once("validate", path=job.path)["seconds"])

    def compile(self, job: Job) -> float:
        return float(self._once("compile", path=job.path)["seconds"])

    def stream(self, job: Job) -> float:
        answer = self._once("stream", path=job.path, rate=job.rate, chunk=CHUNK_BYTES)
        return float(answer["seconds"])

    def load(self, job: Job) -> _Loaded:
        return _Loaded(NodeProcess(DRIVER, self._flags), job)


class _Loaded:
    def __init__(self, process: NodeProcess, job: Job) -> None:
        self._process, self._job = process, job
        try:
            self._load(job)
        except NodeError as error:
            process.close()
            raise Unavailable(str(error)) from None

    def _load(self, job: Job) -> None:
        version = wasi_version(job.info)
        self._process.ask(
            "load",
            path=job.path,
            wasi=version and {"wasi_unstable": "unstable"}.get(version, "preview1"),
            args=[os.path.basename(job.path), *job.args],
            env=dict(job.env),
            dirs=dict(job.dirs),
            stdin=job.stdin,
            imports=[_described(row.module, row.name, row.desc) for row in job.info.imports],
        )
        invocation = job.invocation
        if invocation is not None:
            arguments = zip(invocation.arguments, invocation.type.params, strict=True)
            self._process.ask(
                "bind",
                name=invocation.name,
                arguments=[_argument(value, type_) for value, type_ in arguments],
                repeat=repeat_module(invocation.type, invocation.arguments).hex(),
            )

    def instantiate(self, count: int) -> float:
        return float(self._process.ask("instantiate", count=count)["seconds"])

    def outcome(self) -> Outcome:
        invocation = self._job.invocation
        if invocation is not None:
            types = invocation.type.results
            values = [
                _value(text, type_)
                for text, type_ in zip(self._process.ask("result")["values"], types, strict=True)
            ]
            return Outcome(0, texts(values[0] if len(types) == 1 else values, types))
        with tempfile.NamedTemporaryFile() as file:
            code = self._process.ask("main", output=file.name)["code"]
            return Outcome(code, file.read())

    def call(self, count: int) -> float:
        return float(self._process.ask("call", count=count)["seconds"])

    def execute(self, count: int) -> float:
        if self._job.runs_main:
            return float(self._process.ask("main", output=os.devnull)["seconds"])
        return float(self._process.ask("repeat", count=count)["seconds"])

    def close(self) -> None:
        self._process.close()


def _described(module: str, name: str, type_: object) -> dict[str, object]:
    """An import, for the driver to make something that satisfies it."""
    row: dict[str, object] = {"module": module, "name": name, "kind": "function"}
    comp = getattr(type_, "comp", None)
    if isinstance(comp, FuncType):
        row["results"] = [str(t) for t in comp.results]
    elif isinstance(type_, MemoryType):
        row |= {"kind": "memory", "shared": type_.shared, "initial": type_.limits.minimum}
        row |= {"maximum": type_.limits.maximum}
    elif isinstance(type_, TableType):
        row |= {"kind": "table", "element": str(type_.element), "initial": type_.limits.minimum}
        row |= {"maximum": type_.limits.maximum}
    elif isinstance(type_, GlobalType):
        row |= {"kind": "global", "value": str(type_.value), "mutable": type_.mutable}
    return row


def _argument(value: Any, type_: ValType) -> dict[str, object]:
    """An argument as JSON: JavaScript has no way to write what is none of its numbers."""
    if type_ is V128:
        raise Unavailable("JavaScript cannot pass a v128")
    if type_.is_ref:
        return {"kind": "null"}
    if type_ is I64:
        return {"kind": "bigint", "text": str(value)}
    text = str(value).replace("inf", "Infinity").replace("nan", "NaN")
    return {"kind": "number", "text": text}


def _value(text: str | None, type_: ValType) -> Any:
    if type_.is_ref or text is None:
        return text
    return float(text) if type_.is_float else int(text)
