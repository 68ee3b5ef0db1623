"""The rules of the instructions that programs mostly consist of: handlers for checkloop.py."""

from __future__ import annotations

from collections.abc import Callable

from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.checker import (
    BLOCK,
    ELSE,
    IF,
    LOOP,
    SHORT_LIST,
    Checker,
    Entry,
    Frame,
    Types,
    u32,
)
from jitwasm.frontend.leb128 import UNEXPECTED_END, read_signed
from jitwasm.frontend.stacks import mismatch
from jitwasm.types import BOT, I32, RefType, ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from mypy_extensions import i64

__all__ = [
    "HANDLERS",
    "br_table",
    "by_signature",
    "float_const",
    "int_const",
    "load",
    "memory_bulk",
    "memory_grow",
    "memory_size",
    "store",
]


# -- control ---------------------------------------------------------------------------------------


def _block_type(c: Checker, pos: i64) -> tuple[Types, Types, i64]:
    known = c.declared.block_types.get(c.code[pos])
    if known is not None:
        return known[0], known[1], pos + 1
    return c.declared.read_block_type(c.code, pos, c.base)


def block(c: Checker, pos: i64, row: int) -> i64:
    start, end, pos = _block_type(c, pos)
    if start:
        c.pop_all(start)
    c.open(row, start, end)
    return pos


def if_(c: Checker, pos: i64, row: None) -> i64:
    start, end, pos = _block_type(c, pos)
    c.pop(I32)
    if start:
        c.pop_all(start)
    c.open(IF, start, end)
    return pos


def else_(c: Checker, pos: i64, row: None) -> i64:
    frame = c.frames[-1]
    if frame.opcode != IF:
        raise MalformedError("unexpected 'else'")
    c.close()
    frame.opcode = ELSE
    frame.unreachable = False
    c.types.extend(frame.start_types)
    return pos


def end(c: Checker, pos: i64, row: None) -> i64:
    frame = c.frames[-1]
    c.close()
    if frame.opcode == IF and frame.start_types != frame.end_types:
        # Without `else` the parameters are the results; they may be subtypes.
        c.types.extend(frame.start_types)
        frame.unreachable = False
        c.close()
    c.frames.pop()
    types = c.types
    types.pop()
    if frame.end_types:
        types.extend(frame.end_types)
    if not c.frames and pos != len(c.code):
        raise MalformedError("END opcode expected", c.base + pos)
    return pos


def _label_types(frame: Frame) -> Types:
    return frame.start_types if frame.opcode == LOOP else frame.end_types


def br(c: Checker, pos: i64, row: None) -> i64:
    labelidx, pos = u32(c, pos)
    c.pop_all(_label_types(c.label(labelidx)))
    c.stop()
    return pos


def br_if(c: Checker, pos: i64, row: None) -> i64:
    labelidx, pos = u32(c, pos)
    frame = c.label(labelidx)
    c.pop(I32)
    wanted = _label_types(frame)
    if wanted:
        c.pop_all(wanted)
        c.types.extend(wanted)
        if len(wanted) > SHORT_LIST:
            c.spend(len(wanted))
    return pos


def br_table(c: Checker, pos: i64, row: Entry) -> i64:
    """With targets that take no values; `row` knows the others."""
    code, frames = c.code, c.frames
    count, at = u32(c, pos)
    behind: i64 = at + count + 1
    known = len(frames)
    if behind <= len(code) and c.types[-1] is I32:
        for label in set(code[at:behind]):
            # Of labels of more than one byte the first is 0x80 or above.
            if label >= 0x80 or label >= known or _label_types(frames[-1 - label]):
                break
        else:
            c.types.pop()
            c.stop()
            return behind
    handler, others = row
    return handler(c, pos, others)


def return_(c: Checker, pos: i64, row: None) -> i64:
    c.pop_all(c.results)
    c.stop()
    return pos


def unreachable(c: Checker, pos: i64, row: None) -> i64:
    c.stop()
    return pos


def nop(c: Checker, pos: i64, row: None) -> i64:
    return pos


def _apply(c: Checker, params: Types, results: Types) -> None:
    if len(params) + len(results) > SHORT_LIST:
        c.spend(len(params) + len(results))
    c.pop_all(params)
    if results:
        c.types.extend(results)


def call(c: Checker, pos: i64, row: None) -> i64:
    funcidx, pos = u32(c, pos)
    declared = c.declared
    if funcidx >= len(declared.params):
        raise InvalidError(f"unknown function {funcidx}")
    _apply(c, declared.params[funcidx], declared.results[funcidx])
    return pos


def call_indirect(c: Checker, pos: i64, row: None) -> i64:
    typeidx, pos = u32(c, pos)
    tableidx, pos = u32(c, pos)
    type_, index = c.declared.indirect(typeidx, tableidx)
    c.pop(index)
    _apply(c, type_.params, type_.results)
    return pos


# -- parametric, variables, constants --------------------------------------------------------------


def drop(c: Checker, pos: i64, row: None) -> i64:
    c.pop_any()
    return pos


def select(c: Checker, pos: i64, row: None) -> i64:
    c.pop(I32)
    second, first = c.pop_any(), c.pop_any()
    if isinstance(first, RefType) or isinstance(second, RefType):
        raise InvalidError("type mismatch: select without a type takes only numbers and vectors")
    if first is BOT:
        first = second
    elif first is not second and second is not BOT:
        raise mismatch(first, second)
    c.types.append(first)
    return pos


