"""Segments are placed as the specification says, whichever way that is done fastest."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jitwasm
from jitwasm.backend import image as images
from jitwasm.segments import IMAGE_BYTES
from tests.support.wat import wat

PAGE = 65536
LARGE = IMAGE_BYTES + 10_000


def module(memories: list[str], segments: list[tuple[int, int, bytes]], kind: str = "") -> bytes:
    """A module with these memories and active data segments (memory, offset, bytes)."""
    fields = [
        f'(memory (export "m{i}") {"i64 " if kind else ""}{row})' for i, row in enumerate(memories)
    ]
    for memidx, offset, data in segments:
        text = "".join(f"\\{byte:02x}" for byte in data)
        fields.append(f'(data (memory {memidx}) ({kind or "i32"}.const {offset}) "{text}")')
    return wat(f"(module {' '.join(fields)})")


@settings(max_examples=25, deadline=None)
@given(
    segments=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(0, 3 * PAGE - LARGE) | st.integers(0, 5000),
            st.integers(0, 255),
            st.sampled_from((0, 1, 7, 4096, 4097, LARGE)),
        ),
        max_size=6,
    )
)
def test_later_segments_win_and_the_rest_is_zero(
    segments: list[tuple[int, int, int, int]],
) -> None:
    rows = [(m, at, bytes([byte]) * size) for m, at, byte, size in segments]
    data = module(["3", "3 4"], rows)
    expected = [bytearray(3 * PAGE), bytearray(3 * PAGE)]
    for memidx, at, payload in rows:
        expected[memidx][at : at + len(payload)] = payload
    compiled = jitwasm.Module(data)
    for _ in range(2):
        exports = jitwasm.Instance(compiled).exports
        for memidx in (0, 1):
            assert exports[f"m{memidx}"].read(0, 3 * PAGE) == expected[memidx]


def test_instances_do_not_see_what_others_write() -> None:
    compiled = jitwasm.Module(module(["2"], [(0, 100, b"a" * LARGE)]))
    first, second = (jitwasm.Instance(compiled).exports.m0 for _ in range(2))
    first.write(100, b"first")
    second[LARGE] = 7
    assert second.read(100, 5) == b"aaaaa"
    third = jitwasm.Instance(compiled).exports.m0
    assert third.read(100, 5) == b"aaaaa"
    assert third[LARGE] == ord("a")


def test_a_view_outlives_the_module_and_its_image() -> None:
    compiled = jitwasm.Module(module(["2"], [(0, 0, b"a" * LARGE)]))
    view = jitwasm.Instance(compiled).exports.m0.buffer
    del compiled
    gc.collect()
    assert bytes(view[:LARGE]) == b"a" * LARGE
    view[1] = 9
    assert view[1] == 9


def test_a_memory_with_an_image_grows() -> None:
    memory = jitwasm.Instance(jitwasm.Module(module(["1"], [(0, 0, b"a" * LARGE)]))).exports.m0
    memory.grow(3)
    assert memory.read(LARGE - 1, 2) == b"a\0"
    memory[4 * PAGE - 1] = 1
    assert memory.pages == 4


def test_a_64_bit_memory_has_an_image_too() -> None:
    compiled = jitwasm.Module(module(["2"], [(0, 5, b"a" * LARGE)], "i64"))
    for _ in range(2):
        assert jitwasm.Instance(compiled).exports.m0.read(4, LARGE + 2) == (
            b"\0" + b"a" * LARGE + b"\0"
        )


def test_scattered_segments_are_copied() -> None:
    rows = [(0, 10 * PAGE * i, bytes([i]) * LARGE) for i in range(1, 12)]
    memory = jitwasm.Instance(jitwasm.Module(module(["130"], rows))).exports.m0
    for _, at, payload in rows:
        assert memory.read(at - 1, LARGE + 2) == b"\0" + payload + b"\0"


@pytest.mark.parametrize(
    ("size", "fits"), list(product((10, LARGE), (True, False))), ids=lambda value: str(value)
)
def test_a_segment_that_does_not_fit_traps_and_earlier_ones_stay(size: int, fits: bool) -> None:
    end = 2 * PAGE - size + (0 if fits else 1)
    text = f"""(module (import "m" "m" (memory 1))
        (data (i32.const 0) "{"a" * size}") (data (i32.const {end}) "{"b" * size}")
        (data (i32.const 8) "c"))"""
    memory = jitwasm.Memory(2)
    compiled = jitwasm.Module(wat(text))
    if fits:
        jitwasm.Instance(compiled, {"m": {"m": memory}})
        assert memory.read(end, size) == b"b" * size
        assert memory.read(8, 1) == b"c"
    else:
        with pytest.raises(jitwasm.Trap, match="out of bounds memory access"):
            jitwasm.Instance(compiled, {"m": {"m": memory}})
        assert memory.read(0, size) == b"a" * size
        assert memory.read(2 * PAGE - 1, 1) == b"\0"


def test_an_imported_memory_keeps_what_lies_between_segments() -> None:
    rows = " ".join(f'(data (i32.const {1000 * i}) "{"a" * 900}")' for i in range(60))
    memory = jitwasm.Memory(1)
    memory.write(0, b"z" * PAGE)
    jitwasm.Instance(
        jitwasm.Module(wat(f'(module (import "m" "m" (memory 1)) {rows})')), {"m": {"m": memory}}
    )
    for i in range(60):
        assert memory.read(1000 * i, 1000) == b"a" * 900 + b"z" * 100


def test_an_offset_may_be_a_global() -> None:
    text = """(module (import "m" "base" (global $base i32)) (memory (export "m0") 2)
        (table (export "t") 10 funcref) (func $f (export "f"))
        (data (global.get $base) "first") (data (i32.const 2) "second")
        (elem (global.get $base) func $f $f))"""
    compiled = jitwasm.Module(wat(text))
    for base in (0, 5):
        exports = jitwasm.Instance(compiled, {"m": {"base": base}}).exports
        memory = bytearray(20)
        memory[base : base + 5] = b"first"
        memory[2:8] = b"second"
        assert exports.m0.read(0, 20) == memory
        assert [exports.t[i] is exports.f for i in range(10)] == [
            base <= i < base + 2 for i in range(10)
        ]
    with pytest.raises(jitwasm.Trap, match="out of bounds table access"):
        jitwasm.Instance(compiled, {"m": {"base": 9}})


def test_elements_are_functions_imports_nulls_and_globals() -> None:
    text = """(module
        (import "m" "host" (func $host (result i32)))
        (import "m" "wasm" (func $wasm (result i32)))
        (import "m" "ref" (global $ref funcref))
        (table (export "t") 8 funcref)
        (func $own (export "own") (result i32) (i32.const 3))
        (elem (i32.const 1) funcref
          (ref.func $host) (ref.func $wasm) (ref.func $own) (ref.null func) (global.get $ref))
        (elem $later funcref (ref.func $own) (ref.null func) (ref.func $wasm))
        (func (export "init") (table.init $later (i32.const 0) (i32.const 0) (i32.const 3))))"""
    one = jitwasm.Instance(
        jitwasm.Module(wat('(module (func (export "f") (result i32) (i32.const 2)))'))
    ).exports.f
    compiled = jitwasm.Module(wat(text))
    for _ in range(2):
        exports = jitwasm.Instance(
            compiled, {"m": {"host": lambda: 1, "wasm": one, "ref": one}}
        ).exports
        table = exports.t
        assert [table[i]() if table[i] else None for i in range(8)] == [
            None, 1, 2, 3, None, 2, None, None,
        ]  # fmt: skip
        assert table[2] is one and table[3] is exports.own
        exports.init()
        assert [table[i]() if table[i] else None for i in range(3)] == [3, None, 2]


def test_a_program_that_closes_all_descriptors_gets_right_contents() -> None:
    code = f"""
        import os, sys
        sys.path[:0] = {sys.path!r}
        import jitwasm
        from tests.runtime.test_segments import LARGE, module
        compiled = jitwasm.Module(module(["2"], [(0, 0, b"a" * LARGE)]))
        jitwasm.Instance(compiled)
        os.closerange(3, 200)
        files = [open(os.path.devnull) for _ in range(50)]  # which get the same numbers
        memory = jitwasm.Instance(compiled).exports.m0
        assert memory.read(0, LARGE + 1) == b"a" * LARGE + b"\\0"
        del compiled, memory
        for file in files:
            os.fstat(file.fileno())
        print("right")
    """
    output = subprocess.check_output([sys.executable, "-c", textwrap.dedent(code)])
    assert output == b"right\n"


def test_where_there_are_no_memfds_contents_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(38, "no memfd")

    monkeypatch.setattr(os, "memfd_create", refuse)
    compiled = jitwasm.Module(module(["2"], [(0, 0, b"a" * LARGE)]))
    assert jitwasm.Instance(compiled).exports.m0.read(0, LARGE) == b"a" * LARGE


def test_a_mapping_that_is_refused_is_replaced_by_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise MemoryError("too many mappings")

    monkeypatch.setattr(images.libc, "map_file", refuse)
    compiled = jitwasm.Module(module(["2"], [(0, 0, b"a" * LARGE)]))
    for _ in range(2):
        assert jitwasm.Instance(compiled).exports.m0.read(0, LARGE) == b"a" * LARGE


def test_the_image_of_a_forked_child_is_its_own() -> None:
    compiled = jitwasm.Module(module(["2"], [(0, 0, b"a" * LARGE)]))
    memory = jitwasm.Instance(compiled).exports.m0
    process = os.fork()
    if process == 0:
        memory.write(0, b"child")
        ours = jitwasm.Instance(compiled).exports.m0
        os._exit(0 if ours.read(0, 5) == b"aaaaa" else 1)
    assert os.waitpid(process, 0)[1] == 0
    assert memory.read(0, 5) == b"aaaaa"
