"""Counterparts of limits: what is accepted up to a number, and not beyond.

Modules at the real limits are up to a gigabyte. The numbers are compared with the specification's,
and the checks are tried with limits that a configuration lowers: they are the same checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jitwasm import (
    CompileError,
    Config,
    ImplementationLimits,
    Instance,
    Module,
    Table,
    compile,
    instantiate,
    validate,
)
from tests.jsapi.accounting import ported
from tests.support.wat import wat

SPECIFIED = {
    "types": 1_000_000,
    "functions": 1_000_000,
    "imports": 1_000_000,
    "exports": 1_000_000,
    "globals": 1_000_000,
    "data_segments": 100_000,
    "element_segments": 10_000_000,
    "tables": 100_000,
    "memories": 100,
    "params": 1_000,
    "results": 1_000,
    "locals": 50_000,
    "body_size": 7_654_321,
    "module_size": 1 << 30,
    "table_size": 10_000_000,
}


def test_the_numbers_are_the_specifications() -> None:
    limits = ImplementationLimits()
    assert {name: getattr(limits, name) for name in SPECIFIED} == SPECIFIED


def repeat(text: str, count: int) -> str:
    return " ".join([text] * count)


LIMIT = 5
CASES: dict[str, tuple[str, int, Callable[[int], str]]] = {
    # name: the field, the least, the module that has so many
    "types": ("types", 1, lambda n: repeat("(type (func (param i32) (result i32)))", n)),
    "functions": ("functions", 1, lambda n: repeat("(func)", n)),
    "imports": ("imports", 1, lambda n: repeat('(import "" "" (func))', n)),
    "exports": (
        "exports",
        1,
        lambda n: "(func)" + " ".join(f'(export "f{i}" (func 0))' for i in range(n)),
    ),
    "globals": ("globals", 1, lambda n: repeat("(global (mut i32) (i32.const 0))", n)),
    "data segments": (
        "data_segments",
        1,
        lambda n: "(memory 1)" + repeat('(data (i32.const 0) "")', n),
    ),
    "function size": ("body_size", 2, lambda n: f"(func {repeat('nop', n - 2)})"),
    "function locals": ("locals", 1, lambda n: f"(func (local {repeat('i32', n)}))"),
    "function params": ("params", 1, lambda n: f"(type (func (param {repeat('i32', n)})))"),
    "function params and locals": (
        "locals",
        1,
        lambda n: f"(func (param i32 i32) (result i32) (local {repeat('i32', n - 2)}) unreachable)",
    ),
    "function results": ("results", 0, lambda n: f"(type (func (result {repeat('i32', n)})))"),
    "element segments": (
        "element_segments",
        1,
        lambda n: "(table 1 1 funcref)" + repeat("(elem (i32.const 0) func)", n),
    ),
    "tables": ("tables", 0, lambda n: repeat('(import "" "" (table 1 1 funcref))', n)),
    "memories": ("memories", 0, lambda n: repeat('(import "" "" (memory 1 1))', n)),
}  # fmt: skip


def module_compiles(data: bytes, config: Config) -> bool:
    try:
        Module(data, config)
    except CompileError:
        return False
    return True


def compile_resolves(data: bytes, config: Config) -> bool:
    try:
        compile(data, config).result()
    except CompileError:
        return False
    return True


WAYS: list[Callable[[bytes, Config], bool]] = [validate, module_compiles, compile_resolves]


@ported("limits")
@pytest.mark.parametrize("way", WAYS, ids=["validate", "Module", "compile"])
@pytest.mark.parametrize("size", ["least", "limit", "over"])
@pytest.mark.parametrize("name", CASES)
def test_limits(name: str, size: str, way: Callable[[bytes, Config], bool]) -> None:
    field, least, make = CASES[name]
    config = Config(limits=replace(ImplementationLimits(), **{field: LIMIT}))
    least += 2 if name == "function params and locals" else 0
    count = {"least": least, "limit": LIMIT, "over": LIMIT + 1}[size]
    assert way(wat(f"(module {make(count)})"), config) is (size != "over")


TABLES = {
    "initial": f"(module (table {SPECIFIED['table_size'] + 1} funcref))",
    "maximum": f"""(module (table $t 1 {SPECIFIED["table_size"] + 1} funcref)
      (func (export "grow") (result i32)
        (table.grow $t (ref.null func) (i32.const {SPECIFIED["table_size"]}))))""",
}


@ported("limits")
@pytest.mark.parametrize("way", WAYS, ids=["validate", "Module", "compile"])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_beyond_the_limit_is_valid(name: str, way: Callable[[bytes, Config], bool]) -> None:
    assert way(wat(TABLES[name]), Config())


INSTANTIATIONS: list[Any] = [
    lambda data: Instance(Module(data)),
    lambda data: instantiate(data).result().instance,
]


@ported("limits", "range")
@pytest.mark.parametrize("make", INSTANTIATIONS, ids=["Instance", "instantiate"])
def test_a_table_beyond_the_limit_cannot_be_made(make: Callable[[bytes], Instance]) -> None:
    with pytest.raises((ValueError, MemoryError)):
        make(wat(TABLES["initial"]))


@ported("limits")
@pytest.mark.parametrize("make", INSTANTIATIONS, ids=["Instance", "instantiate"])
def test_a_table_does_not_grow_beyond_the_limit(make: Callable[[bytes], Instance]) -> None:
    assert make(wat(TABLES["maximum"])).exports.grow() == -1


@ported("limits", "range")
def test_a_table_of_python_does_not_grow_beyond_the_limit() -> None:
    with pytest.raises(ValueError):
        Table("anyfunc", SPECIFIED["table_size"] + 1)
    table = Table("anyfunc", 1, SPECIFIED["table_size"] + 1)
    with pytest.raises(ValueError):
        table.grow(SPECIFIED["table_size"])


@ported("limits")
@pytest.mark.parametrize("way", WAYS, ids=["validate", "Module", "compile"])
@pytest.mark.parametrize("excess", [0, 1])
def test_size_of_the_module(excess: int, way: Callable[[bytes, Config], bool]) -> None:
    size = 100 + excess
    data = b"\0asm\1\0\0\0" + bytes([0, size - 10, 0]) + bytes(size - 11)
    assert len(data) == size
    config = Config(limits=replace(ImplementationLimits(), module_size=100))
    assert way(data, config) is not bool(excess)
