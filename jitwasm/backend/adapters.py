"""Adapters between the two calling conventions, one for each function type, in two tiers.

Thunks lead from Python into wasm code, trampolines from wasm code to Python functions. An adapter is
needed at once, and most are called a few times only, so first there is something cheap: a thunk
compiled at level 0, or no trampoline at all but the ctypes base. What is called often enough is
compiled again in the background; then every function of the type switches to the result, at any
moment, by one store of an aligned word.
"""

from __future__ import annotations

import ctypes
import threading
import weakref

from concurrent.futures import Future
from dataclasses import dataclass, field

from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.codespace import CodeSpace
from jitwasm.backend.conversions import type_at
from jitwasm.backend.loader import CodeImage
from jitwasm.backend.scheduler import shared_pool
from jitwasm.backend.thunks import THUNK, thunk_ir
from jitwasm.backend.trampolines import TRAMPOLINE, c_thunk_ir, trampoline_ir
from jitwasm.types import FuncType, RefType

__all__ = ["Adapters", "Slot"]

_FIRST_LEVEL, _HOT_LEVEL = 0, 2

Key = tuple[str, FuncType, bool]


class Slot:
    """A word in memory that holds an adapter's address for one function."""

    __slots__ = ("__weakref__", "_word", "owner")

    def __init__(self, address: int, owner: object) -> None:
        self._word = ctypes.c_uint64.from_address(address)
        self.owner = owner  # of the memory

    def set(self, code: int) -> None:
        self._word.value = code


@dataclass
class _Adapter:
    """The state of one adapter.

    Attributes:
        code: its address, 0 where there is none yet.
        hot: the compilation at the higher level, once it has been asked for.
        slots: where its address is in use.
    """

    code: int = 0
    hot: Future[bytes] | None = None
    slots: weakref.WeakSet[Slot] = field(default_factory=weakref.WeakSet)


class Adapters:
    """All adapters of the process, by kind ("thunk", "trampoline", "c"), type and variant."""

    def __init__(self, space: CodeSpace) -> None:
        self._space = space
        self._adapters: dict[Key, _Adapter] = {}
        self._images: list[CodeImage] = []  # kept for ever: threads may be running any of them
        self._lock = threading.RLock()

    def thunk(self, type_: FuncType, release_gil: bool) -> int:
        """The address of a thunk."""
        return self._get("thunk", type_, release_gil)

    def c_thunk(self, type_: FuncType) -> int:
        """The address of the way to a C function with parameters in the overflow area."""
        return self._get("c", type_, False)

    def trampoline(self, type_: FuncType) -> int:
        """The address of the fast way to Python functions of a type, or 0 if there is none yet."""
        adapter = self._adapters.get(("trampoline", type_, False))
        return adapter.code if adapter else 0

    def _get(self, kind: str, type_: FuncType, variant: bool) -> int:
        adapter = self._adapter((kind, type_, variant))
        if not adapter.code:
            with self._lock:
                if not adapter.code:
                    text, references = _text(kind, type_, variant, hot=False)
                    data = compile_unit(text, host_target(_FIRST_LEVEL))
                    adapter.code = self._load(kind, data, references)
        return adapter.code

    def _adapter(self, key: Key) -> _Adapter:
        found = self._adapters.get(key)
        if found is None:
            found = self._adapters.setdefault(key, _Adapter())
        return found

    def attach(self, kind: str, type_: FuncType, variant: bool, slot: Slot) -> None:
        """Keep a slot up to date, as long as it lives."""
        adapter = self._adapter((kind, type_, variant))
        with self._lock:
            adapter.slots.add(slot)
            if adapter.code:
                slot.set(adapter.code)

    def heat(self, kind: str, type_: FuncType, variant: bool = False) -> None:
        """An adapter is called often: compile it well, in the background."""
        adapter = self._adapter((kind, type_, variant))
        with self._lock:
            if adapter.hot is not None:
                return
            text, references = _text(kind, type_, variant, hot=True)
            adapter.hot = shared_pool().submit(compile_unit, text, host_target(_HOT_LEVEL))

        def switch(future: Future[bytes]) -> None:
            if not future.cancelled() and future.exception() is None:
                with self._lock:
                    adapter.code = self._load(kind, future.result(), references)
                    for slot in list(adapter.slots):
                        slot.set(adapter.code)

        adapter.hot.add_done_callback(switch)

    def _load(self, kind: str, data: bytes, references: list[RefType]) -> int:
        def resolve(name: str) -> int | None:
            return type_at(references, name) or self._space.resolve(name)

        image = self._space.load_runtime(data, resolve)
        self._images.append(image)
        return image.symbols[THUNK if kind == "thunk" else TRAMPOLINE]

    def settle(self) -> None:
        """Wait until everything that is being compiled in the background is in use."""
        for adapter in list(self._adapters.values()):
            if adapter.hot is not None:
                adapter.hot.exception()
        with self._lock:  # what is done is also switched to: the callbacks hold it
            pass

    def after_fork(self) -> None:
        """In a forked child: compilations under way are lost, and may be asked for again."""
        self._lock = threading.RLock()
        for adapter in self._adapters.values():
            if adapter.hot is not None and not adapter.hot.done():
                adapter.hot = None


def _text(
    kind: str, type_: FuncType, variant: bool, hot: bool
) -> tuple[str, list[RefType]]:
    if kind == "thunk":
        return thunk_ir(type_, release_gil=variant, counting=not hot)
    if kind == "trampoline":
        return trampoline_ir(type_)
    return c_thunk_ir(type_), []


