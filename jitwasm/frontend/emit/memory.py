"""Memory instructions (specification: Execution, "Memory Instructions").

Where an access goes and how it is checked is `FunctionEmitter.mem_address`. All accesses have
alignment 1 in LLVM: a wrong hint must not become undefined behaviour, and x86 does not care. The
bulk instructions are runtime helpers, which check bounds themselves; lengths and indices are i64.
"""

from __future__ import annotations

from typing import Any

from jitwasm.abi import DATA_SEGMENT
from jitwasm.frontend.accesses import LOADS, STORES, Access
from jitwasm.frontend.emit.function import FunctionEmitter
from jitwasm.frontend.immediates import MemArg, read_memarg
from jitwasm.frontend.reader import Reader
from jitwasm.frontend.validate import check_data, check_memarg, check_memory
from jitwasm.ir import TBAA_MEMORY, TBAA_VM
from jitwasm.types import I32, I64, ValType

__all__ = ["LOADS", "PLAIN", "STORES", "load", "memarg_at", "store"]

Imms = tuple[Any, ...]

NO_SUM = ("", 0)


def memarg_at(f: FunctionEmitter, pos: int, size: int) -> tuple[int, int, ValType, int]:
    """(memidx, offset, index type, position behind it) of a valid memory argument."""
    code = f.code
    align, offset = code[pos], code[pos + 1]
    if align < 0x40 and offset < 0x80:
        memarg = MemArg(align, 0, offset)
        pos += 2
    else:
        reader = Reader(code, pos, None, f.base)
        memarg = read_memarg(reader, f.module.config.features)
        pos = reader.pos
    return memarg.memidx, memarg.offset, check_memarg(f.module.info, memarg, size).addr, pos


def load(f: FunctionEmitter, pos: int, row: Access) -> int:
    type_, ir, log_size, extend = row.type, row.ir, row.log_size, row.cast
    pointer, pos = _access(f, pos, log_size)
    val = f.fresh()
    f.line(f"{val} = {f.module.load} {ir}, ptr {pointer}, align 1{TBAA_MEMORY}")
    if extend:
        narrow, val = val, f.fresh()
        f.line(f"{val} = {extend} {ir} {narrow} to {type_.ir}")
    f.types.append(type_)
    f.vals.append(val)
    return pos


def store(f: FunctionEmitter, pos: int, row: Access) -> int:
    type_, ir, log_size, trunc = row.type, row.ir, row.log_size, row.cast
    if f.types[-1] is type_:
        f.types.pop()
        val = f.vals.pop()
    else:
        memarg_at(f, pos, 1 << log_size)  # what is wrong with the instruction itself comes first
        val = f.pop(type_)
    pointer, pos = _access(f, pos, log_size)
    if trunc:
        wide, val = val, f.fresh()
        f.line(f"{val} = trunc {type_.ir} {wide} to {ir}")
    f.line(f"{f.module.store} {ir} {val}, ptr {pointer}, align 1{TBAA_MEMORY}")
    return pos


def _access(f: FunctionEmitter, pos: int, log_size: int) -> tuple[str, int]:
    """Read a memory argument, pop the index: the pointer, and the position behind.

    Nearly all memory arguments of all programs go the short way.
    """
    code = f.code
    offset = code[pos + 1]
    # The low bits of an offset are in its first byte.
    if (offset + f.sums.get(f.vals[-1], NO_SUM)[1]) & (1 << log_size) - 1:
        f.skewed = True
    if f.module.plain_memory and code[pos] <= log_size and f.types[-1] is I32:
        if offset < 0x80:
            f.types.pop()
            return f.plain_address(f.vals.pop(), offset), pos + 2
        high = code[pos + 2]
        if high < 0x80:
            f.types.pop()
            return f.plain_address(f.vals.pop(), offset & 0x7F | high << 7), pos + 3
    size = 1 << log_size
    memidx, offset, addr, pos = memarg_at(f, pos, size)
    return f.mem_address(memidx, f.pop(addr), offset, size), pos


def _record(f: FunctionEmitter, memidx: int) -> str:
    return f.vm_pointer(f.module.layout.memory_record(memidx))


def _size(f: FunctionEmitter, imms: Imms) -> None:
    (memidx,) = imms
    memory = check_memory(f.module.info, memidx)
    shift = memory.page_size.bit_length() - 1
    pages = f.op(f"lshr i64 {f.memory_bytes(memidx)}, {shift}")
    f.push(memory.addr, f.narrow(memory.addr, pages))


def _grow(f: FunctionEmitter, imms: Imms) -> None:
    (memidx,) = imms
    memory = check_memory(f.module.info, memidx)
    pages = f.widen(memory.addr, f.pop(memory.addr))
    grow = f.libcall("jw_memory_grow")
    old = f.op(f"call i64 {grow}(ptr {_record(f, memidx)}, i64 {pages})")
    f.push(memory.addr, f.narrow(memory.addr, old))


def _fill(f: FunctionEmitter, imms: Imms) -> None:
    (memidx,) = imms
    memory = check_memory(f.module.info, memidx)
    count = f.widen(memory.addr, f.pop(memory.addr))
    val = f.pop(I32)
    dst = f.widen(memory.addr, f.pop(memory.addr))
    fill = f.libcall("jw_memory_fill")
    f.line(f"call void {fill}(ptr {_record(f, memidx)}, i64 {dst}, i32 {val}, i64 {count})")


def _copy(f: FunctionEmitter, imms: Imms) -> None:
    target, source = imms
    to = check_memory(f.module.info, target)
    from_ = check_memory(f.module.info, source)
    shorter: ValType = I64 if to.addr is I64 and from_.addr is I64 else I32
    count = f.widen(shorter, f.pop(shorter))
    src = f.widen(from_.addr, f.pop(from_.addr))
    dst = f.widen(to.addr, f.pop(to.addr))
    records = f"ptr {_record(f, target)}, ptr {_record(f, source)}"
    copy = f.libcall("jw_memory_copy")
    f.line(f"call void {copy}({records}, i64 {dst}, i64 {src}, i64 {count})")


def _init(f: FunctionEmitter, imms: Imms) -> None:
    dataidx, memidx = imms
    memory = check_memory(f.module.info, memidx)
    check_data(f.module.info, dataidx)
    count = f.widen(I32, f.pop(I32))
    src = f.widen(I32, f.pop(I32))
    dst = f.widen(memory.addr, f.pop(memory.addr))
    segment = f.field(f.module.layout.data_segment(dataidx))
    init = f.libcall("jw_memory_init")
    operands = f"ptr {_record(f, memidx)}, ptr {segment}, i64 {dst}, i64 {src}, i64 {count}"
    f.line(f"call void {init}({operands})")


def _data_drop(f: FunctionEmitter, imms: Imms) -> None:
    (dataidx,) = imms
    check_data(f.module.info, dataidx)
    size = f.field(f.module.layout.data_segment(dataidx) + DATA_SEGMENT.offset["size"])
    f.line(f"store i64 0, ptr {size}{TBAA_VM}")


PLAIN = {
    "memory.size": _size,
    "memory.grow": _grow,
    "memory.fill": _fill,
    "memory.copy": _copy,
    "memory.init": _init,
    "data.drop": _data_drop,
}
