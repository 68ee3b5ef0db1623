"""Table instructions (specification: Execution, "Table Instructions").

A table's base never moves; its size only grows, and is a constant where the limits say so.
Elements are references of 8 bytes. The bulk instructions are runtime helpers, which check bounds
themselves; they take lengths and indices as i64.
"""

from __future__ import annotations

from typing import Any

from jitwasm.abi import ELEM_SEGMENT, TABLE_RECORD
from jitwasm.frontend.emit.function import FunctionEmitter
from jitwasm.frontend.stacks import mismatch
from jitwasm.frontend.validate import check_elem, check_table
from jitwasm.ir import TBAA_TABLE, TBAA_VM
from jitwasm.trapcodes import TrapCode
from jitwasm.types import I32, I64, ValType, matches

__all__ = ["PLAIN", "element_pointer"]

Imms = tuple[Any, ...]


def element_pointer(f: FunctionEmitter, tableidx: int, index: str, code: TrapCode) -> str:
    """Pointer to a table's element, after the bounds check."""
    table = f.module.info.tables[tableidx]
    wide = f.widen(table.addr, index)
    if table.limits.minimum == table.limits.maximum:
        size = str(table.limits.minimum)
    else:
        size = _size(f, tableidx)
    past = f.op(f"icmp uge i64 {wide}, {size}")
    f.trap_if(past, code)
    base = f.vm_pointer(f.module.layout.table_base(tableidx))
    return f.op(f"getelementptr ptr, ptr {base}, i64 {wide}")


def _record(f: FunctionEmitter, tableidx: int) -> str:
    return f.vm_pointer(f.module.layout.table_record(tableidx))


def _size(f: FunctionEmitter, tableidx: int) -> str:
    size = f.at(_record(f, tableidx), TABLE_RECORD.offset["size"])
    return f.op(f"load i64, ptr {size}{TBAA_VM}")


def _get(f: FunctionEmitter, imms: Imms) -> None:
    (tableidx,) = imms
    table = check_table(f.module.info, tableidx)
    index = f.pop(table.addr)
    element = element_pointer(f, tableidx, index, TrapCode.OUT_OF_BOUNDS_TABLE)
    f.push(table.element, f.op(f"load ptr, ptr {element}{TBAA_TABLE}"))


def _set(f: FunctionEmitter, imms: Imms) -> None:
    (tableidx,) = imms
    table = check_table(f.module.info, tableidx)
    val = f.pop(table.element)
    index = f.pop(table.addr)
    element = element_pointer(f, tableidx, index, TrapCode.OUT_OF_BOUNDS_TABLE)
    f.line(f"{f.module.store} ptr {val}, ptr {element}{TBAA_TABLE}")


def _size_of(f: FunctionEmitter, imms: Imms) -> None:
    (tableidx,) = imms
    table = check_table(f.module.info, tableidx)
    f.push(table.addr, f.narrow(table.addr, _size(f, tableidx)))


def _grow(f: FunctionEmitter, imms: Imms) -> None:
    (tableidx,) = imms
    table = check_table(f.module.info, tableidx)
    count = f.widen(table.addr, f.pop(table.addr))
    val = f.pop(table.element)
    record = _record(f, tableidx)
    grow = f.libcall("jw_table_grow")
    old = f.op(f"call i64 {grow}(ptr {record}, i64 {count}, ptr {val})")
    f.push(table.addr, f.narrow(table.addr, old))


def _fill(f: FunctionEmitter, imms: Imms) -> None:
    (tableidx,) = imms
    table = check_table(f.module.info, tableidx)
    count = f.widen(table.addr, f.pop(table.addr))
    val = f.pop(table.element)
    start = f.widen(table.addr, f.pop(table.addr))
    record = _record(f, tableidx)
    fill = f.libcall("jw_table_fill")
    f.line(f"call void {fill}(ptr {record}, i64 {start}, ptr {val}, i64 {count})")


def _copy(f: FunctionEmitter, imms: Imms) -> None:
    target, source = imms
    to = check_table(f.module.info, target)
    from_ = check_table(f.module.info, source)
    if not matches(from_.element, to.element):
        raise mismatch(to.element, from_.element)
    shorter: ValType = I64 if to.addr is I64 and from_.addr is I64 else I32
    count = f.widen(shorter, f.pop(shorter))
    src = f.widen(from_.addr, f.pop(from_.addr))
    dst = f.widen(to.addr, f.pop(to.addr))
    records = f"ptr {_record(f, target)}, ptr {_record(f, source)}"
    copy = f.libcall("jw_table_copy")
    f.line(f"call void {copy}({records}, i64 {dst}, i64 {src}, i64 {count})")


def _init(f: FunctionEmitter, imms: Imms) -> None:
    elemidx, tableidx = imms
    table = check_table(f.module.info, tableidx)
    element = check_elem(f.module.info, elemidx)
    if not matches(element, table.element):
        raise mismatch(table.element, element)
    count = f.widen(I32, f.pop(I32))
    src = f.widen(I32, f.pop(I32))
    dst = f.widen(table.addr, f.pop(table.addr))
    segment = f.field(f.module.layout.elem_segment(elemidx))
    init = f.libcall("jw_table_init")
    operands = f"ptr {_record(f, tableidx)}, ptr {segment}, i64 {dst}, i64 {src}, i64 {count}"
    f.line(f"call void {init}({operands})")


def _elem_drop(f: FunctionEmitter, imms: Imms) -> None:
    (elemidx,) = imms
    check_elem(f.module.info, elemidx)
    size = f.field(f.module.layout.elem_segment(elemidx) + ELEM_SEGMENT.offset["size"])
    f.line(f"store i64 0, ptr {size}{TBAA_VM}")


PLAIN = {
    "table.get": _get,
    "table.set": _set,
    "table.size": _size_of,
    "table.grow": _grow,
    "table.fill": _fill,
    "table.copy": _copy,
    "table.init": _init,
    "elem.drop": _elem_drop,
}
