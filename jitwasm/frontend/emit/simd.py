"""All vector instructions: the families joined for dispatch.py."""

from __future__ import annotations

from jitwasm.frontend.emit import (
    simd_bitwise,
    simd_convert,
    simd_float,
    simd_integer,
    simd_lanes,
    simd_memory,
    simd_relaxed,
)
from jitwasm.frontend.emit.simd_recipe import Handler

__all__ = ["HANDLERS"]

HANDLERS: dict[str, tuple[Handler, object]] = {
    **simd_memory.HANDLERS,
    **simd_lanes.HANDLERS,
    **simd_bitwise.HANDLERS,
    **simd_integer.HANDLERS,
    **simd_float.HANDLERS,
    **simd_convert.HANDLERS,
    **simd_relaxed.HANDLERS,
}
"""(handler, row) by mnemonic; every handler is a fast one, `handler(f, pos, row) -> pos`."""
