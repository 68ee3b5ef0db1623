"""Counterparts of constructor/instantiate-bad-imports and instance/constructor-bad-imports.

Each case is tried three ways: `Instance`, `instantiate` of bytes, `instantiate` of a module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jitwasm import Global, Instance, LinkError, Memory, Module, Table, instantiate
from tests.jsapi.accounting import ported
from tests.support.wat import wat

FUNCTION = '(import "module" "fn" (func))'
MEMORY = '(import "module" "memory" (memory 0 128))'
TABLE = '(import "module" "table" (table 0 128 funcref))'
MISSING = object()
PRIMITIVES = [None, True, "", object, 1, 0.1, float("nan")]


class Bare:
    """An object like those made with the prototype of a class, without its constructor."""


def rows() -> list[tuple[str, str | None, type[Exception], str, Any]]:
    """What it is, the deviation, the error, the import, the imports argument."""
    found: list[tuple[str, str | None, type[Exception], str, Any]] = []

    def add(
        name: str, error: type[Exception], text: str, imports: Any, deviation: str | None = None
    ) -> None:
        found.append((name, deviation, error, text, imports))

    for value in [True, "", 1, 0.1, float("nan"), b""]:
        add(f"imports are {label(value)}", TypeError, "", value)
    add("imports are a list", TypeError, "", [])
    for value in [None, True, "", object(), 1, 0.1, float("nan"), b""]:
        add(f"a namespace is {label(value)}", LinkError, FUNCTION, {"module": value}, "namespace")
    add("imports are left out", LinkError, FUNCTION, MISSING, "namespace")
    for value in (None, {}, {"module\0": None}):
        add(f"imports without the module: {value}", LinkError, FUNCTION, value, "namespace")
    for value in [None, True, "", object(), 1, 0.1, float("nan"), {}, Memory(0)]:
        add(f"a function is {label(value)}", LinkError, FUNCTION, {"module": {"fn": value}})
    for type_ in ("i32", "i64", "f32", "f64"):
        text = f'(import "module" "global" (global {type_}))'
        wrong: list[Any] = [None, "", object(), {}, Global, Bare(), b"", (), lambda: 1]
        wrong += [0.5 if type_[0] == "i" else "0.5", Global("f64" if type_ == "f32" else "f32")]
        for value in wrong:
            add(f"{type_} is {label(value)}", LinkError, text, {"module": {"global": value}})
        text = f'(import "module" "global" (global (mut {type_})))'
        for value in (0, Global(type_, 0)):
            add(
                f"mutable {type_} is {label(value)}", LinkError, text, {"module": {"global": value}}
            )
    for value in [*PRIMITIVES, {}, Memory, Bare(), b"", Table("funcref", 0), Memory(256)]:
        add(f"a memory is {label(value)}", LinkError, MEMORY, {"module": {"memory": value}})
    for value in [*PRIMITIVES, {}, Table, Bare(), [], Memory(0), Table("anyfunc", 256)]:
        add(f"a table is {label(value)}", LinkError, TABLE, {"module": {"table": value}})
    return found


def label(value: Any) -> str:
    """A name that is the same in every process."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if callable(value) or type(value) in (object, Bare):
        return f"a {type(value).__name__}"
    return repr(value)


def cases(file: str) -> list[Any]:
    return [
        pytest.param(error, text, imports, marks=ported(file, deviation), id=name)
        for name, deviation, error, text, imports in rows()
    ]


def run(call: Callable[..., Any], source: Any, imports: Any) -> Any:
    return call(source) if imports is MISSING else call(source, imports)


@pytest.mark.parametrize(("error", "text", "imports"), cases("instance/constructor-bad-imports"))
def test_instance(error: type[Exception], text: str, imports: Any) -> None:
    with pytest.raises(error):
        run(Instance, Module(wat(f"(module {text})")), imports)


@pytest.mark.parametrize(("error", "text", "imports"), cases("constructor/instantiate-bad-imports"))
def test_instantiate_of_a_module(error: type[Exception], text: str, imports: Any) -> None:
    promise = run(instantiate, Module(wat(f"(module {text})")), imports)
    with pytest.raises(error):
        promise.result()


@pytest.mark.parametrize(("error", "text", "imports"), cases("constructor/instantiate-bad-imports"))
def test_instantiate_of_bytes(error: type[Exception], text: str, imports: Any) -> None:
    promise = run(instantiate, wat(f"(module {text})"), imports)
    with pytest.raises(error):
        promise.result()
