"""Fuel: code that takes what instructions cost from a cell of vmctx before they run.

What they cost is given as plain data: units by position in the body, and for instructions on
ranges how far the last operand, a length, is to be shifted to the right.
"""

from __future__ import annotations

from collections.abc import Callable

from jitwasm.backend.baseline.allocator import Unsupported
from jitwasm.backend.baseline.assembler import INSTRUCTIONS, VMCTX, Condition, imm32
from jitwasm.backend.baseline.function import FunctionCompiler
from jitwasm.trapcodes import TrapCode

__all__ = ["Meter", "run_metered"]

_NEG = INSTRUCTIONS["neg64"].rr
_SHR = INSTRUCTIONS["shr64i"].rr
_ADD = INSTRUCTIONS["add64"].rb
_SUB = INSTRUCTIONS["sub64i"].rb
_STORE = INSTRUCTIONS["store64"].rb
_MOST = (1 << 31) - 1


class Meter:
    """How bodies are charged.

    Attributes:
        charges: the units by position, given a body and the position of its first instruction.
        bulk_shift: the shift for the instruction at a position of a body, or None.
    """

    __slots__ = (
        "bulk_shift",
        "charges",
    )

    def __init__(
        self,
        charges: Callable[[bytes, int], dict[int, int]],
        bulk_shift: Callable[[bytes, int], int | None],
    ) -> None:
        self.charges = charges
        self.bulk_shift = bulk_shift


def run_metered(
    f: FunctionCompiler,
    pos: int,
    meter: Meter,
    positions: list[tuple[int, int]] | None,
    max_height: int,
    max_bytes: int,
) -> None:
    """Compile instruction by instruction, charging for them.

    Args:
        positions: if given, filled with (offset in the code, position in the body).
        max_height, max_bytes: bounds on the operand stack and the code.
    """
    costs = meter.charges(f.code, pos)
    entries = f.program.entries
    while f.frames:
        if positions is not None:
            positions.append((len(f.out), pos))
        cost = costs.get(pos)
        if cost is not None:
            _charge(f, cost)
        shift = meter.bulk_shift(f.code, pos)
        if shift is not None:
            _charge_length(f, shift)
        handler, row = entries[f.code[pos]]
        pos = handler(f, pos + 1, row)
        if len(f.stack) > max_height or len(f.out) > max_bytes:
            raise Unsupported("a stack too tall or code too long")


def _charge(f: FunctionCompiler, cost: int) -> None:
    assert cost <= _MOST, "a body has fewer instructions"
    f.out += _SUB[(f.program.layout.fuel << 4 | VMCTX) << 4] + imm32(cost)
    f.trap_if(Condition.S, TrapCode.OUT_OF_FUEL)


def _charge_length(f: FunctionCompiler, shift: int) -> None:
    """Charge for the length on top of the stack, which stays there."""
    reg = f.tmp()
    f.load(reg, f.stack[-1])  # of an i32, with zeros above
    cell = (f.program.layout.fuel << 4 | VMCTX) << 4 | reg
    f.out += _SHR[reg] + bytes([shift]) + _NEG[reg] + _ADD[cell] + _STORE[cell]
    f.drop(reg)
    f.trap_if(Condition.S, TrapCode.OUT_OF_FUEL)
