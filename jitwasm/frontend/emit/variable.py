"""Parametric and variable instructions (specification: Execution, same chapters).

Reading or writing a local emits nothing: `locals` has its value. Functions with locals that have
no default value, and those with too many locals for snapshots at every branch, use the `tracked_`
handlers (dispatch.py).
"""

from __future__ import annotations

from typing import Any

from jitwasm.errors import InvalidError
from jitwasm.frontend.emit.function import FunctionEmitter
from jitwasm.frontend.emit.ssa import LOCAL_BITS
from jitwasm.frontend.stacks import mismatch
from jitwasm.frontend.validate import check_global
from jitwasm.ir import INVARIANT, TBAA_GLOBAL
from jitwasm.types import BOT, GlobalType, RefType

__all__ = [
    "PLAIN",
    "drop",
    "global_get",
    "global_set",
    "local_get",
    "local_set",
    "local_tee",
    "select",
    "tracked_get",
    "tracked_set",
    "tracked_tee",
]

Imms = tuple[Any, ...]


def drop(f: FunctionEmitter, pos: int, row: None) -> int:
    type_, val = f.pop_any()
    f.keep(type_, val)
    return pos


def select(f: FunctionEmitter, pos: int, row: None) -> int:
    cond, negated = f.pop_cond()
    type_b, b = f.pop_any()
    type_a, a = f.pop_any()
    if isinstance(type_a, RefType) or isinstance(type_b, RefType):
        raise InvalidError("type mismatch: select without a type takes only numbers and vectors")
    if type_a is BOT:
        type_a = type_b
    elif type_a is not type_b and type_b is not BOT:
        raise mismatch(type_a, type_b)
    if negated:
        a, b = b, a
    f.push(type_a, f.op(f"select i1 {cond}, {type_a.ir} {a}, {type_a.ir} {b}"))
    return pos


def _select_t(f: FunctionEmitter, imms: Imms) -> None:
    (types,) = imms
    if len(types) != 1:
        raise InvalidError("invalid result arity")
    type_ = types[0]
    cond, negated = f.pop_cond()
    b, a = f.pop(type_), f.pop(type_)
    if negated:
        a, b = b, a
    f.push(type_, f.op(f"select i1 {cond}, {type_.ir} {a}, {type_.ir} {b}"))


# -- locals --------------------------------------------------------------------------------------


def _unknown(local: int) -> InvalidError:
    return InvalidError(f"unknown local {local}")


def local_get(f: FunctionEmitter, pos: int, row: None) -> int:
    local = f.code[pos]
    if local < 0x80:
        pos += 1
    else:
        local, pos = f.u32(pos)
    types = f.local_types
    if local >= len(types):
        raise _unknown(local)
    val = f.locals[local]
    if val is None:
        val = f.read_local(local)
    elif val in f.unread:
        del f.unread[val]
    f.types.append(types[local])
    f.vals.append(val)
    return pos


def local_set(f: FunctionEmitter, pos: int, row: None) -> int:
    local = f.code[pos]
    if local < 0x80:
        pos += 1
    else:
        local, pos = f.u32(pos)
    types = f.local_types
    if local >= len(types):
        raise _unknown(local)
    type_ = types[local]
    if f.types[-1] is type_:
        f.types.pop()
        val = f.vals.pop()
    else:
        val = f.pop(type_)
    f.locals[local] = val
    if val[0] == "%" and f.lines:
        f.unread[val] = len(f.lines) - 1 << LOCAL_BITS | local
    return pos


def local_tee(f: FunctionEmitter, pos: int, row: None) -> int:
    local = f.code[pos]
    if local < 0x80:
        pos += 1
    else:
        local, pos = f.u32(pos)
    types = f.local_types
    if local >= len(types):
        raise _unknown(local)
    type_ = types[local]
    if f.types[-1] is type_:
        f.locals[local] = f.vals[-1]
    else:
        val = f.locals[local] = f.pop(type_)
        f.push(type_, val)
    return pos


def tracked_get(f: FunctionEmitter, pos: int, row: None) -> int:
    local, pos = f.u32(pos)
    if local >= len(f.local_types):
        raise _unknown(local)
    if local in f.uninitialized:
        raise InvalidError(f"uninitialized local {local}")
    type_ = f.local_types[local]
    f.push(type_, f.load_local(local))
    return pos


def tracked_set(f: FunctionEmitter, pos: int, row: None) -> int:
    local, pos = f.u32(pos)
    if local >= len(f.local_types):
        raise _unknown(local)
    f.store_local(local, f.pop(f.local_types[local]))
    return pos


def tracked_tee(f: FunctionEmitter, pos: int, row: None) -> int:
    local, pos = f.u32(pos)
    if local >= len(f.local_types):
        raise _unknown(local)
    type_ = f.local_types[local]
    val = f.pop(type_)
    f.store_local(local, val)
    f.push(type_, val)
    return pos


# -- globals -------------------------------------------------------------------------------------


def _cell(f: FunctionEmitter, globalidx: int) -> tuple[GlobalType, str]:
    """The type of a global and a pointer to its cell."""
    type_ = check_global(f.module.info, globalidx)
    layout = f.module.layout
    if globalidx < f.module.info.imported_globals:
        return type_, f.vm_pointer(layout.imported_global(globalidx))
    return type_, f.field(layout.global_cell(globalidx))


def global_get(f: FunctionEmitter, pos: int, row: None) -> int:
    globalidx, pos = f.u32(pos)
    type_, cell = _cell(f, globalidx)
    suffix = TBAA_GLOBAL if type_.mutable else INVARIANT
    f.push(type_.value, f.op(f"load {type_.value.ir}, ptr {cell}{suffix}"))
    return pos


def global_set(f: FunctionEmitter, pos: int, row: None) -> int:
    globalidx, pos = f.u32(pos)
    type_ = check_global(f.module.info, globalidx)
    if not type_.mutable:
        raise InvalidError("immutable global")
    val = f.pop(type_.value)
    _, cell = _cell(f, globalidx)
    f.line(f"{f.module.store} {type_.value.ir} {val}, ptr {cell}{TBAA_GLOBAL}")
    return pos


PLAIN = {"select t": _select_t}
