"""`Config(executor=…)`: where LLVM runs makes no difference, and losing it loses no module."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import jitwasm
from jitwasm import Config
from jitwasm.backend import executors
from jitwasm.backend.codegen import LLVMError
from jitwasm.backend.processes import ProcessPool
from tests.isolation import tasks
from tests.support.wat import wat

TIMEOUT = 120
LEVEL = 1
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def data() -> bytes:
    """A hundred functions in several units; one of them mentions 0xdead."""
    functions = [
        f'(func (export "f{i}") (param i32) (result i32) (local i32)'
        f"  (loop (local.set 1 (i32.add (local.get 1) (i32.xor (local.get 0) (i32.const {i}))))"
        f"    (br_if 0 (local.tee 0 (i32.shr_u (local.get 0) (i32.const 1)))))"
        f" (i32.add (local.get 1) (i32.const {0xDEAD if i == 77 else i})))"
        for i in range(100)
    ]
    return wat('(module (memory (export "memory") 1) ' + "\n".join(functions) + ")")


@pytest.fixture(scope="module")
def wanted(data: bytes) -> jitwasm.Module:
    module = jitwasm.Module(data, Config(opt_level=LEVEL, threads=1))
    assert len(module.objects) > 1
    return module


def results(module: jitwasm.Module) -> list[int]:
    exports = jitwasm.Instance(module).exports
    return [exports[f"f{i}"](12345) for i in range(100)]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_objects_do_not_depend_on_workers(data, wanted, kind: str, workers: int) -> None:
    executor: Any = "processes" if kind == "processes" else None
    config = Config(opt_level=LEVEL, threads=workers, executor=executor)
    assert jitwasm.Module(data, config).objects == wanted.objects


def test_a_process_pool_of_the_standard_library_compiles(data, wanted) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        config = Config(opt_level=LEVEL, executor=pool)
        assert jitwasm.Module(data, config).objects == wanted.objects
        assert jitwasm.compile(data, config).result(TIMEOUT).objects == wanted.objects
        streamed = jitwasm.compile_streaming([data[:1000], data[1000:]], config)
        assert streamed.result(TIMEOUT).objects == wanted.objects
        made = jitwasm.instantiate_streaming([data], config=config).result(TIMEOUT)
        assert made.module.objects == wanted.objects


def test_functions_the_one_pass_compiler_does_not_cover_go_to_the_executor(monkeypatch) -> None:
    submitted = []

    class Counting(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
            submitted.append(args)
            return super().submit(fn, *args, **kwargs)

    def refuse(self: object, body: object) -> None:
        return None

    monkeypatch.setattr("jitwasm.tiers.FunctionCompilers.compile", refuse)
    text = '(module (func (export "f") (result i32) i32.const 7))'
    with Counting(1) as executor:
        module = jitwasm.Module(wat(text), Config(tier="baseline", executor=executor))
        assert jitwasm.Instance(module).exports.f() == 7
    assert len(submitted) == 1


# -- losses ----------------------------------------------------------------------------------------


class Dying(Executor):
    """An executor that fails every other task."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.count = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        self.count += 1
        future: Future = Future()
        if self.count % 2:
            future.set_exception(self.error)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize("error", [MemoryError("no memory"), OSError("no network"), KeyError("x")])
def test_units_that_get_lost_are_compiled_by_the_one_pass_compiler(data, wanted, error) -> None:
    with pytest.warns(jitwasm.CompileWarning, match="not optimised: functions 0, 1, 2, 3, 4, …"):
        module = jitwasm.Module(data, Config(opt_level=LEVEL, executor=Dying(error)))
    pairs = list(zip(module.objects, wanted.objects, strict=True))
    assert [a == b for a, b in pairs] == [bool(i % 2) for i in range(len(pairs))]
    assert results(module) == results(wanted)


def test_an_executor_that_takes_no_tasks_loses_no_module(data, wanted) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.warns(jitwasm.CompileWarning, match="after shutdown"):
        module = jitwasm.Module(data, Config(opt_level=LEVEL, executor=executor))
    assert results(module) == results(wanted)


def test_a_defect_of_the_generated_ir_is_not_hidden(data) -> None:
    with pytest.raises(LLVMError, match="cannot parse"):
        jitwasm.Module(data, Config(opt_level=LEVEL, executor=Dying(LLVMError("cannot parse"))))


def test_a_worker_of_another_version_is_an_error(data) -> None:
    text = "(module)"
    with pytest.raises(executors.VersionMismatch, match="this worker has jitwasm"):
        executors.compile_task(None, None, False, "jitwasm 0.0.0")  # type: ignore[arg-type]
    assert jitwasm.Module(wat(text), Config(executor="processes")).objects == ()


def test_an_abort_of_llvm_in_a_worker_leaves_its_unit_at_the_baseline(
    data, wanted, monkeypatch
) -> None:
    monkeypatch.setattr(executors, "compile_task", tasks.compile_unless_marked)
    with ProcessPool(2) as pool, pytest.warns(jitwasm.CompileWarning, match="SIGABRT") as seen:
        module = jitwasm.Module(data, Config(opt_level=LEVEL, executor=pool))
    assert len(seen) == 1
    differing = [a != b for a, b in zip(module.objects, wanted.objects, strict=True)]
    assert sum(differing) == 1
    assert results(module) == results(wanted)


