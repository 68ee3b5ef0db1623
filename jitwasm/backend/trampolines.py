"""Trampolines: how wasm code calls Python functions and C functions (IR).

A host function's code takes its HostEnv as first argument, like any wasm function its vmctx. There
are three ways to call a Python function, which nobody can tell apart but by speed:

* the generic one (runtime/calls.ll): `jw_host_call` puts the argument registers on the stack and
  converts them by the Signature of the function type. Nothing needs to be compiled for it;
* through a ctypes callback, with conversions in Python (host.py): `jw_host_ctypes`;
* the fast path, one trampoline for each function type, emitted here.

All check the stack, take the GIL back if the call had released it, and mark the activation
`in_host`. All raise by jumping to the entry: nothing but compiled wasm code is in between.
"""

from __future__ import annotations

from jitwasm.abi import OVERFLOW_SLOT, CallConv, call_conv
from jitwasm.backend.conversions import FunctionText
from jitwasm.trapcodes import TrapCode
from jitwasm.types import FuncType, RefType

__all__ = ["TRAMPOLINE", "trampoline_ir"]

TRAMPOLINE = "jw_trampoline"
"""The symbol of a trampoline in its object."""

_ARGUMENTS_OFFSET = -(1 << 63)  # PY_VECTORCALL_ARGUMENTS_OFFSET


def trampoline_ir(type_: FuncType, thread_slot: int | None = None) -> tuple[str, list[RefType]]:
    """The module that defines the fast path of a function type, and the reference types in it."""
    f = FunctionText("failed", thread_slot)
    conv = call_conv(type_)
    arguments = _read_arguments(f, conv)
    _prepare(f, len(arguments))
    _call_target(f, [f.box(value, t) for value, t in zip(arguments, type_.params, strict=True)])
    results = _unbox_results(f, type_)
    _return(f, conv, results)
    f.lines.append(
        f"""\
no_stack:
  call void @jw_trap(i32 {int(TrapCode.STACK_OVERFLOW)})
  unreachable
failed:
  call void @jw_drop(ptr %outcome)
  br label %raise
raise:
  call void @jw_raise_pending()
  unreachable"""
    )
    return f.module(_prototype(conv)), f.references


def _prototype(conv: CallConv) -> str:
    params = ", ".join(["ptr %env", *(f"{t} %p{i}" for i, t in enumerate(conv.param_ir))])
    return f"{conv.ret_ir} @{TRAMPOLINE}({params})"


def _read_arguments(f: FunctionText, conv: CallConv) -> list[str]:
    """An operand for each parameter; those in the overflow area must be read first of all."""
    overflow = f.op("load ptr, ptr %env") if conv.overflow_params else ""
    operands, register = [], 0
    for loc in conv.params:
        if loc.slot is None:
            operands.append(f"%p{register}")
            register += 1
        else:
            slot = f.offset(overflow, OVERFLOW_SLOT * loc.slot)
            operands.append(f.op(f"load {loc.type.ir}, ptr {slot}"))
    return operands


def _prepare(f: FunctionText, count: int) -> None:
    """Stack, GIL, activation. `%array` has room for `count` arguments and one word before."""
    f.allocas.append(f"  %array = alloca [{count + 1} x ptr], align 16")
    f.load_thread("%ts")
    f.lines.append(
        """\
  %here = ptrtoint ptr %array to i64
  %limit = get %ts ThreadState.stack_limit
  %room = icmp ugt i64 %here, %limit
  br i1 %room, label %ready, label %no_stack, !prof !0
ready:
  %act = get %ts ThreadState.top
  set 1, %act Activation.in_host
  %tstate = get %act Activation.tstate
  %held = icmp eq ptr %tstate, null
  br i1 %held, label %have, label %reacquire, !prof !0
reacquire:
  call void @jw_reacquire(ptr %ts, ptr %act)
  br label %have
have:
  %target = get %env HostEnv.target"""
    )


