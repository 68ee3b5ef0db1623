"""Pools give instances that cannot be told from new ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import jitwasm
from jitwasm import Config, InstancePool
from tests.support.wat import wat

PAGE = 65536
MODULE = """(module
  (import "m" "host" (func $host (result i32)))
  (import "m" "base" (global $base i32))
  (memory (export "memory") 2 10)
  (table (export "table") 4 20 funcref)
  (global $count (export "count") (mut i32) (i32.const 7))
  (global $shifted (export "shifted") (mut i32) (global.get $base))
  (global $held (export "held") (mut externref) (ref.null extern))
  (data (i32.const 100) "initial")
  (data $later "passive")
  (elem (i32.const 1) func $one $host)
  (elem $more func $one $one)
  (func $one (export "one") (result i32) (i32.const 1))
  (func (export "drop") (data.drop $later) (elem.drop $more))
  (func (export "init")
    (memory.init $later (i32.const 0) (i32.const 0) (i32.const 7))
    (table.init $more (i32.const 0) (i32.const 0) (i32.const 2)))
  (func (export "grow")
    (drop (memory.grow (i32.const 3)))
    (drop (table.grow (ref.func $one) (i32.const 5))))
  (func (export "spoil")
    (memory.fill (i32.const 0) (i32.const 255) (i32.const 131072))
    (table.fill (i32.const 0) (ref.func $one) (i32.const 4))
    (global.set $count (i32.const 0)) (global.set $shifted (i32.const 0)))
  (func (export "trap") unreachable)
  (func $start (global.set $count (i32.add (global.get $count) (i32.const 1))))
  (start $start))"""

IMPORTS = {"m": {"host": lambda: 5, "base": 30}}


def state(instance: jitwasm.Instance) -> dict[str, Any]:
    exports = instance.exports
    return {
        "memory": exports.memory.read(0, len(exports.memory)),
        "table": [function and function.__name__ for function in exports.table],
        "globals": (exports.count.value, exports.shifted.value, exports.held.value),
        "fuel": instance.fuel,
    }


@pytest.fixture(params=[Config(), Config(tier="baseline"), Config(fuel=10_000_000)], ids=str)
def module(request: pytest.FixtureRequest) -> jitwasm.Module:
    return jitwasm.Module(wat(MODULE), request.param)


def test_whatever_was_done_is_undone(module: jitwasm.Module) -> None:
    new = state(jitwasm.Instance(module, IMPORTS))
    pool = InstancePool(module, IMPORTS)
    for deed in ("spoil", "grow", "drop", "init", "spoil"):
        with pool.instance() as instance:
            assert state(instance) == new
            instance.exports.held.value = "a secret"
            instance.exports[deed]()
            instance.exports.memory[PAGE] = 9
        assert len(pool) == 1
    with pool.instance() as instance:
        instance.exports.init()  # what was dropped is there again
        assert instance.exports.memory.read(0, 7) == b"passive"
        assert instance.exports.table[0]() == 1


def test_grown_memories_and_tables_are_zero_when_they_grow_again(module: jitwasm.Module) -> None:
    pool = InstancePool(module, IMPORTS)
    for _ in range(2):
        with pool.instance() as instance:
            memory, table = instance.exports.memory, instance.exports.table
            assert memory.pages == 2
            with pytest.raises(IndexError):
                memory[2 * PAGE]
            memory.grow(2)
            table.grow(3)
            assert memory.read(0, 4 * PAGE).count(0) == 4 * PAGE - 7
            assert table[6] is None
            memory.write(3 * PAGE, b"x" * PAGE)
            table[6] = instance.exports.one


def test_code_cannot_reach_what_has_been_given_up() -> None:
    text = """(module (memory (export "memory") 1)
        (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"""
    pool = InstancePool(jitwasm.Module(wat(text)))
    with pool.instance() as instance:
        instance.exports.memory.grow(1)
        assert instance.exports.load(PAGE) == 0
    with pool.instance() as instance, pytest.raises(jitwasm.Trap, match="out of bounds"):
        instance.exports.load(PAGE)


def test_a_large_initial_memory_is_as_new() -> None:
    text = f'(module (memory (export "memory") 3) (data (i32.const 1000) "{"a" * 100_000}"))'
    pool = InstancePool(jitwasm.Module(wat(text)))
    for _ in range(3):
        with pool.instance() as instance:
            memory = instance.exports.memory
            assert memory.read(0, 3 * PAGE) == (
                bytes(1000) + b"a" * 100_000 + bytes(3 * PAGE - 101_000)
            )
            memory.write(0, b"b" * 3 * PAGE)


def test_an_instance_whose_use_failed_is_not_used_again(module: jitwasm.Module) -> None:
    pool = InstancePool(module, IMPORTS)
    with pytest.raises(jitwasm.Trap), pool.instance() as failed:
        failed.exports.trap()
    assert len(pool) == 0
    with pool.instance() as instance:
        assert instance is not failed
        assert instance.exports.count.value == 8


def test_no_more_than_size_are_kept(module: jitwasm.Module) -> None:
    pool = InstancePool(module, IMPORTS, size=2)
    with pool.instance() as a, pool.instance() as b, pool.instance() as c:
        assert len({id(a), id(b), id(c)}) == 3
        assert len(pool) == 0
    assert len(pool) == 2


def test_threads_share_a_pool(module: jitwasm.Module) -> None:
    pool = InstancePool(module, IMPORTS, size=3)

    def use(number: int) -> int:
        with pool.instance() as instance:
            exports = instance.exports
            assert exports.count.value == 8
            exports.memory.write(0, number.to_bytes(4, "little"))
            exports.count.value = number
            return exports.count.value - int.from_bytes(exports.memory.read(0, 4), "little")

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(use, range(200))) == {0}


@pytest.mark.parametrize(
    "shared",
    ["(memory 1)", "(table 1 funcref)", "(global (mut i32))"],
)
def test_shared_state_is_refused(shared: str) -> None:
    module = jitwasm.Module(wat(f'(module (import "m" "x" {shared}))'))
    values = {
        "(memory 1)": jitwasm.Memory(1),
        "(table 1 funcref)": jitwasm.Table("funcref", 1),
        "(global (mut i32))": jitwasm.Global("i32", 1, mutable=True),
    }
    with pytest.raises(ValueError, match="would share the import 'm' 'x'"):
        InstancePool(module, {"m": {"x": values[shared]}})


def test_errors_come_early(module: jitwasm.Module) -> None:
    with pytest.raises(jitwasm.LinkError):
        InstancePool(module)
    with pytest.raises(ValueError, match="positive"):
        InstancePool(module, IMPORTS, size=0)
