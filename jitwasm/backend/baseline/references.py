"""Table and reference instructions."""

from __future__ import annotations

from jitwasm.abi import ELEM_SEGMENT, TABLE_RECORD
from jitwasm.backend.baseline.assembler import INSTRUCTIONS, VMCTX, Condition, imm32
from jitwasm.backend.baseline.calls import (
    Source,
    call_helper,
    pointer,
    segment,
    table_element,
)
from jitwasm.backend.baseline.control import condition, take_if
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.operands import CONST, I32, I64, KIND, REG
from jitwasm.trapcodes import TrapCode
from jitwasm.types import I64 as I64_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["ROWS"]

_MOV64: Final = INSTRUCTIONS["mov64"]
_TEST64: Final = INSTRUCTIONS["test64"].rr


def _type(f: FunctionCompiler, tableidx: int) -> int:
    return I64 if f.program.declarations.tables[tableidx].addr is I64_TYPE else I32


def _record(f: FunctionCompiler, tableidx: int) -> Source:
    return pointer(f.program.layout.table_record(tableidx))


def table_get(f: FunctionCompiler, pos: int, row: None) -> int:
    tableidx, pos = f.u32(pos)
    place = table_element(f, tableidx, f.stack.pop(), TrapCode.OUT_OF_BOUNDS_TABLE)
    f.out += _MOV64.rb[place << 8 >> 4 | place]
    f.push_reg(I64, place)
    return pos


def table_set(f: FunctionCompiler, pos: int, row: None) -> int:
    tableidx, pos = f.u32(pos)
    value = f.reg(f.stack.pop())
    place = table_element(f, tableidx, f.stack.pop(), TrapCode.OUT_OF_BOUNDS_TABLE)
    f.out += INSTRUCTIONS["store64"].rb[place << 4 | value]
    f.drop(value)
    f.drop(place)
    return pos


def table_size(f: FunctionCompiler, pos: int, row: None) -> int:
    tableidx, pos = f.u32(pos)
    reg = f.tmp()
    f.out += _MOV64.rb[(f.program.layout.table_record(tableidx) << 4 | VMCTX) << 4 | reg]
    f.out += _MOV64.rb[(TABLE_RECORD.offset["size"] << 4 | reg) << 4 | reg]
    f.push_reg(_type(f, tableidx), reg)
    return pos


def table_grow(f: FunctionCompiler, pos: int, row: None) -> int:
    """The helper wants the count before the value."""
    tableidx, pos = f.u32(pos)
    _exchange(f)
    call_helper(f, "jw_table_grow", [_record(f, tableidx)], 2, _type(f, tableidx))
    return pos


def _exchange(f: FunctionCompiler) -> None:
    stack = f.stack
    f.spill_below(len(stack))
    # Operands in slots are known by their own number, so they may change places in the list while
    # nothing but the next instruction sees them.
    stack[-1], stack[-2] = stack[-2], stack[-1]


def table_fill(f: FunctionCompiler, pos: int, row: None) -> int:
    tableidx, pos = f.u32(pos)
    call_helper(f, "jw_table_fill", [_record(f, tableidx)], 3)
    return pos


def table_copy(f: FunctionCompiler, pos: int, row: None) -> int:
    target, pos = f.u32(pos)
    source, pos = f.u32(pos)
    call_helper(f, "jw_table_copy", [_record(f, target), _record(f, source)], 3)
    return pos


def table_init(f: FunctionCompiler, pos: int, row: None) -> int:
    elemidx, pos = f.u32(pos)
    tableidx, pos = f.u32(pos)
    elements = segment(f.program.layout.elem_segment(elemidx))
    call_helper(f, "jw_table_init", [_record(f, tableidx), elements], 3)
    return pos


def elem_drop(f: FunctionCompiler, pos: int, row: None) -> int:
    elemidx, pos = f.u32(pos)
    at = f.program.layout.elem_segment(elemidx) + ELEM_SEGMENT.offset["size"]
    f.out += INSTRUCTIONS["store64i"].rb[(at << 4 | VMCTX) << 4] + imm32(0)
    return pos


# -- references ----------------------------------------------------------------------------------


def ref_null(f: FunctionCompiler, pos: int, row: None) -> int:
    _, pos = f.signed(pos)
    f.stack.append(I64 << 3 | CONST)
    return pos


def _test(f: FunctionCompiler, operand: int) -> None:
    reg = f.reg(operand)
    f.out += _TEST64[reg << 4 | reg]
    if operand & KIND != REG:
        f.drop(reg)


def ref_is_null(f: FunctionCompiler, pos: int, row: None) -> int:
    operand = f.stack.pop()
    _test(f, operand)
    f.release(operand)
    return condition(f, pos, Condition.E)


def ref_func(f: FunctionCompiler, pos: int, row: None) -> int:
    funcidx, pos = f.u32(pos)
    reg = f.tmp()
    f.out += _MOV64.rb[(f.program.layout.func_ref(funcidx) << 4 | VMCTX) << 4 | reg]
    f.push_reg(I64, reg)
    return pos


def ref_as_non_null(f: FunctionCompiler, pos: int, row: None) -> int:
    _test(f, f.stack[-1])
    f.trap_if(Condition.E, TrapCode.NULL_REFERENCE)
    return pos


def br_on_null(f: FunctionCompiler, pos: int, row: None) -> int:
    """Without the reference if it is null; else go on with it."""
    label, pos = f.u32(pos)
    operand = f.stack.pop()
    _test(f, operand)
    take_if(f, f.frames[-1 - label], Condition.E)
    f.stack.append(operand)
    return pos


def br_on_non_null(f: FunctionCompiler, pos: int, row: None) -> int:
    """With the reference if it is not null; else go on without."""
    label, pos = f.u32(pos)
    _test(f, f.stack[-1])
    take_if(f, f.frames[-1 - label], Condition.NE)
    f.release(f.stack.pop())
    return pos


ROWS: Final[dict[str, Handler]] = {
    "table.get": (table_get, None),
    "table.set": (table_set, None),
    "table.size": (table_size, None),
    "table.grow": (table_grow, None),
    "table.fill": (table_fill, None),
    "table.copy": (table_copy, None),
    "table.init": (table_init, None),
    "elem.drop": (elem_drop, None),
    "ref.null": (ref_null, None),
    "ref.is_null": (ref_is_null, None),
    "ref.func": (ref_func, None),
    "ref.as_non_null": (ref_as_non_null, None),
    "br_on_null": (br_on_null, None),
    "br_on_non_null": (br_on_non_null, None),
}