def _call_target(f: FunctionText, objects: list[str]) -> None:
    """Call the function with these new objects; `%outcome` is what it returned."""
    some = "%target"
    for index, obj in enumerate(objects):
        f.line(f"store ptr {obj}, ptr {f.offset('%array', 8 * index + 8)}")
        missing = f.op(f"icmp eq ptr {obj}, null")
        some = f.op(f"select i1 {missing}, ptr null, ptr {some}")
    if objects:
        f.line(f"%missing = icmp eq ptr {some}, null")
        f.line("br i1 %missing, label %drop, label %call, !prof !1")
        f.label("drop")
        for obj in objects:
            f.line(f"call void @jw_drop(ptr {obj})")
        f.line("br label %raise")
        f.label("call")
    first = f.offset("%array", 8)
    flags = _ARGUMENTS_OFFSET + len(objects)
    f.line(
        f"%outcome = call ptr @PyObject_Vectorcall(ptr %target, ptr {first}, i64 {flags}, ptr null)"
    )
    for obj in objects:
        f.line(f"call void @Py_DecRef(ptr {obj})")
    f.line("%raised = icmp eq ptr %outcome, null")
    f.line("br i1 %raised, label %raise, label %outcome.ok, !prof !1")
    f.label("outcome.ok")


def _unbox_results(f: FunctionText, type_: FuncType) -> list[str]:
    """Convert `%outcome`, and drop it; returns an operand for each result."""
    count = len(type_.results)
    if count <= 1:
        results = [f.unbox("%outcome", t, "%target", -1, "%env") for t in type_.results]
        f.line("call void @Py_DecRef(ptr %outcome)")
        return results
    f.line(f"%tuple = call ptr @jw_result_tuple(ptr %target, ptr %outcome, i64 {count})")
    f.line("%wrong = icmp eq ptr %tuple, null")
    f.line("br i1 %wrong, label %failed, label %tuple.ok, !prof !1")
    f.label("tuple.ok")
    # The items live as long as the tuple; where converting fails it is dropped on the way.
    f.fail = "tuple.failed"
    results = []
    for index, result in enumerate(type_.results):
        item = f.op(f"call ptr @PyTuple_GetItem(ptr %tuple, i64 {index})")
        results.append(f.unbox(item, result, "%target", -1 - index, "%env"))
    f.line("call void @Py_DecRef(ptr %tuple)")
    f.line("call void @Py_DecRef(ptr %outcome)")
    f.line("br label %converted")
    f.label("tuple.failed")
    f.line("call void @Py_DecRef(ptr %tuple)")
    f.line("br label %failed")
    f.label("converted")
    return results


def _return(f: FunctionText, conv: CallConv, results: list[str]) -> None:
    f.lines.append(
        """\
  set 0, %act Activation.in_host
  %want = get %act Activation.want
  %calm = icmp eq i32 %want, 0
  br i1 %calm, label %return, label %serve, !prof !0
serve:
  call void @jw_back_to_wasm()
  br label %return
return:"""
    )
    _return_values(f, conv, results)


def _return_values(f: FunctionText, conv: CallConv, results: list[str]) -> None:
    overflow = f.op("load ptr, ptr %env") if conv.overflow_results else ""
    registers = []
    for loc, value in zip(conv.results, results, strict=True):
        if loc.slot is None:
            registers.append(f"{loc.type.ir} {value}")
        else:
            slot = f.offset(overflow, OVERFLOW_SLOT * loc.slot)
            f.line(f"store {loc.type.ir} {value}, ptr {slot}")
    if not registers:
        f.line("ret void")
    elif len(registers) == 1:
        f.line(f"ret {registers[0]}")
    else:
        whole = "poison"
        for index, value in enumerate(registers):
            whole = f.op(f"insertvalue {conv.ret_ir} {whole}, {value}, {index}")
        f.line(f"ret {conv.ret_ir} {whole}")
