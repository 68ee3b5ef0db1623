"""Traps as Python exceptions.

Native code (runtime/traps.ll) notes the registers and a copy of the stack where a trap happens,
goes back to the entry and makes the exception there. The frames are found when somebody asks for
them, by unwinding the copy.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence

from jitwasm.backend import cpython
from jitwasm.backend.loader import ImageMap
from jitwasm.backend.runtime.layout import REGISTERS
from jitwasm.backend.unwind import unwind
from jitwasm.errors import Frame, StackOverflow, Trap
from jitwasm.trapcodes import TrapCode

__all__ = ["TrapTable", "find_frames"]

MAX_FRAMES = 50
"""Innermost frames a trap tells of: nobody reads more, and a recursion has thousands."""

_CODE = 8
_REGISTERS = struct.Struct("<8Q")


class TrapTable:
    """What native code makes traps from. It must be kept as long as code may run.

    Attributes:
        address: of an array with a class and the arguments of its instances for each TrapCode.
        new: address of the function that makes an instance of an exception class.
    """

    def __init__(self) -> None:
        kinds: dict[TrapCode, type[Trap]] = {TrapCode.STACK_OVERFLOW: StackOverflow}
        self._rows = [(kinds.get(code, Trap), (code.message,)) for code in TrapCode]
        table = (ctypes.c_uint64 * (2 * max(TrapCode) + 2))()
        for code, (kind, arguments) in zip(TrapCode, self._rows, strict=True):
            table[2 * code], table[2 * code + 1] = id(kind), id(arguments)
        self._table = table
        self.address = ctypes.addressof(table)
        self.new = cpython.new_of(BaseException)


def find_frames(maps: Sequence[ImageMap], noted: bytes) -> list[Frame]:
    """The wasm functions that were active, innermost first.

    Args:
        maps: of all images there were.
        noted: the TrapCode, the registers and the stack; only the code where no wasm code ran.
    """
    if len(noted) == _CODE:
        return []
    values, stack = _REGISTERS.unpack_from(noted, _CODE), noted[_CODE + _REGISTERS.size :]
    start = dict(zip(REGISTERS, values, strict=True))
    frames: list[Frame] = []
    for image, pc in unwind(maps, start, stack):
        found = image.function_at(pc)
        info = image.describe(found[0]) if found else None
        if found and info:
            at, offset = pc - found[1], None
            if info.locate is not None and not image.has_unwind_tables(pc):
                offset = info.locate(at)
            frames.append(Frame(info.funcidx, info.name, info.module, at, offset))
            if len(frames) == MAX_FRAMES:
                break
    return frames
