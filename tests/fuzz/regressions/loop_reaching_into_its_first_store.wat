;; The last load overlaps the first store by one to three bytes; nothing else in the loop does.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "\01\a1e\c8\05\06\07\08")
  (data (i32.const 2049) "\11\12")
  (data (i32.const 4097) "\21\22\23\24\25\26\27\28")
  (func (export "words") (result i32) (local $i i32) (local $last i32)
    (loop $l
      (i32.store offset=64 (local.get $i) (i32.load offset=3 (local.get $i)))
      (local.set $last (i32.load offset=3 (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 64))))
    (local.get $last))
  (func (export "halves") (result i32) (local $i i32) (local $last i32)
    (loop $l
      (i32.store16 offset=2112 (local.get $i) (i32.load16_u offset=2049 (local.get $i)))
      (local.set $last (i32.load16_u offset=2049 (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 2)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 64))))
    (local.get $last))
  (func (export "doubles") (result i64) (local $i i32) (local $last i64)
    (loop $l
      (i64.store offset=4224 (local.get $i) (i64.load offset=4097 (local.get $i)))
      (local.set $last (i64.load offset=4097 (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 8)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 128))))
    (local.get $last)))
