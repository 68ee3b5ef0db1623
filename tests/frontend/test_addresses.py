"""What the emitted address arithmetic may promise to LLVM."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from jitwasm.abi import DERIVED_REACH, MEMORY32_GUARD, MEMORY32_MOST, MEMORY32_RESERVED
from jitwasm.config import Config
from jitwasm.frontend.emit.context import INSIDE
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from jitwasm.ir import FunctionIR
from tests.support.irtext import translate_text, verify
from tests.support.wat import wat

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


ARMS = """(module (memory 1) (func (param i32 i32) (result i32)
  (drop (i32.load (local.get 0)))
  (if (local.get 1)
    (then (i32.store (local.get 1) (i32.const 0)))
    (else (i32.store offset=4 (local.get 0) (i32.const 0))))
  (i32.add (i32.load offset=8 (local.get 0)) (i32.load (local.get 1)))))"""


def test_pointers_are_known_wherever_control_comes_only_from_their_definition() -> None:
    """Behind the arms that of local 0 is; that of local 1 is computed once more."""
    (function,) = translate_text(ARMS, Config())
    assert function.text.count("zext i32 %0 ") == 1
    assert function.text.count("zext i32 %1 ") == 2


LOOP = """(module (memory 1) (func (param i32) (local i32)
  (i32.store (local.get 0) (i32.const 0))
  (block (loop
    (local.set 1 (i32.load offset=4 (local.get 0)))
    (br_if 1 (local.get 1))
    (br 0)))
  (i32.store offset=8 (local.get 0) (i32.const 0))))"""


def _entered(text: str) -> FunctionIR:
    """The version of the only function that begins at its innermost loop."""
    config = Config()
    parser = StreamParser(config.features, config.limits)
    (body,) = [event for event in parser.feed(wat(text)) if isinstance(event, FunctionBody)]
    translator = Translator(parser.info, config)
    loops = translator.loops_around(body, body.body.index(b"\x03\x40") + 2)
    made: list[FunctionIR] = []

    def translate() -> Generator[None, None, None]:
        made.append((yield from translator.pieces(body, len(body.body), loops)))

    for _ in translate():
        pass
    verify(parser.info, made)
    return made[0]


def test_a_version_entered_at_a_loop_knows_nothing_of_what_is_in_front() -> None:
    (function,) = translate_text(LOOP, Config())
    assert function.text.count("zext i32") == 1
    assert _entered(LOOP).text.count("zext i32") == 2
