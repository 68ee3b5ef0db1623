"""Lifetimes: whatever is reachable works; whatever is not goes, without the garbage collector."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import Any

import numpy as np
import pytest

from jitwasm import Global, Instance, Memory, Table
from tests.runtime.support import dies, instantiate, module_of

LIBRARY = """(module
  (memory (export "memory") 1) (data (i32.const 0) "\\2a")
  (global $g (export "global") (mut i32) (i32.const 7))
  (table (export "table") 2 funcref) (elem (i32.const 0) $load $count)
  (func $load (export "load") (result i32) i32.const 0 i32.load8_u)
  (func $count (export "count") (result i32)
    global.get $g i32.const 1 i32.add global.set $g global.get $g))"""

IMPORTER = """(module
  (import "lib" "memory" (memory 1)) (import "lib" "global" (global $g (mut i32)))
  (import "lib" "table" (table 2 funcref))
  (import "lib" "load" (func $load (result i32))) (import "lib" "count" (func $count (result i32)))
  (func (export "sum") (result i32)
    call $load call $count i32.add
    i32.const 0 call_indirect (result i32) i32.add
    i32.const 0 i32.load8_u i32.add))"""


def alive(value: object) -> weakref.ref[Any]:
    """Watch the context of an instance: the native part, which must not outlive its use."""
    return weakref.ref(value._hold.member)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _no_garbage_collector() -> Any:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_instance_goes_with_its_last_reference() -> None:
    instance = instantiate(LIBRARY)
    context = alive(instance)
    _ = instance.exports.load, instance.exports.table, instance.exports.memory
    _ = instance.exports.table[0], instance.exports["global"].value
    del _
    assert not dies(context)
    del instance
    assert dies(context)


@pytest.mark.parametrize("name", ["load", "count", "table"])
def test_functions_and_tables_keep_the_instance(name: str) -> None:
    instance = instantiate(LIBRARY)
    context = alive(instance)
    kept = instance.exports[name]
    del instance
    assert not dies(context)
    if name == "table":
        assert (kept[0](), kept[1]()) == (42, 8)
    else:
        assert kept() in (42, 8)
    del kept
    assert dies(context)


@pytest.mark.parametrize("name", ["memory", "global"])
def test_memories_and_number_globals_live_without_the_instance(name: str) -> None:
    instance = instantiate(LIBRARY)
    context = alive(instance)
    kept = instance.exports[name]
    del instance
    assert dies(context)
    if name == "memory":
        kept.grow(1)
        assert kept[0] == 42
    else:
        kept.value += 1
        assert kept.value == 8


def test_view_of_an_instances_memory_outlives_everything() -> None:
    array = np.asarray(instantiate(LIBRARY).exports.memory)
    assert array[0] == 42
    array[:] = 1


def test_function_element_keeps_its_instance() -> None:
    element = instantiate(LIBRARY).exports.table[1]
    assert element() == 8


ORDERS = list(itertools.permutations(["library", "importer", "function"]))


@pytest.mark.parametrize("order", ORDERS)
def test_linked_instances_can_be_dropped_in_any_order(order: tuple[str, ...]) -> None:
    held: dict[str, Any] = {"library": instantiate(LIBRARY)}
    held["importer"] = instantiate(IMPORTER, {"lib": held["library"].exports})
    held["function"] = held["importer"].exports.sum
    contexts = [alive(held["library"]), alive(held["importer"])]
    for name in order:
        function = held.get("function")
        if function is not None:
            assert function() > 3 * 42
        del held[name], function
    assert all(dies(context) for context in contexts)


def test_exporter_lives_as_long_as_its_importer() -> None:
    library = instantiate(LIBRARY)
    context = alive(library)
    importer = instantiate(
        '(module (import "lib" "count" (func $f (result i32))) (export "f" (func $f))'
        ' (func (export "g") (result i32) call $f))',
        {"lib": library.exports},
    )
    del library
    assert not dies(context)
    assert importer.exports.g() == 8
    del importer
    assert dies(context)


def test_importer_of_numbers_goes_before_its_exporter() -> None:
    library = instantiate(LIBRARY)
    importer = instantiate(
        '(module (import "lib" "count" (func $f (result i32))) (import "lib" "memory" (memory 1))'
        ' (func (export "g") (result i32) call $f))',
        {"lib": library.exports},
    )
    context = alive(importer)
    assert importer.exports.g() == 8
    del importer
    assert dies(context)
    assert library.exports.count() == 9


def test_shared_memory_ties_nothing_together_for_ever() -> None:
    memory = Memory(1)
    contexts = []
    for _ in range(3):
        instance = instantiate('(module (import "m" "m" (memory 1)))', {"m": {"m": memory}})
        contexts.append(alive(instance))
    del instance
    assert all(dies(context) for context in contexts)


def test_function_in_a_python_table_keeps_its_instance() -> None:
    table = Table("funcref", 1)
    instance = instantiate(LIBRARY)
    context = alive(instance)
    table[0] = instance.exports.load
    del instance
    assert not dies(context)
    assert table[0]() == 42  # type: ignore[operator]
    del table
    assert dies(context)


def test_function_that_wasm_put_into_a_shared_table_stays_valid() -> None:
    table = Table("funcref", 2)
    text = """(module (import "m" "t" (table $t 2 funcref)) (memory 1) (data (i32.const 0) "\\07")
      (func $f (result i32) i32.const 0 i32.load8_u) (elem declare func $f)
      (func (export "put") i32.const 1 ref.func $f table.set $t))"""
    writer = instantiate(text, {"m": {"t": table}})
    caller = instantiate(
        """(module (import "m" "t" (table 2 funcref))
             (func (export "call") (result i32) i32.const 1 call_indirect (result i32)))""",
        {"m": {"t": table}},
    )
    writer.exports.put()
    contexts = [alive(writer), alive(caller)]
    del writer
    gc.collect()
    assert caller.exports.call() == 7
    assert table[1]() == 7  # type: ignore[operator]
    del table
    assert caller.exports.call() == 7
    del caller
    assert all(dies(context) for context in contexts)


def test_function_passed_as_an_argument_stays_valid_where_wasm_stored_it() -> None:
    holder = instantiate(
        """(module (table $t 1 funcref)
             (func (export "put") (param funcref) i32.const 0 local.get 0 table.set $t)
             (func (export "call") (result i32) i32.const 0 call_indirect (result i32)))"""
    )
    library = instantiate(LIBRARY)
    contexts = [alive(holder), alive(library)]
    holder.exports.put(library.exports.load)
    del library
    gc.collect()
    assert holder.exports.call() == 42
    del holder
    assert all(dies(context) for context in contexts)


def test_function_in_a_global_stays_valid() -> None:
    variable = Global("funcref", None, mutable=True)
    instance = instantiate(LIBRARY)
    context = alive(instance)
    variable.value = instance.exports.load
    del instance
    assert variable.value() == 42  # type: ignore[operator]
    del variable
    assert dies(context)


def test_reference_global_of_an_instance_keeps_it() -> None:
    instance = instantiate(
        '(module (global (export "g") funcref (ref.func $f)) (func $f (result i32) i32.const 3))'
    )
    context = alive(instance)
    variable = instance.exports.g
    del instance
    assert variable.value() == 3
    del variable
    assert dies(context)


def test_imported_python_function_goes_with_the_instance() -> None:
    class Host:
        def __call__(self) -> None: ...

    host = Host()
    reference = weakref.ref(host)
    instance = instantiate(
        '(module (import "m" "f" (func $f)) (func (export "g") call $f))', {"m": {"f": host}}
    )
    instance.exports.g()
    del host
    assert not dies(reference)
    instance.exports.g()
    del instance
    assert dies(reference)


def test_instance_that_calls_itself_through_python_goes_with_the_collector() -> None:
    functions: list[Any] = []
    instance = instantiate(
        '(module (import "m" "f" (func $f)) (func (export "g") call $f))',
        {"m": {"f": lambda: functions and None}},
    )
    functions.append(instance.exports.g)
    context = alive(instance)
    instance.exports.g()
    del instance
    assert not dies(context)
    functions.clear()
    assert dies(context)


def test_objects_in_an_externref_table_live_as_long_as_the_table() -> None:
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)
    table = Table("externref", 1, init=thing)
    del thing
    assert table[0] is reference()
    del table
    assert dies(reference)


def test_instance_with_an_externref_goes_with_its_objects() -> None:
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)
    instance = instantiate('(module (global (export "g") (mut externref) (ref.null extern)))')
    instance.exports.g.value = thing
    del thing
    gc.collect()
    assert instance.exports.g.value is reference()
    del instance
    assert dies(reference)


def test_dropping_an_instance_inside_its_own_call_is_safe() -> None:
    held: list[Any] = []

    def drop() -> None:
        held.clear()
        gc.collect()

    text = """(module (import "m" "drop" (func $drop)) (memory 1) (data (i32.const 0) "\\05")
      (func (export "f") (result i32) call $drop i32.const 0 i32.load8_u))"""
    held.append(instantiate(text, {"m": {"drop": drop}}))
    context = alive(held[0])
    assert held[0].exports.f() == 5
    assert dies(context)


def test_overwriting_the_table_element_that_runs_is_safe() -> None:
    table = Table("funcref", 1)

    def overwrite() -> None:
        table[0] = None
        gc.collect()

    text = """(module (import "m" "f" (func $f)) (memory 1) (data (i32.const 0) "\\06")
      (func (export "g") (result i32) call $f i32.const 0 i32.load8_u))"""
    table[0] = instantiate(text, {"m": {"f": overwrite}}).exports.g
    caller = instantiate(
        """(module (import "m" "t" (table 1 funcref))
             (func (export "call") (result i32) i32.const 0 call_indirect (result i32)))""",
        {"m": {"t": table}},
    )
    assert caller.exports.call() == 6


def test_module_may_go_before_its_instances() -> None:
    module = module_of.__wrapped__(LIBRARY)
    instance = Instance(module)
    del module
    gc.collect()
    assert instance.exports.load() == 42


def test_thousands_of_instances_come_and_go() -> None:
    module = module_of(LIBRARY)
    for _ in range(2000):
        assert Instance(module).exports.load() == 42


def test_function_identity_is_kept_while_anybody_holds_the_function() -> None:
    instance = instantiate(LIBRARY)
    function = instance.exports.load
    first = id(function)
    gc.collect()
    assert id(instance.exports.table[0]) == first
    reference = weakref.ref(function)
    del function
    assert reference() is instance.exports.load


def test_code_goes_with_its_module_and_instances() -> None:
    module = module_of.__wrapped__(LIBRARY)
    instance = Instance(module)
    image = weakref.ref(module.image())
    function = instance.exports.load
    del module, instance
    assert not dies(image)
    assert function() == 42
    del function
    assert dies(image)
