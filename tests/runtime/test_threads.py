"""Several threads: one at a time inside a store, linking and collecting beside running calls."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jitwasm import Instance, Memory, Table
from tests.runtime.support import instantiate, module_of

COUNTER = """(module
  (global $g (export "g") (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (loop
      (global.set $g (i32.add (global.get $g) (i32.const 1)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    global.get $g))"""


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def run_threads(*works: Callable[[], Any]) -> None:
    """Run all of them at once; the first exception of any is raised."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> None:
        try:
            barrier.wait()
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_one_module_is_instantiated_by_many_threads() -> None:
    module = module_of.__wrapped__(COUNTER)

    def work() -> None:
        for _ in range(50):
            assert Instance(module).exports.add(10) == 10

    run_threads(*[work] * 4)


def test_calls_into_one_instance_take_turns() -> None:
    exports = instantiate(COUNTER).exports

    def work() -> None:
        for _ in range(200):
            exports.add(500)

    run_threads(*[work] * 4)
    assert exports.g.value == 400_000


def test_function_objects_stay_unique() -> None:
    exports = instantiate(
        '(module (func (export "f")) (table (export "t") 1 funcref) (elem (i32.const 0) 0))'
    ).exports

    def work() -> None:
        for _ in range(500):
            assert exports.t[0] is exports.f

    run_threads(*[work] * 4)


def test_linking_waits_for_running_calls() -> None:
    library = instantiate(COUNTER)
    text = """(module (import "l" "add" (func $add (param i32) (result i32)))
      (func (export "twice") (param i32) (result i32)
        local.get 0 call $add drop local.get 0 call $add))"""

    def call() -> None:
        for _ in range(100):
            library.exports.add(1000)

    def link() -> None:
        for _ in range(30):
            instantiate(text, {"l": library.exports}).exports.twice(100)

    run_threads(call, call, link, link)
    assert library.exports.g.value == 2 * 100 * 1000 + 2 * 30 * 200


def test_stores_are_merged_under_running_calls() -> None:
    instances = [instantiate(COUNTER) for _ in range(6)]
    done = threading.Event()

    def call(instance: Instance) -> None:
        while not done.is_set():
            instance.exports.add(300)

    def link() -> None:
        try:
            for a, b in itertools.pairwise(instances):
                instantiate(
                    """(module (import "a" "g" (global (mut i32)))
                         (import "b" "g" (global (mut i32))))""",
                    {"a": a.exports, "b": b.exports},
                )
        finally:
            done.set()

    run_threads(link, *[lambda i=i: call(i) for i in instances[:3]])
    assert len({id(i._hold.store) for i in instances}) == 1
    assert all(i.exports.g.value % 300 == 0 for i in instances)


def test_tables_and_collections_beside_running_calls() -> None:
    table = Table("externref", 64)
    exports = instantiate(
        """(module (import "m" "t" (table $t 64 externref))
             (func (export "swap") (param i32 externref) (result externref)
               (table.get $t (local.get 0))
               (table.set $t (local.get 0) (local.get 1)))
             (func (export "spin") (param i32)
               (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))""",
        {"m": {"t": table}},
    ).exports

    def through_calls() -> None:
        for i in range(3000):
            old = exports.swap(i % 64, [i % 64])
            assert old is None or old == [i % 64]

    def through_the_object() -> None:
        for i in range(3000):
            table[i % 64] = [i % 64]
            assert table[i % 64] == [i % 64]

    def compute() -> None:
        for _ in range(20):
            exports.spin(100_000)

    run_threads(through_calls, through_calls, through_the_object, compute)
    assert all(value == [i] for i, value in enumerate(table))


def test_growth_from_both_sides_adds_up() -> None:
    memory = Memory(0, 4000)
    exports = instantiate(
        """(module (import "m" "m" (memory 0 4000))
             (func (export "grow") (param i32) (result i32)
               (loop
                 (drop (memory.grow (i32.const 1)))
                 (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
               memory.size))""",
        {"m": {"m": memory}},
    ).exports

    def from_python() -> None:
        for _ in range(1000):
            memory.grow(1)

    run_threads(from_python, from_python, lambda: exports.grow(1000), lambda: exports.grow(1000))
    assert memory.pages == 4000
