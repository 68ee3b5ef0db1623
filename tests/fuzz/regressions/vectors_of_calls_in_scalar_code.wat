;; Baseline: a v128 that only a call or a global brings needs wide slots; results shared bytes.
(module
  (type $results (func (result i32 f64 i64 i64 v128 f64)))
  (global $g (mut v128) (v128.const i64x2 1 2))
  (func $callee (type $results)
    (i32.const 1) (f64.const 2) (i64.const 3) (i64.const 4) (v128.const i64x2 5 6) (f64.const 7))
  (func (export "call") (type $results) (call $callee))
  (func (export "tail") (type $results) (return_call $callee))
  (func (export "global") (result i64 v128 i64)
    i64.const 3
    global.get $g
    i64.const 4
    call $callee drop drop drop drop drop drop))
