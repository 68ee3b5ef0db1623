"""Frames of traps in unoptimised code say where in the module they are."""

from __future__ import annotations

import pytest

import jitwasm
from jitwasm.config import Config
from tests.support.wat import wat

TEXT = """(module $m
  (import "env" "raise" (func $raise))
  (memory 1)
  (table $t 3 funcref)
  (elem (table $t) (i32.const 0) func $void)
  (data $d "abc")
  (type $other (func (param f64)))
  (type $void (func))
  (func $void)
  (func (export "unreachable") (param i32 i32 f64) (nop) (unreachable))
  (func (export "div") (param i32 i32 f64) (nop)
    (drop (i32.div_u (local.get 0) (local.get 1))))
  (func (export "overflow") (param i32 i32 f64) (nop)
    (drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1))))
  (func (export "rem") (param i32 i32 f64) (nop)
    (drop (i64.rem_s (i64.extend_i32_s (local.get 0)) (i64.extend_i32_s (local.get 1)))))
  (func (export "load") (param i32 i32 f64) (nop)
    (drop (i32.load offset=70000 (local.get 1))))
  (func (export "store") (param i32 i32 f64) (nop)
    (i64.store16 offset=70000 (local.get 1) (i64.const 7)))
  (func (export "vector") (param i32 i32 f64) (nop)
    (drop (v128.load32_splat offset=70000 (local.get 1))))
  (func (export "far") (param i32 i32 f64) (nop)
    (drop (i32.load offset=4294967295 (local.get 1))))
  (func (export "trunc") (param i32 i32 f64) (nop)
    (drop (i32.trunc_f64_s (f64.mul (local.get 2) (f64.const 1e300)))))
  (func (export "nan") (param i32 i32 f64) (nop)
    (drop (i64.trunc_f64_u (f64.div (f64.const 0) (f64.const 0)))))
  (func (export "undefined") (param i32 i32 f64) (nop)
    (call_indirect (type $void) (i32.const 3)))
  (func (export "uninitialized") (param i32 i32 f64) (nop)
    (call_indirect (type $void) (i32.const 2)))
  (func (export "mismatch") (param i32 i32 f64) (nop)
    (call_indirect (type $other) (f64.const 1) (i32.const 0)))
  (func (export "fill") (param i32 i32 f64) (nop)
    (memory.fill (i32.const 65536) (i32.const 0) (i32.const 1)))
  (func (export "init") (param i32 i32 f64) (nop)
    (memory.init $d (i32.const 0) (i32.const 2) (i32.const 9)))
  (func (export "get") (param i32 i32 f64) (nop)
    (drop (table.get $t (i32.const 3))))
  (func (export "non_null") (param i32 i32 f64) (nop)
    (drop (ref.as_non_null (ref.null func))))
  (func (export "tail") (param i32 i32 f64) (nop)
    (return_call_indirect (type $void) (i32.const 2)))
  (func (export "host") (param i32 i32 f64) (nop)
    (call $raise))
  (func (export "fused") (param i32 i32 f64) (local i32 i32) (nop)
    (loop $again
      (local.set 3 (i32.add (local.get 3) (i32.const 1)))
      (local.set 4 (i32.load offset=65500 (local.get 3)))
      (br_if $again (i32.lt_u (local.get 3) (i32.const 100000)))))
  (func $inner (param i32 i32 f64) (nop)
    (call $innermost (local.get 0)))
  (func $innermost (param i32)
    (i32.store8 offset=65536 (local.get 0) (i32.const 1)))
  (func (export "callers") (param i32 i32 f64) (nop)
    (call $inner (local.get 0) (local.get 1) (local.get 2)) (nop)))"""

