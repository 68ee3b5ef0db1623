"""Ranges that were given up are used again: empty, and with no other page accessible."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import subprocess
import sys
import textwrap

import pytest

from jitwasm.backend import libc
from jitwasm.backend.image import MemoryImage
from jitwasm.backend.memmap import PAGE_SIZE
from jitwasm.backend.ranges import RecycledRange
from tests.backend.test_memmap import mapped

MIB = 1 << 20


def reserved() -> int:
    """A length that no other test has: its ranges are nobody else's."""
    reserved.count += 1  # type: ignore[attr-defined]
    return 64 * MIB + reserved.count * PAGE_SIZE  # type: ignore[attr-defined, no-any-return]


reserved.count = 0  # type: ignore[attr-defined]


def accessible(address: int) -> bool:
    """Whether a page can be written to."""
    read, write = os.pipe()
    try:
        os.write(write, b"\0")
        os.readv(read, [(ctypes.c_char * 1).from_address(address)])
    except OSError:
        return False
    finally:
        os.close(read)
        os.close(write)
    return True


def spoil(memory: RecycledRange, size: int) -> int:
    """Fill a range, and give its address."""
    ctypes.memset(memory.base, 0xA5, size)
    return memory.base


@pytest.mark.parametrize("size", [PAGE_SIZE, 4 * PAGE_SIZE, 2 * MIB])
def test_a_range_is_used_again_and_empty(size: int) -> None:
    length = reserved()
    first = RecycledRange(length, size)
    base = spoil(first, size)
    del first
    again = RecycledRange(length, size)
    assert again.base == base
    assert again.view(0, size) == bytes(size)
    assert not accessible(base + size)


@pytest.mark.parametrize("size", [PAGE_SIZE, MIB])
def test_what_was_made_accessible_later_is_not_any_more(size: int) -> None:
    length = reserved()
    first = RecycledRange(length, size)
    first.commit(size, 4 * MIB)
    base = spoil(first, size + 4 * MIB)
    del first
    second = RecycledRange(length, size)
    assert second.base == base
    assert not any(accessible(base + at) for at in range(size, size + 4 * MIB, PAGE_SIZE))
    second.commit(size, 4 * MIB)
    assert second.view(0, size + 4 * MIB) == bytes(size + 4 * MIB)


@pytest.mark.parametrize("before, after", [(PAGE_SIZE, MIB), (MIB, PAGE_SIZE), (MIB, 0), (0, MIB)])
def test_a_range_is_used_again_with_another_size(before: int, after: int) -> None:
    length = reserved()
    first = RecycledRange(length, before)
    base = spoil(first, before)
    del first
    again = RecycledRange(length, after)
    assert again.base == base
    assert again.view(0, after) == bytes(after)
    assert not accessible(base + after)


@pytest.mark.parametrize("rights", [libc.NO_ACCESS, mmap.PROT_READ, libc.READ_EXECUTE])
def test_access_rights_are_as_those_of_new_ranges(rights: int) -> None:
    length = reserved()
    first = RecycledRange(length, 8 * PAGE_SIZE)
    base = first.base
    first.protect(2 * PAGE_SIZE, PAGE_SIZE, rights)
    del first
    again = RecycledRange(length, 8 * PAGE_SIZE)
    assert again.base == base
    spoil(again, 8 * PAGE_SIZE)


def test_a_view_keeps_its_range_to_itself() -> None:
    length = reserved()
    first = RecycledRange(length, PAGE_SIZE)
    view = first.view(0, PAGE_SIZE)[10:20]
    del first
    gc.collect()
    second = RecycledRange(length, PAGE_SIZE)
    spoil(second, PAGE_SIZE)
    assert view == bytes(10)
    assert second.base not in (base := ctypes.addressof(ctypes.c_char.from_buffer(view)), base - 10)


def test_few_ranges_are_kept() -> None:
    length = reserved()
    held = [RecycledRange(length, PAGE_SIZE) for _ in range(30)]
    bases = [memory.base for memory in held]
    assert len(set(bases)) == 30
    del held
    gc.collect()
    assert sum(map(mapped, bases)) <= 8


