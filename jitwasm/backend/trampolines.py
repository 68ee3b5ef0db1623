"""Trampolines: how wasm code calls Python functions and C functions (IR).

A host function's code takes its HostEnv as first argument, like any wasm function its vmctx. There
are two ways to call a Python function, which nobody can tell apart but by speed:

* the base: `jw_host_base` puts the argument registers on the stack and calls one ctypes callback
  that serves every host function (host.py). Nothing needs to be compiled for it. ctypes would
  swallow an exception, so the callback parks it, and native code sets it again;
* the fast path, one trampoline for each function type: it makes the objects itself and calls
  `PyObject_Vectorcall`.

Both check the stack, take the GIL back if the call had released it, and mark the activation
`in_host`. Both raise by jumping to the entry: nothing but compiled wasm code is in between.
"""

from __future__ import annotations

from jitwasm.abi import OVERFLOW_SLOT, CallConv, call_conv
from jitwasm.backend.conversions import DECLARATIONS as CONVERSIONS
from jitwasm.backend.conversions import FunctionText, reference_symbol
from jitwasm.backend.cpython import DECLARATIONS, VECTORCALL
from jitwasm.backend.entry import HOST_FRAME
from jitwasm.backend.irtext import constant_bytes, expand
from jitwasm.backend.thunks import WEIGHTS
from jitwasm.trapcodes import TrapCode
from jitwasm.types import FuncType, RefType

__all__ = ["PENDING", "RAISED", "RETURNED", "TRAMPOLINE", "c_thunk_ir", "ir", "trampoline_ir"]

TRAMPOLINE = "jw_trampoline"
"""The symbol of a trampoline, or of a C function's thunk, in its object."""

PENDING, RETURNED, RAISED = 0, 1, 2
"""What the ctypes callback writes to the frame's `status`; PENDING means ctypes swallowed what
was raised outside of the callback's `try`, which can only be an interruption."""

_ARGUMENTS_OFFSET = -(1 << 63)  # PY_VECTORCALL_ARGUMENTS_OFFSET

_RUNTIME = f"""\
@jw_key = external dso_local global i32
declare ptr @pthread_getspecific(i32)
declare ptr @{VECTORCALL}(ptr, ptr, i64, ptr)
declare void @jw_reacquire(ptr, ptr)
declare void @jw_back_to_wasm()
declare void @jw_raise_pending() noreturn cold
declare void @jw_trap(i32) noreturn cold
declare ptr @jw_result_tuple(ptr, ptr, i64)
"""


