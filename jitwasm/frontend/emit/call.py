"""Calls and returns; the calling convention is described in abi.py. Tail calls: tailcall.py.

Any function is called as `@f<idx>` with our own environment; the unit's stub replaces it by the
import's. Calls through references load code and environment from the FuncRef. What does not fit
into registers is stored last before the call, into the overflow area of the callee's environment,
and such results are loaded right after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.abi import FUNCREF, RTT, CallConv, call_conv
from jitwasm.errors import InvalidError
from jitwasm.frontend.emit.function import SHORT_LIST, VM, FunctionEmitter
from jitwasm.frontend.emit.table import element_pointer
from jitwasm.frontend.validate import check_table, func_type_at
from jitwasm.ir import INVARIANT, TBAA_TABLE, TBAA_VM
from jitwasm.trapcodes import TrapCode
from jitwasm.types import DefType, FuncType, RefType, heap_matches, matches, ref_type

__all__ = [
    "call",
    "call_indirect",
    "call_ref",
    "callee",
    "code_and_env",
    "emit_call",
    "emit_return",
    "environment_of",
    "overflow_area",
    "pop_funcref",
    "pop_indirect",
    "read_call_indirect",
    "store_overflow",
]

SLOT = 16


def emit_return(f: FunctionEmitter, vals: Sequence[str]) -> None:
    """Return these results."""
    conv = f.conv
    if conv.overflow_results:
        area = overflow_area(f, VM)
        for loc, val in zip(conv.results, vals, strict=True):
            if loc.slot is not None:
                f.line(f"store {loc.type.ir} {val}, ptr {f.at(area, SLOT * loc.slot)}{TBAA_VM}")
    registers = [v for loc, v in zip(conv.results, vals, strict=True) if loc.slot is None]
    if len(registers) > 1:
        value = "poison"
        for i, (type_, val) in enumerate(zip(conv.ret_types, registers, strict=True)):
            value = f.op(f"insertvalue {conv.ret_ir} {value}, {type_.ir} {val}, {i}")
        f.line(f"ret {conv.ret_ir} {value}")
    elif registers:
        f.line(f"ret {conv.ret_ir} {registers[0]}")
    else:
        f.line("ret void")


def overflow_area(f: FunctionEmitter, env: str) -> str:
    return f.op(f"load ptr, ptr {env}{INVARIANT}")


def environment_of(f: FunctionEmitter, funcidx: int) -> str:
    """The environment a function runs in: its owner's, if it is imported."""
    if funcidx >= f.module.info.imported_functions:
        return VM
    return f.vm_pointer(f.module.layout.import_slot(funcidx) + 8)


def store_overflow(f: FunctionEmitter, conv: CallConv, env: str, args: Sequence[str]) -> list[str]:
    """Store the arguments that do not fit into registers; give those that do."""
    area = overflow_area(f, env)
    registers: list[str] = []
    for loc, arg in zip(conv.params, args, strict=True):
        if loc.slot is None:
            registers.append(arg)
        else:
            f.line(f"store {loc.type.ir} {arg}, ptr {f.at(area, SLOT * loc.slot)}{TBAA_VM}")
    return registers


def emit_call(
    f: FunctionEmitter, conv: CallConv, code: str, env: str, owner: str, args: Sequence[str]
) -> list[str]:
    """A call with `env` as first argument; `owner` is the environment the callee will have."""
    if len(conv.params) + len(conv.results) > SHORT_LIST:
        f.spend(len(conv.params) + len(conv.results))
    if conv.overflow_params:
        args = store_overflow(f, conv, owner, args)
    operands = "".join([f", {ir} {arg}" for ir, arg in zip(conv.param_ir, args, strict=True)])
    call = f"call {conv.ret_ir} {code}(ptr {env}{operands})"
    if not conv.results:
        f.line(call)
        return []
    result = f.op(call)
    if len(conv.ret_types) == 1:
        registers = [result]
    else:
        registers = [
            f.op(f"extractvalue {conv.ret_ir} {result}, {i}") for i in range(len(conv.ret_types))
        ]
    if not conv.overflow_results:
        return registers
    area = overflow_area(f, owner)
    for loc in conv.results:
        if loc.slot is not None:
            slot = f.at(area, SLOT * loc.slot)
            registers.append(f.op(f"load {loc.type.ir}, ptr {slot}{TBAA_VM}"))
    return registers


# -- direct calls --------------------------------------------------------------------------------


def callee(f: FunctionEmitter, funcidx: int) -> tuple[FuncType, CallConv]:
    module = f.module
    if funcidx >= len(module.func_types):
        raise InvalidError(f"unknown function {funcidx}")
    return module.func_types[funcidx], module.convs[funcidx]