def test_a_range_with_locked_pages_is_not_used_again() -> None:
    length = reserved()
    first = RecycledRange(length, PAGE_SIZE * 8)
    base = spoil(first, PAGE_SIZE * 8)
    if ctypes.CDLL(None).mlock(ctypes.c_void_p(base), ctypes.c_size_t(PAGE_SIZE)) != 0:
        pytest.skip("no page may be locked")
    del first
    again = RecycledRange(length, PAGE_SIZE * 8)
    assert again.view(0, PAGE_SIZE * 8) == bytes(PAGE_SIZE * 8)


def test_an_image_lies_there_again_for_who_wants_it_and_for_nobody_else() -> None:
    length, size = reserved(), 4 * MIB
    image = MemoryImage([(PAGE_SIZE + 5, b"image"), (MIB, b"more")])
    first = RecycledRange(length, size, image.number)
    assert not first.image
    first.map(image, True)
    base = spoil(first, size)
    first.commit(size, MIB)
    ctypes.memset(base + size, 1, MIB)
    del first
    other = RecycledRange(length, size)
    assert other.base != base
    assert other.view(0, size) == bytes(size)
    again = RecycledRange(length, size, image.number)
    assert again.base == base
    assert again.image == image.number
    expected = bytearray(size)
    expected[PAGE_SIZE + 5 : PAGE_SIZE + 10], expected[MIB : MIB + 4] = b"image", b"more"
    assert again.view(0, size) == expected
    assert not accessible(base + size)


def test_a_range_with_an_image_that_was_not_asked_for_is_given_back() -> None:
    length, image = reserved(), MemoryImage([(0, b"image")])
    first = RecycledRange(length, MIB)
    first.map(image, False)
    base = first.base
    del first
    assert not mapped(base)


def test_an_image_that_has_gone_keeps_no_range() -> None:
    length, image = reserved(), MemoryImage([(0, b"image")])
    kept, held = (RecycledRange(length, MIB, image.number) for _ in range(2))
    kept.map(image, True)
    held.map(image, True)
    base = kept.base
    del kept
    assert mapped(base)
    del image
    gc.collect()
    assert not mapped(base)
    assert held.view(0, 5) == b"image"


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_where_address_space_is_limited_none_is_kept(limit: str) -> None:
    code = f"""
        import resource
        from jitwasm.backend.ranges import RecycledRange
        from tests.backend.test_memmap import mapped
        base = RecycledRange(1 << 30, 4096).base
        print(mapped(base), RecycledRange(1 << 30, 4096).base == base)
        resource.setrlimit(resource.{limit}, (1 << 40, resource.RLIM_INFINITY))
        base = RecycledRange(1 << 30, 4096).base
        print(mapped(base))
    """
    assert run(code) == "True True\nFalse\n"


def test_kept_ranges_make_room_for_another() -> None:
    code = """
        import resource
        from jitwasm.backend.ranges import RecycledRange
        held = [RecycledRange(64 << 30, 4096) for _ in range(8)]
        del held
        size = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 30), resource.RLIM_INFINITY))
        held = RecycledRange(300 << 30, 4096)
        try:
            RecycledRange(300 << 30, 4096)
        except MemoryError as error:
            print(error)
    """
    assert (
        run(code) == f"cannot reserve {300 << 30} bytes of address space: Cannot allocate memory\n"
    )


def test_kept_ranges_make_room_for_writable_pages() -> None:
    code = """
        import re, resource
        from jitwasm.backend.ranges import RecycledRange
        held = [RecycledRange(1 << 30, 64 << 20) for _ in range(8)]
        del held
        data = int(re.search(r"VmData:\\s*(\\d+)", open("/proc/self/status").read())[1]) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (data + (16 << 20), resource.RLIM_INFINITY))
        held = [RecycledRange(1 << 30, 128 << 20)]
        held.append(RecycledRange(2 << 30, 128 << 20))
        try:
            RecycledRange(2 << 30, 500 << 20)
        except MemoryError:
            print("full")
    """
    assert run(code) == "full\n"


def test_a_forked_child_uses_its_own_copy_of_kept_ranges() -> None:
    length = reserved()
    base = spoil(RecycledRange(length, MIB), 0)
    process = os.fork()
    if process == 0:
        ours = RecycledRange(length, MIB)
        empty = ours.view(0, MIB) == bytes(MIB)
        spoil(ours, MIB)
        os._exit(0 if empty and ours.base == base else 1)
    assert os.waitpid(process, 0)[1] == 0
    ours = RecycledRange(length, MIB)
    assert ours.base == base
    assert ours.view(0, MIB) == bytes(MIB)
