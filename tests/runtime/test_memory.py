"""Memory: sizes, views, accesses, and what survives growth and death."""

from __future__ import annotations

import array
import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from jitwasm import Memory
from jitwasm.backend.native import native

PAGE = 65536


@pytest.fixture(autouse=True, scope="module", params=["native", "python"])
def methods(request: pytest.FixtureRequest) -> Iterator[None]:
    """With the native methods before those written in Python, and without them."""
    Memory(0)
    python = native().replaced
    assert set(python) == {"read", "write", "__getitem__", "__setitem__"}
    before = {name: vars(Memory)[name] for name in python}
    if request.param == "python":
        for name, method in python.items():
            setattr(Memory, name, method)
    yield
    for name, method in before.items():
        setattr(Memory, name, method)


def test_new_memory_has_its_initial_size_and_is_zero() -> None:
    memory = Memory(2, 5)
    assert (memory.pages, memory.size, len(memory)) == (2, 2 * PAGE, 2 * PAGE)
    assert not any(memory.buffer)


def test_type_tells_limits_with_the_current_size() -> None:
    memory = Memory(1, 3)
    memory.grow(1)
    assert (memory.type.limits.minimum, memory.type.limits.maximum) == (2, 3)
    assert repr(memory) == "<Memory memory i32 2..3>"


@pytest.mark.parametrize("bad", ["1", 1.0, None, b"1", [1]])
def test_sizes_must_be_integers(bad: object) -> None:
    with pytest.raises(TypeError, match="initial must be an int"):
        Memory(bad)  # type: ignore[arg-type]


def test_size_may_be_any_index_object() -> None:
    assert Memory(np.uint8(1)).pages == 1  # type: ignore[arg-type]
    assert Memory(True).pages == 1