def test_an_abort_in_a_process_pool_of_the_standard_library_loses_no_module(
    data, wanted, monkeypatch
) -> None:
    # This pool is broken as a whole when one of its processes dies.
    monkeypatch.setattr(executors, "compile_task", tasks.compile_unless_marked)
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
        pytest.warns(jitwasm.CompileWarning, match="abruptly"),
    ):
        module = jitwasm.Module(data, Config(opt_level=LEVEL, executor=pool))
    assert results(module) == results(wanted)


def test_workers_killed_at_random_lose_no_module(data, wanted) -> None:
    with ProcessPool(2) as pool:
        compiling = jitwasm.compile(data * 1, Config(opt_level=2, executor=pool))
        with pytest.warns(jitwasm.CompileWarning) if _kill_some(pool, compiling) else _nothing():
            module = compiling.result(TIMEOUT)
    assert results(module) == results(wanted)


def _kill_some(pool: ProcessPool, compiling: Future) -> bool:
    """Kill each worker as soon as it is busy, until one death hit a task."""
    while not compiling.done():
        for worker in list(pool._busy):
            os.kill(worker.pid, signal.SIGKILL)
            return True
        time.sleep(0.001)
    return False


def _nothing() -> Any:
    return pytest.MonkeyPatch.context()


@pytest.mark.parametrize("covered", [True, False])
def test_what_neither_can_compile_is_a_compile_error(data, monkeypatch, covered: bool) -> None:
    if covered:
        monkeypatch.setattr("jitwasm.recovery.is_available", lambda: False)
    else:

        def refuse(*arguments: object) -> bytes:
            raise jitwasm.recovery.Unsupported("nothing at all")

        monkeypatch.setattr("jitwasm.backend.baseline.compiler.BaselineCompiler.compile", refuse)
    config = Config(opt_level=LEVEL, executor=Dying(OSError("gone")))
    with pytest.raises(jitwasm.CompileError, match=r"gone.*in function 0 \(f0\)") as caught:
        jitwasm.Module(data, config)
    assert isinstance(caught.value.__cause__, OSError)


# -- the configuration -----------------------------------------------------------------------------


def test_a_configuration_pickles_without_its_executor() -> None:
    with ThreadPoolExecutor(1) as pool:
        config = Config(opt_level=3, executor=pool)
        copy = pickle.loads(pickle.dumps(config))
        assert copy.executor is None
        assert copy == config == Config(opt_level=3)
        assert hash(copy) == hash(config)
    assert pickle.loads(pickle.dumps(Config(executor="processes"))).executor == "processes"


def test_a_module_pickles_whatever_compiled_it(data, wanted) -> None:
    with ThreadPoolExecutor(1) as pool:
        module = jitwasm.Module(data, Config(opt_level=LEVEL, executor=pool))
    copy = pickle.loads(pickle.dumps(module))
    assert copy.objects == wanted.objects
    assert copy.config.executor is None


def test_wrong_executors_are_refused() -> None:
    with pytest.raises(ValueError, match="executor must be 'processes', not 'threads'"):
        Config(executor="threads")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="executor must have `submit`, not int"):
        Config(executor=2)  # type: ignore[arg-type]


def test_the_environment_can_ask_for_worker_processes(monkeypatch) -> None:
    monkeypatch.setenv("JITWASM_EXECUTOR", "processes")
    assert jitwasm.config.default_config().executor == "processes"


# -- a cluster -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _examples_on_the_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    with (
        # A task that has killed one worker gets no other one.
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        _examples_on_the_path(),  # before the workers start: they inherit it
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.timeout(300)
def test_a_cluster_compiles(cluster, data, wanted) -> None:
    config = Config(opt_level=LEVEL, executor=cluster.get_executor())
    assert jitwasm.Module(data, config).objects == wanted.objects


@pytest.mark.timeout(300)
def test_a_worker_of_a_cluster_that_dies_loses_no_module(
    cluster, data, wanted, monkeypatch
) -> None:
    monkeypatch.setattr(executors, "compile_task", tasks.compile_unless_marked)
    config = Config(opt_level=LEVEL, executor=cluster.get_executor())
    with pytest.warns(jitwasm.CompileWarning, match="not optimised"):
        module = jitwasm.Module(data, config)
    assert results(module) == results(wanted)


@pytest.mark.timeout(300)
def test_the_example_of_the_documentation_runs_and_workers_compile_nothing(cluster) -> None:
    cluster.wait_for_workers(2, timeout=TIMEOUT)  # those that died are started again
    example = importlib.import_module("cluster")
    before = cluster.run(count_compilations)
    assert example.main(cluster, stop=4000, portion=500) == max(
        (collatz(number), number) for number in range(1, 4001)
    )
    after = cluster.run(count_compilations)
    assert len(after) == 2
    assert after == before


def count_compilations() -> int:
    """How many modules this worker has compiled; counts from the first call on."""
    import jitwasm.pipeline as pipeline

    compile_parts = pipeline._compile_parts
    if not hasattr(compile_parts, "count"):

        def counting(*arguments: Any) -> Any:
            counting.count += 1
            return compile_parts(*arguments)

        counting.count = 0
        pipeline._compile_parts = counting
    return pipeline._compile_parts.count


def collatz(number: int) -> int:
    steps = 0
    while number > 1:
        number = 3 * number + 1 if number % 2 else number // 2
        steps += 1
    return steps
