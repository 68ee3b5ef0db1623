"""What a call costs: Python into wasm, wasm into Python and native code, traps, memory access.

Rows are ways of calling from Python, and Node calling from JavaScript. Seconds are per call; the
loop around in-process rows is unrolled, so that it adds less than a nanosecond.
"""

from __future__ import annotations

import tempfile
import timeit
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from bench.callers import ARGUMENTS, CALLERS, EXPECTED, Caller, call_module
from bench.engines import ENGINES, NodeEngine, NodeProcess, Sample, timed
from bench.meter import Meter

_UNROLL = 10
_ROUND = 0.02
"""Seconds one round should take."""
_MIB = 1 << 20
_NODE = "node"
_SIGNATURES = ("nop", "i32", "i64", "f64", "six", "three")
_LOOPS = ("call_host", "call_builtin", "call_native", "call_sin")
_OFFERS = {
    **{name: row.offers for name, row in CALLERS.items()},
    _NODE: CALLERS["wasmtime"].offers - {"call_builtin"},
}


def _rows(*names: str) -> pytest.MarkDecorator:
    """Parametrizes a test by the rows that offer a name, and by the names if there are several."""
    pairs = [(row, name) for name in names for row, offers in _OFFERS.items() if name in offers]
    if len(names) == 1:
        return pytest.mark.parametrize("row", [row for row, _ in pairs])
    ids = [f"{name}-{row}" for row, name in pairs]
    return pytest.mark.parametrize(("row", "name"), pairs, ids=ids)


@cache
def _caller(name: str) -> Caller:
    reason = CALLERS[name].missing()
    if reason:
        pytest.skip(reason)
    return CALLERS[name].make()


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    engine = ENGINES[_NODE]
    reason = engine.unavailable() or CALLERS["wasmtime"].missing()
    if reason:
        pytest.skip(reason)
    assert isinstance(engine, NodeEngine)
    process = NodeProcess(*engine.flags)
    with tempfile.NamedTemporaryFile(suffix=".wasm") as file:
        file.write(call_module())
        file.flush()
        process.ask("load", path=file.name, calls=True)
    yield process
    process.close()


def _per_call(statement: str, quick: bool, **names: Any) -> Callable[[], Sample]:
    """Times a statement, unrolled; a sample is for one execution of it."""
    timer = timeit.Timer("\n".join([statement] * _UNROLL), globals=names)
    number = 1
    if not quick:
        while (seconds := timer.timeit(number)) < _ROUND / 10:
            number *= 4
        number = max(1, int(number * _ROUND / seconds))

    def once() -> Sample:
        total = timed(lambda: timer.timeit(number))
        calls = number * _UNROLL
        return Sample(total.wall / calls, total.cpu / calls)

    return once


def _from_node(
    process: NodeProcess, op: str, quick: bool, **request: object
) -> Callable[[], Sample]:
    n, seconds = 100, 0.0
    while not quick and (seconds := process.ask(op, n=n, **request)["seconds"] * n) < _ROUND / 10:
        n *= 4
    if seconds:
        n = max(1, int(n * _ROUND / seconds))

    def once() -> Sample:
        took = process.ask(op, n=n, **request)["seconds"]
        return Sample(took, took)

    return once


@_rows(*_SIGNATURES)
def test_call(
    row: str, name: str, meter: Meter, quick: bool, request: pytest.FixtureRequest
) -> None:
    """A function of wasm, called from outside."""
    meter.group("call", name, row)
    if row == _NODE:
        node: NodeProcess = request.getfixturevalue("node")
        meter.measure(_from_node(node, "call", quick, name=name, loop=name))
        return
    function, arguments = _caller(row).functions[name], ARGUMENTS[name]
    assert function(*arguments) == EXPECTED[name]
    names = [f"x{i}" for i in range(len(arguments))]
    statement = f"f({', '.join(names)})"
    meter.measure(
        _per_call(statement, quick, f=function, **dict(zip(names, arguments, strict=True)))
    )


@_rows(*_LOOPS)
def test_host_call(
    row: str, name: str, meter: Meter, quick: bool, request: pytest.FixtureRequest
) -> None:
    """A host function, called in a loop from wasm."""
    meter.group("host", name, row)
    count = 10 if quick else 1000
    if row == _NODE:
        node: NodeProcess = request.getfixturevalue("node")
        meter.measure(_from_node(node, "call", quick, name=name, loop="inside"))
        return
    function = _caller(row).functions[name]
    if name == "call_host":
        assert function(count) == count
    once = _per_call("f(n)", quick, f=function, n=count)

    def per_call() -> Sample:
        sample = once()
        return Sample(sample.wall / count, sample.cpu / count)

    meter.measure(per_call)


@_rows("trap")
def test_trap(row: str, meter: Meter, quick: bool, request: pytest.FixtureRequest) -> None:
    """A trap (`unreachable`) up to the exception handler of the caller."""
    meter.group("trap", "unreachable", row)
    if row == _NODE:
        node: NodeProcess = request.getfixturevalue("node")
        meter.measure(_from_node(node, "call", quick, name="trap", loop="trap"))
        return
    function, error = _caller(row).functions["trap"], _caller(row).trap_error
    with pytest.raises(error or Exception):
        function()
    statement = "try:\n    f()\nexcept E:\n    pass"
    meter.measure(_per_call(statement, quick, f=function, E=error))


@_rows("memory")
@pytest.mark.parametrize("size", [8, _MIB], ids=["8B", "1MiB"])
@pytest.mark.parametrize("direction", ["read", "write"])
def test_memory(
    row: str,
    size: int,
    direction: str,
    meter: Meter,
    quick: bool,
    request: pytest.FixtureRequest,
) -> None:
    """Copying bytes out of and into a memory. The row `python` copies from and to a bytearray."""
    meter.group("memory", f"{direction} {'8 B' if size == 8 else '1 MiB'}", row)
    if row == _NODE:
        node: NodeProcess = request.getfixturevalue("node")
        write = direction == "write"
        meter.measure(_from_node(node, "memory", quick, size=size, write=write))
        return
    data = bytes(range(256)) * (size // 256) or b"12345678"
    if row == "python":
        array = bytearray(2 * _MIB)
        statement = "a[64:e] = d" if direction == "write" else "bytes(a[64:e])"
        meter.measure(_per_call(statement, quick, a=array, e=64 + size, d=data))
        return
    caller = _caller(row)
    assert caller.read and caller.write
    caller.write(64, data)
    assert bytes(caller.read(64, size)) == data
    if direction == "read":
        meter.measure(_per_call("f(64, n)", quick, f=caller.read, n=size))
    else:
        meter.measure(_per_call("f(64, d)", quick, f=caller.write, d=data))
