"""Types are one object as long as they live, and go when nobody has them: hostile type sections do
not add up."""

from __future__ import annotations

import gc
import itertools
import operator
import pickle
import threading
import weakref

import pytest

import jitwasm
from jitwasm import types
from jitwasm.rtt import deftype_at, rtt_address
from jitwasm.types import (
    F64,
    I32,
    I64,
    RecRef,
    SubType,
    func_type,
    intern_group,
    plain_type,
    ref_type,
)
from tests.support.wat import wat

NUMERIC = ("i32", "i64", "f32", "f64")


def census() -> tuple[int, int, int]:
    for _ in range(4):  # an instance goes before its module, that before its types
        gc.collect()
    tables = (types._func_types, types._ref_types, types._groups)
    return tuple(len([1 for _ in list(table.values())]) for table in tables)  # type: ignore


def nothing_is_left(before: tuple[int, int, int]) -> bool:
    """What other tests left to the background may go meanwhile; nothing may be added."""
    return all(map(operator.le, census(), before))


def strange_module(seed: int) -> bytes:
    """A module whose types no other has; some refer to themselves and to each other."""
    params = [" ".join(p) for p in itertools.islice(itertools.product(NUMERIC, repeat=6), 4096)]
    mine = [params[(seed * 7 + i) % len(params)] for i in range(7)]
    plain = " ".join(f"(type (func (param {p}) (result f64 i32)))" for p in mine)
    return wat(f"""(module {plain}
      (rec (type $a (func (param (ref null $b) {mine[0]}) (result (ref null $a))))
           (type $b (func (param (ref null $a) {mine[1]}) (result i32))))
      (rec (type $self (func (param {mine[2]} (ref null $self)) (result i64))))
      (type $uses (func (param (ref null $self) (ref null $a)) (result (ref null $uses))))
      (table 2 funcref) (elem (i32.const 0) $g) (tag $t (param i32 i64))
      (func $g (type $uses) (ref.null $uses))
      (func (export "f") (result i32)
        (ref.is_null (call_indirect (type $uses) (ref.null $self) (ref.null $a) (i32.const 0)))))
    """)


def test_types_of_modules_that_are_gone_are_gone() -> None:
    config = jitwasm.Config(features=jitwasm.Features(exceptions=True), tier="baseline")
    jitwasm.Instance(jitwasm.Module(strange_module(0), config)).exports.f()
    gc.collect()
    before = census()
    for seed in range(1, 60):
        module = jitwasm.Module(strange_module(seed), config)
        if seed % 4 == 0:
            assert jitwasm.Instance(module).exports.f() == 1
        if seed == 30:
            mine = weakref.WeakSet(module.info.types)
            assert len(mine) > 8
        del module
    assert nothing_is_left(before)
    assert len(mine) <= 2  # those of $t and "f", which other modules may have, too


def test_equal_types_are_one_object_while_they_live() -> None:
    a, b = func_type((I32, I64, F64), (I32,)), func_type([I32, I64, F64], [I32])
    assert a is b
    assert pickle.loads(pickle.dumps(a)) is a
    defined = plain_type(a)
    assert plain_type(b) is defined
    assert ref_type(False, defined) is ref_type(False, defined)
    assert pickle.loads(pickle.dumps(ref_type(True, defined))) is ref_type(True, defined)
    again = (SubType(func_type((ref_type(True, RecRef(0)), F64, F64, I64), ())),)
    (recursive,) = intern_group(again)
    assert recursive.comp.params[0] is ref_type(True, recursive)  # type: ignore[union-attr]
    assert intern_group(again)[0] is recursive


def test_a_type_that_refers_to_itself_dies() -> None:
    group = (
        SubType(func_type((ref_type(True, RecRef(1)), I64, I64, I64, F64), ())),
        SubType(func_type((ref_type(False, RecRef(0)), I64, I64, I64, F64), ())),
    )
    first, second = intern_group(group)
    weak = [weakref.ref(first), weakref.ref(second), weakref.ref(first.comp)]
    rtt_address(second)
    gc.collect()
    assert all(reference() is not None for reference in weak)
    del first
    gc.collect()
    assert weak[0]() is not None, "one member keeps its whole group"
    del second, group
    gc.collect()
    assert [reference() for reference in weak] == [None, None, None]


def test_the_native_record_lives_as_long_as_its_type() -> None:
    type_ = plain_type(func_type((F64, F64, F64, I64, F64), (F64,)))
    address = rtt_address(type_)
    assert rtt_address(type_) == address
    assert deftype_at(address) is type_


def test_a_funcref_keeps_its_type() -> None:
    # The function outlives all other users of its type.
    made = jitwasm.Instance(
        jitwasm.Module(
            wat("""(module (type $odd (func (param f64 i64 f64 i64 f64 i32) (result i64)))
          (table (export "t") 1 funcref) (elem (i32.const 0) $f)
          (func $f (type $odd) (local.get 1)))""")
        )
    )
    table = made.exports.t
    del made
    gc.collect()
    function = table[0]
    del table
    gc.collect()
    assert function(1.0, 42, 2.0, 3, 4.0, 5) == 42
    caller = jitwasm.Instance(
        jitwasm.Module(
            wat("""(module (type $odd (func (param f64 i64 f64 i64 f64 i32) (result i64)))
          (import "m" "f" (func $f (type $odd)))
          (func (export "call") (result i64)
            (call $f (f64.const 0) (i64.const 7) (f64.const 0) (i64.const 0) (f64.const 0)
                     (i32.const 0))))""")
        ),
        {"m": {"f": function}},
    )
    assert caller.exports.call() == 7


@pytest.mark.parametrize("kind", ["func", "ref", "group"])
def test_threads_agree_on_the_object(kind: str) -> None:
    def make(round_: int) -> object:
        params = tuple((I32, I64, F64)[round_ // 3**i % 3] for i in range(6))
        if kind == "func":
            return func_type(params, (F64, F64))
        if kind == "ref":
            return ref_type(True, plain_type(func_type(params, (F64, I32))))
        return intern_group((SubType(func_type(params, (I64, I64))),))[0]

    rounds, threads = 200, 4
    barrier = threading.Barrier(threads)
    found: list[list[object]] = [[] for _ in range(threads)]

    def work(mine: list[object]) -> None:
        for round_ in range(rounds):
            barrier.wait(60)
            mine.append(make(round_))

    workers = [threading.Thread(target=work, args=(mine,)) for mine in found]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(len({id(row[i]) for row in found}) == 1 for i in range(rounds))


def test_types_of_functions_that_were_called_are_gone_too() -> None:
    """Callables and host functions hold what they know of their types no longer than they live."""
    config = jitwasm.Config(tier="baseline")

    def use(seed: int) -> None:
        params = " ".join((NUMERIC * 3)[seed % 4 :][: 5 + seed % 4])
        module = jitwasm.Module(
            wat(f"""(module (import "e" "h" (func $h (param {params}) (result i64 f32 i32)))
              (func (export "f") (param {params}) (result i64 f32 i32)
                {" ".join(f"(local.get {i})" for i in range(len(params.split())))} (call $h)))"""),
            config,
        )
        instance = jitwasm.Instance(module, {"e": {"h": lambda *values: (1, 0.5, len(values))}})
        assert instance.exports.f(*range(len(params.split()))) == (1, 0.5, len(params.split()))

    before = census()
    for seed in range(12):
        use(seed)
    assert nothing_is_left(before)
