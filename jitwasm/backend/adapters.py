"""Adapters between the two calling conventions, one for each function type, in two tiers.

Thunks lead from Python into wasm code, trampolines from wasm code to Python functions. Most are
called a few times only, so at first there are the generic ways, which serve every type
(runtime/calls.ll). A function that has been called often reports it; then an adapter of its type is
made in the background, and every function of the type is switched to it, at any moment, by one
store of an aligned word.

Loading LLVM takes longer than thousands of calls. As long as it is not loaded, and the disk cache
does not have the adapter either, only many more calls are reason enough.
"""

from __future__ import annotations

import importlib
import sys
import threading
import weakref
from array import array
from collections.abc import Callable

from jitwasm.backend.codespace import CodeSpace
from jitwasm.backend.host import HostFunctions, HostTypes
from jitwasm.backend.loader import CodeImage
from jitwasm.backend.runtime.layout import HOT
from jitwasm.types import FuncType
from jitwasm.weaktable import WeakTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Future
    from typing import Any, Literal, Protocol
else:
    Protocol = object

__all__ = ["PATIENCE", "Adapters", "Switchable"]

PATIENCE = 1 << 17
"""So many calls are worth loading LLVM: about ten milliseconds of them."""

MOST_VALUES = 24
"""Types with more parameters and results than this stay with the generic ways: LLVM takes seconds
for hundreds."""

_GENERIC = {"thunk": "jw_entry", "trampoline": "jw_host_call"}

Key = tuple[str, FuncType, bool]


class Switchable(Protocol):
    """What holds the address of a thunk for one function."""

    def switch(self, code: int) -> None:
        """Use another adapter from now on."""

    def __hash__(self) -> int: ...


