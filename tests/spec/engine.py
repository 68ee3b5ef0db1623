"""What the runner needs of an engine, and what may come out of a command.

An engine's adapter turns the engine's own exceptions into `Outcome`s; whatever else it raises is a
bug of the engine (or of the adapter) and fails the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tests.spec.values import Ref, Value

__all__ = [
    "SPECTEST",
    "Disabled",
    "Engine",
    "Exhausted",
    "Invalid",
    "Malformed",
    "Outcome",
    "Thrown",
    "Trapped",
    "Unlinkable",
    "Unsupported",
]


class Outcome(Exception):
    """Something other than results came out; `str()` is the engine's message.

    Attributes:
        texts: the messages it may be taken for; more than one where the engine does not tell
            apart what the suite does.
    """

    def __init__(self, message: str, *alternatives: str) -> None:
        super().__init__(message)
        self.texts = (message, *alternatives)


class Malformed(Outcome):
    """The binary does not decode."""


class Invalid(Outcome):
    """The module does not validate."""


class Disabled(Outcome):
    """The module uses a feature that is switched off: no verdict on whether it is valid."""


class Unlinkable(Outcome):
    """The imports do not fit."""


class Trapped(Outcome):
    """Execution trapped."""


class Exhausted(Outcome):
    """The call stack (or another resource) is exhausted."""


class Thrown(Outcome):
    """A WebAssembly exception was not caught."""


class Unsupported(Outcome):
    """The engine's API cannot express this command; it is counted apart."""


class Engine(Protocol):
    """One engine with the state of one script. Modules and instances are opaque to the runner.

    Attributes:
        threads: whether scripts with threads can be run.
    """

    threads: bool

    def compile(self, binary: bytes) -> Any:
        """A module; `Malformed` or `Invalid`."""

    def instantiate(self, module: Any, imports: Mapping[str, Any]) -> Any:
        """An instance; `imports` are instances by module name. `Unlinkable`, `Trapped`, ..."""

    def spectest(self) -> Any:
        """The instance of the module "spectest" that scripts import from."""

    def invoke(self, instance: Any, name: str, args: Sequence[Value | Ref]) -> list[Value | Ref]:
        """Call an exported function."""

    def get(self, instance: Any, name: str) -> Value | Ref:
        """The value of an exported global."""


# The host functions come from the engine ("host"), so that scripts exercise host calls; exporting
# them again from a module gives each its type, which the linking tests want.
SPECTEST = """
(module $spectest
  (import "host" "print" (func $print))
  (import "host" "print_i32" (func $print_i32 (param i32)))
  (import "host" "print_i64" (func $print_i64 (param i64)))
  (import "host" "print_f32" (func $print_f32 (param f32)))
  (import "host" "print_f64" (func $print_f64 (param f64)))
  (import "host" "print_i32_f32" (func $print_i32_f32 (param i32 f32)))
  (import "host" "print_f64_f64" (func $print_f64_f64 (param f64 f64)))
  (export "print" (func $print))
  (export "print_i32" (func $print_i32))
  (export "print_i64" (func $print_i64))
  (export "print_f32" (func $print_f32))
  (export "print_f64" (func $print_f64))
  (export "print_i32_f32" (func $print_i32_f32))
  (export "print_f64_f64" (func $print_f64_f64))
  (global (export "global_i32") i32 (i32.const 666))
  (global (export "global_i64") i64 (i64.const 666))
  (global (export "global_f32") f32 (f32.const 666.6))
  (global (export "global_f64") f64 (f64.const 666.6))
  (table (export "table") 10 20 funcref)
  (table (export "table64") i64 10 20 funcref)
  (memory (export "memory") 1 2)
)
"""

SPECTEST_SHARED_MEMORY = """
(module (memory (export "shared_memory") 1 2 shared))
"""

PRINT_FUNCTIONS: dict[str, tuple[str, ...]] = {
    "print": (),
    "print_i32": ("i32",),
    "print_i64": ("i64",),
    "print_f32": ("f32",),
    "print_f64": ("f64",),
    "print_i32_f32": ("i32", "f32"),
    "print_f64_f64": ("f64", "f64"),
}
