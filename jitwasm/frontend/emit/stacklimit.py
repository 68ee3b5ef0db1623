"""A limit on the stack that calls use (`ImplementationLimits.stack_bytes`): each function, once its
frame is made, compares the stack pointer with the floor of the thread that is inside the store.

LLVM makes the frame before anything that reads the stack pointer, and needs no check of a function
that it inlines, but keeps it.
"""

from __future__ import annotations

from jitwasm.abi import ENV, STORE_STATE, THREAD_STATE
from jitwasm.frontend.emit.function import VM, FunctionEmitter
from jitwasm.ir import COLD, TBAA_VM
from jitwasm.trapcodes import TrapCode

__all__ = ["check_stack", "entry_branch"]

_READ = "i64 @llvm.read_register.i64(metadata"
"""Unlike `llvm.stacksave` it writes no memory, as far as LLVM knows: loops stay what they are."""
_PATH = (
    ("ptr", ENV.offset["store"]),
    ("ptr", STORE_STATE.offset["owner"]),
    ("i64", THREAD_STATE.offset["stack_floor"]),
)


def check_stack(f: FunctionEmitter) -> None:
    """Trap if the stack pointer is below the floor; at the start of a body."""
    lines, condition = _comparison(f)
    for line in lines:
        f.line(line)
    f.trap_if(condition, TrapCode.STACK_OVERFLOW)


def entry_branch(f: FunctionEmitter, label: str) -> list[str]:
    """The same where an entry block ends: it goes to the trap or to `label`."""
    lines, condition = _comparison(f)
    trap = f.trap_label(TrapCode.STACK_OVERFLOW)
    return [*lines, f"br i1 {condition}, label %{trap}, label %{label}{COLD}"]


def _comparison(f: FunctionEmitter) -> tuple[list[str], str]:
    """Instructions, and the i1 operand that tells whether the stack pointer is too low."""
    f.declare(f"declare {_READ})")
    lines, found = [], VM
    for number, (ir, offset) in enumerate(_PATH):
        lines.append(f"%sl.{number}.p = getelementptr i8, ptr {found}, i64 {offset}")
        found = f"%sl.{number}"
        lines.append(f"{found} = load {ir}, ptr {found}.p{TBAA_VM}")
    lines.append(f'%sl.sp = call {_READ} !{{!"rsp"}})')
    lines.append(f"%sl.low = icmp ult i64 %sl.sp, {found}")
    return lines, "%sl.low"
