"""What the process's address space looks like while modules are compiled and run."""

from __future__ import annotations

import ctypes
import threading

import pytest

import jitwasm
from jitwasm import Config
from jitwasm.abi import MEMORY32_GUARD, MEMORY32_RESERVED, MEMORY64_GUARD, MEMORY64_RESERVED
from tests.support.wat import wat

TEXT = """(module (import "m" "host" (func $host (param i32) (result i32)))
  (memory (export "memory") {index} 2 10)
  (func (export "f") (param i32) (result i32) (call $host (i32.add (local.get 0) (i32.const {n}))))
  (func (export "grow") (drop (memory.grow ({type}.const 1)))))"""


def mappings() -> list[tuple[int, int, str]]:
    """(start, end, access) of each mapping of the process."""
    rows = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            place, access = line.split()[:2]
            start, end = (int(part, 16) for part in place.split("-"))
            rows.append((start, end, access))
    return rows


def test_no_page_is_writable_and_executable_at_any_time() -> None:
    # ctypes makes C functions of Python ones with libffi, which has them in such a page.
    callback = ctypes.CFUNCTYPE(None)(lambda: None)
    theirs = {start for start, _, access in mappings() if access.startswith("rwx")}
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.update(access for start, _, access in mappings() if start not in theirs)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for n in range(12):
            for config in (
                Config(tier="baseline", cache=False),
                Config(tier="optimized", opt_level=1, cache=False),
                Config(tier_up="early", cache=False),
            ):
                module = jitwasm.Module(wat(TEXT.format(index="i32", type="i32", n=n)), config)
                made = jitwasm.Instance(module, {"m": {"host": lambda x: x + 1}})
                for i in range(600):  # adapters are compiled again, callers' slots are patched
                    assert made.exports.f(i) == i + n + 1
    finally:
        over.set()
        watcher.join()
    del callback
    assert any("x" in access for access in seen)
    assert not [access for access in seen if "w" in access and "x" in access]


@pytest.mark.parametrize(
    ("index", "size"),
    [
        ("i32", MEMORY32_RESERVED + MEMORY32_GUARD),
        ("i64", MEMORY64_RESERVED + MEMORY64_GUARD),
    ],
)
def test_nothing_but_the_memory_is_accessible_in_reach_of_its_code(index: str, size: int) -> None:
    module = jitwasm.Module(wat(TEXT.format(index=index, type=index, n=0)))
    made = jitwasm.Instance(module, {"m": {"host": lambda x: x}})
    memory = made.exports.memory
    for pages in (2, 3):
        end = memory.base + pages * 65536
        limit = memory.base + size
        inside = [row for row in mappings() if row[1] > memory.base and row[0] < limit]
        for start, stop, access in inside:
            if access.startswith("---"):
                assert start >= end or stop <= memory.base
            else:
                assert access.startswith("rw-")
                assert memory.base <= start and stop <= end
        # No gap, where something else could come to lie.
        covered = memory.base
        for start, stop, _ in inside:
            assert start <= covered
            covered = max(covered, stop)
        assert covered >= limit
        made.exports.grow()
