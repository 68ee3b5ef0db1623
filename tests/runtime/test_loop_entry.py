"""Every loop's header leads into optimised code before the first call: results are the same.

What the background does to loops in which calls are stuck is done here to all of them, at once.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import pytest

import jitwasm
from jitwasm import Config
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.units import unit_text
from jitwasm.frontend.emit.loopentry import NoLoopEntry
from jitwasm.frontend.translate import Translator
from jitwasm.livecode import LiveCode
from tests.support.programs import control_flow_module
from tests.support.wat import wat

T = TypeVar("T")
LOOP = 0x03


def result_of(pieces: Generator[None, None, T]) -> T:
    found: list[T] = []

    def run() -> Generator[None, None, None]:
        found.append((yield from pieces))

    for _ in run():
        pass
    return found[0]


def replace_all_loops(module: jitwasm.Module, level: int) -> int:
    """Move the calls to come to optimised code wherever a loop begins; how many loops."""
    code = module._parts.lazy
    assert isinstance(code, LiveCode)
    module.image()
    translator = Translator(code.info, code.config)
    for start, _, funcidx in list(code._starts):
        body = code.body(funcidx)
        for offset, position in code._compilers.positions(body):
            if body.body[position] != LOOP:
                continue
            loop = code.running_loop(start + offset, translator.loops_around)
            if loop is None or loop.loops[-1] != position:
                continue  # there are operands under it
            try:
                function = result_of(translator.pieces(body, 50, loop.loops))
            except NoLoopEntry:
                continue
            text = unit_text([function], code.info.layout)
            code.replace_loop(loop, compile_unit(text, host_target(level), verify=True))
    return len(code.replaced)


@pytest.mark.parametrize("first", [0, 100, 200])
def test_random_control_flow(first: int) -> None:
    loops = 0
    for seed in range(first, first + 40):
        binary = wat(control_flow_module(seed, budget=60 + seed % 40))
        module = jitwasm.Module(binary, Config(tier_up="never"))
        found = replace_all_loops(module, level=1 if seed % 8 == 0 else 0)
        if not found:
            continue
        loops += found
        plain = jitwasm.Instance(jitwasm.Module(binary, Config(tier="baseline"))).exports
        replaced = jitwasm.Instance(module).exports
        for arguments in ((0, 0), (1, -1), (17, 4), (-5, 1 << 30), (3, 3)):
            assert replaced.run(*arguments) == plain.run(*arguments), seed
    assert loops > 10


def test_a_function_translated_in_pieces_is_the_same() -> None:
    module = jitwasm.Module(wat(control_flow_module(5, budget=80)), Config(tier_up="never"))
    code = module._parts.lazy
    assert isinstance(code, LiveCode)
    translator, body = Translator(code.info, code.config), code.body(0)
    for size in (1, 7, 10_000):
        assert result_of(translator.pieces(body, size)) == translator.translate(body)


LOCALS = """(module
  (func (export "run") (param {params}) (result {params}) (local $n i32)
    (local.set $n (i32.const 3))
    (loop $l
      {change}
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    {get}))"""


@pytest.mark.parametrize("count", [1, 8, 40])
def test_locals_of_all_types_go_along(count: int) -> None:
    # More of each than there are registers, so that some are in the frame; and those of more
    # parameters than registers come, and go, through the overflow area itself.
    types = ["i32", "i64", "f32", "f64"] * count
    add = "".join(
        f"(local.set {i} ({t}.add (local.get {i}) ({t}.const {i + 1})))"
        for i, t in enumerate(types)
    )
    get = "".join(f"(local.get {i})" for i in range(len(types)))
    text = LOCALS.format(params=" ".join(types), change=add, get=get)
    module = jitwasm.Module(wat(text), Config(tier_up="never"))
    assert replace_all_loops(module, 0) == 1
    run = jitwasm.Instance(module).exports.run
    values = [7 * i for i in range(len(types))]
    assert list(run(*values)) == [value + 3 * (i + 1) for i, value in enumerate(values)]


def test_vectors_go_along() -> None:
    text = """(module (func (export "run") (param v128) (result v128) (local $n i32) (local $v v128)
      (local.set $n (i32.const 5))
      (loop $l
        (local.set 0 (i32x4.add (local.get 0) (i32x4.splat (local.get $n))))
        (local.set $v (v128.xor (local.get $v) (local.get 0)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (v128.xor (local.get $v) (local.get 0))))"""
    plain = jitwasm.Instance(jitwasm.Module(wat(text), Config(tier="baseline"))).exports
    module = jitwasm.Module(wat(text), Config(tier_up="never"))
    assert replace_all_loops(module, 0) == 1
    value = bytes(range(16))
    assert jitwasm.Instance(module).exports.run(value) == plain.run(value)


def test_a_function_with_tail_calls_is_not_entered() -> None:
    text = """(module (func $f (export "run") (param i32) (result i32)
      (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (return_call $g (local.get 0)))
      (func $g (param i32) (result i32) (i32.add (local.get 0) (i32.const 9))))"""
    module = jitwasm.Module(wat(text), Config(tier_up="never"))
    assert replace_all_loops(module, 0) == 0
    assert jitwasm.Instance(module).exports.run(5) == 9
