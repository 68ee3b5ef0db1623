"""The arena and the ELF loader: relocations, symbols, W^X, lifetimes."""

from __future__ import annotations

import ctypes
import gc
import itertools
import math
import random
import threading

import pytest

from jitwasm.backend import libc
from jitwasm.backend.arena import CodeArena
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.elf import ObjectFile
from jitwasm.backend.loader import CodeImage, FrameInfo, LoadError, load_image

I64 = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
F64 = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)


@pytest.fixture(scope="module")
def arena() -> CodeArena:
    return CodeArena()


def build(text: str, level: int = 0) -> bytes:
    return compile_unit(text, host_target(level), verify=True)


def load(arena: CodeArena, *texts: str, level: int = 0) -> CodeImage:
    return load_image(arena, [build(text, level) for text in texts], libc.function_address)


ADD = """
define i64 @add_one(i64 %x) uwtable {
  %y = add i64 %x, 1
  ret i64 %y
}
"""


def test_function_runs(arena: CodeArena) -> None:
    image = load(arena, ADD)
    assert I64(image.symbols["add_one"])(41) == 42
    assert arena.base <= image.lo <= image.symbols["add_one"] < image.hi <= arena.split


def test_runtime_code_lies_outside_of_the_wasm_range(arena: CodeArena) -> None:
    image = load_image(arena, [build(ADD)], libc.function_address, runtime=True)
    assert arena.split <= image.lo < image.hi <= arena.end


@pytest.mark.parametrize("level", [0, 2])
def test_objects_refer_to_each_other(arena: CodeArena, level: int) -> None:
    caller = """
    declare i64 @add_one(i64)
    define i64 @twice(i64 %x) {
      %y = call i64 @add_one(i64 %x)
      %z = call i64 @add_one(i64 %y)
      ret i64 %z
    }
    """
    for texts in ((caller, ADD), (ADD, caller)):
        image = load(arena, *texts, level=level)
        assert I64(image.symbols["twice"])(5) == 7


def test_calls_reach_the_c_library(arena: CodeArena) -> None:
    text = """
    declare double @sin(double)
    declare double @cos(double)
    define double @both(double %x) {
      %s = call double @sin(double %x)
      %c = call double @cos(double %x)
      %r = fadd double %s, %c
      ret double %r
    }
    """
    image = load(arena, text)
    assert F64(image.symbols["both"])(1.0) == math.sin(1.0) + math.cos(1.0)


def test_constants_and_addresses_of_data(arena: CodeArena) -> None:
    text = """
    @table = constant [4 x double] [double 1.5, double 2.5, double 3.5, double 4.5]
    @functions = constant [2 x ptr] [ptr @half, ptr @double]
    define double @half(double %x) {
      %r = fmul double %x, 0.5
      ret double %r
    }
    define double @double(double %x) {
      %r = fmul double %x, 2.0
      ret double %r
    }
    define double @pick(i64 %i) {
      %p = getelementptr [4 x double], ptr @table, i64 0, i64 %i
      %v = load double, ptr %p
      %j = and i64 %i, 1
      %q = getelementptr [2 x ptr], ptr @functions, i64 0, i64 %j
      %f = load ptr, ptr %q
      %r = call double %f(double %v)
      ret double %r
    }
    """
    image = load(arena, text)
    pick = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(image.symbols["pick"])
    assert [pick(i) for i in range(4)] == [0.75, 5.0, 1.75, 9.0]


def test_data_is_writable_and_code_is_not(arena: CodeArena) -> None:
    text = """
    @counter = global i64 5
    @zeros = global [100 x i64] zeroinitializer
    define i64 @count(i64 %n) {
      %old = load i64, ptr @counter
      %new = add i64 %old, %n
      store i64 %new, ptr @counter
      %p = getelementptr i64, ptr @zeros, i64 99
      %z = load i64, ptr %p
      %r = add i64 %new, %z
      ret i64 %r
    }
    """
    image = load(arena, text)
    count = I64(image.symbols["count"])
    assert [count(1), count(10)] == [6, 16]
    with open("/proc/self/maps") as maps:
        rights = {
            row[1]
            for row in map(str.split, maps)
            for low, high in [(int(bound, 16) for bound in row[0].split("-"))]
            if arena.base <= low < arena.end and "x" in row[1]
        }
    assert rights == {"r-xp"}


def test_jump_tables_work(arena: CodeArena) -> None:
    cases = "\n".join(f"    i64 {i}, label %b{i}" for i in range(12))
    blocks = "\n".join(f"b{i}:\n  ret i64 {i * i + 7}" for i in range(12))
    text = f"""
    define i64 @pick(i64 %x) {{
    entry:
      switch i64 %x, label %other [
    {cases}
      ]
    {blocks}
    other:
      ret i64 -1
    }}
    """
    for level in (0, 2):
        image = load(arena, text, level=level)
        pick = I64(image.symbols["pick"])
        assert [pick(i) for i in (*range(12), 12)] == [i * i + 7 for i in range(12)] + [-1]


