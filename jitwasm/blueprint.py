"""What all instances of one module have in common, prepared once.

Most of a vmctx does not depend on the instance: code pointers, run-time types. A blueprint holds
its image with those filled in, and the FuncRefs of the functions that references may name, so
that making an instance copies two blocks instead of looping over its functions.
"""

from __future__ import annotations

import weakref
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from jitwasm.abi import FUNCREF, VMLayout
from jitwasm.block import Block
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.module import CompiledModule
from jitwasm.rtt import rtt_address

__all__ = ["Blueprint", "blueprint_of"]

FUNCREF_WORDS = FUNCREF.size // 8


@dataclass(frozen=True)
class Blueprint:
    """Templates for the instances of a module.

    Attributes:
        layout: of the vmctx.
        vmctx: its contents, as far as all instances agree.
        funcrefs: the FuncRefs of the functions in `positions`, without their environment.
        positions: place in `funcrefs` of each defined function that outside code may name.
    """

    layout: VMLayout
    vmctx: bytes
    funcrefs: bytes
    positions: dict[int, int]


# Pure cache. The value must not refer to the module, not even through its image.
_blueprints: weakref.WeakKeyDictionary[CompiledModule, Blueprint] = weakref.WeakKeyDictionary()


def blueprint_of(module: CompiledModule) -> Blueprint:
    """The blueprint of a module, made with its first instance."""
    found = _blueprints.get(module)
    if found is None:
        found = _blueprints.setdefault(module, _build(module.info, module.entry_points()))
    return found


def _build(info: ModuleInfo, codes: Sequence[int]) -> Blueprint:
    layout = info.layout
    vmctx = Block(layout.size)
    for typeidx, type_ in enumerate(info.types):
        vmctx.words[layout.type_rtt(typeidx) // 8] = rtt_address(type_)
    first = info.imported_functions
    if codes:
        slot = layout.function_slot(first) // 8
        vmctx.words[slot : slot + len(codes)] = memoryview(array("Q", codes)).cast("B").cast("Q")
    exported = {e.index for e in info.exports if e.kind == "function"}
    started = set() if info.start is None else {info.start}
    named = [i for i in sorted(info.declared_functions | exported | started) if i >= first]
    funcrefs = array("Q", bytes(FUNCREF.size * len(named)))
    for field, values in (
        ("code", [codes[funcidx - first] for funcidx in named]),
        ("type", [rtt_address(info.functions[funcidx]) for funcidx in named]),
        ("funcidx", named),
    ):
        funcrefs[FUNCREF.offset[field] // 8 :: FUNCREF_WORDS] = array("Q", values)
    positions = {funcidx: place for place, funcidx in enumerate(named)}
    return Blueprint(layout, vmctx.contents(), funcrefs.tobytes(), positions)
