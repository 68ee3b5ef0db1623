"""Small modules that between them use every construct outside of function bodies."""

from __future__ import annotations

from tests.frontend.binary import code, custom, module, name, section, vector
from tests.support.wat import wat

ADD = wat("""
    (module $calc
      (func $add (export "add") (param i32 i32) (result i32)
        local.get 0 local.get 1 i32.add)
      (func $pair (result i64 f64) i64.const 1 f64.const 2))
""")

EVERYTHING = wat("""
    (module
      (type $t (func (param i32) (result i64)))
      (import "env" "f" (func $f (type $t)))
      (import "env" "t" (table 1 2 funcref))
      (import "env" "m" (memory 1 2))
      (import "env" "g" (global $g i32))
      (import "env" "mg" (global (mut f64)))
      (func $id (param i32) (result i32) local.get 0)
      (func $start data.drop 1)
      (table $refs 3 externref)
      (memory 0)
      (global $h i32 (i32.const -7))
      (global $k (mut i64) (i64.add (i64.const 1) (i64.const 2)))
      (global f32 (f32.const 1.5))
      (global v128 (v128.const i64x2 1 2))
      (global funcref (ref.func $id))
      (export "id" (func $id))
      (export "mem" (memory 0))
      (export "refs" (table $refs))
      (export "g" (global $g))
      (start $start)
      (elem (i32.const 0) $f $id)
      (elem func $start)
      (elem declare func $f)
      (elem (table $refs) (offset (global.get $g)) externref (ref.null extern))
      (elem funcref (ref.func $id) (ref.null func))
      (data (i32.const 8) "hello")
      (data "passive")
      (data (memory 1) (offset (i32.const 0)) ""))
""")

TYPED = wat("""
    (module
      (rec
        (type $node (sub (struct (field (ref null $node)) (field (mut i32)))))
        (type $leaf (sub final $node
          (struct (field (ref null $node)) (field (mut i32)) (field i8)))))
      (type $bytes (array (mut i8)))
      (type $f (sub (func (param (ref $node)))))
      (type $g (sub $f (func (param anyref))))
      (import "env" "tag" (tag (param i32)))
      (memory i64 1 3)
      (memory 1 1 shared)
      (table i64 2 funcref)
      (table 4 (ref func) (ref.func $here))
      (tag $local (param (ref $node)))
      (global (ref $node)
        (struct.new $node (ref.null $node) (i32.const 1)))
      (global (ref $bytes) (array.new_fixed $bytes 2 (i32.const 1) (i32.const 2)))
      (global anyref (ref.i31 (i32.const 5)))
      (global externref (extern.convert_any (ref.null any)))
      (func $here (export "here"))
      (export "tag" (tag $local))
      (data (memory 0) (i64.const 0) "x"))
""")

CUSTOMS = module(
    custom("first", b"payload"),
    section(1, b"\x01\x60\x00\x00"),
    custom("name", b"\x00\x05" + name("mod!")),
    vector(3, b"\x00", b"\x00"),
    custom(""),
    code(b"\x00\x0b", b"\x00" + b"\x01" * 200 + b"\x0b"),
    custom("name", b"ignored"),
    custom("last", bytes(range(256))),
)

SMALL = {
    "empty": module(),
    "add": ADD,
    "everything": EVERYTHING,
    "typed": TYPED,
    "customs": CUSTOMS,
}


def large() -> bytes:
    """A module of some hundred kilobytes with bodies and segments of many sizes."""
    bodies = [b"\x00" + b"\x01" * (index * 37 % 3000) + b"\x0b" for index in range(200)]
    return module(
        section(1, b"\x01\x60\x00\x00"),
        vector(3, *[b"\x00"] * len(bodies)),
        vector(5, b"\x00\x01"),
        custom("padding", bytes(70_000)),
        code(*bodies),
        vector(11, *[b"\x01" + name("x" * (index * 53 % 700)) for index in range(100)]),
    )
