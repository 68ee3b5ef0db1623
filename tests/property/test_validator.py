"""Validator and translator accept the same bodies, and refuse others with the same error."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")

from jitwasm.config import Config
from jitwasm.errors import CompileError
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from jitwasm.frontend.validator import Validator
from tests.support.corpus import CORPUS, binary
from tests.support.wat import wat

SEED = 11
MUTANTS = 400
"""For each module."""
INTERESTING = (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0B, 0x0C, 0x0D, 0x0F, 0x1A, 0x1B, 0x20, 0x40)
FORMS = """(module
  (type $binary (func (param i32 i64) (result f64)))
  (memory 1) (table 4 funcref) (global $g (mut i64) (i64.const 0)) (global $c f32 (f32.const 1))
  (func $callee (param i32 i64) (result f64) (f64.const 1))
  (func (param i32 i64 f32 f64 v128) (result i64) (local i32 funcref)
    (block $out (result i64)
      (loop $again
        (br_if $again (i32.eqz (local.tee 5 (i32.load offset=200 (local.get 0)))))
        (br_if $out (i64.load32_u (local.get 0)) (i32.const 1000)) (drop)
        (br_table $again $again (local.get 0)))
      (if (result i64) (ref.is_null (local.get 6))
        (then (call $callee (local.get 0) (local.get 1)) (drop) (global.get $g))
        (else (call_indirect (type $binary) (i32.const 1) (i64.const -1) (i32.const 2))
          (drop) (unreachable))))
    (if (v128.any_true (local.get 4)) (then (return (i64.const 4))))
    (f64.store (local.get 0) (select (local.get 3) (f64.const 2) (i32.const 0)))
    (global.set $g)
    (local.set 2 (f32.add (local.get 2) (global.get $c)))
    (v128.store (i32.const 0) (i8x16.add (local.get 4) (v128.const i64x2 1 2)))
    (i64.trunc_sat_f64_s (local.get 3))))"""


def parse(data: bytes) -> tuple[ModuleInfo, list[FunctionBody]]:
    config = Config()
    parser = StreamParser(config.features, config.limits)
    events = parser.feed(data) + parser.finish()
    starts = [event for event in events if isinstance(event, CodeStart)]
    bodies = [event for event in events if isinstance(event, FunctionBody)]
    return (starts[0].info, bodies) if starts else (ModuleInfo(), [])


def mutants(body: FunctionBody, source: random.Random, count: int) -> Iterator[FunctionBody]:
    for _ in range(count):
        code = bytearray(body.body)
        for _ in range(source.choice((1, 1, 1, 2, 3))):
            at = source.randrange(len(code))
            kind = source.randrange(4)
            if kind == 0:
                code[at] = source.choice(INTERESTING)
            elif kind == 1:
                code[at] = source.randrange(256)
            elif kind == 2:
                code.insert(at, source.choice(INTERESTING))
            elif len(code) > 1:
                del code[at : at + source.randrange(1, 4)]
            code = code or bytearray(1)
        yield FunctionBody(body.funcidx, body.offset, bytes(code))


def outcome(check: object, body: FunctionBody) -> tuple[object, ...] | None:
    try:
        check(body)  # type: ignore[operator]
    except CompileError as error:
        return type(error), error.message, error.offset
    return None


def compare(data: bytes, seed: object) -> None:
    info, bodies = parse(data)
    config = Config()
    translator, validator = Translator(info, config), Validator(info, config)
    source = random.Random(f"{SEED} {seed}")
    valid = 0
    for body in bodies:
        assert outcome(validator.validate, body) is None
        for mutant in mutants(body, source, max(MUTANTS // len(bodies), 2)):
            expected = outcome(translator.translate, mutant)
            assert outcome(validator.validate, mutant) == expected, mutant.body.hex()
            valid += expected is None
    assert valid or not bodies


@pytest.mark.parametrize("name", CORPUS)
def test_changed_bodies_of_the_corpus_are_judged_alike(name: str) -> None:
    compare(binary(name), name)


@pytest.mark.parametrize("seed", range(6))
def test_changed_bodies_of_all_forms_are_judged_alike(seed: int) -> None:
    compare(wat(FORMS), seed)
