"""Descriptions of function types for the native runtime's generic calls (runtime/calls.ll)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence

from jitwasm.abi import OVERFLOW_SLOT, SIGNATURE, VALUE_PLACE, Loc, call_conv
from jitwasm.backend.runtime.layout import HOST_FRAME, KINDS
from jitwasm.types import FuncType, RefType

__all__ = ["LimitedSignature", "far_slots", "limited_signature", "places_of", "signature_of"]


def places_of(locs: Sequence[Loc]) -> Iterator[tuple[int, bool]]:
    """Where values lie: an offset, and whether it is in the overflow area, not in a frame."""
    next_int, next_float = HOST_FRAME["ints"], HOST_FRAME["floats"]
    for loc in locs:
        if loc.slot is not None:
            yield OVERFLOW_SLOT * loc.slot, True
        elif loc.type.is_float:
            yield next_float, False
            next_float += 16
        else:
            yield next_int, False
            next_int += 8


def _signature(
    type_: FuncType, release_gil: bool, call_ns: int = 0, stack_bytes: int = 0
) -> ctypes.Array[ctypes.c_uint64]:
    conv = call_conv(type_)
    types = (*type_.params, *type_.results)
    words = [len(type_.params), len(type_.results), any(t.is_ref for t in types), release_gil]
    words += [call_ns, stack_bytes, 0]
    assert (SIGNATURE.size, VALUE_PLACE.size) == (56, 32)
    for locs in (conv.params, conv.results):
        for loc, (offset, far) in zip(locs, places_of(locs), strict=True):
            # The function type keeps its reference types alive.
            reference = id(loc.type) if isinstance(loc.type, RefType) else 0
            kind = KINDS["ref"] if reference else KINDS[loc.type.name]
            words += [kind, offset, far, reference]
    return (ctypes.c_uint64 * len(words))(*words)


def signature_of(type_: FuncType, release_gil: bool = False) -> int:
    """The address of the Signature of a function type, which owns it."""
    name = "_signature_releasing" if release_gil else "_signature"
    known = type_.__dict__.get(name)
    if known is None:
        known = type_.__dict__.setdefault(name, _signature(type_, release_gil))
    return ctypes.addressof(known)


class LimitedSignature:
    """The Signature of functions whose calls are limited; its `thunk` is to be set.

    Attributes:
        address: of the Signature.
    """

    def __init__(self, type_: FuncType, release_gil: bool, call_ns: int, stack_bytes: int) -> None:
        self._words = _signature(type_, release_gil, call_ns, stack_bytes)
        self.address = ctypes.addressof(self._words)

    def switch(self, code: int) -> None:
        """Enter by another thunk from now on."""
        self._words[SIGNATURE.offset["thunk"] // 8] = code


def limited_signature(
    type_: FuncType, release_gil: bool, call_ns: int, stack_bytes: int
) -> LimitedSignature:
    """The signature of a function type, which owns it, for calls with these limits (0: none)."""
    known: dict[tuple[bool, int, int], LimitedSignature]
    known = type_.__dict__.setdefault("_limited_signatures", {})
    key = release_gil, call_ns, stack_bytes
    found = known.get(key)
    if found is None:
        found = known.setdefault(key, LimitedSignature(type_, release_gil, call_ns, stack_bytes))
    return found


def far_slots(type_: FuncType) -> tuple[int, int]:
    """For a C function: slots in the overflow area, and the first one of them with an integer.

    The second is the number of slots if none has.
    """
    far = [loc for loc in call_conv(type_).params if loc.slot is not None]
    integer = next((loc.slot for loc in far if not loc.type.is_float), None)
    return len(far), len(far) if integer is None else integer
