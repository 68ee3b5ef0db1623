"""Making the code of an adapter: IR for LLVM, or the object from the disk cache.

Imported when a function has been called often enough.
"""

from __future__ import annotations

from collections.abc import Callable

from jitwasm.backend.codegen import TargetSpec, compile_unit
from jitwasm.backend.conversions import type_at
from jitwasm.backend.thunks import THUNK, thunk_ir
from jitwasm.backend.trampolines import TRAMPOLINE, trampoline_ir
from jitwasm.diskcache import cache_key, process_cache
from jitwasm.types import FuncType
from jitwasm.version import __version__

__all__ = ["SYMBOLS", "adapter_object"]

SYMBOLS = {"thunk": THUNK, "trampoline": TRAMPOLINE}
"""What an adapter is called in its object."""

_TARGET = TargetSpec("x86-64", "", 2)


def adapter_object(
    kind: str, type_: FuncType, variant: bool, thread_slot: int | None, compiles: bool
) -> tuple[bytes | None, Callable[[str], int | None]]:
    """The object of an adapter, and what gives the addresses of the types it refers to.

    Args:
        kind: "thunk" or "trampoline".
        type_: of the functions it is for; is to be kept alive with the code.
        variant: of a thunk: whether it releases the GIL.
        thread_slot: see libc.thread_slot.
        compiles: ask LLVM if the cache does not have it; else there is none.
    """
    if kind == "thunk":
        text, references = thunk_ir(type_, variant, thread_slot)
    else:
        text, references = trampoline_ir(type_, thread_slot)
    return _object(text, compiles), lambda name: type_at(references, name)


def _object(text: str, compiles: bool) -> bytes | None:
    """From the disk cache or, if it `compiles`, from LLVM."""
    cache = process_cache()
    key = cache_key("adapter", __version__, text)
    data = cache.get(key) if cache is not None else None
    if data is None and compiles:
        data = compile_unit(text, _TARGET)
        if cache is not None:
            cache.put(key, data)
    return data