def call(f: FunctionEmitter, pos: int, row: None) -> int:
    funcidx, pos = f.u32(pos)
    type_, conv = callee(f, funcidx)
    args = f.pop_vals(type_.params)
    if f.reachable:
        f.calls[funcidx] = conv.fn_ir
    if len(type_.params) > SHORT_LIST or len(type_.results) > 1 or conv.overflow_params:
        overflow = conv.overflow_params or conv.overflow_results
        owner = environment_of(f, funcidx) if overflow else VM
        f.push_vals(type_.results, emit_call(f, conv, f"@f{funcidx}", VM, owner, args))
        return pos
    # The common case of the above, with the text that does not change made once.
    head = f.module.call_heads.get(funcidx)
    if head is None:
        head = f.module.call_heads[funcidx] = f"call {conv.ret_ir} @f{funcidx}(ptr {VM}"
    for ir, arg in zip(conv.param_ir, args, strict=True):
        head += f", {ir} {arg}"
    if type_.results:
        name = f.fresh()
        f.line(f"{name} = {head})")
        f.types.append(type_.results[0])
        f.vals.append(name)
    else:
        f.line(f"{head})")
    return pos


# -- calls through references --------------------------------------------------------------------


def code_and_env(f: FunctionEmitter, funcref: str) -> tuple[str, str]:
    code = f.op(f"load ptr, ptr {f.at(funcref, FUNCREF.offset['code'])}{TBAA_VM}")
    env = f.op(f"load ptr, ptr {f.at(funcref, FUNCREF.offset['env'])}{INVARIANT}")
    return code, env


def pop_indirect(f: FunctionEmitter, typeidx: int, tableidx: int) -> tuple[FuncType, str]:
    """Pop the index of `call_indirect`; give the FuncRef that is to be called."""
    info = f.module.info
    table = check_table(info, tableidx)
    if not heap_matches(table.element.heap, "func"):
        raise InvalidError(f"type mismatch: call_indirect through a table of {table.element}")
    type_ = func_type_at(info, typeidx)
    index = f.pop(table.addr)
    element = element_pointer(f, tableidx, index, TrapCode.UNDEFINED_ELEMENT)
    funcref = f.op(f"load ptr, ptr {element}{TBAA_TABLE}")
    if table.element.nullable:
        null = f.op(f"icmp eq ptr {funcref}, null")
        f.trap_if(null, TrapCode.UNINITIALIZED_ELEMENT)
    if not matches(table.element, ref_type(True, info.types[typeidx])):
        _check_type(f, funcref, typeidx)
    return type_, funcref


def _check_type(f: FunctionEmitter, funcref: str, typeidx: int) -> None:
    """Trap unless the function's type is the wanted one or, for an open type, a subtype of it.

    Types are compared by the addresses of their records; a subtype has the address in its display.
    """
    wanted = f.vm_pointer(f.module.layout.type_rtt(typeidx))
    found = f.op(f"load ptr, ptr {f.at(funcref, FUNCREF.offset['type'])}{INVARIANT}")
    type_ = f.module.info.types[typeidx]
    if not type_.final:
        found = _ancestor(f, found, type_)
    different = f.op(f"icmp ne ptr {found}, {wanted}")
    f.trap_if(different, TrapCode.INDIRECT_CALL_TYPE_MISMATCH)


def _ancestor(f: FunctionEmitter, rtt: str, type_: DefType) -> str:
    """The type's supertype at the depth of `type_`, or something else that does not equal it."""
    place = f.at(rtt, RTT.offset["display"] + 8 * type_.depth)
    if type_.depth >= 8:
        # Only the first eight places are always there.
        depth = f.op(f"load i32, ptr {f.at(rtt, RTT.offset['depth'])}{INVARIANT}")
        deep = f.op(f"icmp uge i32 {depth}, {type_.depth}")
        place = f.op(f"select i1 {deep}, ptr {place}, ptr {f.at(rtt, RTT.offset['display'])}")
    return f.op(f"load ptr, ptr {place}{INVARIANT}")


def read_call_indirect(f: FunctionEmitter, pos: int) -> tuple[int, int, int]:
    typeidx, pos = f.u32(pos)
    tableidx, pos = f.u32(pos)
    return typeidx, tableidx, pos


def _call_ref(f: FunctionEmitter, type_: FuncType, funcref: str) -> None:
    args = f.pop_vals(type_.params)
    code, env = code_and_env(f, funcref)
    f.push_vals(type_.results, emit_call(f, call_conv(type_), code, env, env, args))


def call_indirect(f: FunctionEmitter, pos: int, row: None) -> int:
    typeidx, tableidx, pos = read_call_indirect(f, pos)
    _call_ref(f, *pop_indirect(f, typeidx, tableidx))
    return pos


def pop_funcref(f: FunctionEmitter, typeidx: int) -> tuple[FuncType, str]:
    type_ = func_type_at(f.module.info, typeidx)
    found, funcref = f.pop_as(ref_type(True, f.module.info.types[typeidx]))
    if isinstance(found, RefType) and found.nullable:
        null = f.op(f"icmp eq ptr {funcref}, null")
        f.trap_if(null, TrapCode.NULL_FUNCTION_REFERENCE)
    return type_, funcref


def call_ref(f: FunctionEmitter, pos: int, row: None) -> int:
    typeidx, pos = f.u32(pos)
    _call_ref(f, *pop_funcref(f, typeidx))
    return pos
