"""Instances of one module after each other: each is as new, whatever is used again for it."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import jitwasm
from jitwasm import LinkError, Trap
from jitwasm.segments import MOST_SMALL_IMAGES
from tests.support.wat import wat

PAGE = 65536
MODULE = """(module
  (import "m" "host" (func $host (result i32)))
  (memory (export "memory") 2 10)
  (table $small (export "small") 6 20 funcref)
  (table $large (export "large") 3 funcref)
  (global (export "number") (mut i64) (i64.const -7))
  (global (export "vector") (mut v128) (v128.const i64x2 1 2))
  (global $f (export "f") (mut funcref) (ref.func $one))
  (global $f0 funcref (ref.func $host))
  (data (i32.const 100) "initial")
  (elem (table $small) (i32.const 1) func $one $two $one)
  (elem (table $small) (i32.const 2) func $host)
  (elem (table $small) (i32.const 3) func $two)
  (elem (table $large) (i32.const 0) func $one $host)
  (func $one (export "one") (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func (export "spoil")
    (memory.fill (i32.const 0) (i32.const 255) (i32.const 131072))
    (drop (memory.grow (i32.const 5)))
    (memory.fill (i32.const 131072) (i32.const 255) (i32.const 327680))
    (table.fill $small (i32.const 0) (ref.func $two) (i32.const 6))
    (drop (table.grow $small (ref.func $two) (i32.const 9)))
    (table.fill $large (i32.const 0) (ref.func $two) (i32.const 3))
    (drop (table.grow $large (ref.func $two) (i32.const 5000)))))"""


def check(instance: jitwasm.Instance) -> None:
    exports = instance.exports
    memory = exports.memory
    expected = bytearray(2 * PAGE)
    expected[100:107] = b"initial"
    assert memory.pages == 2
    assert memory.read(0, 2 * PAGE) == expected
    small = [None if f is None else f() for f in exports.small]
    assert small == [None, 1, 5, 2, None, None]
    assert [None if f is None else f() for f in exports.large] == [1, 5, None]
    assert exports.number.value == -7
    assert exports.vector.value == (1 | 2 << 64).to_bytes(16, "little")
    assert exports.f.value is exports.one
    assert memory.grow(2) == 2
    assert memory.read(2 * PAGE, 2 * PAGE) == bytes(2 * PAGE)
    assert exports.small.grow(3) == 6
    assert list(exports.small)[6:] == [None] * 3
    assert exports.large.grow(600) == 3
    assert list(exports.large)[3:] == [None] * 600


IMPORTS = {"m": {"host": lambda: 5}}


def test_one_after_another_is_as_new() -> None:
    module = jitwasm.Module(wat(MODULE))
    for _ in range(6):
        instance = jitwasm.Instance(module, IMPORTS)
        check(instance)
        instance.exports.spoil()
        del instance


def test_several_at_a_time_are_as_new() -> None:
    module = jitwasm.Module(wat(MODULE))
    held = []
    for number in range(40):
        held.append(jitwasm.Instance(module, IMPORTS))
        held[-1].exports.spoil() if number % 3 else check(held[-1])
        if number % 2:
            del held[number % len(held)]
    check(jitwasm.Instance(module, IMPORTS))


def test_modules_do_not_meet_each_others_contents() -> None:
    def text(data: str) -> bytes:
        return wat(f'(module (memory (export "m") 1) (data (i32.const 8) "{data}"))')

    modules = {data: jitwasm.Module(text(data)) for data in ("first", "second", "")}
    for _ in range(5):
        for data, module in modules.items():
            memory = jitwasm.Instance(module).exports.m
            assert memory.read(0, PAGE) == bytes(8) + data.encode() + bytes(PAGE - 8 - len(data))
            memory.write(0, b"\xff" * PAGE)
            del memory


def test_views_of_earlier_instances_stay_theirs() -> None:
    module = jitwasm.Module(wat('(module (memory (export "m") 1) (data (i32.const 0) "abc"))'))
    views = []
    for number in range(20):
        view = jitwasm.Instance(module).exports.m.buffer
        assert bytes(view[:4]) == b"abc\0"
        view[3] = number
        views.append(view)
    assert [view[3] for view in views] == list(range(20))


@pytest.mark.parametrize("segment", ["(elem (table $t) (i32.const 1) func $read)", ""])
def test_what_a_trap_keeps_from_being_placed_is_not_there(segment: str) -> None:
    # The first segment puts a function where others can call it, then instantiation traps.
    trap = segment or '(data (memory $shared) (i32.const 65530) "too long")'
    module = jitwasm.Module(
        wat(f"""(module (import "m" "table" (table $t 1 funcref))
        (import "m" "memory" (memory $shared 1)) (memory $own 1)
        (elem (table $t) (i32.const 0) func $read) {trap}
        (data (memory $own) (i32.const 0) "placed")
        (func $read (result i32) (i32.load $own (i32.const 0))))""")
    )
    for _ in range(4):
        table, memory = jitwasm.Table("funcref", 1), jitwasm.Memory(1)
        with pytest.raises(Trap):
            jitwasm.Instance(module, {"m": {"table": table, "memory": memory}})
        read = table[0]
        assert callable(read)
        assert read() == 0


def fetch(instance: jitwasm.Instance, barrier: threading.Barrier) -> list[int]:
    barrier.wait()
    return [id(instance.exports[name]) for name in instance.exports]


def test_exports_are_one_object_for_all_threads() -> None:
    module = jitwasm.Module(wat(MODULE))
    for _ in range(30):
        instance = jitwasm.Instance(module, IMPORTS)
        barrier = threading.Barrier(4)
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(fetch, instance, barrier) for _ in range(4)]
            found = [job.result() for job in jobs]
        assert all(row == found[0] for row in found)


def test_what_others_import_is_what_the_exporter_has() -> None:
    exporter = jitwasm.Instance(jitwasm.Module(wat(MODULE)), IMPORTS)
    user = jitwasm.Instance(
        jitwasm.Module(
            wat("""(module (import "e" "memory" (memory 1)) (import "e" "small" (table 1 funcref))
        (import "e" "number" (global $n (mut i64)))
        (func (export "f") (result i32) (global.set $n (i64.const 99))
          (i32.store (i32.const 0) (i32.const 7)) (call_indirect (result i32) (i32.const 3))))""")
        ),
        {"e": exporter.exports},
    )
    assert user.exports.f() == 2
    assert exporter.exports.memory[0] == 7
    assert exporter.exports.number.value == 99
    held = exporter.exports.memory, exporter.exports.small, exporter.exports.number
    del exporter
    gc.collect()
    assert user.exports.f() == 2
    assert (held[0][0], len(held[1]), held[2].value) == (7, 6, 99)


def test_a_failed_instance_leaves_nothing_behind() -> None:
    module = jitwasm.Module(wat(MODULE))
    for _ in range(3):
        with pytest.raises(LinkError):
            jitwasm.Instance(module, {"m": {"host": 5}})
        check(jitwasm.Instance(module, IMPORTS))


def images() -> int:
    """How many files of contents are open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found += "jitwasm-memory" in os.readlink(f"/proc/self/fd/{name}")
    return found


def test_many_modules_leave_files_to_the_program() -> None:
    gc.collect()
    before = images()
    modules = [
        jitwasm.Module(wat(f'(module (memory (export "m") 1) (data (i32.const {i}) "abc"))'))
        for i in range(MOST_SMALL_IMAGES + 20)
    ]
    for _ in range(3):
        for index, module in enumerate(modules):
            memory = jitwasm.Instance(module).exports.m
            assert memory.read(0, index + 5) == bytes(index) + b"abc\0\0"
            memory.write(0, b"\xff" * 200)
    assert before < images() <= max(before, MOST_SMALL_IMAGES)
    del module, modules
    gc.collect()
    assert images() <= before
