"""Small modules that together use every section and every kind of instruction.

One corpus, many stages: the chunking property, hostile mutations and whatever else wants modules
whose every byte matters. None needs imports of its own kind; all are smaller than a kilobyte.
"""

from __future__ import annotations

from tests.support.wat import wat

__all__ = ["CORPUS", "binary", "corpus"]

CORPUS: dict[str, str] = {
    "empty": "(module)",
    "numeric": """
        (module
          (func $add (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1)))
          (func (export "mixed") (param f32 f64 i64) (result f64)
            (f64.add (f64.promote_f32 (f32.mul (local.get 0) (f32.const 0x1.8p-3)))
              (f64.mul (local.get 1) (f64.convert_i64_s
                (i64.div_s (local.get 2) (i64.const -0x123456789abcdef)))))))""",
    "control": """
        (module
          (func (export "sum") (param i32) (result i32) (local i32)
            (block $done
              (loop $again
                (br_if $done (i32.eqz (local.get 0)))
                (local.set 1 (i32.add (local.get 1) (local.get 0)))
                (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                (br $again)))
            (local.get 1))
          (func (export "choose") (param i32) (result i32 i64)
            (block $c (block $b (block $a (br_table $a $b $c (local.get 0)))
              (return (i32.const 10) (i64.const 11)))
              (return (i32.const 20) (i64.const 21)))
            (if (result i32 i64) (local.get 0)
              (then (i32.const 30) (i64.const 31)) (else (unreachable)))))""",
    "memory": """
        (module
          (memory (export "memory") 1 3)
          (data (i32.const 16) "hello\\00\\ff")
          (data $passive "passive bytes")
          (func (export "bulk") (param i32 i32) (result i32)
            (memory.init $passive (local.get 0) (i32.const 0) (i32.const 13))
            (data.drop $passive)
            (memory.copy (local.get 1) (local.get 0) (i32.const 13))
            (memory.fill (i32.const 0) (i32.const 7) (i32.const 8))
            (i64.store offset=100 align=4 (local.get 0) (i64.const -1))
            (drop (memory.grow (i32.const 1)))
            (i32.load8_s offset=3 (local.get 1))))""",
    "tables": """
        (module
          (type $binary (func (param i32 i32) (result i32)))
          (table $t (export "table") 4 10 funcref)
          (table $u 2 externref)
          (elem (table $t) (i32.const 1) func $add $sub)
          (elem $late func $sub)
          (elem declare func $add)
          (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
          (func $sub (type $binary) (i32.sub (local.get 0) (local.get 1)))
          (func (export "apply") (param i32 i32 i32) (result i32)
            (call_indirect $t (type $binary) (local.get 0) (local.get 1) (local.get 2)))
          (func (export "shuffle") (param externref) (result i32)
            (table.init $t $late (i32.const 0) (i32.const 0) (i32.const 1))
            (elem.drop $late)
            (table.set $u (i32.const 1) (local.get 0))
            (table.copy $t $t (i32.const 2) (i32.const 0) (i32.const 1))
            (table.fill $t (i32.const 3) (ref.func $add) (i32.const 1))
            (drop (table.grow $t (ref.null func) (i32.const 2)))
            (i32.add (table.size $t) (ref.is_null (table.get $u (i32.const 0))))))""",
    "globals": """
        (module
          (import "env" "base" (global $base i32))
          (import "env" "log" (func $log (param i32)))
          (global $count (export "count") (mut i64) (i64.const -5))
          (global (export "sum") i32 (i32.add (global.get $base) (i32.const 3)))
          (global f32 (f32.const nan:0x200001))
          (func $start (call $log (global.get $base))
            (global.set $count (i64.const 0x7fffffffffffffff)))
          (start $start))""",
    "simd": """
        (module
          (memory 1)
          (func (export "f") (param v128 i32) (result v128)
            (i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31
              (f32x4.add (local.get 0) (v128.const f32x4 1 2 nan -0))
              (v128.load32_splat offset=8 (local.get 1))))
          (func (export "g") (param v128) (result i32)
            (i16x8.extract_lane_s 5 (i16x8.q15mulr_sat_s (local.get 0) (local.get 0)))))""",
    "tail calls": """
        (module
          (type $t (func (param i64 i64) (result i64)))
          (table 2 funcref)
          (elem (i32.const 0) $even $odd)
          (func $even (export "even") (type $t)
            (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
              (else (return_call $odd (i64.sub (local.get 0) (i64.const 1)) (local.get 1)))))
          (func $odd (type $t)
            (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 0))
              (else (return_call_indirect (type $t)
                (i64.sub (local.get 0) (i64.const 1)) (local.get 1) (i32.const 0))))))""",
    "typed references": """
        (module
          (rec (type $f (sub (func (param (ref null $g)) (result i32))))
               (type $g (sub (func (result (ref null $f))))))
          (type $h (func (result i32)))
          (func $one (type $h) (i32.const 1))
          (elem declare func $one)
          (func (export "call") (result i32) (call_ref $h (ref.func $one)))
          (func (export "null") (param (ref null $h)) (result i32)
            (block $none (return (call_ref $h (br_on_null $none (local.get 0)))))
            (i32.const -1)))""",
    "memory64": """
        (module
          (memory $m i64 1 2)
          (memory $n 1)
          (table $t i64 2 8 funcref)
          (func (export "f") (param i64) (result i64)
            (i64.store32 $m offset=0x100000000 (local.get 0) (i64.const 1))
            (memory.copy $m $n (i64.const 0) (i32.const 0) (i32.const 4))
            (i64.add (memory.size $m) (table.size $t))))""",
    "many locals and types": """
        (module
          (func (param i32 i64 f32 f64 funcref externref)
            (local i32 i32 i64 f32 f64 f64 f64 v128 externref)
            (local.set 7 (local.tee 6 (i32.const -0x80000000))))
          (func (export "multi") (result i32 i64 f32 f64)
            (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4))
          (func (export "unreachable") (result i64)
            (unreachable) (i32.add) (drop) (select (result i64)) (br 0)))""",
}


def binary(name: str) -> bytes:
    """One module of the corpus, with a name section and a custom section in the middle."""
    return _with_custom_section(wat(CORPUS[name]))


def corpus() -> dict[str, bytes]:
    """All of them."""
    return {name: binary(name) for name in CORPUS}


def _with_custom_section(module: bytes) -> bytes:
    custom = bytes([0, 9, 4, *b"test", 1, 2, 3, 4])
    return module[:8] + custom + module[8:] + custom
