"""Sums that wrap around 32 bits, where pointers are computed from earlier ones."""

from __future__ import annotations

import pytest

from jitwasm import Config, Instance, Memory, Module, Trap
from tests.support.wat import wat

LAST = 0xFFFF_FFFC
"""Index of the last word that a 32-bit memory may have."""

BOTH = """(func (export "both") (param i32) (result i32)
  (i32.add (i32.load (local.get 0)) (i32.load (i32.add (local.get 0) (i32.const 8)))))"""
BEHIND = """(func (export "behind") (param i32) (result i32)
  (i32.load (i32.add (local.get 0) (i32.const 8))))"""
ONE_ARM = """(func (export "one_arm") (param i32 i32) (result i32)
  (if (local.get 1) (then (drop (i32.load (local.get 0)))))
  (i32.load (i32.add (local.get 0) (i32.const 8))))"""

CONFIGS = [
    Config(tier="optimized"),
    Config(tier="optimized", opt_level=0),
    Config(tier="optimized", strict=True),
    Config(tier="baseline"),
    Config(),
]


@pytest.fixture(params=CONFIGS, ids=["optimized", "O0", "strict", "baseline", "auto"])
def config(request: pytest.FixtureRequest) -> Config:
    config: Config = request.param
    return config


def _module(memory: str, config: Config) -> Module:
    return Module(wat(f"(module {memory} {BOTH} {BEHIND} {ONE_ARM})"), config)


def test_a_sum_that_nobody_accessed_before_may_wrap(config: Config) -> None:
    instance = Instance(_module('(memory (export "memory") 1)', config))
    instance.exports.memory.write(4, b"\x2a")
    assert instance.exports.behind(LAST) == 42
    assert instance.exports.one_arm(LAST, 0) == 42
    with pytest.raises(Trap, match="out of bounds memory access"):
        instance.exports.one_arm(LAST, 1)
    with pytest.raises(Trap, match="out of bounds memory access"):
        instance.exports.both(LAST)
    with pytest.raises(Trap, match="out of bounds memory access"):
        instance.exports.both(65536 - 8)


def test_a_memory_that_declares_the_last_page_has_it(config: Config) -> None:
    instance = Instance(_module('(memory (export "memory") 65536)', config))
    _use_last_page(instance, instance.exports.memory)


def test_a_memory_with_the_last_page_may_be_imported_by_any_module(config: Config) -> None:
    memory = Memory(65536)
    module = _module('(memory (import "m" "memory") 1)', config)
    _use_last_page(Instance(module, {"m": {"memory": memory}}), memory)


def _use_last_page(instance: Instance, memory: Memory) -> None:
    memory.write(4, b"\x02")
    memory.write(LAST, b"\x28")
    assert instance.exports.both(LAST) == 42
    assert instance.exports.one_arm(LAST, 1) == 2


def test_no_memory_grows_to_the_last_page(config: Config) -> None:
    grow = '(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))'
    exports = Instance(Module(wat(f"(module (memory 1 65536) {grow})"), config)).exports
    assert exports.grow(65535) == -1
    assert exports.grow(65534) == 1
    assert exports.grow(1) == -1
