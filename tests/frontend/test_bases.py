"""Innermost loops that store have several bases of the memory."""

from __future__ import annotations

import pytest

from jitwasm.config import Config
from tests.support.irtext import translate, translate_text, verify
from tests.support.wat import wat

COPY = """(i32.store (local.get 0) (i32.load (local.get 1)))"""
NEAR = """(i32.store (local.get 0) (i32.load (i32.add (local.get 0) (i32.const 4))))"""


def _module(body: str) -> str:
    return f"""(module (memory 1) (func $f)
      (func (param i32 i32) (loop $l {body}
        (br_if $l (local.tee 0 (i32.add (local.get 0) (i32.const 4)))))))"""


def _asm(body: str, config: Config | None = None) -> int:
    info, functions = translate(wat(_module(body)), config or Config())
    verify(info, functions)
    return functions[1].text.count("call ptr asm")


def test_addresses_computed_apart_have_bases_of_their_own() -> None:
    assert _asm(COPY) == 1


def test_addresses_that_differ_by_a_constant_share_one() -> None:
    assert _asm(NEAR) == 0


def test_there_are_at_most_eight() -> None:
    loads = "".join(
        f"(i32.store (local.get 0) (i32.load (i32.mul (local.get 1) (i32.const {i}))))"
        for i in range(2, 30)
    )
    assert _asm(loads) == 7


@pytest.mark.parametrize(
    "body",
    [
        "(drop (i32.load (local.get 0))) (drop (i32.load (local.get 1)))",
        COPY + "(call $f)",
        COPY + "(loop (br_if 0 (local.get 1)))",
    ],
    ids=["no store", "a call", "a loop inside"],
)
def test_other_loops_have_one(body: str) -> None:
    assert _asm(body) == 0


@pytest.mark.parametrize("config", [Config(strict=True), Config(opt_level=0)])
def test_there_is_one_where_nothing_is_vectorised(config: Config) -> None:
    assert "%m0.b" not in translate_text(_module(COPY), config)[1].text


def test_none_is_that_of_an_address_from_outside() -> None:
    """A loop that uses a pointer from in front of it has one more."""
    outside = "(drop (i32.load (local.get 1)))"
    module = _module(COPY).replace("(loop", outside + "(loop")
    info, functions = translate(wat(module), Config())
    verify(info, functions)
    assert functions[1].text.count("call ptr asm") == 1
    assert "%m0.b1.0 = call ptr asm" in functions[1].text
