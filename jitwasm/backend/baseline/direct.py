"""The loop over a body's instructions for where this package is machine code: the frequent
handlers are called as the C functions that they are then, instead of as objects with arguments
packed into objects, which takes as long as what they do."""

from __future__ import annotations

from types import FunctionType

from jitwasm.backend.baseline import calls, control, integers, memory, variables
from jitwasm.backend.baseline.allocator import Unsupported
from jitwasm.backend.baseline.function import FunctionCompiler, Handler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

__all__ = ["COMPILED", "kinds_of", "run_direct"]

_OTHER: Final = 0
_LOCAL_GET: Final = 1
_INT_CONST: Final = 2
_BINARY: Final = 3
_COMPARE: Final = 4
_LOAD: Final = 5
_STORE: Final = 6
_LOCAL_SET: Final = 7
_LOCAL_TEE: Final = 8
_END: Final = 9
_BR_IF: Final = 10
_CALL: Final = 11
_BLOCK: Final = 12
_EQZ: Final = 13
_SHIFT: Final = 14
_BR: Final = 15
_IF: Final = 16

_KINDS: Final[dict[Any, int]] = {
    variables.local_get: _LOCAL_GET,
    variables.int_const: _INT_CONST,
    integers.binary: _BINARY,
    integers.compare: _COMPARE,
    memory.load: _LOAD,
    memory.store: _STORE,
    variables.local_set: _LOCAL_SET,
    variables.local_tee: _LOCAL_TEE,
    control.end: _END,
    control.br_if: _BR_IF,
    calls.call: _CALL,
    control.block: _BLOCK,
    integers.eqz: _EQZ,
    integers.shift: _SHIFT,
    control.br: _BR,
    control.if_: _IF,
}


def kinds_of(entries: tuple[Handler, ...]) -> bytes:
    """How `run_direct` calls the handler of each first byte."""
    return bytes([_KINDS.get(handler, _OTHER) for handler, _ in entries])


def run_direct(f: FunctionCompiler, pos: int, max_height: int, max_bytes: int) -> None:
    """Compile instruction by instruction, within bounds on the operand stack and the code."""
    entries, kinds = f.program.entries, f.program.kinds
    code, stack, frames, out = f.code, f.stack, f.frames, f.out
    while frames:
        opcode = code[pos]
        kind = kinds[opcode]
        pos += 1
        if kind == _LOCAL_GET:
            pos = variables.local_get(f, pos, None)
        elif kind != _OTHER:
            row = entries[opcode][1]
            pos = _frequent(f, pos, kind, row)
        else:
            handler, row = entries[opcode]
            pos = handler(f, pos, row)
        if len(stack) > max_height or len(out) > max_bytes:
            raise Unsupported("a stack too tall or code too long")


def _frequent(f: FunctionCompiler, pos: int, kind: int, row: Any) -> int:
    if kind == _INT_CONST:
        return variables.int_const(f, pos, row)
    if kind == _BINARY:
        return integers.binary(f, pos, row)
    if kind == _LOAD:
        return memory.load(f, pos, row)
    if kind == _STORE:
        return memory.store(f, pos, row)
    if kind == _COMPARE:
        return integers.compare(f, pos, row)
    if kind == _LOCAL_SET:
        return variables.local_set(f, pos, None)
    if kind == _LOCAL_TEE:
        return variables.local_tee(f, pos, None)
    if kind == _END:
        return control.end(f, pos, None)
    if kind == _BR_IF:
        return control.br_if(f, pos, None)
    if kind == _CALL:
        return calls.call(f, pos, None)
    return _less_frequent(f, pos, kind, row)


def _less_frequent(f: FunctionCompiler, pos: int, kind: int, row: Any) -> int:
    if kind == _BLOCK:
        return control.block(f, pos, None)
    if kind == _EQZ:
        return integers.eqz(f, pos, row)
    if kind == _SHIFT:
        return integers.shift(f, pos, row)
    if kind == _BR:
        return control.br(f, pos, None)
    return control.if_(f, pos, None)


COMPILED: Final = not isinstance(run_direct, FunctionType)
"""Whether this module is machine code."""