def ir() -> str:
    """Definitions of jw_host_dispatch and jw_result_tuple."""
    status, error = HOST_FRAME["status"], HOST_FRAME["error"]
    return f"""
@jw_host_callback = global ptr null
@jw_hook_results = global ptr null
{constant_bytes("jw_results_format", b"OOL")}
@PyExc_KeyboardInterrupt = external global ptr
@PyTuple_Type = external global i8
declare ptr @PyObject_GetIter(ptr)
declare ptr @PyException_GetTraceback(ptr)
declare void @jw_set_exception(ptr)

; jw_host_base: the frame holds the environment and the argument registers.
define void @jw_host_dispatch(ptr %frame) {{
entry:
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  %sp = ptrtoint ptr %frame to i64
  %limit = get %ts ThreadState.stack_limit
  %room = icmp ugt i64 %sp, %limit
  br i1 %room, label %call, label %no_stack
no_stack:
  call void @jw_trap(i32 {int(TrapCode.STACK_OVERFLOW)})
  unreachable
call:
  set 1, %act Activation.in_host
  call void @jw_reacquire(ptr %ts, ptr %act)
  %status.p = getelementptr i8, ptr %frame, i64 {status}
  store i64 {PENDING}, ptr %status.p
  %callback = load ptr, ptr @jw_host_callback
  call void %callback(ptr %frame)
  %status = load i64, ptr %status.p
  switch i64 %status, label %interrupted [
    i64 {RETURNED}, label %returned
    i64 {RAISED}, label %raised
  ]
interrupted:
  %class = load ptr, ptr @PyExc_KeyboardInterrupt
  call void @PyErr_SetNone(ptr %class)
  call void @jw_raise_pending()
  unreachable
raised:
  %error.p = getelementptr i8, ptr %frame, i64 {error}
  %error = load ptr, ptr %error.p
  %type.p = getelementptr i8, ptr %error, i64 8
  %type = load ptr, ptr %type.p
  call void @Py_IncRef(ptr %type)
  %traceback = call ptr @PyException_GetTraceback(ptr %error)
  call void @PyErr_Restore(ptr %type, ptr %error, ptr %traceback)
  call void @jw_raise_pending()
  unreachable
returned:
  set 0, %act Activation.in_host
  %want = get %act Activation.want
  %wanted = icmp ne i32 %want, 0
  br i1 %wanted, label %serve, label %done
serve:
  call void @jw_back_to_wasm()
  br label %done
done:
  ret void
}}

; What a host function with several results returned, as a tuple of that length, or null.
define ptr @jw_result_tuple(ptr %target, ptr %obj, i64 %count) {{
entry:
  %type.p = getelementptr i8, ptr %obj, i64 8
  %type = load ptr, ptr %type.p
  %exact = icmp eq ptr %type, @PyTuple_Type
  br i1 %exact, label %own, label %iterate
own:
  call void @Py_IncRef(ptr %obj)
  br label %have
iterate:
  %iterator = call ptr @PyObject_GetIter(ptr %obj)
  %no_iterable = icmp eq ptr %iterator, null
  br i1 %no_iterable, label %clear, label %collect
clear:
  call void @PyErr_Clear()
  br label %refuse
collect:
  %collected = call ptr @PySequence_Tuple(ptr %iterator)
  call void @Py_DecRef(ptr %iterator)
  %failed = icmp eq ptr %collected, null
  br i1 %failed, label %out, label %have
have:
  %tuple = phi ptr [ %obj, %own ], [ %collected, %collect ]
  %size = call i64 @PyTuple_Size(ptr %tuple)
  %right = icmp eq i64 %size, %count
  br i1 %right, label %good, label %wrong
good:
  ret ptr %tuple
wrong:
  call void @Py_DecRef(ptr %tuple)
  br label %refuse
refuse:
  %hook = load ptr, ptr @jw_hook_results
  %exception = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_results_format, ptr %target, ptr %obj, i64 %count)
  call void @jw_set_exception(ptr %exception)
  br label %out
out:
  ret ptr null
}}
"""


def trampoline_ir(type_: FuncType) -> tuple[str, list[RefType]]:
    """The module that defines the fast path of a function type, and the reference types in it."""
    f = FunctionText(fail="failed")
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
    return expand(_module(f, conv)), f.references


def _module(f: FunctionText, conv: CallConv) -> str:
    params = ", ".join(["ptr %env", *(f"{t} %p{i}" for i, t in enumerate(conv.param_ir))])
    return "\n".join(
        [
            DECLARATIONS,
            CONVERSIONS,
            _RUNTIME,
            *(f"@{reference_symbol(i)} = external global i8" for i in range(len(f.references))),
            f"define {conv.ret_ir} @{TRAMPOLINE}({params}) {{",
            "entry:",
            *f.allocas,
            *f.lines,
            "}",
            WEIGHTS,
        ]
    )


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
    f.lines.append(
        """\
  %key = load i32, ptr @jw_key
  %ts = call ptr @pthread_getspecific(i32 %key)
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
        f"%outcome = call ptr @{VECTORCALL}(ptr %target, ptr {first}, i64 {flags}, ptr null)"
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


def c_thunk_ir(type_: FuncType) -> str:
    """The module that defines the way to a C function with parameters in the overflow area.

    It calls `jw_c_call`'s like, but with the C convention's stack arguments, which need LLVM.
    """
    conv = call_conv(type_)
    f = FunctionText(fail="")
    values = _read_arguments(f, conv)
    _prepare(f, 0)
    arguments = ", ".join(f"{t.ir} {v}" for t, v in zip(type_.params, values, strict=True))
    assign = "%result = " if conv.ret_types else ""
    f.line(f"{assign}call {conv.ret_ir} %target({arguments})")
    _return(f, conv, ["%result"] if conv.ret_types else [])
    f.lines.append(
        f"""\
no_stack:
  call void @jw_trap(i32 {int(TrapCode.STACK_OVERFLOW)})
  unreachable"""
    )
    return expand(_module(f, conv))
