"""What is measured, and what an engine does for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.types import V128, FuncType, ValType

__all__ = [
    "PHASES",
    "Engine",
    "Invocation",
    "Job",
    "Loaded",
    "Outcome",
    "Unavailable",
    "is_program",
    "texts",
    "wasi_version",
]

PHASES = {
    "validate": "decode and check all of it",
    "compile": "from bytes to code that can run",
    "stream": "from the last byte of a download to code that can run",
    "instantiate": "from code to an instance, with its imports",
    "call": "the export, called from the host",
    "execute": "the export without the host's call, or the program's main",
}
"""In the order of the tables, with what each measures."""

WASI_MODULES = ("wasi_snapshot_preview1", "wasi_unstable")


class Unavailable(Exception):
    """The engine is not installed, or cannot run this; the message says why."""


@dataclass(frozen=True)
class Invocation:
    """A call of an export: its name, type and arguments as Python values."""

    name: str
    type: FuncType
    arguments: Sequence[Any]


@dataclass(frozen=True)
class Job:
    """A module, and what to do with it.

    Attributes:
        path: the module's file.
        data: its bytes.
        info: what they describe.
        invocation: the export to call; None runs a WASI program's main, if it is one.
        args: the program's arguments after its name.
        env: its environment.
        dirs: its folders: the name it knows -> the path.
        stdin: the file that is its standard input.
        rate: bytes a second of the download; 0 is as fast as the engine takes them.
    """

    path: str
    data: bytes
    info: ModuleInfo
    invocation: Invocation | None = None
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    dirs: Mapping[str, str] = field(default_factory=dict)
    stdin: str = "/dev/null"
    rate: int = 0

    @property
    def runs_main(self) -> bool:
        """Whether `execute` is the main function of a WASI program."""
        return self.invocation is None and is_program(self.info)


@dataclass(frozen=True)
class Outcome:
    """What an execution gave, in a form that compares equal between engines.

    Attributes:
        code: a program's exit code; 0 of a call.
        output: what a program wrote to its standard output, or a call's results.
    """

    code: int
    output: bytes | tuple[str, ...]


class Loaded(Protocol):
    """A job in an engine that has compiled it. Times are in seconds."""

    def instantiate(self, count: int) -> float:
        """The mean time of `count` instantiations."""

    def outcome(self) -> Outcome:
        """Run it once, with what it gives."""

    def call(self, count: int) -> float:
        """The mean time of `count` calls of the invocation, from the host."""

    def execute(self, count: int) -> float:
        """The mean time of `count` calls within the engine, or of a program's main (once)."""

    def close(self) -> None:
        """Free what garbage collection would not."""


class Engine(Protocol):
    """One column of the table."""

    name: str

    def version(self) -> str:
        """Of the engine, for the results. Raises `Unavailable`."""

    def validate(self, job: Job) -> float:
        """The time to check the module."""

    def compile(self, job: Job) -> float:
        """The time to compile the module."""

    def stream(self, job: Job) -> float:
        """The time from a download's last byte to a compiled module."""

    def load(self, job: Job) -> Loaded:
        """Compile the module, to be run."""


def texts(result: Any, types: Sequence[ValType]) -> tuple[str, ...]:
    """A call's results, in a form that compares equal between engines."""
    values = () if not types else (result,) if len(types) == 1 else tuple(result)
    return tuple(_text(value, type_) for value, type_ in zip(values, types, strict=True))


def _text(value: Any, type_: ValType) -> str:
    if type_.is_ref:
        return "null" if value is None else "a reference"
    if type_.is_float:
        return "nan" if value != value else float(value).hex()
    return bytes(value).hex() if type_ is V128 else str(value)


def is_program(info: ModuleInfo) -> bool:
    """Whether a module is a WASI command."""
    return any(row.name == "_start" and row.kind == "function" for row in info.exports)


def wasi_version(info: ModuleInfo) -> str | None:
    """The WASI module that a module imports, if it does."""
    return next((row.module for row in info.imports if row.module in WASI_MODULES), None)