INSTRUCTIONS = {
    "unreachable": (b"\x00", b"\x0b"),
    "div": (b"\x6e", b"\x1a"),
    "overflow": (b"\x7f", b"\x1a"),
    "rem": (b"\x81", b"\x1a"),
    "load": (b"\x28\x02\xf0\xa2\x04", b"\x1a"),
    "store": (b"\x3d\x01\xf0\xa2\x04", b"\x0b"),
    "vector": (b"\xfd\x09\x02\xf0\xa2\x04", b"\x1a"),
    "far": (b"\x28\x02\xff\xff\xff\xff\x0f", b"\x1a"),
    "trunc": (b"\xaa", b"\x1a"),
    "nan": (b"\xb1", b"\x1a"),
    "undefined": (b"\x11\x01\x00", b"\x0b"),
    "uninitialized": (b"\x11\x01\x00", b"\x0b"),
    "mismatch": (b"\x11\x00\x00", b"\x0b"),
    "fill": (b"\xfc\x0b\x00", b"\x0b"),
    "init": (b"\xfc\x08\x00\x00", b"\x0b"),
    "get": (b"\x25\x00", b"\x1a"),
    "non_null": (b"\xd4", b"\x1a"),
    "tail": (b"\x13\x01\x00", b"\x0b"),
    "fused": (b"\x28\x02\xdc\xff\x03", b"\x21\x04"),
}
"""What traps in each function, and what follows it."""


class Host(Exception):
    pass


def raise_() -> None:
    raise Host


@pytest.fixture(scope="module", params=["eager", "lazy", "fuel", "explicit"])
def module(request: pytest.FixtureRequest) -> tuple[jitwasm.Module, bytes]:
    text = TEXT
    if request.param == "lazy":
        # Enough code that functions are compiled when they are first called.
        text = text[:-1] + "(func (drop (i64.const 1)))" * 15_000 + ")"
    config = {
        "eager": Config(tier="baseline"),
        "lazy": Config(tier_up="never"),
        "fuel": Config(tier="baseline", fuel=1_000_000),
        "explicit": Config(tier="baseline", bounds="explicit"),
    }[request.param]
    data = wat(text)
    return jitwasm.Module(data, config), data


def body_of(data: bytes, name: str) -> int:
    """Where the code of an exported function is, from its `nop` on."""
    info = jitwasm.Module(data, Config(tier="baseline")).info
    index = next(row.index for row in info.exports if row.name == name)
    from tests.property.test_validator import parse

    body = next(b for b in parse(data)[1] if b.funcidx == index)
    return body.offset + body.body.index(b"\x01", 1 if body.body[0] == 0 else 3)


def run(module: jitwasm.Module, name: str) -> jitwasm.Trap:
    instance = jitwasm.Instance(module, {"env": {"raise": raise_}})
    with pytest.raises(jitwasm.Trap) as caught:
        instance.exports[name](1, 0, 1e300)
    return caught.value


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_a_trap_is_at_its_instruction(module: tuple[jitwasm.Module, bytes], name: str) -> None:
    compiled, data = module
    trap = run(compiled, name)
    opcode, following = INSTRUCTIONS[name]
    expected = data.index(opcode + following, body_of(data, name))
    frame = trap.frames[0]
    assert frame.offset == expected, frame
    assert f":0x{expected:x})" in str(trap)


def test_callers_are_at_their_calls(module: tuple[jitwasm.Module, bytes]) -> None:
    compiled, data = module
    frames = run(compiled, "callers").frames
    assert [frame.name for frame in frames] == ["innermost", "inner", "callers"]
    store = data.index(b"\x3a\x00\x80\x80\x04")
    assert frames[0].offset == store
    for frame in frames[1:]:
        assert frame.offset is not None
        assert data[frame.offset] == 0x10
    assert frames[2].offset > body_of(data, "callers")


def test_optimised_code_does_not_tell() -> None:
    module = jitwasm.Module(wat(TEXT), Config(tier="optimized", opt_level=0))
    assert run(module, "load").frames[0].offset is None


def test_an_overflow_of_the_stack_is_in_the_function() -> None:
    data = wat('(module (func $f (export "f") (call $f) (nop)))')
    module = jitwasm.Module(data, Config(tier="baseline"))
    with pytest.raises(jitwasm.StackOverflow) as caught:
        jitwasm.Instance(module).exports["f"]()
    call = data.index(b"\x10\x00\x01\x0b")
    assert {frame.offset for frame in caught.value.frames} == {call}
