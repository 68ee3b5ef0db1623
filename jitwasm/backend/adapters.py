"""Adapters between the two calling conventions, one for each function type, in two tiers.

Thunks lead from Python into wasm code, trampolines from wasm code to Python functions. An adapter
is needed at once, and most are called a few times only, so first there is something cheap: a thunk
compiled at level 0, or no trampoline at all but the base of host.py. What is called often enough
is compiled again in the background; then every function of the type is switched to the result, at
any moment, by one store of an aligned word.
"""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import Future
from typing import Protocol

from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.codespace import CodeSpace
from jitwasm.backend.conversions import type_at
from jitwasm.backend.loader import CodeImage
from jitwasm.backend.scheduler import shared_pool
from jitwasm.backend.thunks import THUNK, thunk_ir
from jitwasm.backend.trampolines import TRAMPOLINE, c_thunk_ir, trampoline_ir
from jitwasm.types import FuncType, RefType

__all__ = ["Adapters", "Switchable"]

_FIRST_LEVEL, _HOT_LEVEL = 0, 2

Key = tuple[str, FuncType, bool]


class Switchable(Protocol):
    """What holds the address of an adapter for one function."""

    def switch(self, code: int) -> None:
        """Use another adapter from now on."""

    def __hash__(self) -> int: ...


class _Adapter:
    """The state of one adapter.

    Attributes:
        code: its address, 0 where there is none yet.
        hot: the compilation at the higher level, once it has been asked for.
        users: what is to be switched.
    """

    def __init__(self) -> None:
        self.code = 0
        self.hot: Future[None] | None = None
        self.users: weakref.WeakSet[Switchable] = weakref.WeakSet()


class Adapters:
    """All adapters of the process, by kind ("thunk", "trampoline", "c"), type and variant."""

    def __init__(self, space: CodeSpace, thread_slot: int | None) -> None:
        """`thread_slot`: see libc.thread_slot."""
        self._space = space
        self._thread_slot = thread_slot
        self._adapters: dict[Key, _Adapter] = {}
        self._images: list[CodeImage] = []  # kept for ever: threads may be running any of them
        self._lock = threading.RLock()

    def thunk(self, type_: FuncType, release_gil: bool) -> int:
        """The address of a thunk."""
        return self._get(("thunk", type_, release_gil))

    def c_thunk(self, type_: FuncType) -> int:
        """The address of the way to a C function with parameters in the overflow area."""
        return self._get(("c", type_, False))

    def trampoline(self, type_: FuncType) -> int:
        """The address of the fast way to Python functions of a type, or 0 if there is none yet."""
        return self._adapter(("trampoline", type_, False)).code

    def _get(self, key: Key) -> int:
        adapter = self._adapter(key)
        if not adapter.code:
            with self._lock:
                if not adapter.code:
                    text, references = self._text(key, hot=False)
                    data = compile_unit(text, host_target(_FIRST_LEVEL))
                    adapter.code = self._load(key, data, references)
        return adapter.code

    def _adapter(self, key: Key) -> _Adapter:
        found = self._adapters.get(key)
        if found is None:
            found = self._adapters.setdefault(key, _Adapter())
        return found

    def attach(self, kind: str, type_: FuncType, variant: bool, user: Switchable) -> None:
        """Keep what holds an adapter's address up to date, as long as it lives."""
        adapter = self._adapter((kind, type_, variant))
        with self._lock:
            adapter.users.add(user)
            if adapter.code:
                user.switch(adapter.code)

    def heat(self, kind: str, type_: FuncType, variant: bool) -> None:
        """An adapter is called often: compile it well, in the background."""
        key = (kind, type_, variant)
        adapter = self._adapter(key)
        with self._lock:
            if adapter.hot is None:
                adapter.hot = shared_pool().submit(self._optimise, key, adapter)

    def _optimise(self, key: Key, adapter: _Adapter) -> None:
        text, references = self._text(key, hot=True)
        data = compile_unit(text, host_target(_HOT_LEVEL))
        with self._lock:
            adapter.code = self._load(key, data, references)
            for user in list(adapter.users):
                user.switch(adapter.code)

    def _text(self, key: Key, hot: bool) -> tuple[str, list[RefType]]:
        kind, type_, variant = key
        if kind == "thunk":
            return thunk_ir(type_, variant, counting=not hot, thread_slot=self._thread_slot)
        if kind == "trampoline":
            return trampoline_ir(type_, self._thread_slot)
        return c_thunk_ir(type_, self._thread_slot), []

    def _load(self, key: Key, data: bytes, references: list[RefType]) -> int:
        def resolve(name: str) -> int | None:
            return type_at(references, name) or self._space.resolve(name)

        image = self._space.load_runtime(data, resolve)
        self._images.append(image)
        return image.symbols[THUNK if key[0] == "thunk" else TRAMPOLINE]

    def settle(self) -> None:
        """Wait until everything that is being compiled in the background is in use."""
        for adapter in list(self._adapters.values()):
            if adapter.hot is not None:
                adapter.hot.result()

    def after_fork(self) -> None:
        """In a forked child: compilations under way are lost, and may be asked for again."""
        self._lock = threading.RLock()
        for adapter in self._adapters.values():
            if adapter.hot is not None and not adapter.hot.done():
                adapter.hot = None
