"""Where everything of one instance lies: a single allocation, which begins with its vmctx.

    vmctx | state | memory records | table records | imported functions | FuncRefs
    | overflow area | element segments

So the pointer that C programs hold is the pointer compiled code gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from jitwasm.abi import (
    FUNCREF,
    MEMORY_RECORD,
    OVERFLOW_SLOT,
    TABLE_RECORD,
    Struct,
    VMLayout,
    call_conv,
)
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.types import FuncType

__all__ = ["STATE", "InstanceLayout"]

STATE = Struct(
    "InstanceState",
    ("trap", "i64", "TrapCode of the last call of an export, 0 if it returned"),
    ("host", "ptr", "what the embedder gave at instantiation"),
    ("size", "i64", "bytes of the allocation"),
    ("reserved", "i64", ""),
)


@dataclass(frozen=True)
class InstanceLayout:
    """Offsets from the instance pointer.

    Attributes:
        vmctx: the layout of the vmctx, at 0.
        state: of the InstanceState.
        memories, tables, imports, funcrefs, overflow: where these areas begin.
        segment_offsets: of each element segment's references, by elemidx.
        named: the functions that have a FuncRef, by place.
        size: of all.
    """

    vmctx: VMLayout
    state: int
    memories: int
    tables: int
    imports: int
    funcrefs: int
    overflow: int
    segment_offsets: tuple[int, ...]
    named: tuple[int, ...]
    size: int

    @staticmethod
    def of(info: ModuleInfo) -> InstanceLayout:
        vmctx = info.layout
        state = _align(vmctx.size)
        memories = state + STATE.size
        tables = memories + MEMORY_RECORD.size * (len(info.memories) - info.imported_memories)
        imports = tables + TABLE_RECORD.size * (len(info.tables) - info.imported_tables)
        funcrefs = _align(imports + 8 * info.imported_functions)
        named = tuple(sorted(info.declared_functions))
        overflow = _align(funcrefs + FUNCREF.size * len(named))
        at = overflow + OVERFLOW_SLOT * _overflow_slots(info)
        offsets = []
        for segment in info.elements:
            offsets.append(at)
            at += 8 * len(segment.items)
        return InstanceLayout(
            vmctx=vmctx,
            state=state,
            memories=memories,
            tables=tables,
            imports=imports,
            funcrefs=funcrefs,
            overflow=overflow,
            segment_offsets=tuple(offsets),
            named=named,
            size=_align(at),
        )

    def memory_record(self, info: ModuleInfo, memidx: int) -> int:
        """Of a memory the module defines."""
        return self.memories + MEMORY_RECORD.size * (memidx - info.imported_memories)

    def table_record(self, info: ModuleInfo, tableidx: int) -> int:
        return self.tables + TABLE_RECORD.size * (tableidx - info.imported_tables)

    def funcref(self, funcidx: int) -> int:
        return self.funcrefs + FUNCREF.size * self._places[funcidx]

    @cached_property
    def _places(self) -> dict[int, int]:
        return {funcidx: place for place, funcidx in enumerate(self.named)}


def _align(offset: int) -> int:
    return -(-offset // 16) * 16


def _overflow_slots(info: ModuleInfo) -> int:
    conventions = [call_conv(t.comp) for t in info.types if isinstance(t.comp, FuncType)]
    return max((max(c.overflow_params, c.overflow_results) for c in conventions), default=0)
