"""Stores: which objects belong together (specification: Runtime Structure, "Store").

A store is the set of instances and objects connected by links; it has no public face. Linking two
stores merges them, and they never part again. What follows from that:

* One thread at a time is inside a store: entry code takes `StoreState.owner`.
* All environments made in one store share its overflow area. The area outlives a merge, since
  `env->overflow` never changes; `env->store` is rewritten when stores merge.
* References that compiled code may have put anywhere (funcrefs of instances that share a table,
  externref boxes) stay valid as long as the store: `members` and `boxes` own what they point to.

Lifetimes, without reference cycles: public objects that may lead to references have a `Hold` on
their store; a store holds its members; a context (instance) never holds its store. Memories and
numeric globals lead to no references, so they only know their store weakly. What a store that
lives on need not keep any more, collector.py finds.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from jitwasm.abi import ENV, OVERFLOW_SLOT, OVERFLOW_SLOTS, STORE_STATE
from jitwasm.backend.helpertable import helper_table
from jitwasm.backend.native import native
from jitwasm.block import Block, read_word, write_word
from jitwasm.externs import BoxRegistry
from jitwasm.records import record
from jitwasm.weaktable import WeakTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Hold", "Linked", "Member", "References", "Store", "merge_all"]

_OWNER = STORE_STATE.offset["owner"] // 8
_MIN_BOXES, _MIN_UNHELD = 1000, 2
"""How many may come together before a first collection."""
_DEPTH = STORE_STATE.offset["depth"] // 8
_DUE = STORE_STATE.offset["due"] // 8
_HELPERS = STORE_STATE.offset["helpers"] // 8
_OBJECT = STORE_STATE.offset["object"] // 8
_DOOR = STORE_STATE.size  # offset of an environment, in the same block
_DOOR_STORE = (_DOOR + ENV.offset["store"]) // 8


@record(frozen=True)
class References:
    """Reference words held somewhere, nulls included: funcrefs, and those of other hierarchies."""

    functions: Sequence[int] = ()
    others: Sequence[int] = ()


class Member:
    """What owns environments: a context. A store only keeps it alive and finds it."""

    __slots__ = ("__weakref__", "_hold")

    def __init__(self) -> None:
        self._hold: weakref.ref[Hold] | None = None

    @property
    def environments(self) -> Iterable[int]:
        """Addresses of environments that it owns and that no FuncRef leads to."""
        return ()

    def hold(self, store: Store) -> Hold:
        """What public objects reached through this context keep; the same while any does."""
        found = self._hold() if self._hold is not None else None
        if found is None:
            found = Hold(store, self)
            self._hold = weakref.ref(found)
        return found

    @property
    def is_held(self) -> bool:
        """Whether any public object keeps it."""
        return self._hold is not None and self._hold() is not None

    def neighbours(self) -> Iterable[Member | Linked]:
        """What its code can reach without going through a reference."""
        return ()

    def references(self) -> References:
        """References it holds itself, outside of tables and globals."""
        return References()


class Hold:
    """What a public object keeps alive: its store, and the context it was reached through."""

    __slots__ = ("__weakref__", "_store", "member")

    def __init__(self, store: Store, member: Member | None = None) -> None:
        self._store = store
        self.member = member

    @property
    def store(self) -> Store:
        return self._store.root()


class Linked:
    """A memory, table, global or tag: belongs to at most one store, which it knows weakly."""

    __slots__ = ("__weakref__", "_store_ref")

    def __init__(self) -> None:
        self._store_ref: weakref.ref[Store] | None = None

    @property
    def is_held(self) -> bool:
        """Whether a public object that leads to its references is alive."""
        return False

    def references(self) -> References:
        """The references it holds."""
        return References()

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
        root.linked[id(self)] = self


class Store:
    """A set of linked objects. Read every attribute but `root` through `root()`.

    Attributes:
        members: contexts whose references may have escaped: alive as long as the store.
        contexts: owner of each environment by its address, not owning.
        door: address of an environment through which Python enters.
    """

    __slots__ = (
        "__weakref__",
        "_absorbed",
        "_forward",
        "_most_boxes",
        "_most_unheld",
        "_overflow",
        "_rare",
        "_state",
        "contexts",
        "door",
        "members",
    )

    def __init__(self) -> None:
        self._forward: Store | None = None
        self._state = state = Block(_DOOR + ENV.size)
        words, address = state.words, state.address
        words[_OBJECT] = id(self)
        words[_HELPERS] = _helpers()
        words[_DOOR_STORE] = address
        self.door = address + _DOOR
        self._overflow: Block | None = None
        # States and overflow areas of stores merged into this.
        self._absorbed: tuple[Block, ...] = ()
        self.members: set[Member] = set()
        self.contexts: WeakTable[Member] = WeakTable()
        self._rare: dict[str, Any] = {}  # what few stores need, made when it is asked for
        self._most_boxes = _MIN_BOXES
        self._most_unheld = _MIN_UNHELD

    @property
    def linked(self) -> WeakTable[Linked]:
        """Memories, tables, … that belong here by their id, not owning."""
        found: WeakTable[Linked] | None = self._rare.get("linked")
        return self._rare.setdefault("linked", WeakTable()) if found is None else found

    @property
    def boxes(self) -> BoxRegistry:
        """Boxes of Python objects that travel as externref."""
        found: BoxRegistry | None = self._rare.get("boxes")
        return self._rare.setdefault("boxes", BoxRegistry()) if found is None else found

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

    def add_environment(self, address: int, owner: Member) -> None:
        """Register an environment whose head already points here."""
        self.contexts[address] = owner

    def _environments(self) -> Iterator[int]:
        """All that point to this store: its own, contexts', and those of their host functions."""
        yield self.door
        for address, owner in self.contexts.items():
            yield address
            yield from owner.environments

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be the thread inside, so that nothing runs in the store meanwhile.

        Waits, without the GIL, for another thread to leave.

        Raises:
            RuntimeError: waiting would be a deadlock.
        """
        door = self.door
        native().enter_store(door)
        try:
            yield
        finally:
            native().leave_store(door)

    @property
    def is_entered(self) -> bool:
        """Whether some thread is inside."""
        return self._state.words[_OWNER] != 0

    def box(self, value: object) -> int:
        """The reference word of a Python object."""
        word = self.boxes.box(value)
        if len(self.boxes) > self._most_boxes:
            self._state.words[_DUE] = 1
        return word

    @property
    def is_collection_due(self) -> bool:
        """Whether so many boxes were made that a collection is worth it."""
        return self._state.words[_DUE] != 0

    def expect_members(self) -> None:
        """Consider whether contexts that nobody holds have become too many."""
        if self._unheld() > self._most_unheld:
            self._state.words[_DUE] = 1

    def _unheld(self) -> int:
        return sum(not member.is_held for member in self.members)

    def retain(self, members: set[Member], boxes: set[int], cost: int) -> list[object]:
        """End a collection: keep only these members and boxes.

        Args:
            members: contexts whose references have escaped.
            boxes: what was reached.
            cost: how many references were looked at; the next collection comes the later for it.

        Returns:
            What holds the last references to the rest.
        """
        gone: list[object] = [self.members, self.boxes.sweep(boxes)]
        self.members = members
        self._most_boxes = 2 * len(self.boxes) + max(_MIN_BOXES, cost // 8)
        self._most_unheld = 2 * self._unheld() + _MIN_UNHELD
        self._state.words[_DUE] = 0
        return gone

    def merge(self, other: Store) -> Store:
        """Make one store of two; returns it."""
        while self.root() is not other.root():
            # Always in the same order, so that two threads do not wait for each other.
            first, second = sorted((self.root(), other.root()), key=id)
            with first.entered(), second.entered():
                if first.root() is first and second.root() is second:
                    first._absorb(second)
        return self.root()

    def _absorb(self, gone: Store) -> None:
        """Take over another store while this thread is inside both."""
        for address in gone._environments():
            write_word(address + ENV.offset["store"], self.state)
        gone._forward = self
        # Whoever entered the other store leaves through its environment, that is, this one.
        self._state.words[_DEPTH] += gone._state.words[_DEPTH]
        self._state.words[_DUE] |= gone._state.words[_DUE]
        gone._state.words[_OWNER] = 0
        self.contexts.update(gone.contexts)
        self.members |= gone.members
        gone.members = set()
        for linked in gone.linked.values():
            linked._store_ref = weakref.ref(self)
        self.linked.update(gone.linked)
        self.boxes.absorb(gone.boxes)
        self._absorbed += (gone._state, *gone._absorbed)
        if gone._overflow is not None:
            self._absorbed += (gone._overflow,)


@functools.cache
def _helpers() -> int:
    return ctypes.addressof(helper_table())


def merge_all(stores: list[Store]) -> Store:
    """One store of all these; a new one where there are none."""
    merged = stores[0].root() if stores else Store()
    for store in stores[1:]:
        merged = merged.merge(store)
    return merged
