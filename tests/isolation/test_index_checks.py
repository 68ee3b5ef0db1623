"""Indices and ranges from the module: at every tier, whatever the number, a trap and no effect."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import jitwasm
from jitwasm import Config, Trap, TrapCode
from tests.support.wat import wat

TIERS = {
    "baseline": {"tier": "baseline"},
    "baseline, explicit bounds": {"tier": "baseline", "bounds": "explicit"},
    "level 0": {"tier": "optimized", "opt_level": 0},
    "level 2": {"tier": "optimized", "opt_level": 2},
    "explicit bounds": {"tier": "optimized", "bounds": "explicit"},
}
SIZE = 0x10000
ELEMENTS = 4
SEGMENT = 8

TEXT = """(module
  (memory (export "memory") 1) (table (export "table") 4 funcref)
  (type $seven (func (result i32)))
  (func $seven (export "seven") (result i32) (i32.const 7))
  (elem (i32.const 0) $seven $seven $seven $seven)
  (data $bytes "abcdefgh") (elem $functions func $seven $seven $seven)
  (func (export "get") (param i32) (drop (table.get (local.get 0))))
  (func (export "set") (param i32) (table.set (local.get 0) (ref.func $seven)))
  (func (export "call") (param i32) (drop (call_indirect (type $seven) (local.get 0))))
  (func (export "tail") (param i32) (drop (call $tail (local.get 0))))
  (func $tail (param i32) (result i32) (return_call_indirect (type $seven) (local.get 0)))
  (func (export "fill") (param i32 i32)
    (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
  (func (export "copy_to") (param i32 i32)
    (memory.copy (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "copy_from") (param i32 i32)
    (memory.copy (i32.const 0) (local.get 0) (local.get 1)))
  (func (export "init_to") (param i32 i32)
    (memory.init $bytes (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "init_from") (param i32 i32)
    (memory.init $bytes (i32.const 0) (local.get 0) (local.get 1)))
  (func (export "table_fill") (param i32 i32)
    (table.fill (local.get 0) (ref.null func) (local.get 1)))
  (func (export "table_copy_to") (param i32 i32)
    (table.copy (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "table_copy_from") (param i32 i32)
    (table.copy (i32.const 0) (local.get 0) (local.get 1)))
  (func (export "table_init_to") (param i32 i32)
    (table.init $functions (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "table_init_from") (param i32 i32)
    (table.init $functions (i32.const 0) (local.get 0) (local.get 1))))"""

RANGES = {
    "fill": (SIZE, SIZE, TrapCode.OUT_OF_BOUNDS_MEMORY),
    "copy_to": (SIZE, SIZE, TrapCode.OUT_OF_BOUNDS_MEMORY),
    "copy_from": (SIZE, SIZE, TrapCode.OUT_OF_BOUNDS_MEMORY),
    "init_to": (SIZE, SEGMENT, TrapCode.OUT_OF_BOUNDS_MEMORY),
    "init_from": (SEGMENT, SEGMENT, TrapCode.OUT_OF_BOUNDS_MEMORY),
    "table_fill": (ELEMENTS, ELEMENTS, TrapCode.OUT_OF_BOUNDS_TABLE),
    "table_copy_to": (ELEMENTS, ELEMENTS, TrapCode.OUT_OF_BOUNDS_TABLE),
    "table_copy_from": (ELEMENTS, ELEMENTS, TrapCode.OUT_OF_BOUNDS_TABLE),
    "table_init_to": (ELEMENTS, 3, TrapCode.OUT_OF_BOUNDS_TABLE),
    "table_init_from": (3, 3, TrapCode.OUT_OF_BOUNDS_TABLE),
}
"""By function of (start, length): how far the range may reach, its greatest length, the trap."""


@pytest.fixture(scope="module", params=TIERS)
def module(request: pytest.FixtureRequest) -> jitwasm.Module:
    choice: dict[str, Any] = TIERS[request.param]
    return jitwasm.Module(wat(TEXT), Config(**choice))


def signed(number: int) -> int:
    return number - (1 << 32) if number >> 31 else number


@pytest.mark.parametrize("name", ["get", "set", "call", "tail"])
def test_an_index_beyond_the_table_traps(module: jitwasm.Module, name: str) -> None:
    exports = jitwasm.Instance(module).exports
    function = exports[name]
    for index in range(ELEMENTS):
        function(index)
    beyond = [ELEMENTS, ELEMENTS + 1, *(1 << bit for bit in range(3, 32)), (1 << 32) - 1]
    # Times eight, they are small again.
    beyond += [1 << 29 | 1, 1 << 30 | 2, 7 << 29 | 3]
    code = TrapCode.UNDEFINED_ELEMENT if name in ("call", "tail") else TrapCode.OUT_OF_BOUNDS_TABLE
    for index in beyond:
        with pytest.raises(Trap) as caught:
            function(signed(index))
        assert caught.value.code is code, hex(index)
    assert [element() for element in exports.table] == [7] * ELEMENTS


@pytest.mark.parametrize("name", RANGES)
def test_a_range_that_reaches_beyond_traps_and_changes_nothing(
    module: jitwasm.Module, name: str
) -> None:
    exports = jitwasm.Instance(module).exports
    function = exports[name]
    extent, longest, code = RANGES[name]
    exports.memory.write(0, b"\x55" * SIZE)
    numbers = sorted(
        {
            *(max(edge + step, 0) for edge in (0, longest, extent) for step in (-1, 0, 1)),
            *(edge + step for edge in (1 << 31, (1 << 32) - 2) for step in (-1, 0, 1)),
        }
    )
    refused = 0
    for start, length in itertools.product(numbers, repeat=2):
        if start + length <= extent and length <= longest:
            continue
        before = exports.memory.read(0, SIZE), list(exports.table)
        with pytest.raises(Trap) as caught:
            function(signed(start), signed(length))
        assert caught.value.code is code, (hex(start), hex(length))
        assert (exports.memory.read(0, SIZE), list(exports.table)) == before
        refused += 1
    assert refused > 50
    for start in (0, extent - 1, extent):
        function(signed(start), min(extent - start, longest))
