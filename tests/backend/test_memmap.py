"""Reservations: committed pages, views that keep them, release."""

from __future__ import annotations

import gc
import os

import pytest

from jitwasm.backend import libc
from jitwasm.backend.memmap import PAGE_SIZE, Reservation

GIB = 1 << 30


def mapped(address: int) -> bool:
    with open("/proc/self/maps") as maps:
        for line in maps:
            low, high = (int(bound, 16) for bound in line.split()[0].split("-"))
            if low <= address < high:
                return True
    return False


def test_committed_pages_are_zero_and_writable() -> None:
    memory = Reservation(8 * GIB)
    memory.commit(0, 2 * PAGE_SIZE)
    view = memory.view(0, 2 * PAGE_SIZE)
    assert view[:] == bytes(2 * PAGE_SIZE)
    view[5:8] = b"abc"
    assert memory.view(5, 3) == b"abc"


def test_size_is_rounded_up_to_pages() -> None:
    assert Reservation(1).reserved == PAGE_SIZE
    assert Reservation(PAGE_SIZE + 1).reserved == 2 * PAGE_SIZE


def test_commit_keeps_contents_and_covers_partial_pages() -> None:
    memory = Reservation(4 * PAGE_SIZE)
    memory.commit(0, 10)
    memory.view(0, 10)[:] = b"0123456789"
    memory.commit(PAGE_SIZE - 1, 2)
    assert memory.view(0, 2 * PAGE_SIZE)[:10] == b"0123456789"


def test_protected_pages_cannot_be_read() -> None:
    memory = Reservation(PAGE_SIZE)
    read, write = os.pipe()
    try:
        with pytest.raises(OSError, match="Bad address"):
            os.writev(write, [memory.view(0, 1)])
        memory.commit(0, 1)
        assert os.writev(write, [memory.view(0, 1)]) == 1
        memory.protect(0, 1, libc.NO_ACCESS)
        with pytest.raises(OSError, match="Bad address"):
            os.writev(write, [memory.view(0, 1)])
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("offset, size", [(-1, 1), (0, PAGE_SIZE + 1), (PAGE_SIZE, 1)])
def test_ranges_outside_are_refused(offset: int, size: int) -> None:
    memory = Reservation(PAGE_SIZE)
    with pytest.raises(ValueError):
        memory.commit(offset, size)
    with pytest.raises(ValueError):
        memory.view(offset, size)


def test_view_keeps_the_reservation() -> None:
    memory = Reservation(GIB)
    base = memory.base
    memory.commit(0, 100)
    view = memory.view(50, 50)
    del memory
    gc.collect()
    view[0] = 7
    assert view[0] == 7
    assert mapped(base)
    part = view[10:]
    del view
    gc.collect()
    part[0] = 1
    del part
    gc.collect()
    assert not mapped(base)


def test_close_gives_the_range_up_once() -> None:
    memory = Reservation(GIB)
    base = memory.base
    assert not memory.closed
    memory.close()
    memory.close()
    assert memory.closed
    assert not mapped(base)


def test_more_than_the_address_space_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        Reservation(1 << 60)


def test_nothing_to_reserve_is_an_error() -> None:
    with pytest.raises(ValueError):
        Reservation(0)


def test_many_reservations_fit() -> None:
    held = [Reservation(8 * GIB) for _ in range(200)]
    assert len({memory.base for memory in held}) == 200


def test_helpers_for_wide_division_are_found() -> None:
    assert libc.function_address("__udivti3")