class _Adapter:
    """The state of one adapter.

    Attributes:
        code: what functions of its type use now.
        calls: how many have been reported.
        making: its being made, once that has begun.
        is_searched: whether the disk cache has been asked for it.
        users: what is to be switched.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        self.calls = 0
        self.making: Future[None] | None = None
        self.is_searched = False
        self.users: weakref.WeakSet[Switchable] = weakref.WeakSet()


class Adapters:
    """All adapters of the process, by kind ("thunk" or "trampoline"), type and variant.

    Attributes:
        made: when an adapter of a function's own type is made: once it is called often, or, for
            tests, always or never.
    """

    def __init__(self, space: CodeSpace, thread_slot: int | None) -> None:
        """`thread_slot`: see libc.thread_slot."""
        self.made: Literal["often", "always", "never"] = "often"
        self._space = space
        self._thread_slot = thread_slot
        self._adapters: weakref.WeakKeyDictionary[FuncType, dict[tuple[str, bool], _Adapter]] = (
            weakref.WeakKeyDictionary()
        )
        self._imports: WeakTable[HostFunctions] = WeakTable()
        self._version = 0  # counts the trampolines that have been made
        # Kept for ever, with the types that their code refers to: threads may be running any.
        self._images: list[tuple[CodeImage, FuncType]] = []
        self._lock = threading.RLock()

    def code(self, kind: str, type_: FuncType, variant: bool) -> int:
        """The address of what functions of a type use now."""
        if self.made == "always":
            self.make(kind, type_, variant)
        elif self.made == "never":
            return self._space.symbol(_GENERIC[kind])
        return self._adapter((kind, type_, variant)).code

    def _adapter(self, key: Key) -> _Adapter:
        kind, type_, variant = key
        with self._lock:
            of_type = self._adapters.setdefault(type_, {})
            found = of_type.get((kind, variant))
            if found is None:
                found = of_type[kind, variant] = _Adapter(self._space.symbol(_GENERIC[kind]))
            return found

    def _all(self) -> list[_Adapter]:
        return [adapter for row in list(self._adapters.values()) for adapter in row.values()]

    def attach(self, type_: FuncType, variant: bool, user: Switchable) -> None:
        """Keep what holds a thunk's address up to date, as long as it lives."""
        code = self.code("thunk", type_, variant)
        if self.made == "never":
            user.switch(code)
            return
        adapter = self._adapter(("thunk", type_, variant))
        with self._lock:
            adapter.users.add(user)
            user.switch(adapter.code)

    def attach_imports(self, users: HostFunctions) -> None:
        """Keep the addresses of trampolines up to date, as long as their users live."""
        with self._lock:
            if self.made == "never":
                code = self._space.symbol(_GENERIC["trampoline"])
                users.switch_all(array("Q", [code]) * len(users))
                return
            users.switch_all(self._trampolines(users.types))
            self._imports[id(users)] = users

    def _trampolines(self, types: HostTypes) -> array[int]:
        version, codes = types.trampolines
        if version != self._version or self.made == "always":
            codes = array("Q", bytes(8 * len(types.types)))
            for type_, places in types.places.items():
                code = self.code("trampoline", type_, False)
                for place in places:
                    codes[place] = code
            types.trampolines = self._version, codes
        return codes

    def report(self, kind: str, type_: FuncType, variant: bool) -> None:
        """A function has been called `HOT` times since its last report."""
        key = (kind, type_, variant)
        adapter = self._adapter(key)
        with self._lock:
            adapter.calls += HOT
            compiles = _llvm_is_loaded() or adapter.calls >= PATIENCE
            if (
                adapter.making is None
                and (compiles or not adapter.is_searched)
                and _is_short(type_)
            ):
                adapter.is_searched = True
                pool = importlib.import_module("jitwasm.backend.scheduler").shared_pool()
                adapter.making = pool.submit(self._make, key, adapter, compiles)

    def make(self, kind: str, type_: FuncType, variant: bool) -> None:
        """Make an adapter now, whatever that takes, if functions of this type get one."""
        if not _is_short(type_):
            return
        key = (kind, type_, variant)
        adapter = self._adapter(key)
        self._settle(adapter)
        if adapter.code == self._space.symbol(_GENERIC[kind]):
            self._make(key, adapter, compiles=True)

    def _make(self, key: Key, adapter: _Adapter, compiles: bool) -> None:
        # Not at import: most functions are called a few times only.
        code = importlib.import_module("jitwasm.backend.adaptercode")
        data, type_at = code.adapter_object(*key, self._thread_slot, compiles)
        with self._lock:
            if data is None:
                adapter.making = None
                return
            adapter.code = self._load(key, data, type_at, code.SYMBOLS[key[0]])
            for user in list(adapter.users):
                user.switch(adapter.code)
            if key[0] == "trampoline":
                self._version += 1
                for users in self._imports.values():
                    users.switch(key[1], adapter.code)

    def _load(
        self, key: Key, data: bytes, type_at: Callable[[str], int | None], symbol: str
    ) -> int:
        def resolve(name: str) -> int | None:
            return type_at(name) or self._space.resolve(name)

        image = self._space.load_runtime(data, resolve)
        self._images.append((image, key[1]))
        return image.symbols[symbol]

    def settle(self) -> None:
        """Wait until everything that is being made in the background is in use."""
        for adapter in self._all():
            self._settle(adapter)

    def _settle(self, adapter: _Adapter) -> None:
        making = adapter.making
        if making is not None:
            making.result()

    def after_fork(self) -> None:
        """In a forked child: what was being made is lost, and may be asked for again."""
        self._lock = threading.RLock()
        for adapter in self._all():
            if adapter.making is not None and not adapter.making.done():
                adapter.making = None
                adapter.is_searched = False


def _is_short(type_: FuncType) -> bool:
    return len(type_.params) + len(type_.results) <= MOST_VALUES


def _llvm_is_loaded() -> bool:
    # Another thread may be importing the module: then it has not everything yet.
    is_loaded: Any = getattr(sys.modules.get("jitwasm.backend.llvm"), "is_loaded", None)
    return is_loaded is not None and bool(is_loaded())
