"""Run-time types: the immortal native record of each defined type.

Equal types are one `DefType` object (see types.py), so they share one record and compiled code
compares addresses. A record lives as long as the process: code images, tables and funcrefs of any
store may hold its address.
"""

from __future__ import annotations

import ctypes

from jitwasm.abi import RTT
from jitwasm.block import Block
from jitwasm.types import ArrayType, DefType, FuncType, StructType, SubType, intern_group

__all__ = ["HOST_KIND", "deftype_at", "plain_type", "rtt_address"]

_KINDS = {FuncType: 0, StructType: 1, ArrayType: 2}
HOST_KIND = 3
"""`kind` of the boxes of host objects (externref): no defined type has it."""

_DISPLAY = 8
_records: dict[DefType, Block] = {}  # pure cache: a record is a function of its type


def rtt_address(type_: DefType) -> int:
    """The address of a defined type's record."""
    found = _records.get(type_)
    if found is None:
        found = _records.setdefault(type_, _build(type_))
    return found.address


def deftype_at(address: int) -> DefType:
    """The defined type whose record lies at `address`."""
    found = ctypes.py_object.from_address(address + RTT.offset["object"]).value
    assert isinstance(found, DefType)
    return found


def plain_type(type_: FuncType) -> DefType:
    """The defined type of a function type declared alone, as every MVP module does."""
    return intern_group((SubType(type_),))[0]


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
    block.words[RTT.offset["object"] // 8] = id(type_)  # kept alive by `_records`
    first = RTT.offset["display"] // 8
    for depth, ancestor in enumerate(chain):
        own = block.address if ancestor is type_ else rtt_address(ancestor)
        block.words[first + depth] = own
    return block
