;; The upper half of load64_zero is zero, which LLVM knows after it has simplified shifts.
(module
  (memory 1)
  (data (i32.const 16) "\11\22\33\44\55\66\77\88")
  (func (export "shr_s") (param v128) (result v128)
    (i8x16.shr_s (local.get 0)
      (i8x16.extract_lane_s 11 (v128.load64_zero offset=16 (i32.const 0)))))
  (func (export "shr_u") (param v128) (result v128)
    (i8x16.shr_u (local.get 0)
      (i8x16.extract_lane_s 11 (v128.load64_zero offset=16 (i32.const 0)))))
  (func (export "shl") (param v128) (result v128)
    (i8x16.shl (local.get 0)
      (i8x16.extract_lane_s 11 (v128.load64_zero offset=16 (i32.const 0))))))
