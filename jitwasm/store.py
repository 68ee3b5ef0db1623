"""Stores: which objects belong together (specification: Runtime Structure, "Store").

A store is the set of instances and objects connected by links; it has no public face. Linking two
stores merges them, and they never part again. What follows from that:

* One thread at a time is inside a store: entry code takes `StoreState.owner`.
* All environments made in one store share its overflow area. The area outlives a merge, since
  `env->overflow` never changes; `env->store` is rewritten when stores merge.
* References that compiled code may have put anywhere (funcrefs of instances that share a table,
  externref boxes) stay valid as long as the store: `members` and `boxes` own what they point to.

Lifetimes, without reference cycles: public objects that may lead to references hold their `Store`;
a store holds its members; a context (instance) never holds its store. Memories and numeric globals
lead to no references, so they only know their store weakly.
"""

from __future__ import annotations

import ctypes
import time
import weakref

from jitwasm.abi import ENV, OVERFLOW_SLOT, OVERFLOW_SLOTS, STORE_STATE
from jitwasm.block import Block, read_word, write_word
from jitwasm.externs import BoxRegistry

__all__ = ["Linked", "Member", "Store", "merge_all"]

_OWNER = STORE_STATE.offset["owner"] // 8
_DEPTH = STORE_STATE.offset["depth"] // 8
_OBJECT = STORE_STATE.offset["object"] // 8
_POLL = 0.0002
"""Seconds between looks at a store that another thread is inside."""


class Member:
    """What owns environments: a context. A store only keeps it alive and finds it."""

    __slots__ = ("__weakref__",)


class Linked:
    """A memory, table, global or tag: belongs to at most one store, which it knows weakly."""

    __slots__ = ("__weakref__", "_store_ref")

    def __init__(self) -> None:
        self._store_ref: weakref.ref[Store] | None = None

    @property
    def linked_store(self) -> Store | None:
        """The store this belongs to, or None before it is linked to anything alive."""
        found = self._store_ref() if self._store_ref is not None else None
        return found.root() if found is not None else None

    def join(self, store: Store) -> None:
        """Belong to `store`, merging it with the present one."""
        present = self.linked_store
        root = store.root() if present is None else present.merge(store)
        self._store_ref = weakref.ref(root)
        root.linked.add(self)


class Store:
    """A set of linked objects. Read every attribute but `root` through `root()`.

    Attributes:
        members: contexts whose references may have escaped: alive as long as the store.
        contexts: owner of each environment by its address, not owning.
        linked: memories, tables, … that belong here, not owning.
        boxes: of Python objects that travel as externref.
    """

    __slots__ = (
        "__weakref__",
        "_absorbed",
        "_forward",
        "_overflow",
        "_state",
        "boxes",
        "contexts",
        "linked",
        "members",
    )

    def __init__(self) -> None:
        self._forward: Store | None = None
        self._state = Block(STORE_STATE.size)
        self._state.words[_OBJECT] = id(self)
        self._overflow: Block | None = None
        self._absorbed: list[Block] = []  # states and overflow areas of stores merged into this
        self.members: set[Member] = set()
        self.contexts: weakref.WeakValueDictionary[int, Member] = weakref.WeakValueDictionary()
        self.linked: weakref.WeakSet[Linked] = weakref.WeakSet()
        self.boxes = BoxRegistry()

    @staticmethod
    def of_environment(address: int) -> Store:
        """The store an environment belongs to now."""
        state = read_word(address + ENV.offset["store"])
        found = ctypes.py_object.from_address(state + STORE_STATE.offset["object"]).value
        assert isinstance(found, Store)
        return found

    def root(self) -> Store:
        """The store this one has become part of, or itself."""
        store = self
        while store._forward is not None:
            store = store._forward
        if store is not self and self._forward is not store:
            self._forward = store
        return store

    @property
    def state(self) -> int:
        """Address of the StoreState, for new environments."""
        return self._state.address

    @property
    def overflow(self) -> int:
        """Address of the overflow area, for new environments."""
        if self._overflow is None:
            self._overflow = Block(OVERFLOW_SLOT * OVERFLOW_SLOTS)
        return self._overflow.address

    @property
    def entered(self) -> bool:
        """Whether some thread is inside."""
        return self._state.words[_OWNER] != 0

    def add_environment(self, address: int, owner: Member) -> None:
        """Register an environment whose head already points here."""
        self.contexts[address] = owner

    def merge(self, other: Store) -> Store:
        """Make one store of two; returns it."""
        kept, gone = self.root(), other.root()
        if kept is gone:
            return kept
        # The state of a store with a thread inside must survive: that thread leaves through it.
        if gone.entered:
            kept, gone = gone, kept
        if gone._state.words[_OWNER] == kept._state.words[_OWNER]:
            kept._state.words[_DEPTH] += gone._state.words[_DEPTH]
        else:
            while gone.entered:
                time.sleep(_POLL)
        gone._forward = kept
        for address in list(gone.contexts):
            write_word(address + ENV.offset["store"], kept.state)
        kept.contexts.update(gone.contexts)
        kept.members |= gone.members
        for linked in list(gone.linked):
            linked._store_ref = weakref.ref(kept)
            kept.linked.add(linked)
        kept.boxes.absorb(gone.boxes)
        kept._absorbed += [gone._state, *gone._absorbed]
        if gone._overflow is not None:
            kept._absorbed.append(gone._overflow)
        gone.members = set()
        return kept


def merge_all(stores: list[Store]) -> Store:
    """One store of all these; a new one where there are none."""
    merged = stores[0].root() if stores else Store()
    for store in stores[1:]:
        merged = merged.merge(store)
    return merged
