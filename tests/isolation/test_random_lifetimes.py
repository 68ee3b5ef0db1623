"""Modules, instances, memories, tables, functions and views come and go in every order, on several
threads, with the garbage collector provoked: nothing crashes, and nothing is left.

`--lifetimes N` makes N instances in the test of leaks instead of a few hundred.
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import jitwasm
from jitwasm import Config
from jitwasm.backend.native import native
from tests.support.wat import wat

OWNER = """(module
  (memory (export "memory") 1 4) (table (export "table") 8 16 funcref)
  (table $objects (export "objects") 4 externref)
  (global (export "number") (mut i32) (i32.const {n})) (global (export "ref") (mut funcref)
    (ref.func $add))
  (func $add (export "add") (param i32 i32) (result i32)
    (i32.store8 (local.get 0) (local.get 1))
    (i32.add (i32.add (local.get 0) (local.get 1)) (i32.const {n})))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "keep") (param i32 externref) (table.set $objects (local.get 0) (local.get 1)))
  (elem (i32.const 0) $add $add))"""
LINKED = """(module
  (type $binary (func (param i32 i32) (result i32)))
  (import "m" "memory" (memory 1)) (import "m" "table" (table 8 funcref))
  (import "m" "add" (func $add (type $binary))) (import "m" "host" (func $host (param i32)))
  (func $own (type $binary) (call $host (local.get 0)) (call $add (local.get 0) (local.get 1)))
  (func (export "add") (type $binary) (call $own (local.get 0) (local.get 1)))
  (func (export "put") (param i32) (table.set (local.get 0) (ref.func $own)))
  (func (export "through") (param i32 i32 i32) (result i32)
    (call_indirect (type $binary) (local.get 1) (local.get 2) (local.get 0)))
  (export "memory" (memory 0)) (export "table" (table 0)) (elem declare func $own))"""

CONFIGS = [
    Config(tier="baseline", cache=False),
    Config(tier="optimized", opt_level=0, cache=False),
    Config(tier="auto", tier_up="early", cache=False),
    Config(tier="baseline", fuel=10**9, host_calls="ctypes", cache=False),
]


class Zoo:
    """Objects of all kinds, and moves that make, link, use and drop them at random."""

    def __init__(self, seed: int, modules: list[list[jitwasm.Module]]) -> None:
        self.random = random.Random(seed)
        self.modules = modules
        self.things: dict[str, list[Any]] = {
            kind: [] for kind in ("owners", "linked", "functions", "memories", "views", "tables")
        }

    def pick(self, kind: str) -> Any:
        things = self.things[kind]
        return self.random.choice(things) if things else None

    def keep(self, kind: str, thing: Any) -> None:
        things = self.things[kind]
        if len(things) >= 6:
            things[self.random.randrange(len(things))] = thing
        else:
            things.append(thing)

    def make(self) -> None:
        module = self.random.choice(self.modules)[0]
        self.keep("owners", jitwasm.Instance(module))

    def compile(self) -> None:
        text = OWNER.format(n=self.random.randrange(1 << 30))
        module = jitwasm.Module(wat(text), self.random.choice(CONFIGS[:2]))
        self.keep("owners", jitwasm.Instance(module))

    def link(self) -> None:
        owner = self.pick("owners") or self.pick("linked")
        if owner is None:
            return
        module = self.random.choice(self.modules)[1]
        exports = owner.exports
        imports = {
            "memory": self.pick("memories") or exports.memory,
            "table": exports.table,
            "add": exports.add,
            "host": self.host(),
        }
        self.keep("linked", jitwasm.Instance(module, {"m": imports}))

    def host(self) -> Any:
        def touch(number: int) -> None:
            if self.random.random() < 0.02:
                self.drop()
            if self.random.random() < 0.01:
                gc.collect(0)

        return touch

    def take(self) -> None:
        owner = self.pick(self.random.choice(["owners", "linked"]))
        if owner is not None:
            kind = self.random.choice(["functions", "memories", "tables"])
            name = {"functions": "add", "memories": "memory", "tables": "table"}[kind]
            self.keep(kind, getattr(owner.exports, name))

    def view(self) -> None:
        memory = self.pick("memories")
        if memory is not None:
            view = np.asarray(memory) if self.random.random() < 0.5 else memoryview(memory)
            self.keep("views", view)

    def use(self) -> None:
        function, view = self.pick("functions"), self.pick("views")
        if function is not None:
            function(self.random.randrange(1000), self.random.randrange(1000))
        if view is not None:
            view[self.random.randrange(60000)] = 7
            assert view[0] >= 0

    def mix(self) -> None:
        table, function, linked = self.pick("tables"), self.pick("functions"), self.pick("linked")
        if table is not None and function is not None:
            table[self.random.randrange(8)] = function
        if table is not None:
            found = table[self.random.randrange(8)]
            if found is not None:
                self.keep("functions", found)
        if linked is not None:
            index = self.random.randrange(8)
            linked.exports.put(index)
            linked.exports.through(index, 1, 2)

    def box(self) -> None:
        owner = self.pick("owners")
        if owner is not None:
            # A cycle through the instance itself, now and then.
            thing: Any = owner if self.random.random() < 0.3 else [self.random.random()]
            owner.exports.keep(self.random.randrange(4), thing)
            owner.exports.grow()

    def drop(self) -> None:
        things = self.things[self.random.choice(sorted(self.things))]
        if things:
            del things[self.random.randrange(len(things))]

    def run(self, moves: int) -> None:
        choices = [self.make, self.link, self.take, self.view, self.use, self.mix, self.box]
        choices += [self.use, self.mix, self.drop, self.drop, self.drop, self.take, self.link]
        for _ in range(moves):
            if self.random.random() < 0.01:
                self.compile()
            self.random.choice(choices)()
            if self.random.random() < 0.01:
                gc.collect(self.random.randrange(3))


def modules() -> list[list[jitwasm.Module]]:
    return [
        [jitwasm.Module(wat(OWNER.format(n=n)), c), jitwasm.Module(wat(LINKED), c)]
        for n, c in enumerate(CONFIGS)
    ]


def play(seeds: range, moves: int) -> None:
    """One zoo for each seed, each on its own thread, all at once."""
    shared = modules()
    failed: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            Zoo(seed, shared).run(moves)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


_PLAY = """
import gc, sys
from tests.isolation.test_random_lifetimes import play
gc.set_threshold(50, 5, 5)
first = int(sys.argv[1])
play(range(first, first + 3), int(sys.argv[2]))
print("done")
"""


@pytest.mark.parametrize("seed", [0, 100, 200])
def test_anything_may_go_in_any_order_on_any_thread(seed: int, lifetimes: int) -> None:
    # In a process of its own: a crash shall be one test's failure.
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", _PLAY, str(seed), str(max(400, lifetimes))],
        capture_output=True,
        text=True,
        timeout=60 + lifetimes,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-3000:]


def mappings() -> int:
    """How many there are outside of code memory.

    There the same bytes of code are one mapping or many: images made later fill holes that others
    have left, and each then is one, between pages without access. `native_ranges` counts the bytes.
    """
    arena = native()._space._arena
    with open("/proc/self/maps") as maps:
        starts = [int(line.split("-", 1)[0], 16) for line in maps]
    return sum(not arena.base <= start < arena.end for start in starts)


def settled() -> dict[str, int]:
    """What the process holds, once nobody needs it any more."""
    for _ in range(5):
        gc.collect()
    return {
        "mappings": mappings(),
        "threads": len(os.listdir("/proc/self/task")),
        "files": len(os.listdir("/proc/self/fd")),
        "objects": sum(
            type(o).__module__.startswith("jitwasm")
            and type(o).__name__ in ("Instance", "VMContext", "Memory", "Store", "ModuleInfo")
            for o in gc.get_objects()
        ),
    }


def many_instances(count: int) -> None:
    """So many instances, linked, used and dropped in all kinds of order."""
    zoo = Zoo(1, modules())
    for _ in range(count // 2):
        zoo.make()
        zoo.link()
        for move in (zoo.take, zoo.use, zoo.mix, zoo.box, zoo.view, zoo.drop):
            move()
        if zoo.random.random() < 0.05:
            zoo.compile()


_LEAKS = """
import sys
from tests.isolation.test_random_lifetimes import *
many_instances(60)  # what is made once: threads, adapters, caches
before, ranges = settled(), native_ranges()
many_instances(int(sys.argv[1]))
print(before, settled(), ranges, native_ranges(), sep="\\n")
"""


def native_ranges() -> int:
    """Bytes of code memory that images hold."""
    arena = native()._space._arena
    arena._sweep()
    return arena.end - arena.base - sum(end - start for start, end in arena._free.items())


def test_nothing_is_left_of_instances_that_are_gone(lifetimes: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LEAKS, str(max(300, lifetimes))],
        capture_output=True,
        text=True,
        timeout=120 + lifetimes,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    before, after, code_before, code_after = map(eval, done.stdout.splitlines())
    # The background optimiser keeps the module that it has worked on last.
    assert after["objects"] <= before["objects"] + 1
    assert after["files"] <= before["files"]
    assert after["threads"] <= before["threads"] + 1
    # The allocator's arenas come and go; each leaked memory or table would be one or more.
    assert after["mappings"] <= before["mappings"] + 15
    # Each image takes a page at least; a few adapters may be compiled again meanwhile.
    assert code_after <= code_before + (64 << 10)
