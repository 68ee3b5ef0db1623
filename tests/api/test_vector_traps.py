"""Vector loads and stores at the end of memory: exactly the bytes they access decide."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import jitwasm
from jitwasm.config import Config
from tests.fuzz.modules import REGRESSIONS
from tests.support.wat import wat

END = 65536
CONFIGS = {
    "guard, level 0": Config(opt_level=0),
    "guard, level 2": Config(opt_level=2),
    "explicit": Config(opt_level=2, bounds="explicit"),
    "strict": Config(opt_level=2, strict=True),
}
LOADS = {
    "v128.load": 16,
    "v128.load8x8_s": 8,
    "v128.load16x4_u": 8,
    "v128.load32x2_s": 8,
    "v128.load8_splat": 1,
    "v128.load16_splat": 2,
    "v128.load32_splat": 4,
    "v128.load64_splat": 8,
    "v128.load32_zero": 4,
    "v128.load64_zero": 8,
    "v128.load8_lane": 1,
    "v128.load16_lane": 2,
    "v128.load32_lane": 4,
    "v128.load64_lane": 8,
}
STORES = {
    "v128.store": 16,
    "v128.store8_lane": 1,
    "v128.store16_lane": 2,
    "v128.store32_lane": 4,
    "v128.store64_lane": 8,
}
ONES = "(v128.const i64x2 -1 -1)"


def module_text() -> str:
    functions = []
    for name in LOADS:
        call = f"{name} 1 (local.get 0) {ONES}" if "lane" in name else f"{name} (local.get 0)"
        functions.append(f'(func (export "{name}") (param i32) (result v128) ({call}))')
        functions.append(f'(func (export "drop {name}") (param i32) (drop ({call})))')
    for name in STORES:
        lane = "1" if "lane" in name else ""
        functions.append(
            f'(func (export "{name}") (param i32) ({name} {lane} (local.get 0) {ONES}))'
        )
    return f'(module (memory (export "memory") 1) {" ".join(functions)})'


@functools.cache
def exports(config: str) -> Any:
    module = jitwasm.Module(wat(module_text()), CONFIGS[config])
    return jitwasm.Instance(module).exports


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", [*LOADS, *(f"drop {name}" for name in LOADS)])
def test_a_load_traps_as_soon_as_its_last_byte_is_outside(config: str, name: str) -> None:
    load = exports(config)[name]
    size = LOADS[name.removeprefix("drop ")]
    load(END - size)
    for address in (END - size + 1, END, END - 1 + (size == 1), 0x7FFFFFFF, -1):
        with pytest.raises(jitwasm.Trap, match="out of bounds memory access"):
            load(address)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", STORES)
def test_a_store_that_traps_writes_nothing(config: str, name: str) -> None:
    store, size = exports(config)[name], STORES[name]
    memory = memoryview(exports(config).memory)
    memory[END - 32 : END] = bytes(32)
    for address in (END - size + 1, END, -1):
        with pytest.raises(jitwasm.Trap, match="out of bounds memory access"):
            store(address)
    assert bytes(memory[END - 32 : END]) == bytes(32)
    store(END - size)
    assert bytes(memory[END - size : END]) == b"\xff" * size


@pytest.mark.parametrize(
    "config",
    [
        Config(tier="baseline"),
        *(Config(tier="optimized", opt_level=level, strict=True) for level in (0, 1, 2)),
        Config(tier="optimized", fuel=1_000_000),
    ],
    ids=["baseline", "strict, level 0", "strict, level 1", "strict, level 2", "fuel"],
)
def test_a_load_whose_value_is_not_selected_traps(config: Config) -> None:
    text = (REGRESSIONS / "load_under_a_mask.wat").read_text(encoding="utf-8")
    exports = jitwasm.Instance(jitwasm.Module(wat(text), config)).exports
    for name in exports:
        if name != "memory":
            for condition in (0, 1, 2, 5):
                exports[name](8, 7, condition)
                with pytest.raises(jitwasm.Trap, match="out of bounds memory access"):
                    exports[name](END, 7, condition)
