"""The native runtime's facade: libcalls, stores, growing, what starting it costs and assumes."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from jitwasm import abi
from jitwasm.backend.irtext import expand
from jitwasm.backend.memmap import PAGE_SIZE, Reservation
from jitwasm.backend.native import native
from jitwasm.backend.runtime.assemble import complete, part_text
from jitwasm.libcalls import LIBCALLS
from jitwasm.trapcodes import TrapCode
from tests.backend.machine import LOAD, PAGE, Machine, trap_code

ROOT = Path(__file__).resolve().parents[2]

BULK = """
define i64 @grow(ptr %vm, i64 %n) {
  %record.p = getelementptr i8, ptr %vm, i64 24
  %record = load ptr, ptr %record.p
  %r = call i64 @jw_memory_grow(ptr %record, i64 %n)
  ret i64 %r
}
define void @copy(ptr %vm, i64 %dst, i64 %src, i64 %n) {
  %record.p = getelementptr i8, ptr %vm, i64 24
  %record = load ptr, ptr %record.p
  call void @jw_memory_copy(ptr %record, ptr %record, i64 %dst, i64 %src, i64 %n)
  ret void
}
define void @fill(ptr %vm, i64 %dst, i32 %value, i64 %n) {
  %record.p = getelementptr i8, ptr %vm, i64 24
  %record = load ptr, ptr %record.p
  call void @jw_memory_fill(ptr %record, i64 %dst, i32 %value, i64 %n)
  ret void
}
define void @init(ptr %vm, i64 %segment, i64 %dst, i64 %src, i64 %n) {
  %record.p = getelementptr i8, ptr %vm, i64 24
  %record = load ptr, ptr %record.p
  %s = inttoptr i64 %segment to ptr
  call void @jw_memory_init(ptr %record, ptr %s, i64 %dst, i64 %src, i64 %n)
  ret void
}
define i64 @table_grow(ptr %vm, i64 %table, i64 %n, i64 %value) {
  %t = inttoptr i64 %table to ptr
  %v = inttoptr i64 %value to ptr
  %r = call i64 @jw_table_grow(ptr %t, i64 %n, ptr %v)
  ret i64 %r
}
define void @table_copy(ptr %vm, i64 %to, i64 %from, i64 %dst, i64 %src) {
  %t = inttoptr i64 %to to ptr
  %f = inttoptr i64 %from to ptr
  %n = load i64, ptr @count
  call void @jw_table_copy(ptr %t, ptr %f, i64 %dst, i64 %src, i64 %n)
  ret void
}
@count = global i64 0
define void @set_count(ptr %vm, i64 %n) {
  store i64 %n, ptr @count
  ret void
}
define void @table_fill(ptr %vm, i64 %table, i64 %dst, i64 %value, i64 %n) {
  %t = inttoptr i64 %table to ptr
  %v = inttoptr i64 %value to ptr
  call void @jw_table_fill(ptr %t, i64 %dst, ptr %v, i64 %n)
  ret void
}
define void @table_init(ptr %vm, i64 %table, i64 %segment, i64 %dst, i64 %src) {
  %t = inttoptr i64 %table to ptr
  %s = inttoptr i64 %segment to ptr
  %n = load i64, ptr @count
  call void @jw_table_init(ptr %t, ptr %s, i64 %dst, i64 %src, i64 %n)
  ret void
}
"""


@pytest.fixture
def machine() -> Machine:
    return Machine(BULK + LOAD, pages=1, maximum=4)


@pytest.mark.parametrize("name", LIBCALLS)
def test_every_libcall_has_a_body_with_its_signature(name: str) -> None:
    assert native()._space.symbol(name) > 0
    if name == "jw_trap":  # in assembly
        return
    result, params, _ = LIBCALLS[name]
    assert f"define {result} @{name}(" in part_text("libcalls")
    header = next(
        line
        for line in part_text("libcalls").splitlines()
        if line.startswith(f"define {result} @{name}(")
    )
    types = [word for word in header.partition("(")[2].replace(",", "").split() if "%" not in word]
    assert types[: len(params.split(","))] == params.replace(" ", "").split(",")


def test_grow_returns_the_old_size_or_minus_one(machine: Machine) -> None:
    grow, load = machine.function("grow", "i64 -> i64"), machine.function("load")
    assert trap_code(load, PAGE) is TrapCode.OUT_OF_BOUNDS_MEMORY
    assert grow(0) == 1
    assert grow(1) == 1
    assert load(PAGE) == 0
    assert grow(2) == 2
    assert grow(1) == -1
    for absurd in (4, 2**32, 2**47, 2**48, 2**63, 2**64 - 1):
        assert grow(absurd) == -1
    assert grow(0) == 4
    assert machine.record.bytes == 4 * PAGE
    assert trap_code(load, 4 * PAGE) is TrapCode.OUT_OF_BOUNDS_MEMORY


def test_python_grows_a_memory_too(machine: Machine) -> None:
    record = ctypes.addressof(machine.record)
    assert native().memory_grow(record, 2) == 1
    assert native().memory_grow(record, 2) == -1
    assert machine.function("load")(3 * PAGE - 4) == 0


def test_threads_that_grow_get_different_pages() -> None:
    machine = Machine(BULK, pages=0, maximum=400)
    record = ctypes.addressof(machine.record)
    got: list[int] = []

    def work() -> None:
        got.extend(native().memory_grow(record, 1) for _ in range(100))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(400))


def test_memory_copy_and_fill(machine: Machine) -> None:
    copy, fill = (
        machine.function("copy", "i64 i64 i64 ->"),
        machine.function("fill", "i64 i32 i64 ->"),
    )
    view = machine.memory.view(0, PAGE)
    view[:8] = b"abcdefgh"
    copy(2, 0, 6)
    assert view[:8] == b"ababcdef"
    copy(0, 2, 6)
    assert view[:8] == b"abcdefef"
    fill(1, 0x158, 3)
    assert view[:8] == b"aXXXefef"
    for arguments in ((PAGE, 0, 0), (0, PAGE, 0), (0, 0, PAGE)):
        copy(*arguments)
    fill(PAGE, 1, 0)
    before = bytes(view)
    for dst, src, count in (
        (PAGE + 1, 0, 0),
        (0, PAGE + 1, 0),
        (PAGE - 1, 0, 2),
        (0, PAGE - 1, 2),
        (2**63, 0, 2**63),
        (2**64 - 1, 0, 1),
        (0, 2**64 - 1, 2),
        (0, 0, PAGE + 1),
    ):
        assert trap_code(copy, dst, src, count) is TrapCode.OUT_OF_BOUNDS_MEMORY
        if src == 0:
            assert trap_code(fill, dst, 9, count) is TrapCode.OUT_OF_BOUNDS_MEMORY
    assert bytes(view) == before


def test_memory_init(machine: Machine) -> None:
    init = machine.function("init", "i64 i64 i64 i64 ->")
    data = (ctypes.c_uint8 * 4)(1, 2, 3, 4)
    segment = abi.DATA_SEGMENT.ctype(ctypes.addressof(data), 4)
    at = ctypes.addressof(segment)
    init(at, 10, 1, 3)
    assert machine.memory.view(10, 4) == b"\2\3\4\0"
    for arguments in ((10, 2, 3), (PAGE - 1, 0, 2), (0, 5, 0), (0, 2**64 - 1, 2)):
        assert trap_code(init, at, *arguments) is TrapCode.OUT_OF_BOUNDS_MEMORY
    segment.size = 0  # dropped
    init(at, 10, 0, 0)
    assert trap_code(init, at, 0, 0, 1) is TrapCode.OUT_OF_BOUNDS_MEMORY


def table(size: int, maximum: int) -> tuple[Any, int, Reservation]:
    memory = Reservation(maximum * 8 + PAGE_SIZE)
    memory.commit(0, size * 8)
    record = abi.TABLE_RECORD.ctype(memory.base, size, maximum, memory.reserved)
    return record, ctypes.addressof(record), memory


def elements(memory: Reservation, count: int) -> list[int]:
    return list(memory.view(0, 8 * count).cast("Q"))


def test_tables(machine: Machine) -> None:
    grow = machine.function("table_grow", "i64 i64 i64 -> i64")
    fill = machine.function("table_fill", "i64 i64 i64 i64 ->")
    copy = machine.function("table_copy", "i64 i64 i64 i64 ->")
    init = machine.function("table_init", "i64 i64 i64 i64 ->")
    count = machine.function("set_count", "i64 ->")
    record, at, memory = table(2, 1000)
    assert grow(at, 0, 5) == 2
    assert grow(at, 3, 5) == 2
    assert elements(memory, 5) == [0, 0, 5, 5, 5]
    assert grow(at, 996, 1) == -1
    assert grow(at, 2**64 - 1, 1) == -1
    assert grow(at, 995, 0) == 5
    assert record.size == 1000
    fill(at, 1, 7, 2)
    assert elements(memory, 5) == [0, 7, 7, 5, 5]
    fill(at, 1000, 7, 0)
    for arguments in ((999, 7, 2), (1001, 7, 0), (0, 7, 2**63)):
        assert trap_code(fill, at, *arguments) is TrapCode.OUT_OF_BOUNDS_TABLE
    count(3)
    copy(at, at, 0, 2)
    assert elements(memory, 5) == [7, 5, 5, 5, 5]
    copy(at, at, 1, 0)
    assert elements(memory, 5) == [7, 7, 5, 5, 5]
    for dst, src in ((998, 0), (0, 998), (2**64 - 1, 0)):
        assert trap_code(copy, at, at, dst, src) is TrapCode.OUT_OF_BOUNDS_TABLE
    words = (ctypes.c_uint64 * 4)(11, 12, 13, 14)
    segment = abi.ELEM_SEGMENT.ctype(ctypes.addressof(words), 4)
    init(at, ctypes.addressof(segment), 1, 1)
    assert elements(memory, 5) == [7, 12, 13, 14, 5]
    assert trap_code(init, at, ctypes.addressof(segment), 0, 2) is TrapCode.OUT_OF_BOUNDS_TABLE
    assert native().table_grow(at, 1, 0) == -1


def test_images_outside_of_wasm_code_are_not_traps() -> None:
    low, high = native()._space.low, native()._space.high
    machine = Machine(LOAD)
    assert low <= machine.image.lo < machine.image.hi <= high
    assert not low <= native()._space.symbol("jw_raise") < high
    assert low <= native()._space._wasm.symbols["memcpy"] < high


def test_structures_in_ir_are_those_of_the_abi() -> None:
    assert expand("  %x = get %a Activation.code") == (
        f"  %.0 = getelementptr i8, ptr %a, i64 {abi.ACTIVATION.offset['code']}\n"
        "  %x = load volatile i64, ptr %.0"
    )
    assert expand("  set %v, %t ThreadState.top") == "  store volatile ptr %v, ptr %t"
    assert expand("movq <StoreState.owner>(%rax), %rbx") == "movq 0(%rax), %rbx"
    with pytest.raises(KeyError):
        expand("<No.such>")
    with pytest.raises(KeyError):
        expand("  %x = get %a Activation.nothing")


def test_declarations_are_added_once_and_only_if_needed() -> None:
    text = complete("define void @f() {\n  call void @jw_check_handlers()\n  ret void\n}")
    assert text.count("declare void @jw_check_handlers()") == 1
    assert "jw_plan" not in text


def test_out_of_address_space_is_a_memory_error() -> None:
    code = (
        "import resource\n"
        "from jitwasm.backend.native import native\n"
        "from jitwasm.backend.memmap import Reservation\n"
        "native()\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28), resource.RLIM_INFINITY))\n"
        "try:\n"
        "    Reservation(1 << 33)\n"
        "except MemoryError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "address space" in done.stdout


def test_arena_is_smaller_where_address_space_is_limited() -> None:
    code = (
        "import resource\n"
        "import jitwasm.backend.llvm as llvm\n"
        "llvm.host_cpu()\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29), resource.RLIM_INFINITY))\n"
        "from jitwasm.backend.native import native\n"
        "space = native()._space\n"
        "assert space.high - space.low < 1 << 28\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
