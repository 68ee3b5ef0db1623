"""Entry thunks: exported functions as builtins (METH_FASTCALL), one thunk for each function type.

A thunk's `self` wraps a FuncRef, whose code and environment are read at each call, so one thunk
serves all functions of its type. It converts the arguments, enters the store, pushes an activation
and calls the code through `jw_enter`; when the call has ended, by returning or by a trap, it undoes
all that and converts the results. In the order of the code:

    arguments -> thread -> store -> overflow parameters -> activation -> call
    -> activation -> GIL and exception (jw_land) -> overflow results -> store -> results

Where references are among the parameters or results, all conversions happen inside the store: no
reference on its way may be collected. The last one out then lets the runtime objects collect.

The inline part is what an uncontended call needs; see jw_store_enter, jw_plan and jw_land for the
rest.
"""

from __future__ import annotations

from jitwasm.abi import ACTIVATION, OVERFLOW_SLOT, call_conv
from jitwasm.backend.conversions import FunctionText
from jitwasm.backend.cpython import INCREF_NONE, layout
from jitwasm.trapcodes import TrapCode
from jitwasm.types import FuncType, RefType

__all__ = ["THUNK", "thunk_ir"]

THUNK = "jw_thunk"
"""The symbol of a thunk in its object."""


def thunk_ir(
    type_: FuncType, release_gil: bool, thread_slot: int | None = None
) -> tuple[str, list[RefType]]:
    """The module that defines a thunk, and the reference types it refers to.

    Args:
        type_: parameters and results.
        release_gil: release the GIL around every call.
        thread_slot: see libc.thread_slot.
    """
    references = any(type_.is_ref for type_ in (*type_.params, *type_.results))
    f = FunctionText("leave" if references else "fail", thread_slot)
    f.allocas.append(f"  %act = alloca [{ACTIVATION.size} x i8], align 16")
    _read_self(f)
    f.line(f"%right = icmp eq i64 %count, {len(type_.params)}")
    f.line("br i1 %right, label %arguments, label %arity, !prof !0")
    f.label("arguments")
    f.line("%env = get %funcref FuncRef.env")
    if references:
        _enter_store(f)
        values = _arguments(f, type_)
    else:
        values = _arguments(f, type_)
        _enter_store(f)
    _push_activation(f, release_gil)
    results = _call(f, type_, values)
    if references:
        _return_references(f, type_, results)
    else:
        _leave_store(f)
        f.line(f"ret ptr {_object(f, type_, results)}")
    f.lines += _COLD
    return f.module(f"ptr @{THUNK}(ptr %self, ptr %args, i64 %count)"), f.references


def _arguments(f: FunctionText, type_: FuncType) -> list[str]:
    """Convert the arguments; returns an operand for each."""
    values = []
    for index, param in enumerate(type_.params):
        obj = f.op(f"load ptr, ptr {f.offset('%args', 8 * index)}")
        values.append(f.unbox(obj, param, "%self", index, "%env"))
    return values


def _read_self(f: FunctionText) -> None:
    if layout().wrapped:
        f.line("%self.p = getelementptr i8, ptr %self, i64 16")
        f.line("%funcref = load ptr, ptr %self.p")
    else:
        f.line("%funcref = call ptr @PyLong_AsVoidPtr(ptr %self)")


def _enter_store(f: FunctionText) -> None:
    f.load_thread("%ts.0")
    f.lines.append(
        f"""\
  %ts.new = icmp eq ptr %ts.0, null
  br i1 %ts.new, label %init, label %known, !prof !1
init:
  %ts.1 = call ptr @jw_thread_init()
  %ts.failed = icmp eq ptr %ts.1, null
  br i1 %ts.failed, label %fail, label %known
known:
  %ts = phi ptr [ %ts.0, %{_last_label(f)} ], [ %ts.1, %init ]
  %here = ptrtoint ptr %act to i64
  %limit = get %ts ThreadState.stack_limit
  %room = icmp ugt i64 %here, %limit
  br i1 %room, label %ready, label %no_stack, !prof !0
ready:
  %store = get %env Env.store
  %owner = get %store StoreState.owner
  %free = icmp eq ptr %owner, null
  br i1 %free, label %take, label %occupied, !prof !0
take:
  set %ts, %store StoreState.owner
  set 1, %store StoreState.depth
  br label %inside
occupied:
  %entered = call i32 @jw_store_enter(ptr %env, ptr %ts)
  %refused = icmp ne i32 %entered, 0
  br i1 %refused, label %fail, label %inside
inside:"""
    )


def _last_label(f: FunctionText) -> str:
    """The block being written."""
    lines = "\n".join(f.lines).split("\n")
    return next((line[:-1] for line in reversed(lines) if line and line[0] != " "), "entry")


