"""What all instances of one module have in common, prepared once.

Most of a vmctx does not depend on the instance: code pointers, run-time types. A blueprint holds
its image with those filled in, and the FuncRefs of the functions that references may name, so
that making an instance copies two blocks instead of looping over its functions.
"""

from __future__ import annotations

import weakref
from array import array
from dataclasses import dataclass

from jitwasm.abi import FUNCREF, VMLayout, function_symbol
from jitwasm.backend.baseline.stubs import lazy_symbol
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
        found = _blueprints.setdefault(module, _build(module.info, module.image().symbols))
    return found


def _build(info: ModuleInfo, symbols: dict[str, int]) -> Blueprint:
    layout = info.layout
    vmctx = Block(layout.size)
    for typeidx, type_ in enumerate(info.types):
        vmctx.words[layout.type_rtt(typeidx) // 8] = rtt_address(type_)
    defined = range(info.imported_functions, len(info.functions))
    if defined:
        # A function that has not been compiled has a stub for its slot, apart from its own symbol.
        codes = array(
            "Q",
            [symbols.get(lazy_symbol(i)) or symbols[function_symbol(i)] for i in defined],
        )
        first = layout.function_slot(defined.start) // 8
        vmctx.words[first : first + len(codes)] = memoryview(codes).cast("B").cast("Q")
    exported = {e.index for e in info.exports if e.kind == "function"}
    started = set() if info.start is None else {info.start}
    named = [i for i in sorted(info.declared_functions | exported | started) if i in defined]
    funcrefs = array("Q", bytes(FUNCREF.size * len(named)))
    for field, values in (
        ("code", [symbols[function_symbol(funcidx)] for funcidx in named]),
        ("type", [rtt_address(info.functions[funcidx]) for funcidx in named]),
        ("funcidx", named),
    ):
        funcrefs[FUNCREF.offset[field] // 8 :: FUNCREF_WORDS] = array("Q", values)
    positions = {funcidx: place for place, funcidx in enumerate(named)}
    return Blueprint(layout, vmctx.contents(), funcrefs.tobytes(), positions)
