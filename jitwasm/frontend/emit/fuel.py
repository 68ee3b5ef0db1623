"""Fuel: what instructions cost is taken from a cell of vmctx before they run (frontend/fuel.py).

The accesses to the cell are volatile, as all accesses to linear memory then are (`strict`): so the
cell is right whenever a trap is caught.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.frontend.emit.function import Entry, FunctionEmitter
from jitwasm.frontend.fuel import bulk_shift, charges
from jitwasm.trapcodes import TrapCode
from jitwasm.types import I32, I64

__all__ = ["metered"]


def metered(f: FunctionEmitter, pos: int, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Handlers that charge the instructions of the body, whose first one is at `pos`."""
    costs = charges(f.code, pos, f.module.immediates)
    return tuple((_charge, (costs, entry)) for entry in entries)


def _charge(f: FunctionEmitter, pos: int, row: tuple[dict[int, int], Entry]) -> int:
    costs, (handler, inner) = row
    if f.reachable:
        cost = costs.get(pos - 1)
        if cost is not None:
            _take(f, str(cost))
        shift = bulk_shift(f.code, pos - 1)
        if shift is not None:
            _take_for_length(f, shift)
    return handler(f, pos, inner)


def _take(f: FunctionEmitter, amount: str) -> None:
    cell = f.field(f.module.layout.fuel)
    before = f.op(f"load volatile i64, ptr {cell}")
    after = f.op(f"sub i64 {before}, {amount}")
    f.line(f"store volatile i64 {after}, ptr {cell}")
    f.trap_if(f.op(f"icmp slt i64 {after}, 0"), TrapCode.OUT_OF_FUEL)


def _take_for_length(f: FunctionEmitter, shift: int) -> None:
    type_, length = f.types[-1], f.vals[-1]
    if type_ is I32:
        length = f.op(f"zext i32 {length} to i64")
    elif type_ is not I64:
        return  # the handler will refuse it
    _take(f, f.op(f"lshr i64 {length}, {shift}"))
