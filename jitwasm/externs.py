"""Boxes: how a Python object becomes an externref.

A reference is one word, so an object travels as the address of a 16-aligned box
`{rtt, PyObject*}`. Each store keeps the boxes it made, and with them their objects. The same
object always gets the same box of a store, so identity survives the way through wasm.
"""

from __future__ import annotations

import ctypes
from array import array

from jitwasm.block import Block
from jitwasm.rtt import HOST_KIND

__all__ = ["BoxRegistry", "boxed_object", "is_host_box"]

_SLAB = 64
_BOX_WORDS = 2
# One immortal header for all boxes; `kind` is the first half of its first word.
_HOST_RTT = Block(96)
_HOST_RTT.words[0] = HOST_KIND


class BoxRegistry:
    """The boxes of one store."""

    __slots__ = ("_by_id", "_free", "_objects", "_slabs")

    def __init__(self) -> None:
        self._objects: dict[int, object] = {}  # box address -> object, the owning reference
        self._by_id: dict[int, int] = {}  # id(object) -> its box address
        self._free: list[int] = []
        self._slabs: list[Block] = []

    def __len__(self) -> int:
        return len(self._objects)

    def box(self, value: object) -> int:
        """The address of the object's box, made on first use."""
        address = self._by_id.get(id(value))
        if address is None:
            if not self._free:
                self._add_slab()
            address = self._free.pop()
            ctypes.c_uint64.from_address(address + 8).value = id(value)
            self._objects[address] = value
            self._by_id[id(value)] = address
        return address

    def all(self) -> set[int]:
        """The addresses of all boxes in use."""
        return set(self._objects)

    def known(self, words: set[int]) -> set[int] | None:
        """Those of some reference words that are boxes; None if others than i31 are among them."""
        boxes = words & self._objects.keys()
        others = words - boxes
        return boxes if all(word == 0 or word & 1 for word in others) else None

    def absorb(self, other: BoxRegistry) -> None:
        """Take over another registry's boxes; their addresses stay valid."""
        self._objects.update(other._objects)
        self._by_id = {**other._by_id, **self._by_id}
        self._free += other._free
        self._slabs += other._slabs
        other._free = []  # the other registry is read no more; never hand a box out twice

    def sweep(self, live: set[int]) -> list[object]:
        """Free every box whose address is not in `live`; returns the objects they owned.

        The caller drops those when finalizers may run.
        """
        dropped = []
        for address in [address for address in self._objects if address not in live]:
            value = self._objects.pop(address)
            if self._by_id.get(id(value)) == address:
                del self._by_id[id(value)]
            ctypes.c_uint64.from_address(address + 8).value = 0
            self._free.append(address)
            dropped.append(value)
        return dropped

    def _add_slab(self) -> None:
        slab = Block(8 * _BOX_WORDS * _SLAB)
        slab.words[::_BOX_WORDS] = array("Q", (_HOST_RTT.address,)) * _SLAB
        self._slabs.append(slab)
        self._free += range(slab.address, slab.address + 16 * _SLAB, 16)


def is_host_box(word: int) -> bool:
    """Whether a non-null word of the `any` hierarchy is a box."""
    return word & 1 == 0 and ctypes.c_uint64.from_address(word).value == _HOST_RTT.address


def boxed_object(word: int) -> object:
    """The object in a box."""
    value: object = ctypes.py_object.from_address(word + 8).value
    return value
