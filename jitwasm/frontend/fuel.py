"""What running a body costs, in units of fuel, and where it is charged.

One unit is one instruction; `block`, `loop`, `else`, `end` and `nop` are free, entering a function
costs one more. A stretch of instructions that are only ever executed together is paid for as a
whole before its first one: stretches begin at the start of a body, of a loop and of each branch of
an `if`, and behind every `end` and branch. So what an execution has cost depends on
nothing but the path it took, at whatever tier.

Instructions that work on a range (memory.fill, table.copy, …) cost one more for each 64 bytes
(table elements: 8 bytes each); they are charged when they run, before they check the range.
"""

from __future__ import annotations

from jitwasm.errors import CompileError
from jitwasm.frontend.emit.prescan import skip_instruction
from jitwasm.frontend.immediates import ImmediateReader
from jitwasm.frontend.instruction import PREFIX_SHIFT
from jitwasm.frontend.leb128 import read_unsigned
from jitwasm.frontend.opcodes import OPCODES

__all__ = ["BULK_SHIFTS", "bulk_shift", "charges"]

_BY_NAME = {op.mnemonic: op.code for op in OPCODES}
_FREE = {_BY_NAME[name] for name in ("block", "loop", "else", "end", "nop")}
_STRETCH_ENDS = {
    _BY_NAME[name]
    for name in (
        *("loop", "if", "else", "end", "br_if", "br_on_null", "br_on_non_null"),
        *("br", "br_table", "return", "unreachable"),
        *("return_call", "return_call_indirect", "return_call_ref"),
    )
}

BULK_SHIFTS: dict[int, int] = {
    **{_BY_NAME[name]: 6 for name in ("memory.init", "memory.copy", "memory.fill")},
    **{_BY_NAME[name]: 3 for name in ("table.init", "table.copy", "table.fill", "table.grow")},
}
"""By code: how far the last operand is shifted to the right to give the units it costs."""
_BULK_PREFIX = 0xFC


def charges(code: bytes, pos: int, immediates: ImmediateReader) -> dict[int, int]:
    """The units to charge before the instructions at some positions of a body.

    Args:
        code: the body. If it is malformed from some place on, the result ends there.
        pos: of its first instruction.
        immediates: reads immediates.
    """
    found: dict[int, int] = {}
    start, cost, end = pos, 1, len(code)
    try:
        while pos < end:
            opcode = code[pos]
            pos = skip_instruction(code, pos, immediates)
            cost += opcode not in _FREE
            if opcode in _STRETCH_ENDS:
                if cost:
                    found[start] = cost
                start, cost = pos, 0
    except (CompileError, IndexError):
        return found
    if cost and start < end:
        found[start] = cost
    return found


def bulk_shift(code: bytes, pos: int) -> int | None:
    """The entry of `BULK_SHIFTS` of the instruction at a position of a body, if there is one."""
    if code[pos] != _BULK_PREFIX:
        return None
    sub, _ = read_unsigned(code, pos + 1, len(code), 32, 0)
    return BULK_SHIFTS.get(_BULK_PREFIX << PREFIX_SHIFT | sub)