def _push_activation(f: FunctionText, release_gil: bool) -> None:
    f.lines.append(
        """\
  %previous = get %ts ThreadState.top
  %code = get %funcref FuncRef.code
  %code.word = ptrtoint ptr %code to i64
  %env.word = ptrtoint ptr %env to i64
  set %previous, %act Activation.previous
  set 0, %act Activation.code
  set %env.word, %act Activation.address
  set null, %act Activation.tstate
  set 0, %act Activation.in_host
  set 0, %act Activation.want
  set %code.word, %act Activation.pc
  inc %ts ThreadState.sequence"""
    )
    # In this order: once the activation is there, no tick turns the timer off any more.
    f.lines.append(
        """\
  set %act, %ts ThreadState.top
  %armed = get %ts ThreadState.armed
  %off = icmp eq i64 %armed, 0
  br i1 %off, label %arm, label %go, !prof !1
arm:
  call void @jw_wake(ptr %ts)
  br label %go
go:"""
    )
    if release_gil:
        f.lines.append(
            """\
  %saved = call ptr @PyEval_SaveThread()
  set %saved, %act Activation.tstate"""
        )


def _call(f: FunctionText, type_: FuncType, values: list[str]) -> list[str]:
    """Call the code and undo the activation; returns an operand for each result."""
    conv = call_conv(type_)
    overflow = ""
    if conv.overflow_params or conv.overflow_results:
        overflow = f.op("load ptr, ptr %env")
    arguments = ["ptr nest %act", "ptr %env"]
    for loc, value in zip(conv.params, values, strict=True):
        if loc.slot is None:
            arguments.append(f"{loc.type.ir} {value}")
        else:
            slot = f.offset(overflow, OVERFLOW_SLOT * loc.slot)
            f.line(f"store {loc.type.ir} {value}, ptr {slot}")
    assign = "%result = " if conv.ret_types else ""
    f.line(f"{assign}call {conv.ret_ir} @jw_enter({', '.join(arguments)})")
    f.lines.append(
        """\
  set %previous, %ts ThreadState.top
  %why = get %act Activation.code
  %tstate = get %act Activation.tstate
  %tstate.word = ptrtoint ptr %tstate to i64
  %special = or i64 %why, %tstate.word
  %plain = icmp eq i64 %special, 0
  br i1 %plain, label %back, label %land, !prof !0
land:
  %raised = call i1 @jw_land(ptr %act)
  br label %back
back:
  %failed = phi i1 [ false, %PREDECESSOR ], [ %raised, %land ]""".replace(
            "PREDECESSOR", _last_label(f)
        )
    )
    results = []
    in_registers = 0
    for loc in conv.results:
        if loc.slot is not None:
            slot = f.offset(overflow, OVERFLOW_SLOT * loc.slot)
            results.append(f.op(f"load {loc.type.ir}, ptr {slot}"))
        elif len(conv.ret_types) == 1:
            results.append("%result")
        else:
            results.append(f.op(f"extractvalue {conv.ret_ir} %result, {in_registers}"))
            in_registers += 1
    return results


def _leave_store(f: FunctionText) -> None:
    # The store anew: it may have been merged into another one meanwhile.
    f.lines.append(
        """\
  %store.now = get %env Env.store
  %depth = get %store.now StoreState.depth
  %waiters = get %store.now StoreState.waiters
  %last = icmp eq i64 %depth, 1
  %quiet = icmp eq i64 %waiters, 0
  %simple = and i1 %last, %quiet
  br i1 %simple, label %give, label %nested, !prof !0
give:
  set 0, %store.now StoreState.depth
  set null, %store.now StoreState.owner
  br label %left
nested:
  call void @jw_store_leave(ptr %env)
  br label %left
left:
  br i1 %failed, label %fail, label %convert, !prof !1
convert:"""
    )


def _object(f: FunctionText, type_: FuncType, results: list[str]) -> str:
    """The operand of what the builtin returns; may be null, with an exception set."""
    if not results:
        f.lines.append(INCREF_NONE.rstrip())
        return "@_Py_NoneStruct"
    if len(results) == 1:
        return f.box(results[0], type_.results[0])
    return f.tuple_of(results, type_.results)


def _return_references(f: FunctionText, type_: FuncType, results: list[str]) -> None:
    f.line("br i1 %failed, label %leave, label %convert, !prof !1")
    f.label("convert")
    value = _object(f, type_, results)
    f.lines.append(
        f"""\
  %unconverted = icmp eq ptr {value}, null
  br i1 %unconverted, label %leave, label %finish, !prof !1
finish:
  %disturbed = call i1 @jw_store_leave_idle(ptr %env)
  br i1 %disturbed, label %discard, label %return, !prof !1
return:
  ret ptr {value}
discard:
  call void @jw_drop(ptr {value})
  br label %fail
leave:
  call void @jw_store_leave(ptr %env)
  br label %fail"""
    )


_COLD = [
    """\
arity:
  call void @jw_arity(ptr %self, i64 %count)
  br label %fail
no_stack:
  call void @jw_set_trap(i64 STACK_OVERFLOW)
  br label %fail
fail:
  ret ptr null""".replace("STACK_OVERFLOW", str(int(TrapCode.STACK_OVERFLOW)))
]
