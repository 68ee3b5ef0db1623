"""Tail calls: `musttail` through the universal prototype (universal.py).

Results that do not fit into registers lie in the callee's overflow area, where the callee's callee
left them; our caller looks for them in ours. Where the two may differ, a tail call with such
results is one only if they do not; else it is an ordinary call (all instances that a store begins
with share one area).
"""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.abi import CallConv, call_conv
from jitwasm.frontend.emit import universal
from jitwasm.frontend.emit.call import (
    callee,
    code_and_env,
    emit_call,
    emit_return,
    environment_of,
    overflow_area,
    pop_funcref,
    pop_indirect,
    read_call_indirect,
    store_overflow,
)
from jitwasm.frontend.emit.control import stop
from jitwasm.frontend.emit.function import VM, FunctionEmitter
from jitwasm.frontend.validate import check_tail_call
from jitwasm.ir import TBAA_VM
from jitwasm.types import FuncType

__all__ = ["return_call", "return_call_indirect", "return_call_ref"]


def _emit_tail_call(
    f: FunctionEmitter, conv: CallConv, code: str, env: str, args: Sequence[str]
) -> None:
    f.universal = True
    if conv.overflow_results and env != VM:
        _require_same_area(f, conv, code, env, args)
    registers = store_overflow(f, conv, env, args) if conv.overflow_params else args
    operands = universal.pack(f.op, conv, registers)
    call = f"musttail call {f.conv.ret_ir} {code}(ptr {env}{operands})"
    if f.conv.ret_types:
        f.line(f"ret {f.conv.ret_ir} {f.op(call)}")
    else:
        f.line(call)
        f.line("ret void")


def _require_same_area(
    f: FunctionEmitter, conv: CallConv, code: str, env: str, args: Sequence[str]
) -> None:
    """If the callee's overflow area is another one: call, return the results, done."""
    same = f.op(f"icmp eq ptr {overflow_area(f, env)}, {overflow_area(f, VM)}")
    tail, plain = f.new_label(), f.new_label()
    f.line(f"br i1 {same}, label %{tail}, label %{plain}")
    f.start_block(plain)
    known = f.known()
    emit_return(f, emit_call(f, conv, code, env, env, args))
    f.forget(known)
    f.start_block(tail)


def return_call(f: FunctionEmitter, pos: int, row: None) -> int:
    funcidx, pos = f.u32(pos)
    type_, conv = callee(f, funcidx)
    args = f.pop_vals(type_.params)
    check_tail_call(type_, f.type.results)
    f.discard(f.frames[0], len(f.frames) - 1)
    if f.reachable:
        env = environment_of(f, funcidx)
        if funcidx == f.funcidx:
            code = f"@u{funcidx}"
        else:
            slot = f.field(f.module.layout.call_slot(funcidx))
            code = f.op(f"load ptr, ptr {slot}{TBAA_VM}")
        _emit_tail_call(f, conv, code, env, args)
    stop(f)
    return pos


def _return_call_funcref(f: FunctionEmitter, type_: FuncType, funcref: str) -> None:
    args = f.pop_vals(type_.params)
    check_tail_call(type_, f.type.results)
    f.discard(f.frames[0], len(f.frames) - 1)
    if f.reachable:
        code, env = code_and_env(f, funcref)
        _emit_tail_call(f, call_conv(type_), code, env, args)
    stop(f)


def return_call_indirect(f: FunctionEmitter, pos: int, row: None) -> int:
    typeidx, tableidx, pos = read_call_indirect(f, pos)
    _return_call_funcref(f, *pop_indirect(f, typeidx, tableidx))
    return pos


def return_call_ref(f: FunctionEmitter, pos: int, row: None) -> int:
    typeidx, pos = f.u32(pos)
    _return_call_funcref(f, *pop_funcref(f, typeidx))
    return pos
