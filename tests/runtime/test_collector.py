"""What a store that lives on lets go of: boxed objects and contexts nothing leads to."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from jitwasm import Global, Instance, Memory, Table
from jitwasm.collector import collect
from jitwasm.store import Store
from tests.runtime.support import dies, instantiate, module_of


@pytest.fixture(autouse=True)
def _no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Thing:
    pass


def store_of(value: Any) -> Store:
    store = value._hold.store
    assert isinstance(store, Store)
    return store


def context_of(instance: Instance) -> weakref.ref[Any]:
    return weakref.ref(instance._hold.member)


PLUGIN = """(module
  (import "m" "t" (table $t 4 funcref)) (memory 1) (data (i32.const 0) "\\2a")
  (func $f (export "f") (result i32) i32.const 0 i32.load8_u)
  (elem declare func $f)
  (func (export "put") (param i32) local.get 0 ref.func $f table.set $t)
  (func (export "clear") (param i32) local.get 0 ref.null func table.set $t)
  (func (export "call") (param i32) (result i32)
    local.get 0 call_indirect (result i32)))"""


def test_object_that_left_the_table_is_let_go() -> None:
    table = Table("externref", 2)
    kept, dropped = Thing(), Thing()
    table[0], table[1] = kept, dropped
    reference = weakref.ref(dropped)
    del dropped
    table[1] = None
    collect(store_of(table))
    assert dies(reference)
    assert table[0] is kept


def test_objects_in_globals_and_passive_segments_are_kept() -> None:
    variable = Global("externref", None, mutable=True)
    exports = instantiate(
        """(module (import "m" "e" (global $e externref)) (import "m" "v" (global (mut externref)))
             (table $t 1 externref) (elem $s externref (global.get $e))
             (func (export "get") (result externref)
               (table.init $t $s (i32.const 0) (i32.const 0) (i32.const 1))
               i32.const 0 table.get $t))""",
        {"m": {"e": Thing(), "v": variable}},
    ).exports
    variable.value = Thing()
    value = weakref.ref(variable.value)
    collect(store_of(variable))
    assert isinstance(exports.get(), Thing)
    assert variable.value is value()


def test_objects_that_pass_through_a_table_do_not_pile_up() -> None:
    table = Table("externref", 1)
    references = []
    for _ in range(10_000):
        thing = Thing()
        references.append(weakref.ref(thing))
        table[0] = thing
    del thing
    alive = sum(reference() is not None for reference in references)
    assert alive < 2_500
    assert isinstance(table[0], Thing)


def test_context_that_left_the_table_is_let_go() -> None:
    table = Table("funcref", 4)
    host = instantiate(PLUGIN, {"m": {"t": table}})
    plugin = instantiate(PLUGIN, {"m": {"t": table}})
    context = context_of(plugin)
    plugin.exports.put(1)
    del plugin
    collect(store_of(host))
    assert not dies(context)
    assert host.exports.call(1) == 42
    host.exports.clear(1)
    assert not dies(context)
    collect(store_of(host))
    assert dies(context)


def test_plugins_do_not_pile_up() -> None:
    table = Table("funcref", 4)
    host = instantiate(PLUGIN, {"m": {"t": table}})
    contexts = []
    for i in range(30):
        plugin = instantiate(PLUGIN, {"m": {"t": table}})
        plugin.exports.put(i % 4)
        contexts.append(context_of(plugin))
    del plugin
    assert sum(context() is not None for context in contexts) <= 20
    assert [host.exports.call(i) for i in range(4)] == [42] * 4


def test_everything_reachable_from_a_table_element_is_kept() -> None:
    table = Table("funcref", 4)
    library = instantiate('(module (func (export "seven") (result i32) i32.const 7))')
    middle = instantiate(
        """(module (import "m" "t" (table $t 4 funcref)) (import "l" "seven" (func $f (result i32)))
             (table $own 1 funcref) (elem (table $own) (i32.const 0) func $g)
             (func $g (result i32) call $f)
             (func $h (result i32) i32.const 0 call_indirect $own (result i32))
             (elem (table $t) (i32.const 2) func $h))""",
        {"m": {"t": table}, "l": library.exports},
    )
    contexts = [context_of(library), context_of(middle)]
    del library, middle
    collect(store_of(table))
    assert not any(dies(context) for context in contexts)
    assert table[2]() == 7  # type: ignore[operator]
    table[2] = None
    collect(store_of(table))
    assert all(dies(context) for context in contexts)


def test_function_that_escaped_through_its_importer_is_kept() -> None:
    library = instantiate('(module (func (export "nine") (result i32) i32.const 9))')
    middle = instantiate(
        """(module (import "l" "nine" (func $f (result i32)))
             (table (export "t") 1 funcref) (elem (i32.const 0) $f))""",
        {"l": library.exports},
    )
    end = instantiate(
        """(module (import "m" "t" (table $t 1 funcref)) (table $own 1 funcref)
             (func (export "move")
               (table.set $own (i32.const 0) (table.get $t (i32.const 0)))
               (table.set $t (i32.const 0) (ref.null func)))
             (func (export "call") (result i32)
               (call_indirect $own (result i32) (i32.const 0))))""",
        {"m": middle.exports},
    )
    contexts = [context_of(library), context_of(middle)]
    end.exports.move()
    del library, middle
    collect(end._hold.store)
    assert [dies(context) for context in contexts] == [False, True]
    assert end.exports.call() == 9
    collect(end._hold.store)
    assert end.exports.call() == 9


def test_context_that_only_a_function_object_holds_is_kept() -> None:
    table = Table("funcref", 4)
    plugin = instantiate(PLUGIN, {"m": {"t": table}})
    context, function = context_of(plugin), plugin.exports.f
    del plugin
    collect(store_of(table))
    assert function() == 42
    del function
    collect(store_of(table))
    assert dies(context)


def test_exports_namespace_alone_keeps_the_context() -> None:
    table = Table("funcref", 4)
    exports = instantiate(PLUGIN, {"m": {"t": table}}).exports
    collect(store_of(table))
    assert exports.f() == 42


def test_table_of_a_context_keeps_it_while_it_has_a_public_object() -> None:
    outer = Table("funcref", 4)
    instance = instantiate(
        """(module (import "m" "t" (table 4 funcref)) (table (export "own") 1 funcref)
             (func $f (result i32) i32.const 3) (elem (table 1) (i32.const 0) func $f))""",
        {"m": {"t": outer}},
    )
    context, own = context_of(instance), instance.exports.own
    del instance
    collect(store_of(outer))
    assert own[0]() == 3
    del own
    collect(store_of(outer))
    assert dies(context)


def test_no_collection_while_somebody_is_inside() -> None:
    table = Table("funcref", 4)
    seen: list[int] = []

    def make() -> None:
        for _ in range(20):
            instantiate(PLUGIN, {"m": {"t": table}})
        seen.append(sum(context() is not None for context in contexts))

    host = instantiate(
        """(module (import "m" "t" (table 4 funcref)) (import "m" "f" (func $f))
             (func (export "run") call $f))""",
        {"m": {"t": table, "f": make}},
    )
    plugin = instantiate(PLUGIN, {"m": {"t": table}})
    contexts = [context_of(plugin)]
    del plugin
    host.exports.run()
    assert seen == [1]


def test_unrelated_memories_are_not_touched() -> None:
    memory = Memory(1)
    instance = Instance(
        module_of('(module (import "m" "m" (memory 1)) (func (export "f")))'), {"m": {"m": memory}}
    )
    collect(instance._hold.store)
    instance.exports.f()
    assert memory.linked_store is instance._hold.store


def test_objects_that_pass_through_calls_do_not_pile_up() -> None:
    references: list[weakref.ref[Thing]] = []

    def alive() -> int:
        return sum(reference() is not None for reference in references)

    def make() -> Thing:
        thing = Thing()
        references.append(weakref.ref(thing))
        return thing

    exports = instantiate(
        """(module (import "m" "make" (func $make (result externref)))
             (func (export "id") (param externref externref) (result externref externref)
               local.get 1 local.get 0)
             (func (export "made") (result externref) call $make)
             (func (export "many") (param i32) (loop
               call $make drop
               (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))""",
        {"m": {"make": make}},
    ).exports
    for _ in range(5_000):
        a, b = make(), make()
        assert exports.id(a, b) == (b, a)
        assert isinstance(exports.made(), Thing)
    del a, b
    assert alive() < 4_000
    exports.many(5_000)
    exports.id(None, None)
    assert alive() < 4_000


def test_object_stored_by_a_call_survives_collections() -> None:
    exports = instantiate(
        """(module (table $t 4000 externref)
             (func (export "put") (param i32 externref) local.get 0 local.get 1 table.set $t)
             (func (export "get") (param i32) (result externref) local.get 0 table.get $t))"""
    ).exports
    for i in range(4000):
        exports.put(i, [i])
        exports.put(i // 2, [i // 2])
    assert all(exports.get(i) == [i] for i in range(4000))


NODE = """(module
  (import "m" "t" (table $t 8 funcref))
  (import "m" "other" (func $other (result i32)))
  (import "m" "id" (global $id i32))
  (memory 1)
  (global $kept (export "kept") (mut funcref) (ref.null func))
  (table $own 1 funcref)
  (elem declare func $f $other)
  (func $f (export "f") (result i32) (i32.load (i32.const 8)))
  (func (export "init") (i32.store (i32.const 8) (global.get $id)))
  (func (export "other") (result i32) call $other)
  (func (export "put") (param i32) (table.set $t (local.get 0) (ref.func $f)))
  (func (export "put_other") (param i32) (table.set $t (local.get 0) (ref.func $other)))
  (func (export "keep") (param i32) (global.set $kept (table.get $t (local.get 0))))
  (func (export "stash") (param funcref) (table.set $own (i32.const 0) (local.get 0)))
  (func (export "stashed") (result i32) (call_indirect $own (result i32) (i32.const 0)))
  (func (export "call") (param i32) (result i32) (call_indirect $t (result i32) (local.get 0))))"""


@pytest.mark.parametrize("seed", range(6))
def test_random_histories_never_meet_a_dead_function(seed: int) -> None:
    choose = random.Random(seed)
    tables = [Table("funcref", 8) for _ in range(2)]
    contents: list[list[int | None]] = [[None] * 8 for _ in tables]
    root = instantiate('(module (func (export "f") (result i32) i32.const 0))')
    contexts = [context_of(root)]  # by id: what is needed must be alive, not only seem so
    functions: list[tuple[Any, int]] = [(root.exports.f, 0)]
    del root
    nodes: list[tuple[Any, int, int, int]] = []  # exports, its id, its table, id of "other"
    stashes: dict[int, int] = {}
    kept: dict[int, int] = {}
    made = 0
    for _ in range(400):
        action = choose.randrange(9)
        if action == 0 or not nodes:
            where, (other, other_id) = choose.randrange(2), choose.choice(functions)
            made += 1
            imports = {"t": tables[where], "other": other, "id": made}
            instance = instantiate(NODE, {"m": imports})
            contexts.append(context_of(instance))
            instance.exports.init()
            nodes.append((instance.exports, made, where, other_id))
            del instance, other, imports
            continue
        exports, number, where, other_id = choose.choice(nodes)
        slot = choose.randrange(8)
        if action == 2:
            exports.put(slot)
            contents[where][slot] = number
        elif action == 3:
            exports.put_other(slot)
            contents[where][slot] = other_id
        elif action == 4 and contents[where][slot] is not None:
            functions.append((tables[where][slot], contents[where][slot] or 0))
            functions = functions[-2:]
        elif action == 5:
            function, value = choose.choice(functions)
            exports.stash(function)
            stashes[number] = value
        elif action == 6 and contents[where][slot] is not None:
            exports.keep(slot)
            kept[number] = contents[where][slot] or 0
        elif action == 7 and len(nodes) > 2:
            nodes.remove((exports, number, where, other_id))
        else:
            collect(tables[0]._hold.store if tables[0]._hold else Store())
        del exports
        needed = {value for _, value in functions} | {n for node in nodes for n in node[1::2]}
        for held in (stashes, kept):
            needed |= {held[node[1]] for node in nodes if node[1] in held}
        needed |= {value for expected in contents for value in expected if value is not None}
        assert not [value for value in needed if contexts[value]() is None]
        for table, expected in zip(tables, contents, strict=True):
            for function, value in zip(table, expected, strict=True):
                assert (function and function()) == value  # type: ignore[operator]
        for exports, number, _, other_id in nodes:
            assert (exports.f(), exports.other()) == (number, other_id)
            if number in stashes:
                assert exports.stashed() == stashes[number]
            if number in kept:
                assert exports.kept.value() == kept[number]
        for function, value in functions:
            assert function() == value
