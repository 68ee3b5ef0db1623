"""Counterparts of memory/*."""

from __future__ import annotations

from typing import Any

import pytest

import jitwasm
from jitwasm import Memory
from tests.jsapi.accounting import ported
from tests.jsapi.samples import NOT_INTEGERS

PAGE = 65536
HUGE = [-1, 1 << 32, 1 << 36]
HUGE64 = [-1, 1 << 64]


# memory/constructor and memory/constructor-memory64


@ported("memory/constructor")
def test_name() -> None:
    assert Memory.__name__ == "Memory" and jitwasm.WebAssembly.Memory is Memory


@ported("memory/constructor", covers=2)
def test_no_arguments() -> None:
    with pytest.raises(TypeError):
        Memory()  # type: ignore[call-arg]


@ported("memory/constructor")
def test_what_is_no_size() -> None:
    for argument in (None, "", "test", object(), float("nan"), {}, 1.0):
        with pytest.raises(TypeError):
            Memory(argument)  # type: ignore[arg-type]


@ported("memory/constructor")
def test_none_as_initial_size() -> None:
    with pytest.raises(TypeError):
        Memory(initial=None)  # type: ignore[arg-type]


@ported("memory/constructor")
@pytest.mark.parametrize("value", NOT_INTEGERS)
@pytest.mark.parametrize("name", ["initial", "maximum"])
def test_sizes_that_are_no_integers(name: str, value: Any) -> None:
    with pytest.raises(TypeError):
        Memory(**{"initial": 0, name: value})


@ported("memory/constructor", "range")
@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("name", ["initial", "maximum"])
def test_sizes_out_of_range(name: str, value: int) -> None:
    with pytest.raises(ValueError):
        Memory(**{"initial": 0, name: value})  # type: ignore[arg-type]


@ported("memory/constructor-memory64", "range")
@pytest.mark.parametrize("value", HUGE64)
@pytest.mark.parametrize("name", ["initial", "maximum"])
def test_sizes_of_memory64_out_of_range(name: str, value: int) -> None:
    with pytest.raises(ValueError):
        Memory(**{"initial": 0, name: value, "address": "i64"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("i32", marks=ported("memory/constructor", "range")),
        pytest.param("i64", marks=ported("memory/constructor-memory64", "range")),
    ],
)
def test_initial_beyond_maximum(address: str) -> None:
    with pytest.raises(ValueError):
        Memory(10, 9, address=address)


@ported("memory/constructor", "arguments")
def test_a_descriptor_object_is_no_argument() -> None:
    with pytest.raises(TypeError):
        Memory({"initial": 0, "maximum": 0})  # type: ignore[arg-type]


@ported("memory/constructor", "arguments")
def test_sizes_are_converted_in_their_order() -> None:
    order: list[str] = []

    class Size:
        def __init__(self, name: str) -> None:
            self.name = name

        def __index__(self) -> int:
            order.append(self.name)
            return 1

    Memory(maximum=Size("maximum"), initial=Size("initial"))  # type: ignore[arg-type]
    assert order == ["initial", "maximum"]


@pytest.mark.parametrize("size", [0, 4])
@pytest.mark.parametrize(
    "address",
    [
        pytest.param("i32", marks=ported("memory/constructor")),
        pytest.param("i64", marks=ported("memory/constructor-memory64")),
    ],
)
def test_initial_size(address: str, size: int) -> None:
    memory = Memory(size, address=address)
    assert (memory.pages, len(memory.buffer)) == (size, size * PAGE)
    assert not any(memory.buffer)


@ported("memory/constructor", "arguments")
def test_stray_argument_of_the_constructor() -> None:
    with pytest.raises(TypeError):
        Memory(0, None, {})  # type: ignore[misc]


@ported("memory/constructor")
@pytest.mark.parametrize("given", [{}, {"address": "i32"}])
def test_addresses_are_i32_by_default(given: dict[str, Any]) -> None:
    assert str(Memory(1, **given).type).startswith("memory i32")