def _local(c: Checker, pos: i64) -> tuple[ValType, i64]:
    local, pos = u32(c, pos)
    local_types = c.local_types
    if local >= len(local_types):
        raise InvalidError(f"unknown local {local}")
    return local_types[local], pos


def local_get(c: Checker, pos: i64, row: None) -> i64:
    type_, pos = _local(c, pos)
    c.types.append(type_)
    return pos


def local_set(c: Checker, pos: i64, row: None) -> i64:
    type_, pos = _local(c, pos)
    c.pop(type_)
    return pos


def local_tee(c: Checker, pos: i64, row: None) -> i64:
    type_, pos = _local(c, pos)
    if c.types[-1] is not type_:
        c.pop(type_)
        c.types.append(type_)
    return pos


def _global(c: Checker, pos: i64) -> tuple[int, i64]:
    globalidx, pos = u32(c, pos)
    if globalidx >= len(c.declared.globals):
        raise InvalidError(f"unknown global {globalidx}")
    return globalidx, pos


def global_get(c: Checker, pos: i64, row: None) -> i64:
    globalidx, pos = _global(c, pos)
    c.types.append(c.declared.globals[globalidx])
    return pos


def global_set(c: Checker, pos: i64, row: None) -> i64:
    globalidx, pos = _global(c, pos)
    if not c.declared.mutable[globalidx]:
        raise InvalidError("immutable global")
    c.pop(c.declared.globals[globalidx])
    return pos


def int_const(c: Checker, pos: i64, row: tuple[ValType, int]) -> i64:
    type_, bits = row
    c.types.append(type_)
    if c.code[pos] < 0x80:
        return pos + 1
    return read_signed(c.code, pos, len(c.code), bits, c.base)[1]


def float_const(c: Checker, pos: i64, row: tuple[ValType, int]) -> i64:
    type_, size = row
    if pos + size > len(c.code):
        raise MalformedError(UNEXPECTED_END, c.base + len(c.code))
    c.types.append(type_)
    return pos + size


# -- memory ----------------------------------------------------------------------------------------


def load(c: Checker, pos: i64, row: tuple[ValType, int]) -> i64:
    type_, log_size = row
    pos = _index(c, pos, log_size)
    c.types.append(type_)
    return pos


def store(c: Checker, pos: i64, row: tuple[ValType, int]) -> i64:
    type_, log_size = row
    if c.types[-1] is type_:
        c.types.pop()
        return _index(c, pos, log_size)
    # What is wrong with the instruction itself comes first, as in the translator.
    addr, behind = c.declared.read_memarg(c.code, pos, c.base, log_size)
    c.pop(type_)
    c.pop(addr)
    return behind


def _index(c: Checker, pos: i64, log_size: int) -> i64:
    """Read a memory argument and pop the index."""
    code, types = c.code, c.types
    if code[pos] <= log_size and c.declared.plain_memory and types[-1] is I32:
        if code[pos + 1] < 0x80:
            types.pop()
            return pos + 2
        if code[pos + 2] < 0x80:
            types.pop()
            return pos + 3
    addr, behind = c.declared.read_memarg(code, pos, c.base, log_size)
    c.pop(addr)
    return behind


def memory_size(c: Checker, pos: i64, row: Entry) -> i64:
    """Of a memory 0 that is indexed by i32; `row` knows the others. So for the following."""
    if c.code[pos] == 0 and c.declared.plain_memory:
        c.types.append(I32)
        return pos + 1
    handler, others = row
    return handler(c, pos, others)


def memory_grow(c: Checker, pos: i64, row: Entry) -> i64:
    if c.code[pos] == 0 and c.declared.plain_memory and c.types[-1] is I32:
        return pos + 1
    handler, others = row
    return handler(c, pos, others)


def memory_bulk(c: Checker, pos: i64, row: tuple[int, Entry]) -> i64:
    """memory.fill and memory.copy, with so many bytes of immediates, all of them zero."""
    size, (handler, others) = row
    code, types = c.code, c.types
    plain = c.declared.plain_memory and code[pos] == 0 and code[pos + size - 1] == 0
    if plain and types[-1] is I32 and types[-2] is I32 and types[-3] is I32:
        del types[-3:]
        return pos + size
    return handler(c, pos - 1, others)


def by_signature(c: Checker, pos: i64, row: tuple[Types, Types]) -> i64:
    """An instruction without immediates: its parameters and results."""
    c.pop_all(row[0])
    c.types.extend(row[1])
    return pos


HANDLERS: Final[dict[str, tuple[Callable[[Checker, int, Any], int], Any]]] = {
    "unreachable": (unreachable, None),
    "nop": (nop, None),
    "block": (block, BLOCK),
    "loop": (block, LOOP),
    "if": (if_, None),
    "else": (else_, None),
    "end": (end, None),
    "br": (br, None),
    "br_if": (br_if, None),
    "return": (return_, None),
    "call": (call, None),
    "call_indirect": (call_indirect, None),
    "drop": (drop, None),
    "select": (select, None),
    "local.get": (local_get, None),
    "local.set": (local_set, None),
    "local.tee": (local_tee, None),
    "global.get": (global_get, None),
    "global.set": (global_set, None),
}
