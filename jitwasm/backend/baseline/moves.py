"""Parallel moves: operands to the registers where a call or return wants them."""

from __future__ import annotations

from jitwasm.backend.baseline.allocator import Allocator
from jitwasm.backend.baseline.assembler import INSTRUCTIONS
from jitwasm.backend.baseline.operands import KIND, PAYLOAD, REG, XMM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["move_arguments", "parallel_move"]

_MOV: Final = INSTRUCTIONS["mov64"].rr
_XCHG: Final = INSTRUCTIONS["xchg64"].rr


def parallel_move(f: Allocator, ints: list[tuple[int, int]], floats: list[tuple[int, int]]) -> None:
    """Load each operand into its register, as if all at once; (register, operand) pairs.

    What is in registers of the same set goes first, the rest cannot be overwritten any more.
    """
    for wanted, kind in ((ints, REG), (floats, XMM)):
        pending: dict[int, int] = {}
        rest: list[tuple[int, int]] = []
        for pair in wanted:
            reg, operand = pair
            if operand & KIND == kind:
                if operand >> PAYLOAD != reg:
                    pending[reg] = operand >> PAYLOAD
            else:
                rest.append(pair)
        if pending:
            _permute(f, pending, kind == REG)
        for reg, operand in rest:
            if kind == REG:
                f.load(reg, operand)
            else:
                f.xload(reg, operand)


def move_arguments(f: Allocator, operands: list[int], targets: tuple[int, ...]) -> None:
    """The same for a call: `targets` as in `CallPlan`."""
    pending: dict[int, int] | None = None
    xpending: dict[int, int] | None = None
    rest = False
    for i in range(len(operands)):
        operand, target = operands[i], targets[i]
        kind = operand & KIND
        if target < 0:
            continue
        if kind == REG:
            if operand >> PAYLOAD != target:
                if pending is None:
                    pending = {}
                pending[target] = operand >> PAYLOAD
        elif kind == XMM:
            if operand >> PAYLOAD != target - 16:
                if xpending is None:
                    xpending = {}
                xpending[target - 16] = operand >> PAYLOAD
        else:
            rest = True
    if pending is not None:
        _permute(f, pending, True)
    if xpending is not None:
        _permute(f, xpending, False)
    if not rest:
        return
    for i in range(len(operands)):
        operand, target = operands[i], targets[i]
        if REG <= operand & KIND <= XMM or target < 0:
            continue
        if target < 16:
            f.load(target, operand)
        else:
            f.xload(target - 16, operand)


def _permute(f: Allocator, pending: dict[int, int], is_int: bool) -> None:
    """Moves between registers: target -> source."""
    if len(pending) == 1:
        for target, source in pending.items():
            f.out += (_MOV if is_int else f.isa.movaps)[target << 4 | source]
        return
    while pending:
        sources = pending.values()
        ready = [target for target in pending if target not in sources]
        if ready:
            for target in ready:
                source = pending.pop(target)
                f.out += (_MOV if is_int else f.isa.movaps)[target << 4 | source]
            continue
        # Only cycles are left.
        target, source = pending.popitem()
        if is_int:
            f.out += _XCHG[target << 4 | source]
        else:
            for d, s in ((target, source), (source, target), (target, source)):
                f.out += f.isa.xorps[d << 8 | d << 4 | s]
        # What was in `target` is in `source` now.
        for other, wanted in list(pending.items()):
            if wanted == target:
                if other == source:
                    del pending[other]
                else:
                    pending[other] = source