def test_unknown_symbol_is_a_load_error(arena: CodeArena) -> None:
    text = """
    declare void @no_such_thing()
    define void @f() {
      call void @no_such_thing()
      ret void
    }
    """
    with pytest.raises(LoadError, match="no_such_thing"):
        load(arena, text)


def test_symbol_defined_twice_is_a_load_error(arena: CodeArena) -> None:
    with pytest.raises(LoadError, match="add_one"):
        load(arena, ADD, ADD)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\0asm" + bytes(100)])
def test_what_is_not_an_object_is_a_load_error(data: bytes) -> None:
    with pytest.raises(LoadError):
        ObjectFile(data)


def test_memory_is_used_again() -> None:
    arena = CodeArena()
    kept = load(arena, ADD)
    places = set()
    for _ in range(500):
        image = load(arena, ADD)
        assert I64(image.symbols["add_one"])(1) == 2
        places.add(image.lo)
        del image
    # Looked for now and then, not at each load.
    assert len(places) < 150
    assert kept.lo not in places
    assert I64(kept.symbols["add_one"])(1) == 2


def test_image_without_code_takes_nothing_and_gives_nothing_back() -> None:
    arena = CodeArena()
    for _ in range(3):
        load(arena).close()
    first, second = load(arena, ADD), load(arena, ADD)
    assert I64(first.symbols["add_one"])(1) == I64(second.symbols["add_one"])(1) == 2


def test_image_lives_as_long_as_its_object(arena: CodeArena) -> None:
    image = load(arena, ADD)
    assert not image.closed
    image.close()
    assert image.closed


def test_failed_load_leaks_nothing() -> None:
    arena = CodeArena()
    image = load(arena, ADD)
    start = image.lo
    image.close()
    text = "declare void @nothing()\ndefine void @f() {\n call void @nothing()\n ret void }"
    for _ in range(3):
        with pytest.raises(LoadError):
            load(arena, text)
    gc.collect()
    assert load(arena, ADD).lo == start


def test_function_at_finds_the_function(arena: CodeArena) -> None:
    image = load(arena, ADD, ADD.replace("add_one", "add_two"))
    for name, address in image.symbols.items():
        assert image.function_at(address) == (name, address)
        assert image.function_at(address + 2) == (name, address)
    assert image.function_at(image.hi) is None
    assert image.function_at(image.lo - 1) is None


def test_describe_is_kept(arena: CodeArena) -> None:
    info = FrameInfo(3, "add", "m")
    image = load_image(arena, [build(ADD)], libc.function_address, lambda symbol: info)
    assert image.map.describe("add_one") is info


def test_loading_in_many_threads() -> None:
    arena = CodeArena()
    data = build(ADD)
    failures: list[object] = []

    def work() -> None:
        for i in range(50):
            image = load_image(arena, [data], libc.function_address)
            if I64(image.symbols["add_one"])(i) != i + 1:
                failures.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_an_image_larger_than_a_page(arena: CodeArena) -> None:
    functions = "\n".join(
        f"define i64 @f{i}(i64 %x) {{\n %y = mul i64 %x, {i * 12345678901}\n ret i64 %y }}"
        for i in range(1500)
    )
    image = load(arena, functions)
    assert image.hi - image.lo > 4096
    assert I64(image.symbols["f1499"])(2) == 1499 * 12345678901 * 2


def test_threads_get_different_pages() -> None:
    arena = CodeArena()
    got: list[tuple[int, int]] = []

    def work(seed: int) -> None:
        source = random.Random(seed)
        own = []
        for _ in range(300):
            if own and source.random() < 0.4:
                arena.release(own.pop(source.randrange(len(own))))
            else:
                own.append(arena.allocate(source.choice((1, 5000, 70000)), source.random() < 0.5))
        got.extend((piece.address, piece.address + piece.size) for piece in own)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got.sort()
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(got))


def test_neighbours_are_joined_when_room_is_needed() -> None:
    arena = CodeArena()
    half = (arena.end - arena.split) // 2
    quarters = [arena.allocate(half // 2, runtime=True) for _ in range(4)]
    with pytest.raises(MemoryError):
        arena.allocate(1, runtime=True)
    for piece in (quarters[2], quarters[0], quarters[1], quarters[3]):
        arena.release(piece)
    whole = arena.allocate(2 * half, runtime=True)
    assert whole.address == arena.split
    # The two parts never become one.
    with pytest.raises(MemoryError):
        arena.allocate(arena.split - arena.base + 1)
