"""Segments, prepared for instantiation once for all instances of a module.

What element segments hold is known up to the address of the instance's FuncRefs, and most data
segments go to places that are constants, so placing them takes one native call each instead of a
loop in Python, and a large initial memory is mapped. Whatever is not constant, or would trap, goes
the specification's way, segment by segment.
"""

from __future__ import annotations

import contextlib
import ctypes
import weakref
from array import array
from collections.abc import Mapping, Sequence

from jitwasm.abi import FUNCREF
from jitwasm.backend.image import MemoryImage, runs_of
from jitwasm.backend.memmap import PAGE_SIZE
from jitwasm.backend.native import native
from jitwasm.backend.ranges import RecycledRange
from jitwasm.block import address_of_bytes
from jitwasm.constants import function_named
from jitwasm.frontend.moduleinfo import ConstExpr, DataSegment, ElementSegment, ModuleInfo

__all__ = ["DataPlan", "ElementPlan", "plan_data"]

IMAGE_BYTES = 32 << 10
"""From so many bytes on a memory's contents are mapped: copying them would take longer."""
MANY = 4 * PAGE_SIZE
"""So many bytes in a row are worth a system call that makes their pages present."""
MOST_IMAGES, MOST_SMALL_IMAGES = 256, 64
"""Each image is an open file, of which a process may have about a thousand. So many there may be,
and so many before none is made of contents that are quickly copied."""
_images: weakref.WeakSet[MemoryImage] = weakref.WeakSet()


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
            funcidx = item if isinstance(item, int) else function_named(item)
            if funcidx is not None and funcidx in positions:
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


class DataPlan:
    """The active segments of one memory, which all go to constant addresses.

    Attributes:
        end: bytes that the memory must have, else one of them traps.
    """

    def __init__(self, segments: Sequence[tuple[int, bytes]], is_new: bool) -> None:
        """`is_new`: the memory is the instance's own, so it is full of zeros."""
        self.end = max(offset + len(payload) for offset, payload in segments)
        self._segments, self._is_new, self._asked = segments, is_new, 0
        rows = [(offset, address_of_bytes(payload), len(payload)) for offset, payload in segments]
        self._rows = array("Q", [word for row in rows for word in row])
        runs = [(start, end - start) for start, end in runs_of(segments)]
        self._runs = array("Q", [word for run in runs if run[1] >= MANY for word in run])
        self._image: MemoryImage | None = None
        if is_new and sum(len(payload) for _, payload in segments) >= IMAGE_BYTES:
            self._make_image(MOST_IMAGES)

    def image(self) -> int:
        """The number of the contents' image, 0 if there is none.

        To be asked once for each memory that is new, or as new.

        Making one takes longer than copying a little does. But where a second memory is made there
        will be more, and no page of theirs needs to be touched.
        """
        self._asked += 1
        if self._asked == 2 and self._is_new and self._image is None:
            self._make_image(MOST_SMALL_IMAGES)
        return 0 if self._image is None else self._image.number

    def _make_image(self, most: int) -> None:
        if len(_images) < most:
            with contextlib.suppress(OSError, ValueError):
                self._image = MemoryImage(self._segments)
                _images.add(self._image)

    def write(self, memory: int, own: RecycledRange | None = None) -> None:
        """Put the contents into a memory that is large enough, given by its address.

        Args:
            own: its range, if the memory is the instance's own and empty.
        """
        if own is not None and self._image is not None:
            if own.image == self._image.number:
                return
            try:
                if self._image.is_intact:
                    own.map(self._image, self._asked > 0)
                    return
            except (OSError, MemoryError):  # too many mappings, most likely
                self._image = None
        rows, words = self._rows.buffer_info()
        runs, run_words = self._runs.buffer_info()
        native().copy_segments(memory, rows, words // 3, runs, run_words // 2)


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
