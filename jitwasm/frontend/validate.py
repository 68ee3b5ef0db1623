"""Validation rules beyond plain signatures (specification: Validation, "Instructions").

Indices that must exist, alignments, arities. Nothing here emits code, and errors carry no place:
the loop that runs the handlers adds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.immediates import MemArg
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stacks import ControlFrame, Stacks, mismatch
from jitwasm.types import (
    I64,
    FuncType,
    GlobalType,
    MemoryType,
    RefType,
    TableType,
    ValType,
    func_type,
    matches,
)

__all__ = [
    "check_data",
    "check_declared",
    "check_elem",
    "check_global",
    "check_memarg",
    "check_memory",
    "check_table",
    "check_tail_call",
    "frame_of",
    "func_type_at",
    "label_types",
]


def frame_of(stacks: Stacks, labelidx: int) -> ControlFrame:
    """The frame a label refers to."""
    frames = stacks.frames
    if labelidx >= len(frames):
        raise InvalidError(f"unknown label {labelidx}")
    return frames[-1 - labelidx]


def label_types(frame: ControlFrame) -> tuple[ValType, ...]:
    """What a branch to the frame takes along: a loop's parameters, else the results."""
    return frame.start_types if frame.opcode == 0x03 else frame.end_types


def func_type_at(info: ModuleInfo, typeidx: int) -> FuncType:
    """The function type with this index."""
    if typeidx >= len(info.types):
        raise InvalidError(f"unknown type {typeidx}")
    comp = info.types[typeidx].comp
    if not isinstance(comp, FuncType):
        raise InvalidError(f"type mismatch: type {typeidx} is not a function type")
    return comp


def check_declared(info: ModuleInfo, funcidx: int) -> None:
    """`ref.func` may name only functions that occur outside of bodies."""
    if funcidx >= len(info.functions):
        raise InvalidError(f"unknown function {funcidx}")
    if funcidx not in info.declared_functions:
        raise InvalidError(f"undeclared function reference {funcidx}")


def check_table(info: ModuleInfo, tableidx: int) -> TableType:
    if tableidx >= len(info.tables):
        raise InvalidError(f"unknown table {tableidx}")
    return info.tables[tableidx]


def check_memory(info: ModuleInfo, memidx: int) -> MemoryType:
    if memidx >= len(info.memories):
        raise InvalidError(f"unknown memory {memidx}")
    return info.memories[memidx]


def check_global(info: ModuleInfo, globalidx: int) -> GlobalType:
    if globalidx >= len(info.globals):
        raise InvalidError(f"unknown global {globalidx}")
    return info.globals[globalidx]


def check_data(info: ModuleInfo, dataidx: int) -> None:
    """Data segments are behind the code, so the data count section has to announce them."""
    if info.data_count is None:
        raise MalformedError("data count section required")
    if dataidx >= info.data_count:
        raise InvalidError(f"unknown data segment {dataidx}")


def check_elem(info: ModuleInfo, elemidx: int) -> RefType:
    if elemidx >= len(info.elements):
        raise InvalidError(f"unknown elem segment {elemidx}")
    return info.elements[elemidx].type


def check_memarg(info: ModuleInfo, memarg: MemArg, size: int) -> MemoryType:
    """The memory that is accessed, `size` bytes at a time."""
    type_ = check_memory(info, memarg.memidx)
    if 1 << memarg.align > size:
        raise InvalidError("alignment must not be larger than natural")
    if memarg.offset >> 32 and type_.addr is not I64:
        raise InvalidError("offset out of range")
    return type_


def check_tail_call(type_: FuncType, results: Sequence[ValType]) -> None:
    """A tail call's results are the caller's."""
    if len(type_.results) != len(results) or not all(map(matches, type_.results, results)):
        raise mismatch(f"results {func_type((), results)}", func_type((), type_.results))
