"""Reference instructions (specification: Execution, "Reference Instructions").

A reference is one word, `ptr`; null is 0. A function reference points to its FuncRef.
"""

from __future__ import annotations

from typing import Any

from jitwasm.frontend.emit.control import conditional_branch
from jitwasm.frontend.emit.function import FunctionEmitter
from jitwasm.frontend.stacks import COND, mismatch
from jitwasm.frontend.validate import check_declared, frame_of, label_types
from jitwasm.trapcodes import TrapCode
from jitwasm.types import RefType, matches, ref_type

__all__ = ["PLAIN"]

Imms = tuple[Any, ...]


def _null(f: FunctionEmitter, imms: Imms) -> None:
    (heap,) = imms
    f.push(ref_type(True, heap), "null")


def _is_null(f: FunctionEmitter, imms: Imms) -> None:
    _, val = f.pop_ref()
    f.push(COND, f.op(f"icmp eq ptr {val}, null"))


def _func(f: FunctionEmitter, imms: Imms) -> None:
    (funcidx,) = imms
    info = f.module.info
    check_declared(info, funcidx)
    f.push(
        ref_type(False, info.functions[funcidx]), f.vm_pointer(f.module.layout.func_ref(funcidx))
    )


def _as_non_null(f: FunctionEmitter, imms: Imms) -> None:
    type_, val = f.pop_ref()
    if type_.nullable:
        null = f.op(f"icmp eq ptr {val}, null")
        f.trap_if(null, TrapCode.NULL_REFERENCE)
    f.push(ref_type(False, type_.heap), val)


def _br_on_null(f: FunctionEmitter, imms: Imms) -> None:
    """Branch without the reference if it is null; else go on with it."""
    (labelidx,) = imms
    type_, val = f.pop_ref()
    frame = frame_of(f, labelidx)
    types = label_types(frame)
    vals = f.pop_vals(types)
    f.push_vals(types, vals)
    f.discard(frame, labelidx, len(vals))
    null = f.op(f"icmp eq ptr {val}, null")
    conditional_branch(f, frame, null, False, vals)
    f.push(ref_type(False, type_.heap), val)


def _br_on_non_null(f: FunctionEmitter, imms: Imms) -> None:
    """Branch with the reference if it is not null; else go on without."""
    (labelidx,) = imms
    type_, val = f.pop_ref()
    frame = frame_of(f, labelidx)
    types = label_types(frame)
    if not types or not isinstance(types[-1], RefType):
        raise mismatch("a label that takes a reference", types[-1] if types else "nothing")
    if not matches(ref_type(False, type_.heap), types[-1]):
        raise mismatch(types[-1], ref_type(False, type_.heap))
    vals = f.pop_vals(types[:-1])
    f.push_vals(types[:-1], vals)
    f.discard(frame, labelidx, len(vals))
    null = f.op(f"icmp eq ptr {val}, null")
    conditional_branch(f, frame, null, True, [*vals, val])


PLAIN = {
    "ref.null": _null,
    "ref.is_null": _is_null,
    "ref.func": _func,
    "ref.as_non_null": _as_non_null,
    "br_on_null": _br_on_null,
    "br_on_non_null": _br_on_non_null,
}