@ported("memory/constructor-memory64")
def test_address_i64() -> None:
    assert str(Memory(1, address="i64").type).startswith("memory i64")


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("i32", marks=ported("memory/constructor", "coercion")),
        pytest.param("i64", marks=ported("memory/constructor-memory64", "coercion")),
    ],
)
def test_a_string_is_no_size(address: str) -> None:
    with pytest.raises(TypeError):
        Memory("3", address=address)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("i32", marks=ported("memory/constructor")),
        pytest.param("i64", marks=ported("memory/constructor-memory64")),
    ],
)
def test_true_is_one(address: str) -> None:
    assert Memory(True, address=address).pages == 1


@ported("memory/constructor", "range")
def test_unknown_address_type() -> None:
    with pytest.raises(ValueError):
        Memory(1, address="none")


# memory/constructor-shared


@ported("memory/constructor-shared", "range")
def test_a_shared_memory_needs_a_maximum() -> None:
    with pytest.raises(ValueError):
        Memory(10, shared=True)


@ported("memory/constructor-shared", "arguments")
def test_sizes_of_shared_memories_are_read_before_shared_is_used() -> None:
    with pytest.raises(TypeError):  # not about the missing maximum
        Memory("x", shared=True)  # type: ignore[arg-type]


@ported("memory/constructor-shared")
def test_a_shared_memory() -> None:
    memory = Memory(4, 10, shared=True)
    assert memory.type.shared and len(memory.buffer) == 4 * PAGE


# memory/grow and memory/grow-memory64

ADDRESSES = [
    pytest.param("i32", marks=ported("memory/grow", "detach")),
    pytest.param("i64", marks=ported("memory/grow-memory64", "detach")),
]


@ported("memory/grow")
def test_grow_without_argument() -> None:
    with pytest.raises(TypeError):
        Memory(0).grow()  # type: ignore[call-arg]


@ported("memory/grow")
def test_grow_of_something_else() -> None:
    for value in (None, True, "", 1, {}, Memory):
        with pytest.raises((TypeError, AttributeError)):
            Memory.grow(value, 1)  # type: ignore[arg-type]


def check_growth(memory: Memory, pages: int) -> None:
    old_size, old = memory.pages, memory.buffer
    assert memory.grow(pages) == old_size
    assert memory.buffer is not old
    assert len(memory.buffer) == (old_size + pages) * PAGE
    assert len(old) == old_size * PAGE, "still there, as long as it was"


@pytest.mark.parametrize("address", ADDRESSES)
def test_grow_from_nothing(address: str) -> None:
    check_growth(Memory(0, address=address), 2)


@ported("memory/grow", "detach")
def test_sizes_may_be_objects_that_are_integers() -> None:
    class Two:
        def __index__(self) -> int:
            return 2

    memory = Memory(0)
    assert memory.grow(Two()) == 0 and memory.pages == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ADDRESSES)
def test_grow_from_something(address: str) -> None:
    check_growth(Memory(3, address=address), 2)


@pytest.mark.parametrize("address", ADDRESSES)
def test_grow_up_to_the_maximum(address: str) -> None:
    check_growth(Memory(0, 2, address=address), 2)


@pytest.mark.parametrize("address", ADDRESSES)
def test_grow_up_to_the_maximum_in_two_steps(address: str) -> None:
    memory = Memory(0, 2, address=address)
    check_growth(memory, 1)
    check_growth(memory, 1)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("i32", marks=ported("memory/grow", "range")),
        pytest.param("i64", marks=ported("memory/grow-memory64", "range")),
    ],
)
def test_grow_beyond_the_maximum(address: str) -> None:
    memory = Memory(1, 2, address=address)
    buffer = memory.buffer
    with pytest.raises(ValueError):
        memory.grow(2)
    assert memory.buffer is buffer and len(buffer) == PAGE


class Large:
    def __index__(self) -> int:
        return 1 << 32


