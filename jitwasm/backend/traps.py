"""Traps as Python exceptions.

Native code (runtime/traps.ll) notes the registers and a copy of the stack where a trap happens,
goes back to the entry and calls what `trap_maker` made. The frames are found when somebody asks
for them, by unwinding the copy.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial

from jitwasm.backend.loader import ImageMap
from jitwasm.backend.runtime.assemble import REGISTERS
from jitwasm.backend.unwind import unwind
from jitwasm.errors import Frame, StackOverflow, Trap
from jitwasm.trapcodes import TrapCode

__all__ = ["find_frames", "trap_maker"]

MAX_FRAMES = 50
"""Innermost frames a trap tells of: nobody reads more, and a recursion has thousands."""

_REGISTERS = struct.Struct("<8Q")


def trap_maker(
    maps: Callable[[], Sequence[ImageMap]],
) -> Callable[[int, bytes, bytes], Trap]:
    """What makes the exception of a trap from what native code noted (see `jw_set_trap`).

    Args:
        maps: tells what images there are.
    """
    kinds = {int(code): (Trap, code) for code in TrapCode}
    kinds[int(TrapCode.STACK_OVERFLOW)] = (StackOverflow, TrapCode.STACK_OVERFLOW)

    def make_trap(number: int, registers: bytes, stack: bytes) -> Trap:
        kind, code = kinds[number]
        if not stack:
            return kind(code)
        return kind(code, None, partial(find_frames, maps(), registers, stack))

    return make_trap


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
