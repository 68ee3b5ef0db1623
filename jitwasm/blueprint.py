"""What all instances of one module have in common, prepared once.

Most of a vmctx does not depend on the instance: code pointers, run-time types. A blueprint holds
its image with those filled in, and the FuncRefs of the functions that references may name, so
that making an instance copies two blocks instead of looping over its functions.
"""

from __future__ import annotations

import weakref
from array import array
from collections.abc import Sequence

from jitwasm.abi import FUNCREF, VMLayout
from jitwasm.backend.native import HostTypes
from jitwasm.block import Block
from jitwasm.frontend.moduleinfo import Export, ModuleInfo
from jitwasm.module import CompiledModule
from jitwasm.records import record
from jitwasm.rtt import rtt_address
from jitwasm.segments import DataPlan, ElementPlan, plan_data, plan_elements

__all__ = ["Blueprint", "blueprint_of"]

FUNCREF_WORDS = FUNCREF.size // 8
_ALIGN = 16


@record(frozen=True)
class Blueprint:
    """Templates for the instances of a module.

    Attributes:
        layout: of the vmctx.
        vmctx: its contents, as far as all instances agree, with the FuncRefs behind. Pointers into
            it are offsets.
        funcrefs: offset of the FuncRefs of the functions in `positions`.
        pointers: which words are such pointers.
        positions: place in the FuncRefs of each defined function that outside code may name.
        imported: declared functions that are imports: each instance finds their FuncRefs.
        elements, data: the segments; data is None if not all addresses are constants.
        passive: passive data segments that code can name.
        exports: by name.
        host_types: of the imported functions, in order.
    """

    layout: VMLayout
    vmctx: bytes
    funcrefs: int
    pointers: array[int]
    positions: dict[int, int]
    imported: tuple[int, ...]
    elements: list[ElementPlan]
    data: dict[int, DataPlan] | None
    passive: tuple[tuple[int, bytes], ...]
    exports: dict[str, Export]
    host_types: HostTypes


# Pure cache. The value must not refer to the module, not even through its image.
_blueprints: weakref.WeakKeyDictionary[CompiledModule, Blueprint] = weakref.WeakKeyDictionary()


def blueprint_of(module: CompiledModule) -> Blueprint:
    """The blueprint of a module, made with its first instance."""
    found = _blueprints.get(module)
    if found is None:
        found = _blueprints.setdefault(module, _build(module.info, module.entry_points()))
    return found


def _build(info: ModuleInfo, codes: Sequence[int]) -> Blueprint:
    layout, first = info.layout, info.imported_functions
    exported = {e.index for e in info.exports if e.kind == "function"}
    started = set() if info.start is None else {info.start}
    named = [i for i in sorted(info.declared_functions | exported | started) if i >= first]
    positions = {funcidx: place for place, funcidx in enumerate(named)}
    block, funcrefs = Block(layout.size), -(-layout.size // _ALIGN) * _ALIGN
    for typeidx, type_ in enumerate(info.types):
        block.words[layout.type_rtt(typeidx) // 8] = rtt_address(type_)
    if codes:
        slot = layout.function_slot(first) // 8
        block.words[slot : slot + len(codes)] = memoryview(array("Q", codes)).cast("B").cast("Q")
    declared = [funcidx for funcidx in info.declared_functions if funcidx in positions]
    pointers = array("I", [layout.func_ref(funcidx) // 8 for funcidx in declared])
    for word, funcidx in zip(pointers, declared, strict=True):
        block.words[word] = funcrefs + FUNCREF.size * positions[funcidx]
    # The environment of all FuncRefs is the vmctx: offset 0.
    start = funcrefs + FUNCREF.offset["env"]
    pointers.extend(range(start // 8, (start + FUNCREF.size * len(named)) // 8, FUNCREF_WORDS))
    contents = block.contents() + bytes(funcrefs - layout.size)
    return Blueprint(
        layout,
        contents + _funcrefs(info, named, codes),
        funcrefs,
        pointers,
        positions,
        tuple(funcidx for funcidx in info.declared_functions if funcidx not in positions),
        plan_elements(info, positions),
        plan_data(info),
        tuple(
            (dataidx, row.payload)
            for dataidx, row in enumerate(info.data[: layout.data_segments])
            if row.mode == "passive"
        ),
        {export.name: export for export in info.exports},
        HostTypes([info.func_type(funcidx) for funcidx in range(first)]),
    )


def _funcrefs(info: ModuleInfo, named: Sequence[int], codes: Sequence[int]) -> bytes:
    """The FuncRefs of some functions, without their environment."""
    words = array("Q", bytes(FUNCREF.size * len(named)))
    for field, values in (
        ("code", [codes[funcidx - info.imported_functions] for funcidx in named]),
        ("type", [rtt_address(info.functions[funcidx]) for funcidx in named]),
        ("funcidx", named),
    ):
        words[FUNCREF.offset[field] // 8 :: FUNCREF_WORDS] = array("Q", values)
    return words.tobytes()
