"""Finding what a store need not keep any more.

A store keeps the contexts whose references may have escaped (`members`) and the boxes of the
Python objects that went into wasm as externrefs. Both would stay as long as the store; where that
is long, this finds the ones that no root leads to and lets them go.

It runs only where no wasm code of the store is active and no reference is on its way between
Python and wasm, so the roots are exact: contexts that a public object holds, tables and globals
with a public object. From there it follows imports, tables, globals and passive segments. After
that, reference counts do the rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from jitwasm.abi import FUNCREF
from jitwasm.block import read_word
from jitwasm.store import Linked, Member, Store

__all__ = ["collect", "collect_if_due"]

_ENV = FUNCREF.offset["env"]


def collect_if_due(store: Store) -> None:
    """Collect if enough may have become garbage and nobody is inside the store.

    Also the hook that native code runs when the last entry into a store has been left.
    """
    root = store.root()
    if root.is_collection_due and not root.is_entered:
        collect(root)


def collect(store: Store) -> None:
    """Let go of what nothing leads to. No thread may be inside the store."""
    with store.entered():
        root = store.root()
        marker = _Marker(root)
        marker.mark()
        # A context that some reference leads to has escaped by now, if it had not before.
        kept = root.members & marker.members | marker.referenced
        boxes = root.boxes.known(marker.others)
        if boxes is None:
            # Objects that wasm code allocated: what they lead to is not known here.
            kept, boxes = root.members | kept, root.boxes.all()
        gone = root.retain(kept, boxes, marker.cost)
    del kept
    del marker  # the contexts end here, outside of the store, whatever their objects do
    del gone


class _Marker:
    """One traversal.

    Attributes:
        members: contexts that were reached.
        referenced: those of them that own a function some reference names.
        others: reference words outside the hierarchy of functions that were seen.
        cost: how many references were looked at.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._linked: set[Linked] = set()
        self._work: list[Member | Linked] = []
        self.members: set[Member] = set()
        self.referenced: set[Member] = set()
        self.others: set[int] = set()
        self.cost = 0

    def mark(self) -> None:
        self._push(member for member in set(self._store.contexts.values()) if member.is_held)
        self._push(linked for linked in self._store.linked.values() if linked.is_held)
        while self._work:
            item = self._work.pop()
            references = item.references()
            self.cost += len(references.functions) + len(references.others)
            self.others.update(references.others)
            owners = self._owners(set(references.functions))
            self.referenced |= owners
            self._push(owners)
            if isinstance(item, Member):
                self._push(item.neighbours())

    def _push(self, items: Iterable[Member | Linked]) -> None:
        for item in items:
            seen: set[Member] | set[Linked]
            seen = self.members if isinstance(item, Member) else self._linked
            if item not in seen:
                seen.add(item)  # type: ignore[arg-type]
                self._work.append(item)

    def _owners(self, funcrefs: set[int]) -> set[Member]:
        """The contexts that own these functions."""
        funcrefs.discard(0)
        contexts = self._store.contexts
        return {contexts[env] for env in {read_word(word + _ENV) for word in funcrefs}}
