"""Run-time types: the native record of each defined type.

Equal types are one `DefType` object (see types.py), so they share one record and compiled code
compares addresses. A record lives as long as its type: whatever holds its address (an instance's
vmctx, a FuncRef, a tag) belongs to something that holds the type.
"""

from __future__ import annotations

import ctypes
import os
import threading

from jitwasm.abi import RTT
from jitwasm.block import Block
from jitwasm.types import ArrayType, DefType, FuncType, StructType

__all__ = ["HOST_KIND", "deftype_at", "rtt_address"]

_KINDS = {FuncType: 0, StructType: 1, ArrayType: 2}
HOST_KIND = 3
"""`kind` of the boxes of host objects (externref): no defined type has it."""

_DISPLAY = 8
_lock = threading.RLock()
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)


def rtt_address(type_: DefType) -> int:
    """The address of a defined type's record."""
    found = type_.record
    if found is None:
        with _lock:
            if type_.record is None:
                type_.record = _build(type_)
            found = type_.record
    assert isinstance(found, Block)
    return found.address


def deftype_at(address: int) -> DefType:
    """The defined type whose record lies at `address`."""
    found = ctypes.py_object.from_address(address + RTT.offset["object"]).value
    assert isinstance(found, DefType)
    return found


def _build(type_: DefType) -> Block:
    chain: list[DefType] = []
    current: DefType | None = type_
    while current is not None:
        chain.append(current)
        current = current.supertype
    chain.reverse()
    # Longer than the declared display where the chain is: depth says how far it goes.
    block = Block(max(RTT.size, RTT.offset["display"] + 8 * len(chain)))
    block.words[0] = _KINDS[type(type_.comp)] | type_.depth << 32
    block.words[RTT.offset["object"] // 8] = id(type_)  # which owns the block
    first = RTT.offset["display"] // 8
    for depth, ancestor in enumerate(chain):
        own = block.address if ancestor is type_ else rtt_address(ancestor)
        block.words[first + depth] = own
    return block
