"""jitwasm as an `Engine`: the only file of the suite that touches its API.

Everything goes through the public face. Numbers cross as that face says: signed integers, Python
floats (an f32 NaN as the float with the same payload in its top bits), 16 bytes for v128.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jitwasm
from jitwasm.config import default_config
from tests.spec.engine import (
    PRINT_FUNCTIONS,
    SPECTEST,
    SPECTEST_SHARED_MEMORY,
    Disabled,
    Exhausted,
    Invalid,
    Malformed,
    Thrown,
    Trapped,
    Unlinkable,
    Unsupported,
)
from tests.spec.values import Ref, Value
from tests.support.floats import f32_of_python, python_of_f32, python_of_f64
from tests.support.wat import wat

__all__ = ["HostObject", "JitwasmEngine", "Provided", "suite_config"]


@dataclass(frozen=True)
class HostObject:
    """What stands for `ref.extern N` and `ref.host N` on the Python side."""

    kind: str
    number: int


@dataclass
class Linked:
    """An instance and the types of its exports by name."""

    instance: Any
    types: Mapping[str, Any]

    @property
    def exports(self) -> Any:
        return self.instance.exports


@dataclass
class Provided:
    """Host objects that a module may import, in the place of an instance."""

    exports: Mapping[str, Any]


def suite_config() -> jitwasm.Config:
    """The default configuration with every feature that the suite uses and jitwasm knows."""
    features = jitwasm.Features(exceptions=True, gc=True)
    return replace(default_config(), features=features)


class JitwasmEngine:
    """An `Engine` over jitwasm; `config` is None for `suite_config()`."""

    threads = True

    def __init__(self, config: jitwasm.Config | None = None) -> None:
        self.config = config or suite_config()
        self.printed: list[tuple[Any, ...]] = []
        self._host_objects: dict[Ref, HostObject] = {}

    def compile(self, binary: bytes) -> Any:
        with _outcomes():
            return jitwasm.Module(binary, self.config)

    def instantiate(self, module: Any, imports: Mapping[str, Any]) -> Linked:
        wanted = {row.module for row in module.imports()}
        given = {name: imports[name].exports for name in wanted if name in imports}
        with _outcomes():
            instance = jitwasm.Instance(module, given)
        return Linked(instance, {row.name: row.type for row in module.exports()})

    def spectest(self) -> Provided:
        host = {name: self._printer(params) for name, params in PRINT_FUNCTIONS.items()}
        module = jitwasm.Module(wat(SPECTEST), self.config)
        instance = jitwasm.Instance(module, {"host": host})
        exports = {row.name: instance.exports[row.name] for row in module.exports()}
        if self.config.features.threads:
            shared = jitwasm.Instance(jitwasm.Module(wat(SPECTEST_SHARED_MEMORY), self.config), {})
            exports["shared_memory"] = shared.exports["shared_memory"]
        return Provided(exports)

    def _printer(self, params: tuple[str, ...]) -> Any:
        def printer(*args: object) -> None:
            assert len(args) == len(params)
            self.printed.append(args)

        return printer

    def invoke(self, linked: Linked, name: str, args: Sequence[Value | Ref]) -> list[Value | Ref]:
        function = linked.exports[name]
        with _outcomes():
            result = function(*[self.to_python(arg) for arg in args])
        types = linked.types[name].results
        if not types:
            assert result is None, f"{result!r} from a function without results"
            return []
        results = result if len(types) > 1 else (result,)
        assert len(results) == len(types), f"{result!r} for {types}"
        return [
            self.from_python(value, str(type_)) for value, type_ in zip(results, types, strict=True)
        ]

    def get(self, linked: Linked, name: str) -> Value | Ref:
        with _outcomes():
            value = linked.exports[name].value
        return self.from_python(value, str(linked.types[name].value))

    def memory(self, linked: Linked, name: str) -> bytes:
        """The contents of an exported memory."""
        return bytes(memoryview(linked.exports[name]))

    def to_python(self, value: Value | Ref) -> object:
        if isinstance(value, Ref):
            if value.kind == "null":
                return None
            if value.kind in ("extern", "host"):
                assert isinstance(value.payload, int)
                new = HostObject(value.kind, value.payload)
                return self._host_objects.setdefault(value, new)
            raise Unsupported(f"{value} as an argument")
        if value.type in _SIGNED:
            width = _SIGNED[value.type]
            return value.bits - (value.bits >> (width - 1) << width)
        if value.type == "f32":
            return python_of_f32(value.bits)
        if value.type == "f64":
            return python_of_f64(value.bits)
        return value.bits.to_bytes(16, "little")

    def from_python(self, value: Any, type_: str) -> Value | Ref:
        if type_ in _SIGNED:
            width = _SIGNED[type_]
            assert type(value) is int and -(1 << width - 1) <= value < 1 << width - 1, value
            return Value(type_, value & ((1 << width) - 1))
        if type_ == "f32":
            assert type(value) is float, value
            return Value(type_, f32_of_python(value))
        if type_ == "f64":
            assert type(value) is float, value
            return Value(type_, int.from_bytes(struct.pack("<d", value), "little"))
        if type_ == "v128":
            assert type(value) is bytes and len(value) == 16, value
            return Value(type_, int.from_bytes(value, "little"))
        return self._from_reference(value)

    def _from_reference(self, value: Any) -> Ref:
        if value is None:
            return Ref("null")
        if isinstance(value, HostObject):
            ref = Ref(value.kind, value.number)
            assert self._host_objects.get(ref) is value, "a reference lost its identity"
            return ref
        if callable(value):
            return Ref("func")
        raise Unsupported(f"a result of type {type(value).__name__}")


_SIGNED = {"i32": 32, "i64": 64}


@contextmanager
def _outcomes() -> Iterator[None]:
    try:
        yield
    except jitwasm.MalformedError as error:
        raise Malformed(str(error)) from None
    except jitwasm.InvalidError as error:
        if "the feature '" in error.message:
            raise Disabled(str(error)) from None
        raise Invalid(str(error)) from None
    except jitwasm.LinkError as error:
        raise Unlinkable(str(error)) from None
    except jitwasm.StackOverflow as error:
        raise Exhausted(error.message) from None
    except jitwasm.Trap as error:
        raise Trapped(error.message) from None
    except _exception_class() as error:
        raise Thrown(str(error)) from None


class _NoException(Exception):
    """Never raised: stands in while the engine has no class for uncaught exceptions."""


@lru_cache(maxsize=1)
def _exception_class() -> type[Exception]:
    found: type[Exception] = getattr(jitwasm, "Exception", _NoException)
    return found