@ported("memory/grow")
@pytest.mark.parametrize("value", [None, *NOT_INTEGERS, "0x100000000"])
def test_grow_by_what_is_no_integer(value: Any) -> None:
    with pytest.raises(TypeError):
        Memory(0).grow(value)


@ported("memory/grow", "range")
@pytest.mark.parametrize("value", [*HUGE, Large()])
def test_grow_out_of_range(value: Any) -> None:
    with pytest.raises(ValueError):
        Memory(0).grow(value)


@ported("memory/grow-memory64", "range")
@pytest.mark.parametrize("value", HUGE64)
def test_grow_of_memory64_out_of_range(value: int) -> None:
    with pytest.raises(ValueError):
        Memory(0, address="i64").grow(value)


@ported("memory/grow-memory64")
def test_grow_of_memory64_by_a_string() -> None:
    with pytest.raises(TypeError):
        Memory(0, address="i64").grow("0x10000000000000000")  # type: ignore[arg-type]


@ported("memory/grow", "arguments")
def test_stray_argument_of_grow() -> None:
    with pytest.raises(TypeError):
        Memory(0).grow(2, {})  # type: ignore[call-arg]


@ported("memory/grow")
def test_views_of_a_shared_memory_show_the_same_bytes() -> None:
    memory = Memory(1, 2, shared=True)
    old = memory.buffer
    assert memory.grow(1) == 1
    new = memory.buffer
    assert old is not new and (len(old), len(new)) == (PAGE, 2 * PAGE)
    old[0] = 1
    assert new[0] == 1


# memory/buffer


@ported("memory/buffer")
def test_buffer_of_something_else() -> None:
    for value in (None, True, "", 1, {}, Memory):
        with pytest.raises((TypeError, AttributeError)):
            vars(Memory)["buffer"].fget(value)


@ported("memory/buffer")
def test_buffer_is_one_object() -> None:
    memory = Memory(0)
    assert memory.buffer is memory.buffer and Memory(0).buffer is not memory.buffer


@ported("memory/buffer", "frozen")
def test_buffer_cannot_be_set() -> None:
    memory = Memory(0)
    buffer = memory.buffer
    with pytest.raises(AttributeError):
        memory.buffer = Memory(0).buffer  # type: ignore[misc]
    assert memory.buffer is buffer


# memory/limits and memory/limits-memory64


@ported("memory/limits")
def test_maximum_at_the_limit() -> None:
    assert Memory(1, 65536).pages == 1


@ported("memory/limits", "range")
def test_initial_beyond_the_limit() -> None:
    with pytest.raises(ValueError):
        Memory(65537)


@ported("memory/limits", "range")
def test_grow_beyond_the_limit() -> None:
    with pytest.raises(ValueError):
        Memory(1, 65536).grow(65536)


LIMIT64 = 262_144
"""Pages a memory64 may have: 16 GiB."""


@ported("memory/limits-memory64")
def test_maximum_of_memory64_at_the_limit() -> None:
    assert Memory(1, LIMIT64, address="i64").pages == 1


@ported("memory/limits-memory64", "range")
def test_initial_of_memory64_beyond_what_the_host_gives() -> None:
    with pytest.raises((ValueError, MemoryError)):
        Memory(1 << 30, address="i64")


@ported("memory/limits-memory64", "range")
def test_grow_of_memory64_beyond_what_the_host_gives() -> None:
    with pytest.raises(ValueError):
        Memory(1, 1 << 40, address="i64").grow(1 << 30)


@ported("memory/limits-memory64")
def test_maximum_of_memory64_at_the_largest_type() -> None:
    assert Memory(0, (1 << 37) - 1, address="i64").pages == 0


@ported("memory/limits-memory64", "range")
def test_maximum_of_memory64_beyond_the_largest_type() -> None:
    with pytest.raises(ValueError):
        Memory(0, (1 << 48) + 1, address="i64")


@ported("memory/toString")
def test_repr_names_the_class() -> None:
    assert repr(Memory(0)).startswith("<Memory")
