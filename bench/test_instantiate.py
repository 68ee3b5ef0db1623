"""A compiled module to an instance, in the same process."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jitwasm
from bench.build import SUITE, build
from bench.engines import Engine, repeated
from bench.meter import Meter
from bench.starts import JOBS, Missing, find_module

_COUNT = 100
PROGRAM = "sqlite"
"""A real program: dozens of imported functions, and a memory that each instance gets anew."""


@pytest.mark.parametrize("name", ["json", SUITE])
def test_instantiate(peer: Engine, name: str, meter: Meter, quick: bool) -> None:
    if quick and name == SUITE:
        pytest.skip("quick: the smallest module stands for all")
    path = build(name, "mvp")
    count = 2 if quick else _COUNT
    meter.group("instantiate", name, peer.name)
    meter.measure(lambda: peer.instantiate(path, count), least=3, most=10, warmup=0)


@pytest.mark.parametrize("name", ["json", SUITE])
def test_instance_from_a_pool(name: str, meter: Meter, quick: bool) -> None:
    """What takes one that has been used and sets it back."""
    pool = jitwasm.InstancePool(jitwasm.Module(build(name, "mvp").read_bytes()))

    def use() -> None:
        with pool.instance():
            pass

    meter.group("instantiate", name, "jitwasm, pooled")
    meter.measure(lambda: repeated(use, 2 if quick else _COUNT), least=3, most=10)


@pytest.mark.parametrize("row", ["jitwasm", "wasmtime"])
def test_instantiate_a_program(
    row: str, meter: Meter, quick: bool, module_folders: list[str]
) -> None:
    if importlib.util.find_spec(row) is None:
        pytest.skip(f"{row} is not installed")
    try:
        path = find_module(JOBS[PROGRAM], module_folders)
    except Missing as reason:
        pytest.skip(str(reason))
    make = {"jitwasm": _in_jitwasm, "wasmtime": _in_wasmtime}[row](path)
    meter.group("instantiate", PROGRAM, row)
    meter.measure(lambda: repeated(make, 2 if quick else _COUNT), least=3, most=10)


def _nothing(*arguments: object) -> int:
    return 0


def _in_jitwasm(path: Path) -> Callable[[], object]:
    module = jitwasm.Module(path.read_bytes())
    imports: dict[str, dict[str, Any]] = {}
    memories: list[tuple[dict[str, Any], str, jitwasm.Limits]] = []
    for row in module.imports():
        namespace = imports.setdefault(row.module, {})
        namespace[row.name] = _nothing
        if isinstance(row.type, jitwasm.MemoryType):
            memories.append((namespace, row.name, row.type.limits))

    def make() -> object:
        for namespace, name, limits in memories:
            namespace[name] = jitwasm.Memory(limits.minimum, limits.maximum)
        return jitwasm.Instance(module, imports)

    return make


def _in_wasmtime(path: Path) -> Callable[[], object]:
    import wasmtime

    engine = wasmtime.Engine()
    module, linker = wasmtime.Module(engine, path.read_bytes()), wasmtime.Linker(engine)
    linker.allow_shadowing = True
    memories = [row for row in module.imports if isinstance(row.type, wasmtime.MemoryType)]
    for row in module.imports:
        if isinstance(row.type, wasmtime.FuncType):
            linker.define_func(row.module, row.name, row.type, _nothing)

    def make() -> object:
        store = wasmtime.Store(engine)
        for row in memories:
            linker.define(store, row.module, row.name, wasmtime.Memory(store, row.type))
        return linker.instantiate(store, module)

    return make
