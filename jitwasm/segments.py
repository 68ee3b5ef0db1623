"""Segments, prepared for instantiation once for all instances of a module.

What element segments hold is known up to the address of the instance's FuncRefs, and most data
segments go to places that are constants, so placing them takes one native call each instead of a
loop in Python, and a large initial memory is mapped. Whatever is not constant, or would trap, goes
the specification's way, segment by segment.
"""

from __future__ import annotations

import contextlib
import ctypes
from array import array
from collections.abc import Mapping, Sequence

from jitwasm.abi import FUNCREF
from jitwasm.backend.image import MemoryImage
from jitwasm.backend.native import native
from jitwasm.block import address_of_bytes
from jitwasm.frontend.moduleinfo import ConstExpr, DataSegment, ElementSegment, ModuleInfo

__all__ = ["DataPlan", "ElementPlan", "plan_data", "plan_elements"]

IMAGE_BYTES = 32 << 10
"""From so many bytes on a memory's contents are mapped: copying them would take longer."""


class ElementPlan:
    """The elements of one segment.

    Attributes:
        count: how many.
        others: what is to be evaluated for each instance: (index, item).
    """

    def __init__(self, segment: ElementSegment, positions: Mapping[int, int]) -> None:
        """`positions`: place of the functions' FuncRefs in the instance's own."""
        self.count = len(segment.items)
        self.others: list[tuple[int, int | ConstExpr]] = []
        words, places = array("Q", bytes(8 * self.count)), array("I")
        for index, item in enumerate(segment.items):
            funcidx = item if isinstance(item, int) else _function_of(item)
            if funcidx in positions:
                words[index] = FUNCREF.size * positions[funcidx]
                places.append(index)
            elif isinstance(item, int) or item.ops[-1][0] != "ref.null":
                self.others.append((index, item))
        self._words, self._places = words.tobytes(), places

    def write(self, address: int, funcrefs: int) -> None:
        """Store all but `others`; `funcrefs` is where the instance's FuncRefs lie."""
        ctypes.memmove(address, self._words, len(self._words))
        places, count = self._places.buffer_info()
        native().relocate(address, places, count, funcrefs)


def _function_of(expression: ConstExpr) -> int:
    """The function that an expression names; -1 if it is another kind of expression."""
    mnemonic, operand = expression.ops[-1]
    return operand if mnemonic == "ref.func" and len(expression.ops) == 1 else -1


class DataPlan:
    """The active segments of one memory, which all go to constant addresses.

    Attributes:
        end: bytes that the memory must have, else one of them traps.
    """

    def __init__(self, segments: Sequence[tuple[int, bytes]], is_new: bool) -> None:
        """`is_new`: the memory is the instance's own, so it is full of zeros."""
        self.end = max(offset + len(payload) for offset, payload in segments)
        self._payloads = [payload for _, payload in segments]
        rows = [(offset, address_of_bytes(payload), len(payload)) for offset, payload in segments]
        self._rows = array("Q", [word for row in rows for word in row])
        self._image: MemoryImage | None = None
        if is_new and sum(map(len, self._payloads)) >= IMAGE_BYTES:
            with contextlib.suppress(OSError, ValueError):
                self._image = MemoryImage(segments)

    def write(self, memory: int) -> None:
        """Put the contents into a memory that is large enough, given by its address."""
        if self._image is not None and self._image.is_intact:
            try:
                self._image.map(memory)
            except (OSError, MemoryError):  # too many mappings, most likely
                self._image = None
            else:
                return
        rows, words = self._rows.buffer_info()
        native().copy_segments(memory, rows, words // 3)


def plan_elements(info: ModuleInfo, positions: Mapping[int, int]) -> list[ElementPlan]:
    """A plan for each element segment."""
    return [ElementPlan(segment, positions) for segment in info.elements]


def plan_data(info: ModuleInfo) -> dict[int, DataPlan] | None:
    """A plan for each memory with active segments; None if not all addresses are constants."""
    found: dict[int, list[tuple[int, bytes]]] = {}
    for segment in info.data:
        if segment.mode == "active":
            start = _constant(segment)
            if start is None:
                return None
            found.setdefault(segment.memidx, []).append((start, segment.payload))
    return {
        memidx: DataPlan(segments, memidx >= info.imported_memories)
        for memidx, segments in found.items()
    }


def _constant(segment: DataSegment) -> int | None:
    if segment.offset is None or len(segment.offset.ops) != 1:
        return None
    mnemonic, operand = segment.offset.ops[0]
    if mnemonic not in ("i32.const", "i64.const"):
        return None
    bits = 32 if mnemonic == "i32.const" else 64
    return int(operand) & (1 << bits) - 1
