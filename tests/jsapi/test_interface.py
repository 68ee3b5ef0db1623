"""Counterparts of interface."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import jitwasm
from jitwasm import Global, Instance, Memory, Module, Table, WebAssembly
from tests.jsapi.accounting import ported

CLASSES = "Module Instance Memory Table Global CompileError LinkError RuntimeError".split()
FUNCTIONS = [
    (WebAssembly, "validate", 1),
    (WebAssembly, "compile", 1),
    (WebAssembly, "instantiate", 1),
    (Module, "exports", 0),
    (Module, "imports", 0),
    (Module, "customSections", 1),
    (Memory, "grow", 1),
    (Table, "grow", 1),
    (Table, "get", 1),
    (Table, "set", 1),
]
"""What has the function, its name, and how many arguments it needs."""

ATTRIBUTES = [(Instance, "exports"), (Memory, "buffer"), (Global, "value")]


@ported("interface")
@pytest.mark.parametrize("call", [False, True])
def test_the_namespace_is_no_function(call: bool) -> None:
    assert "WebAssembly" in jitwasm.__all__ and jitwasm.WebAssembly is WebAssembly
    if call:
        with pytest.raises(TypeError, match="is a namespace"):
            WebAssembly()


@ported("interface")
@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_names_of_the_specification(name: str) -> None:
    assert isinstance(getattr(WebAssembly, name), type)
    assert getattr(WebAssembly, name) is getattr(jitwasm, name)


@ported("interface")
@pytest.mark.parametrize(("owner", "name", "required"), FUNCTIONS)
def test_functions_exist(owner: Any, name: str, required: int) -> None:
    assert callable(getattr(owner, name))


@ported("interface")
@pytest.mark.parametrize(("owner", "name", "required"), FUNCTIONS)
def test_functions_have_names(owner: Any, name: str, required: int) -> None:
    pythonic = {"customSections": "custom_sections"}.get(name, name)
    assert getattr(owner, name).__name__ == pythonic


@ported("interface")
@pytest.mark.parametrize(("owner", "name", "required"), FUNCTIONS)
def test_functions_need_so_many_arguments(owner: Any, name: str, required: int) -> None:
    parameters = list(inspect.signature(getattr(owner, name)).parameters.values())
    if owner is not WebAssembly:
        del parameters[0]
    assert sum(p.default is p.empty for p in parameters) == required


@ported("interface", covers=2)
@pytest.mark.parametrize(("owner", "name"), ATTRIBUTES)
def test_attributes_exist(owner: Any, name: str) -> None:
    assert hasattr(owner, name) or name in owner.__annotations__


@ported("interface", "frozen")
@pytest.mark.parametrize(("owner", "name"), ATTRIBUTES)
def test_attributes_are_set_where_that_has_a_meaning(owner: Any, name: str) -> None:
    made = {
        Instance: lambda: Instance(Module(b"\0asm\1\0\0\0")),
        Memory: lambda: Memory(0),
        Global: lambda: Global("i32", 1, mutable=True),
    }[owner]()
    before = getattr(made, name)
    if owner is Global:
        made.value = before
    else:
        with pytest.raises(AttributeError):
            setattr(made, name, before)
    assert getattr(made, name) == before


@ported("interface", "arguments", covers=3)
def test_the_length_of_a_table_is_len() -> None:
    assert len(Table("funcref", 3)) == 3


@ported("interface", "coercion", covers=3)
def test_the_value_of_a_global_is_an_attribute_only() -> None:
    assert Global("i32", 3).value == 3
