"""What holds for all functions of one module: index spaces, memory plans, chosen spellings."""

from __future__ import annotations

from jitwasm.abi import (
    MEMORY32_GUARD,
    MEMORY32_MOST,
    MEMORY32_RESERVED,
    MEMORY64_GUARD,
    MEMORY64_RESERVED,
    CallConv,
    call_conv,
)
from jitwasm.config import Config
from jitwasm.frontend.immediates import ImmediateReader
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.records import record
from jitwasm.types import I64, FuncType, MemoryType, ValType

__all__ = ["INSIDE", "MemoryPlan", "ModuleContext"]

INSIDE = "getelementptr inbounds nuw i8, ptr"
"""Address arithmetic in a guarded memory with 32-bit indices. It stays in the one reservation:
whatever the index is, index, static offset and width end before the guard does (`slack`)."""


@record(frozen=True)
class MemoryPlan:
    """How accesses to one memory are checked.

    Attributes:
        type: the memory's type.
        wide: whether it is indexed by i64.
        explicit: by comparison with the current size; else by guard pages.
        clamp: of a wide guarded memory: move a bad index into the guard instead of branching.
        minimum: bytes it always has.
        reserved: bytes of address space that fault where there is no memory.
        slack: static offset plus width of an access that the guard covers for any valid index.
        add: the instruction that adds index and static offset to the base.
    """

    type: MemoryType
    wide: bool
    explicit: bool
    clamp: bool
    minimum: int
    reserved: int
    slack: int
    add: str


class ModuleContext:
    """The module as the handlers see it.

    Attributes:
        info: its index spaces and types.
        config: the choices.
        layout: offsets in vmctx.
        immediates: reads those of the rarer instructions.
        block_types: (start_types, end_types) of block types of one byte.
        func_types, convs: types and calling conventions of all functions, by funcidx.
        call_heads: of functions that were called: the text of the call up to the environment.
        memories: plans, by memidx.
        plain_memory: whether there is a memory 0, indexed by i32 and guarded by pages.
        derives: whether pointers into it are computed from earlier ones (`_derived`).
        split_bases: whether loops may have several bases (bases.py).
        load: the instruction for linear memory, volatile in strict mode.
        store: that for linear memory, globals and tables, so that what a trap leaves is right then.
    """

    def __init__(self, info: ModuleInfo, config: Config) -> None:
        self.info = info
        self.config = config
        self.layout = info.layout
        self.immediates = ImmediateReader(info.types, config.features)
        self.block_types: dict[int, tuple[tuple[ValType, ...], tuple[ValType, ...]]] = {}
        self.func_types: list[FuncType] = [info.func_type(i) for i in range(len(info.functions))]
        by_type = {type_: call_conv(type_) for type_ in set(self.func_types)}
        self.convs: list[CallConv] = [by_type[type_] for type_ in self.func_types]
        self.call_heads: dict[int, str] = {}
        self.memories = [_plan(type_, config) for type_ in info.memories]
        first = self.memories[0] if self.memories else None
        self.plain_memory = first is not None and not first.wide and not first.explicit
        self.derives = self.plain_memory and first is not None and first.minimum <= MEMORY32_MOST
        strict = config.keeps_order
        self.split_bases = not strict and config.opt_level != 0
        self.load = "load volatile" if strict else "load"
        self.store = "store volatile" if strict else "store"


def _plan(type_: MemoryType, config: Config) -> MemoryPlan:
    wide = type_.addr is I64
    return MemoryPlan(
        type=type_,
        wide=wide,
        explicit=config.bounds == "explicit",
        clamp=wide and config.opt_level == 0 and not config.strict,
        minimum=type_.limits.minimum * type_.page_size,
        reserved=MEMORY64_RESERVED if wide else MEMORY32_RESERVED,
        slack=MEMORY64_GUARD if wide else MEMORY32_RESERVED + MEMORY32_GUARD - (1 << 32),
        add="getelementptr i8, ptr" if wide else INSIDE,
    )
