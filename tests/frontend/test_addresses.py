"""What the emitted address arithmetic may promise to LLVM."""

from __future__ import annotations

import pytest

from jitwasm.abi import DERIVED_REACH, MEMORY32_GUARD, MEMORY32_MOST, MEMORY32_RESERVED
from jitwasm.config import Config
from jitwasm.frontend.emit.context import INSIDE
from tests.support.irtext import translate_text

LOAD = """(module (memory {type} 1)
  (func (param {type}) (result i32) (i32.load offset={offset} (local.get 0))))"""


def _text(offset: int, config: Config | None = None, type_: str = "i32") -> str:
    (function,) = translate_text(LOAD.format(type=type_, offset=offset), config or Config())
    return function.text


@pytest.mark.parametrize("offset", [0, 8, 0xFFFF_FFFF])
def test_guarded_addresses_are_inside_one_reservation(offset: int) -> None:
    """The largest index and the largest static offset still end before the guard does."""
    assert 0xFFFF_FFFF + offset + 4 <= MEMORY32_RESERVED + MEMORY32_GUARD
    assert _text(offset).count(INSIDE) == (2 if offset else 1)


def test_nothing_is_promised_about_wide_indices() -> None:
    assert "inbounds" not in _text(8, type_="i64")


def test_nothing_is_promised_about_compared_indices() -> None:
    assert "inbounds" not in _text(8, Config(bounds="explicit"))


PAIR = """(module (memory {pages}) (func (param i32) (result i32)
  (i32.add (i32.load (local.get 0)) (i32.load (i32.add (local.get 0) (i32.const {step}))))))"""


@pytest.mark.parametrize(
    ("pages", "step", "extensions"),
    [
        (1, 8, 1),
        (1, DERIVED_REACH, 1),
        (1, DERIVED_REACH + 1, 2),
        (1, -8, 2),
        (65535, 8, 1),
        (65536, 8, 2),
    ],
)
def test_a_pointer_is_derived_from_that_of_a_smaller_accessed_sum(
    pages: int, step: int, extensions: int
) -> None:
    (function,) = translate_text(PAIR.format(pages=pages, step=step), Config())
    assert function.text.count("zext i32") == extensions


def test_derived_pointers_stay_inside_the_reservation() -> None:
    assert DERIVED_REACH + 16 <= (1 << 32) - MEMORY32_MOST
    assert 0xFFFF_FFFF + DERIVED_REACH + 0xFFFF_FFFF + 16 <= MEMORY32_RESERVED + MEMORY32_GUARD
