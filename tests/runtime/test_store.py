"""Stores: merging, environments, boxes of Python objects."""

from __future__ import annotations

import gc
import random
import threading
import weakref

from jitwasm.abi import ENV, STORE_STATE
from jitwasm.block import Block, read_word
from jitwasm.externs import BoxRegistry, boxed_object, is_host_box
from jitwasm.memory import Memory
from jitwasm.store import Member, Store, merge_all


class Context(Member):
    """Owns one environment, like an instance."""

    __slots__ = ("block",)

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.block = Block(ENV.size)
        self.block.words[ENV.offset["overflow"] // 8] = store.overflow
        self.block.words[ENV.offset["store"] // 8] = store.state
        store.add_environment(self.block.address, self)

    @property
    def address(self) -> int:
        return self.block.address

    @property
    def overflow(self) -> int:
        return read_word(self.address + ENV.offset["overflow"])


def test_environment_leads_to_its_store() -> None:
    store = Store()
    context = Context(store)
    assert Store.of_environment(context.address) is store
    assert store.contexts[context.address] is context


def test_merge_redirects_every_environment_and_keeps_overflow_areas() -> None:
    a, b = Store(), Store()
    in_a, in_b = Context(a), Context(b)
    areas = (in_a.overflow, in_b.overflow)
    merged = a.merge(b)
    assert a.root() is b.root() is merged
    assert Store.of_environment(in_a.address) is Store.of_environment(in_b.address) is merged
    assert (in_a.overflow, in_b.overflow) == areas
    assert set(merged.contexts.values()) == {in_a, in_b}


def test_environments_of_one_store_share_the_overflow_area() -> None:
    store = Store()
    assert Context(store).overflow == Context(store).overflow
    assert store.overflow % 16 == 0


def test_merging_is_idempotent_and_transitive() -> None:
    stores = [Store() for _ in range(5)]
    contexts = [Context(store) for store in stores]
    merged = merge_all(stores)
    assert merge_all(list(reversed(stores))) is merged
    assert merged.merge(stores[0]) is merged
    assert all(Store.of_environment(c.address) is merged for c in contexts)
    assert all(store.root() is merged for store in stores)


def test_merging_nothing_gives_a_new_store() -> None:
    assert merge_all([]) is not merge_all([])


def test_merged_store_lives_by_any_of_its_former_selves() -> None:
    a, b = Store(), Store()
    context = Context(a)
    merged = weakref.ref(a.merge(b))
    del a
    gc.collect()
    assert merged() is not None
    assert Store.of_environment(context.address) is merged()
    del b, context
    assert merged() is None


def test_store_frees_its_members_without_the_garbage_collector() -> None:
    a, b = Store(), Store()
    context = Context(b)
    b.members.add(context)
    reference = weakref.ref(context)
    del context
    a.merge(b)
    assert reference() is not None
    del a, b
    assert reference() is None


def test_store_does_not_keep_contexts_that_did_not_escape() -> None:
    store = Store()
    reference = weakref.ref(Context(store))
    assert reference() is None
    assert len(store.contexts) == 0


def depth_of(store: Store) -> int:
    return read_word(store.state + STORE_STATE.offset["depth"])


def test_stores_merge_while_this_thread_is_inside() -> None:
    for outer, inner in ((0, 1), (1, 0)):
        stores = Store(), Store()
        with stores[outer].entered(), stores[inner].entered(), stores[inner].entered():
            merged = stores[0].merge(stores[1])
            assert depth_of(merged) == 3
        assert depth_of(merged) == 0
        with merged.entered():
            assert depth_of(merged) == 1


def test_merge_waits_for_the_thread_inside() -> None:
    a, b = Store(), Store()
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with b.entered():
            inside.set()
            leave.wait()
            assert b.root() is b

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait()
    merging = threading.Thread(target=a.merge, args=(b,))
    merging.start()
    merging.join(0.05)
    assert merging.is_alive()
    leave.set()
    thread.join()
    merging.join()
    assert a.root() is b.root()
    assert depth_of(a.root()) == 0


def test_many_threads_merge_many_stores() -> None:
    stores = [Store() for _ in range(12)]
    contexts = [Context(store) for store in stores]
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        order = random.Random(seed)
        try:
            for _ in range(40):
                a, b = order.sample(stores, 2)
                with a.merge(b).entered():
                    pass
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len({id(store.root()) for store in stores}) == 1
    assert all(Store.of_environment(c.address) is stores[0].root() for c in contexts)
    assert depth_of(stores[0].root()) == 0


def test_memory_follows_its_store_through_merges() -> None:
    a, b = Store(), Store()
    memory = Memory(0)
    memory.join(b)
    merged = a.merge(b)
    del a, b
    gc.collect()
    assert memory.linked_store is merged
    del merged
    assert memory.linked_store is None


def test_memory_joins_two_stores_into_one() -> None:
    a, b = Store(), Store()
    memory = Memory(0)
    memory.join(a)
    memory.join(b)
    assert a.root() is b.root() is memory.linked_store


# Boxes.


def test_object_has_one_box_and_comes_back() -> None:
    boxes = BoxRegistry()
    values = [object() for _ in range(200)]
    words = [boxes.box(value) for value in values]
    assert len(set(words)) == 200
    assert all(word % 16 == 0 and is_host_box(word) for word in words)
    assert [boxed_object(word) for word in words] == values
    assert [boxes.box(value) for value in values] == words


def test_boxes_keep_their_objects_alive() -> None:
    class Thing:
        pass

    boxes = BoxRegistry()
    thing = Thing()
    reference = weakref.ref(thing)
    word = boxes.box(thing)
    del thing
    assert boxed_object(word) is reference()
    del boxes
    assert reference() is None


def test_absorbed_boxes_stay_valid_beside_those_of_the_same_object() -> None:
    shared, own = object(), object()
    a, b = BoxRegistry(), BoxRegistry()
    words = [a.box(shared), b.box(shared), b.box(own)]
    a.absorb(b)
    del b
    gc.collect()
    assert [boxed_object(word) for word in words] == [shared, shared, own]
    assert a.box(shared) == words[0]
    assert a.box(own) == words[2]
    more = [object() for _ in range(200)]
    assert not {a.box(value) for value in more} & set(words)


def test_swept_boxes_are_used_again_and_let_their_objects_go() -> None:
    class Thing:
        pass

    boxes = BoxRegistry()
    kept, dropped = Thing(), Thing()
    words = {boxes.box(kept), boxes.box(dropped)}
    reference = weakref.ref(dropped)
    del dropped
    assert len(boxes.sweep({boxes.box(kept)})) == 1
    assert reference() is None
    assert len(boxes) == 1
    assert boxes.box(Thing()) in words


def test_registry_tells_boxes_from_words_it_does_not_know() -> None:
    boxes = BoxRegistry()
    word, i31 = boxes.box("x"), 5 << 1 | 1
    assert boxes.known({0, word, i31}) == {word}
    assert boxes.known({0, word, word + 4096 * 16}) is None
