"""Traps: from where they happen to a Python exception at the entry.

In native code (IR): `jw_raise` notes the registers and a copy of the stack, then jumps to the
innermost activation; the entry thunk calls `jw_land`, which takes the GIL back if it was released
and sets the exception. Control never passes over a frame of Python's: each entry has an activation
of its own, and only the innermost is ever jumped to.

In Python: `make_trap` makes the exception. Its frames are found when somebody asks for them, by
unwinding the copy of the stack (unwind.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial

from jitwasm.abi import ACTIVATION, THREAD_STATE
from jitwasm.backend.entry import REGISTERS
from jitwasm.backend.irtext import constant_bytes
from jitwasm.backend.loader import ImageMap
from jitwasm.backend.threads import TRAP_STACK
from jitwasm.backend.unwind import unwind
from jitwasm.errors import Frame, StackOverflow, Trap
from jitwasm.trapcodes import TrapCode

__all__ = ["find_frames", "ir", "make_trap"]

MAX_FRAMES = 100
"""Innermost frames a trap tells of: nobody reads more, and a recursion has thousands."""

_REGISTERS = struct.Struct("<8Q")


def make_trap(
    maps: Callable[[], Sequence[ImageMap]], code: int, registers: bytes, stack: bytes
) -> Trap:
    """The exception for a trap, from what native code noted (called by `jw_land`)."""
    kind = StackOverflow if code == TrapCode.STACK_OVERFLOW else Trap
    return kind(TrapCode(code), None, partial(find_frames, maps(), registers, stack))


def find_frames(maps: Sequence[ImageMap], registers: bytes, stack: bytes) -> list[Frame]:
    """The wasm functions that were active, innermost first."""
    start = dict(zip(REGISTERS, _REGISTERS.unpack(registers), strict=True))
    frames: list[Frame] = []
    for image, pc in unwind(maps, start, stack):
        found = image.function_at(pc)
        info = image.describe(found[0]) if found else None
        if found and info:
            frames.append(Frame(info.funcidx, info.name, info.module, pc - found[1]))
            if len(frames) == MAX_FRAMES:
                break
    return frames


def ir() -> str:
    """Definitions of jw_raise, jw_raise_pending, jw_save_stack, jw_set_trap and jw_land."""
    rsp, pc = 8 * REGISTERS.index("rsp"), 8 * REGISTERS.index("rip")
    saved_rsp = ACTIVATION.offset["registers"] + rsp
    return f"""
@jw_hook_make_trap = global ptr null
{constant_bytes("jw_trap_format", b"KNN")}
declare void @jw_trap(i32) noreturn
declare void @jw_jump(ptr) noreturn

define void @jw_raise(i64 %code, ptr %registers) noreturn {{
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  set %code, %act Activation.code
  %pc.p = getelementptr i8, ptr %registers, i64 {pc}
  %pc = load i64, ptr %pc.p
  set %pc, %act Activation.pc
  call void @jw_save_stack(ptr %ts, ptr %act, ptr %registers)
  call void @jw_jump(ptr %act)
  unreachable
}}

; A Python exception is set: back to the entry, which returns it.
define void @jw_raise_pending() noreturn {{
  %ts = call ptr @jw_thread()
  %act = get %ts ThreadState.top
  set -1, %act Activation.code
  call void @jw_jump(ptr %act)
  unreachable
}}

; For the backtrace: the registers, and the stack from there to the entry.
define void @jw_save_stack(ptr %ts, ptr %act, ptr %registers) {{
entry:
  %kept = getelementptr i8, ptr %ts, i64 {THREAD_STATE.offset["trap_registers"]}
  call void @llvm.memcpy.p0.p0.i64(ptr %kept, ptr %registers, i64 64, i1 false)
  %sp.p = getelementptr i8, ptr %registers, i64 {rsp}
  %sp = load i64, ptr %sp.p
  %end.p = getelementptr i8, ptr %act, i64 {saved_rsp}
  %end = load i64, ptr %end.p
  %size = sub i64 %end, %sp
  %sane = icmp ult i64 %size, 1099511627776
  %large = icmp ugt i64 %size, {TRAP_STACK}
  %bounded = select i1 %large, i64 {TRAP_STACK}, i64 %size
  %kept.size = select i1 %sane, i64 %bounded, i64 0
  set %kept.size, %ts ThreadState.trap_stack_size
  %copy = get %ts ThreadState.trap_stack
  %from = inttoptr i64 %sp to ptr
  call void @llvm.memcpy.p0.p0.i64(ptr %copy, ptr %from, i64 %kept.size, i1 false)
  ret void
}}

; Set the exception of a trap, with the backtrace last noted.
define void @jw_set_trap(i64 %code) {{
  %ts = call ptr @jw_thread()
  %registers = getelementptr i8, ptr %ts, i64 {THREAD_STATE.offset["trap_registers"]}
  %stack = get %ts ThreadState.trap_stack
  %size = get %ts ThreadState.trap_stack_size
  set 0, %ts ThreadState.trap_stack_size
  %registers.o = call ptr @PyBytes_FromStringAndSize(ptr %registers, i64 64)
  %stack.o = call ptr @PyBytes_FromStringAndSize(ptr %stack, i64 %size)
  %hook = load ptr, ptr @jw_hook_make_trap
  %trap = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_trap_format, i64 %code, ptr %registers.o, ptr %stack.o)
  call void @jw_set_exception(ptr %trap)
  ret void
}}
declare void @jw_set_exception(ptr)

; After wasm code ended otherwise than by returning with the GIL held: take the GIL back, and
; tell whether there is an exception to return.
define i1 @jw_land(ptr %act) {{
entry:
  %tstate = get %act Activation.tstate
  %held = icmp eq ptr %tstate, null
  br i1 %held, label %have, label %take
take:
  call void @PyEval_RestoreThread(ptr %tstate)
  br label %have
have:
  %code = get %act Activation.code
  switch i64 %code, label %trap [
    i64 0, label %returned
    i64 -1, label %raised
  ]
trap:
  call void @jw_set_trap(i64 %code)
  br label %raised
raised:
  ret i1 true
returned:
  ret i1 false
}}
"""
