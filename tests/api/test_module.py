"""Modules: descriptors, pickling, copying, sharing."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

import jitwasm
from jitwasm import pipeline
from jitwasm.backend import executors
from tests.support.ids import stable_repr
from tests.support.wat import wat

TIMEOUT = 60

EVERYTHING = """
(module $all
  (import "m" "f" (func (param i32 i64) (result f64)))
  (import "m" "t" (table 1 5 externref))
  (import "n" "m" (memory 1 2))
  (import "n" "g" (global (mut i32)))
  (func (export "func") (param f32))
  (table (export "table") 3 funcref)
  (global (export "global") i64 (i64.const 1))
  (export "memory" (memory 0))
  (@custom "x" "one") (@custom "y" "two") (@custom "x" "three"))
"""


@pytest.fixture(scope="module")
def everything() -> jitwasm.Module:
    return jitwasm.Module(wat(EVERYTHING))


def test_imports_are_described_in_order(everything: jitwasm.Module) -> None:
    rows = [(row.module, row.name, row.kind, str(row.type)) for row in everything.imports()]
    assert rows == [
        ("m", "f", "function", "(i32, i64) -> (f64)"),
        ("m", "t", "table", "table i32 1..5 externref"),
        ("n", "m", "memory", "memory i32 1..2"),
        ("n", "g", "global", "global mut i32"),
    ]


def test_exports_are_described_in_order(everything: jitwasm.Module) -> None:
    rows = [(row.name, row.kind, str(row.type)) for row in everything.exports()]
    assert rows == [
        ("func", "function", "(f32) -> ()"),
        ("table", "table", "table i32 3 funcref"),
        ("global", "global", "global i64"),
        ("memory", "memory", "memory i32 1..2"),
    ]


def test_descriptors_are_fresh_lists(everything: jitwasm.Module) -> None:
    assert everything.imports() is not everything.imports()
    everything.exports().clear()
    assert len(everything.exports()) == 4


def test_custom_sections_by_name(everything: jitwasm.Module) -> None:
    assert everything.custom_sections("x") == [b"one", b"three"]
    assert everything.custom_sections("y") == [b"two"]
    assert everything.custom_sections("") == []
    with pytest.raises(TypeError):
        everything.custom_sections(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        everything.custom_sections()  # type: ignore[call-arg]


def test_its_name_and_repr(everything: jitwasm.Module) -> None:
    assert everything.name == "all"
    assert repr(everything) == "<jitwasm.Module 'all': 4 imports, 4 exports>"
    assert jitwasm.Module(b"\0asm\1\0\0\0").name is None


def test_it_cannot_be_given_attributes(everything: jitwasm.Module) -> None:
    with pytest.raises(AttributeError):
        everything.color = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", ["text", 5, None, [0, 97], object()], ids=stable_repr)
def test_what_is_no_buffer_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"Module\(\) takes the bytes of a module"):
        jitwasm.Module(wrong)


def test_copies_are_the_module_itself(everything: jitwasm.Module) -> None:
    assert copy.copy(everything) is everything
    assert copy.deepcopy([everything])[0] is everything


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often LLVM has compiled a unit since."""
    calls: list[int] = []
    compile_unit = executors.compile_unit

    def counting(*arguments: Any) -> bytes:
        calls.append(1)
        return compile_unit(*arguments)

    monkeypatch.setattr(executors, "compile_unit", counting)
    return calls


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_without_compiling_again(add: bytes, counted: list[int], protocol: int) -> None:
    module = jitwasm.Module(add, jitwasm.Config(opt_level=1))
    calls = len(counted)
    assert calls > 0
    again = pickle.loads(pickle.dumps(module, protocol))
    assert len(counted) == calls
    assert isinstance(again, jitwasm.Module)
    assert again.objects == module.objects
    assert again.config == module.config
    assert again.exports() == module.exports()
    assert jitwasm.Instance(again).exports.add(2, 3) == 5


def test_unpickles_on_another_machine_by_compiling(
    add: bytes, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = jitwasm.Config(tier="optimized", cache=False)
    pickled = pickle.dumps(jitwasm.Module(add, config))
    calls = len(counted)
    monkeypatch.setattr(pipeline, "machine_fingerprint", lambda: "another machine")
    again = pickle.loads(pickled)
    assert len(counted) > calls
    assert jitwasm.Instance(again).exports.add(2, 3) == 5


def test_a_module_with_every_kind_of_declaration_pickles(everything: jitwasm.Module) -> None:
    again = pickle.loads(pickle.dumps(everything))
    assert again.imports() == everything.imports()
    assert again.custom_sections("x") == everything.custom_sections("x")


def use(module: jitwasm.Module) -> int:
    result: int = jitwasm.Instance(module).exports.add(20, 22)
    return result


@pytest.mark.skipif(sys.platform != "linux", reason="start methods")
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_goes_to_another_process(add: bytes, method: str) -> None:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(use, jitwasm.Module(add)).result(TIMEOUT) == 42


def test_comes_back_from_another_process(add: bytes) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert use(pool.submit(jitwasm.Module, add).result(TIMEOUT)) == 42


def test_goes_to_the_workers_of_joblib(add: bytes) -> None:
    joblib = pytest.importorskip("joblib")
    module = jitwasm.Module(add)
    work = [joblib.delayed(use)(module) for _ in range(3)]
    try:
        assert joblib.Parallel(n_jobs=2)(work) == [42, 42, 42]
    finally:
        # Its workers would outlive the test.
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True, kill_workers=True)


def test_many_threads_use_one_module(add: bytes) -> None:
    module = jitwasm.Module(add)
    start = threading.Barrier(8)

    def work(number: int) -> list[int]:
        start.wait(TIMEOUT)
        return [jitwasm.Instance(module).exports.add(number, i) for i in range(20)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[n + i for i in range(20)] for n in range(8)]


def test_the_image_is_loaded_once(add: bytes) -> None:
    module = jitwasm.Module(add)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda _: module.image(), range(8)))
    assert all(image is images[0] for image in images)


def test_instances_do_not_pickle(add: bytes) -> None:
    instance = jitwasm.Instance(jitwasm.Module(add))
    for value in (instance, instance.exports):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(value)