@pytest.mark.parametrize(
    "args", [(-1,), (65537,), (1, 0), (0, 65537), (1 << 70,), (0, -1), (0, 1 << 70)]
)
def test_sizes_out_of_range_are_refused(args: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be between"):
        Memory(*args)


def test_shared_memory_needs_a_maximum() -> None:
    with pytest.raises(ValueError, match="maximum"):
        Memory(1, shared=True)
    assert Memory(1, 2, shared=True).type.shared


def test_address_type_is_i32_or_i64() -> None:
    assert Memory(1, address="i64").type.addr.name == "i64"
    with pytest.raises(ValueError, match="address"):
        Memory(1, address="i16")


def test_memory64_accepts_limits_beyond_32_bits() -> None:
    memory = Memory(1, 1 << 40, address="i64")
    assert memory.grow(1) == 1
    with pytest.raises(ValueError, match="cannot grow"):
        memory.grow(1 << 40)


# Growing.


def test_grow_returns_the_old_size_and_keeps_the_contents() -> None:
    memory = Memory(1)
    memory[PAGE - 1] = 7
    assert memory.grow(2) == 1
    assert (memory.pages, memory[PAGE - 1], memory[3 * PAGE - 1]) == (3, 7, 0)


def test_grow_by_nothing_is_allowed() -> None:
    assert Memory(1, 1).grow(0) == 1


@pytest.mark.parametrize("delta", [2, 65536, 1 << 62, 1 << 200, -1])
def test_grow_beyond_the_maximum_changes_nothing(delta: int) -> None:
    memory = Memory(1, 2)
    with pytest.raises(ValueError, match="cannot grow"):
        memory.grow(delta)
    assert memory.pages == 1


def test_grow_needs_an_integer() -> None:
    with pytest.raises(TypeError, match="pages must be an int"):
        Memory(1).grow(1.5)  # type: ignore[arg-type]


# Buffers.


def test_memoryview_shows_the_bytes_without_copying() -> None:
    memory = Memory(1)
    view = memoryview(memory)
    assert (view.format, view.nbytes, view.readonly, view.contiguous) == ("B", PAGE, False, True)
    view[3] = 9
    assert memory[3] == 9


def test_numpy_shares_the_bytes() -> None:
    memory = Memory(1)
    array = np.asarray(memory)
    assert (array.dtype, array.shape) == (np.dtype("uint8"), (PAGE,))
    array[:4] = (1, 2, 3, 4)
    assert memory.read(0, 4) == b"\1\2\3\4"
    assert np.frombuffer(memory, dtype="<u4", count=1)[0] == 0x04030201


def test_buffer_is_one_object_until_the_memory_grows() -> None:
    memory = Memory(1)
    first = memory.buffer
    assert memory.buffer is first
    memory.grow(1)
    assert memory.buffer is not first
    assert (len(first), len(memory.buffer)) == (PAGE, 2 * PAGE)


def test_buffer_that_somebody_released_is_made_anew() -> None:
    memory = Memory(1)
    memory.buffer.release()
    assert len(memory.buffer) == PAGE


def test_old_views_see_the_same_bytes_after_growth() -> None:
    memory = Memory(1)
    old, array = memoryview(memory), np.asarray(memory)
    memory.grow(100)
    memory[5] = 55
    assert (old[5], array[5]) == (55, 55)


@pytest.mark.parametrize("grow", [False, True])
def test_views_outlive_the_memory(grow: bool) -> None:
    memory = Memory(1)
    views = [memoryview(memory), memory.buffer, memory[0:8], memory.view("u64")]
    array = np.asarray(memory)
    if grow:
        memory.grow(10)
    del memory
    gc.collect()
    array[0] = 77
    for view in views:
        assert view[0] == 77


def test_address_range_is_given_back_after_the_last_view() -> None:
    memory = Memory(1)
    reservation = weakref.ref(memory._reservation)
    view = memory[10:20]
    del memory
    assert reservation() is not None
    del view
    assert reservation() is None


def test_many_memories_come_and_go() -> None:
    for _ in range(40_000 // 20):  # far beyond the address space in total
        Memory(1)


def test_memory_is_freed_without_the_garbage_collector() -> None:
    memory = Memory(1)
    memory.buffer  # noqa: B018 - the cached view must not be a cycle
    dead = weakref.ref(memory)
    del memory
    assert dead() is None


@pytest.mark.parametrize("take", [memoryview, np.asarray, lambda m: m.view("f64")])
def test_empty_memory_has_empty_views(take: object) -> None:
    assert len(take(Memory(0))) == 0  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "format_", "size"),
    [
        ("i8", "b", 1),
        ("u8", "B", 1),
        ("i16", "h", 2),
        ("u16", "H", 2),
        ("i32", "i", 4),
        ("u32", "I", 4),
        ("i64", "q", 8),
        ("u64", "Q", 8),
        ("f32", "f", 4),
        ("f64", "d", 8),
    ],
)
def test_typed_views(name: str, format_: str, size: int) -> None:
    view = Memory(1).view(name)
    assert (view.format, view.itemsize, len(view)) == (format_, size, PAGE // size)


def test_typed_view_writes_little_endian() -> None:
    memory = Memory(1)
    memory.view("f32")[1] = 1.5
    assert memory.read(4, 4) == b"\0\0\xc0\x3f"


@pytest.mark.parametrize("name", ["f16", "", None, 3, []])
def test_unknown_element_type_is_an_error(name: object) -> None:
    with pytest.raises(ValueError, match="element type"):
        Memory(1).view(name)  # type: ignore[arg-type]


# Accesses.


def test_read_copies_and_write_takes_any_buffer() -> None:
    memory = Memory(1)
    memory.write(10, b"abc")
    memory.write(13, np.array([0x6564], dtype="<u2"))
    data = memory.read(10, 5)
    memory.write(10, bytearray(5))
    assert data == b"abcde"


def test_write_flattens_what_is_not_contiguous() -> None:
    memory = Memory(1)
    memory.write(0, np.arange(8, dtype="u1")[::2])
    assert memory.read(0, 4) == bytes([0, 2, 4, 6])


def test_write_needs_bytes() -> None:
    with pytest.raises(TypeError):
        Memory(1).write(0, "text")


@pytest.mark.parametrize(
    ("address", "size"), [(PAGE, 1), (PAGE - 1, 2), (-1, 1), (0, PAGE + 1), (0, -1), (1 << 80, 0)]
)
def test_read_out_of_range_is_an_index_error(address: int, size: int) -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        Memory(1).read(address, size)


def test_write_out_of_range_writes_nothing() -> None:
    memory = Memory(1)
    with pytest.raises(IndexError):
        memory.write(PAGE - 2, b"abc")
    assert memory.read(PAGE - 2, 2) == b"\0\0"


def test_empty_access_at_the_end_is_in_range() -> None:
    memory = Memory(1)
    assert memory.read(PAGE, 0) == b""
    memory.write(PAGE, b"")
    assert len(memory[PAGE:PAGE]) == 0


def test_items_are_bytes() -> None:
    memory = Memory(1)
    memory[PAGE - 1] = 255
    assert memory[PAGE - 1] == 255
    with pytest.raises(ValueError):
        memory[0] = 256


@pytest.mark.parametrize("index", [PAGE, -1, 1 << 70])
def test_item_out_of_range_is_an_index_error(index: int) -> None:
    memory = Memory(1)
    with pytest.raises(IndexError):
        memory[index]
    with pytest.raises(IndexError):
        memory[index] = 0


def test_item_needs_an_integer() -> None:
    with pytest.raises(TypeError, match="must be an int, not str"):
        Memory(1)["0"]  # type: ignore[index]


def test_slice_is_a_view_and_can_be_assigned() -> None:
    memory = Memory(1)
    part = memory[4:8]
    memory[4:8] = b"wasm"
    assert part == b"wasm"
    part[0] = ord("W")
    assert memory.read(4, 4) == b"Wasm"
    assert memory[4:8:2] == b"Ws"


def test_open_slices_reach_from_the_start_to_the_end() -> None:
    memory = Memory(1)
    assert (len(memory[:]), len(memory[10:]), len(memory[:10])) == (PAGE, PAGE - 10, 10)


@pytest.mark.parametrize("part", [slice(0, PAGE + 1), slice(-4, None), slice(8, 4), slice(0, -1)])
def test_slices_are_never_cut_short(part: slice) -> None:
    memory = Memory(1)
    with pytest.raises(IndexError, match="out of bounds"):
        memory[part]
    with pytest.raises(IndexError, match="out of bounds"):
        memory[part] = b""


def test_slice_assignment_keeps_the_length() -> None:
    with pytest.raises(ValueError, match="4 bytes cannot take 3"):
        Memory(1)[0:4] = b"abc"


def test_strings_end_at_a_nul_or_after_a_size() -> None:
    memory = Memory(1)
    memory.write(0, "grün\0rest".encode())
    assert memory.read_str(0) == "grün"
    assert memory.read_str(0, 2) == "gr"
    assert memory.read_str(6, 4) == "rest"
    assert memory.read_str(0, 5, "latin-1") == "grÃ¼n"
    with pytest.raises(UnicodeDecodeError):
        memory.read_str(3, 1)
    assert memory.read_str(3, 1, errors="replace") == "\ufffd"


def test_long_string_is_found_whole() -> None:
    memory = Memory(1)
    memory.write(1, b"x" * 40_000)
    assert memory.read_str(1) == "x" * 40_000


def test_string_without_end_is_an_index_error() -> None:
    memory = Memory(1)
    memory[:] = b"x" * PAGE
    with pytest.raises(IndexError, match="NUL"):
        memory.read_str(0)


def test_memory_is_true_even_when_it_is_empty() -> None:
    assert Memory(0)


class Index:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Broken:
    def __index__(self) -> int:
        raise LookupError("no number")


def outcome(function: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[Any, ...]:
    """What a call gives, so that two can be compared."""
    try:
        result = function(*arguments, **named)
    except Exception as error:
        return type(error), str(error)
    return type(result), bytes(result) if isinstance(result, memoryview) else result


NUMBERS = [0, 1, 5, PAGE - 1, PAGE, PAGE + 1, -1, 1 << 40, 1 << 70, -(1 << 70)]
NUMBERS += [True, False, Index(3), Index(-3), Broken(), 1.0, "1", None, np.int32(7), np.uint64(9)]
DATA = [b"", b"abc", bytearray(b"xyz"), memoryview(b"12345")[::2], np.arange(6, dtype="u2"), "text"]
DATA += [np.arange(8).reshape(2, 4).T, array.array("d", [1.5]), None, 7, 255, 256, -1, [1, 2]]


def test_native_methods_do_what_those_in_python_do() -> None:
    memory, other = Memory(1), Memory(1)
    memory.write(0, bytes(range(256)) * 256)
    other.write(0, memory.read(0, PAGE))
    python = native().replaced
    parts = [slice(a, b) for a in (*NUMBERS, None) for b in NUMBERS]
    parts += [slice(2, 9, step) for step in (1, 2, -1, 0, None, "x")]
    for key in [*NUMBERS, *parts]:
        assert outcome(Memory.__getitem__, memory, key) == outcome(
            python["__getitem__"], other, key
        ), key
        for value in DATA:
            found = outcome(Memory.__setitem__, memory, key, value)
            assert found == outcome(python["__setitem__"], other, key, value), (key, value)
    for first in NUMBERS:
        for second in (*NUMBERS, *DATA):
            for name in ("read", "write"):
                found = outcome(getattr(Memory, name), memory, first, second)
                assert found == outcome(python[name], other, first, second), (name, first, second)
        for wrong in ((), (1,), (1, 2, 3)):
            for name in ("read", "write"):
                found = outcome(getattr(Memory, name), memory, *wrong)
                assert found == outcome(python[name], other, *wrong)
    assert memory.read(0, PAGE) == other.read(0, PAGE)
    memory.write(0, bytes(range(16)))
    assert outcome(memory.read, address=3, size=2) == (bytes, b"\3\4")
    assert outcome(memory.read, 3, size=2) == (bytes, b"\3\4")
    assert outcome(memory.write, 3, data=b"x") == (type(None), None)
    assert outcome(memory.read, 3, length=2)[0] is TypeError


def test_memories_that_were_not_made_have_no_bytes() -> None:
    memory = Memory.__new__(Memory)
    for call in (lambda: memory.read(0, 1), lambda: memory[0], lambda: memory[0:1]):
        with pytest.raises(AttributeError):
            call()
    with pytest.raises(AttributeError):
        memory[0] = 1
    for name in ("read", "write", "__getitem__", "__setitem__"):
        with pytest.raises((TypeError, AttributeError)):
            getattr(Memory, name)(object(), 0, 0)


def test_methods_show_what_they_are() -> None:
    assert list(inspect.signature(Memory(1).read).parameters) == ["address", "size"]
    assert list(inspect.signature(Memory(1).write).parameters) == ["address", "data"]
    assert (Memory.read.__doc__ or "").startswith("A copy of")


def test_subclasses_have_the_methods_too() -> None:
    class Named(Memory):
        __slots__ = ("name",)

        def read(self, address: int, size: int) -> bytes:
            return super().read(address, size).upper()

    memory = Named(1)
    memory.name = "x"
    memory[0:3] = b"abc"
    assert (memory.read(0, 3), memory[1], bytes(memory[0:2])) == (b"ABC", ord("b"), b"ab")


def test_overlapping_ranges_are_copied_as_a_whole() -> None:
    memory = Memory(1)
    memory.write(0, bytes(range(16)))
    memory[4:16] = memory[0:12]
    assert memory.read(0, 16) == bytes([*range(4), *range(12)])
    memory.write(0, memory[4:16])
    assert memory.read(0, 12) == bytes(range(12))
