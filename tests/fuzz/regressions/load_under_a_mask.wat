;; The load is out of bounds, and its value is one of two that are selected from.
(module
  (memory (export "memory") 1)
  (func (export "scalar") (param $p i32) (param $x f64) (param $c i64) (result f64)
    (select (local.get $x) (f64.load offset=4 (local.get $p)) (i64.eqz (local.get $c))))
  (func (export "other") (param $p i32) (param $x f64) (param $c i64) (result f64)
    (select (f64.load offset=4 (local.get $p)) (local.get $x) (i64.eqz (local.get $c))))
  (func (export "short") (param $p i32) (param $x f32) (param $c i64) (result f32)
    (select (f32.load offset=4 (local.get $p)) (local.get $x) (i64.eqz (local.get $c))))
  (func (export "lanes") (param $p i32) (param $x i32) (param $c i32) (result i32)
    (i32x4.extract_lane 1
      (v128.bitselect
        (v128.load (local.get $p)) (i32x4.splat (local.get $x))
        (i32x4.gt_s (i32x4.splat (local.get $c)) (v128.const i32x4 0 1 2 3)))))
  (func (export "splat") (param $p i32) (param $x i32) (param $c i32) (result i32)
    (i32x4.extract_lane 1
      (v128.bitselect
        (v128.load32_splat (local.get $p)) (i32x4.splat (local.get $x))
        (i32x4.gt_s (i32x4.splat (local.get $c)) (v128.const i32x4 0 1 2 3))))))
