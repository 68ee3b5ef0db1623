"""Calls from wasm code to Python and C functions: both ways of calling Python behave alike."""

from __future__ import annotations

import ctypes
import gc
import math
import random
import struct
import sys
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from jitwasm.abi import call_conv
from jitwasm.backend.adapters import MOST_VALUES
from jitwasm.backend.native import native
from jitwasm.backend.runtime.layout import HOT
from jitwasm.errors import Trap
from tests.backend.machine import DIVIDE, HOST, LOAD, Machine, entries, signature


@pytest.fixture(params=["generic", "ctypes", "fast"])
def ways(request: pytest.FixtureRequest) -> str:
    """How Python functions are called, however few calls there are."""
    return str(request.param)


def bind(
    machine: Machine, type_: str, target: Callable[..., Any], ways: str, slot: int = 0
) -> None:
    with entries(ways):
        machine.host(slot, type_, target, "ctypes" if ways == "ctypes" else "fast")
    type = signature(type_)
    if ways == "fast" and len(type.params) + len(type.results) > MOST_VALUES:
        ways = "generic"
    way = {"generic": "jw_host_call", "ctypes": "jw_host_ctypes"}.get(ways)
    address = (
        native()._space.symbol(way)
        if way
        else native()._adapters.code("trampoline", signature(type_), False)
    )
    assert machine.keep[-1].word("scratch") == address


def caller(type_: str) -> Machine:
    """A machine with `call`, which passes its parameters to import 0 and returns its results."""
    conv = call_conv(signature(type_))
    params = ", ".join(f"{t} %p{i}" for i, t in enumerate(conv.param_ir))
    prototype = f"ptr %vm{', ' + params if params else ''}"
    lines = []
    # The import has the store's overflow area too, so what is there passes through.
    if conv.ret_types:
        lines += [f"  %r = call_import 0 {conv.ret_ir} ({params})", f"  ret {conv.ret_ir} %r"]
    else:
        lines += [f"  call_import 0 void ({params})", "  ret void"]
    return Machine(f"define {conv.ret_ir} @call({prototype}) {{\n" + "\n".join(lines) + "\n}\n")


def test_arguments_and_results_pass(ways: str) -> None:
    seen: list[tuple[object, ...]] = []

    def swap(*values: object) -> object:
        seen.append(values)
        return values[::-1]

    type_ = "i32 i64 f32 f64 v128 -> v128 f64 f32 i64 i32"
    machine = caller(type_)
    bind(machine, type_, swap, ways)
    call = machine.function("call", type_)
    values = (-5, 2**40, 0.5, -1e300, bytes(range(16)))
    assert call(*values) == values[::-1]
    assert seen == [values]
    assert [type(value) for value in seen[0]] == [int, int, float, float, bytes]


@pytest.mark.parametrize(
    "types",
    ["i32 " * 9, "f64 " * 12, "i64 f32 v128 " * 7, "v128 " * 10, "i32", "", "i32 " * 120],
)
def test_any_number_of_parameters_and_results(ways: str, types: str) -> None:
    names = types.split()
    type_ = f"{types} -> {' '.join(reversed(names))}"
    machine = caller(type_)
    bind(machine, type_, lambda *v: v[::-1] if len(v) != 1 else v[0], ways)
    call = machine.function("call", type_)
    source = random.Random(5)
    make: dict[str, Callable[[], object]] = {
        "i32": lambda: source.randrange(-(2**31), 2**31),
        "i64": lambda: source.randrange(-(2**63), 2**63),
        "f32": lambda: float(source.randrange(-(2**20), 2**20)),
        "f64": lambda: source.uniform(-1e9, 1e9),
        "v128": lambda: source.randbytes(16),
    }
    values = [make[name]() for name in names]
    expected = tuple(reversed(values))
    result = call(*values)
    assert result == (expected if len(names) > 1 else expected[0] if names else None)


def test_exception_is_the_same_object_with_its_traceback(ways: str) -> None:
    error = KeyError("boom")

    def inner() -> None:
        raise error

    def host(x: int) -> int:
        inner()
        return x

    machine = Machine(HOST)
    bind(machine, "i32 -> i32", host, ways)
    call = machine.function("host")
    before = sys.getrefcount(error)
    for _ in range(3):
        error.__traceback__ = None
        with pytest.raises(KeyError) as caught:
            call(1)
        assert caught.value is error
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert names[-2:] == ["host", "inner"]
        assert names[-3].startswith("test_exception_is")
        del caught
    error.__traceback__ = None
    gc.collect()
    assert sys.getrefcount(error) == before


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_any_exception_passes(ways: str, kind: type[BaseException]) -> None:
    def host(x: int) -> int:
        raise kind("x")

    machine = Machine(HOST)
    bind(machine, "i32 -> i32", host, ways)
    with pytest.raises(kind):
        machine.function("host")(1)


def test_context_and_cause_stay(ways: str) -> None:
    def host(x: int) -> int:
        try:
            raise ValueError("first")
        except ValueError as first:
            raise TypeError("second") from first

    machine = Machine(HOST)
    bind(machine, "i32 -> i32", host, ways)
    try:
        raise LookupError("outer")
    except LookupError as outer:
        with pytest.raises(TypeError, match="second") as caught:
            machine.function("host")(1)
        assert isinstance(caught.value.__cause__, ValueError)
        first = caught.value.__context__
        assert first is caught.value.__cause__
        assert first is not None and first.__context__ is outer


def test_result_is_converted_as_an_argument_is(ways: str) -> None:
    machine = Machine(HOST)
    results: list[object] = []
    bind(machine, "i32 -> i32", lambda x: results[0], ways)
    call = machine.function("host")

    class Index:
        def __index__(self) -> int:
            return 9

    for value, expected in ((5, 5), (True, 1), (2**32 - 1, -1), (Index(), 9), (-(2**31), -(2**31))):
        results[:] = [value]
        assert call(0) == expected
    for value in (None, "x", 1.5, (1,)):
        results[:] = [value]
        name = type(value).__name__
        with pytest.raises(
            TypeError, match=rf"result 1 of .*\(\) must be an int \(i32\), not {name}"
        ):
            call(0)
    for value in (2**32, -(2**31) - 1, 10**50):
        results[:] = [value]
        with pytest.raises(OverflowError, match=r"result 1 of .*\(\) does not fit in i32"):
            call(0)


def test_float_results(ways: str) -> None:
    for type_ in ("f32", "f64"):
        machine = caller(f"-> {type_}")
        results: list[object] = []
        bind(machine, f"-> {type_}", lambda results=results: results[0], ways)
        call = machine.function("call", f"-> {type_}")
        for value in (1.5, 2, True, math.inf):
            results[:] = [value]
            assert call() == value
        results[:] = ["1.5"]
        with pytest.raises(TypeError, match=rf"must be a number \({type_}\), not str"):
            call()
        results[:] = [10**400]
        with pytest.raises(OverflowError, match=f"does not fit in {type_}"):
            call()
        nan = struct.unpack("<d", (0x7FF4000020000000).to_bytes(8, "little"))[0]
        results[:] = [nan]
        assert struct.pack("<d", call()) == struct.pack("<d", nan)


def test_exception_of_a_result_conversion_passes(ways: str) -> None:
    class Angry:
        def __index__(self) -> int:
            raise ZeroDivisionError("index")

        def __float__(self) -> float:
            raise ZeroDivisionError("float")

    for type_ in ("i32", "i64", "f32", "f64"):
        machine = caller(f"-> {type_}")
        bind(machine, f"-> {type_}", Angry, ways)
        with pytest.raises(ZeroDivisionError) as caught:
            machine.function("call", f"-> {type_}")()
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-1] in ("__index__", "__float__")
        assert len(names) == 2


def test_no_result_ignores_what_is_returned(ways: str) -> None:
    machine = caller("i32 ->")
    seen: list[int] = []
    bind(machine, "i32 ->", lambda x: seen.append(x) or "whatever", ways)
    assert machine.function("call", "i32 ->")(4) is None
    assert seen == [4]


def test_several_results_come_from_any_iterable(ways: str) -> None:
    machine = caller("-> i32 i64")
    results: list[object] = []
    bind(machine, "-> i32 i64", lambda: results[0], ways)
    call = machine.function("call", "-> i32 i64")
    for value in ((1, 2), [1, 2], iter((1, 2)), {1: 0, 2: 0}, (i for i in (1, 2))):
        results[:] = [value]
        assert call() == (1, 2)
    for value, message in (
        ((1,), "must return 2 values, not 1"),
        ([1, 2, 3], "must return 2 values, not 3"),
        (5, "must return 2 values, not int"),
        (None, "must return 2 values, not NoneType"),
    ):
        results[:] = [value]
        with pytest.raises(TypeError, match=message):
            call()
    results[:] = [(1, "x")]
    with pytest.raises(TypeError, match=r"result 2 of .* must be an int \(i64\), not str"):
        call()

    def broken() -> Any:
        yield 1
        raise OSError("in between")

    results[:] = [broken()]
    with pytest.raises(OSError, match="in between"):
        call()


def test_calls_leak_nothing(ways: str) -> None:
    machine = caller("i64 -> i64")
    big = 10**15
    bind(machine, "i64 -> i64", lambda x: big, ways)
    call = machine.function("call", "i64 -> i64")
    before = sys.getrefcount(big)
    for _ in range(500):
        call(10**14)
    assert sys.getrefcount(big) == before
    bad = "not a number" * 2
    machine2 = caller("i64 -> i64")
    bind(machine2, "i64 -> i64", lambda x: bad, ways)
    call2 = machine2.function("call", "i64 -> i64")

    def fail() -> None:
        with pytest.raises(TypeError):
            call2(1)

    fail()
    gc.collect()
    count = sys.getrefcount(bad)
    for _ in range(200):
        fail()
    gc.collect()
    assert sys.getrefcount(bad) <= count


def test_wasm_python_wasm_nesting(ways: str) -> None:
    machine = Machine(HOST + LOAD + DIVIDE)
    host, load = machine.function("host"), machine.function("load")
    divide = machine.function("divide")
    depth: list[int] = []

    def target(x: int) -> int:
        if x == 0:
            try:
                load(1 << 20)
            except Trap:
                return 70
        if x == 1:
            return int(divide(1, 0))
        if x == 2:
            raise KeyError("inner")
        if x < 50:
            depth.append(x)
            return int(host(x + 1)) + 1
        return x

    bind(machine, "i32 -> i32", target, ways)
    assert host(0) == 70
    with pytest.raises(Trap, match="integer divide by zero"):
        host(1)
    with pytest.raises(KeyError, match="inner"):
        host(2)
    assert host(3) == 50 + 47
    assert depth == list(range(3, 50))


def test_endless_recursion_through_python_is_a_recursion_error(ways: str) -> None:
    machine = Machine(HOST)
    host = machine.function("host")
    bind(machine, "i32 -> i32", lambda x: host(x), ways)
    gc.collect()  # not in there, where finalizers of earlier tests would fail
    for _ in range(2):
        with pytest.raises(RecursionError):
            host(1)
    bind(machine, "i32 -> i32", lambda x: x + 1, ways)
    assert host(1) == 2


def test_builtins_and_objects_are_callable(ways: str) -> None:
    class Adder:
        def __init__(self, n: int) -> None:
            self.n = n

        def __call__(self, x: int) -> int:
            return x + self.n

        def method(self, x: int) -> int:
            return x * self.n

    machine = Machine(HOST)
    host = machine.function("host")
    for target, expected in ((abs, 5), (Adder(10), 5), (Adder(3).method, -15), (int, -5)):
        bind(machine, "i32 -> i32", target, ways)
        assert host(-5) == expected


def test_wrong_arity_is_pythons_type_error(ways: str) -> None:
    machine = Machine(HOST)
    bind(machine, "i32 -> i32", lambda: 1, ways)
    with pytest.raises(TypeError, match="positional argument"):
        machine.function("host")(1)


def test_host_function_is_switched_to_the_fast_path() -> None:
    type_ = "i32 i32 i32 -> i32"
    machine = caller(type_)
    machine.host(0, type_, lambda a, b, c: a * b + c)
    call = machine.function("call", type_)
    for i in range(3 * HOT):
        assert call(i, 2, 3) == 2 * i + 3
    native().settle()
    fast = native()._adapters.code("trampoline", signature(type_), False)
    assert fast != native()._space.symbol("jw_host_call")
    for i in range(10):
        assert call(i, 2, 3) == 2 * i + 3
    # Once compiled it is there from the first call on.
    other = caller(type_)
    other.host(0, type_, lambda a, b, c: a)
    function = other.keep[-1]
    assert other.function("call", type_)(4, 5, 6) == 4
    assert function.word("calls") == 0


def test_ctypes_way_stays_if_it_is_asked_for() -> None:
    type_ = "i64 i32 i64 -> i32"
    machine = caller(type_)
    machine.host(0, type_, lambda a, b, c: b, "ctypes")
    host = machine.keep[-1]
    call = machine.function("call", type_)
    before = host.word("scratch")
    for i in range(3 * HOT):
        assert call(0, i, 0) == i
    native().settle()
    assert host.word("scratch") == before == native()._space.symbol("jw_host_ctypes")


def test_target_lives_as_long_as_the_host_function() -> None:
    class Target:
        def __call__(self, x: int) -> int:
            return x

    target = Target()
    gone = weakref.ref(target)
    machine = Machine(HOST)
    machine.host(0, "i32 -> i32", target)
    del target
    gc.collect()
    assert machine.function("host")(3) == 3
    machine.keep.clear()
    gc.collect()
    assert gone() is None


def test_c_function_is_called_directly() -> None:
    machine = caller("f64 -> f64")
    libm = ctypes.CDLL("libm.so.6")
    machine.c(0, "f64 -> f64", libm.sin)
    assert machine.function("call", "f64 -> f64")(1.25) == math.sin(1.25)


def test_c_function_with_all_register_arguments() -> None:
    prototype = ctypes.CFUNCTYPE(
        ctypes.c_int64, ctypes.c_int32, ctypes.c_double, ctypes.c_int64, ctypes.c_float
    )
    seen: list[tuple[object, ...]] = []

    def target(a: int, b: float, c: int, d: float) -> int:
        seen.append((a, b, c, d))
        return 2**40 + a

    machine = caller("i32 f64 i64 f32 -> i64")
    machine.c(0, "i32 f64 i64 f32 -> i64", prototype(target))
    assert machine.function("call", "i32 f64 i64 f32 -> i64")(-1, 0.5, 2**50, 0.25) == 2**40 - 1
    assert seen == [(-1, 0.5, 2**50, 0.25)]


def test_c_function_with_stack_arguments() -> None:
    prototype = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_int64] * 7, *[ctypes.c_double] * 10)
    seen: list[tuple[object, ...]] = []

    def target(*values: float) -> float:
        seen.append(values)
        return sum(values)

    type_ = "i64 " * 7 + "f64 " * 10 + "-> f64"
    machine = caller(type_)
    machine.c(0, type_, prototype(target))
    values = (*range(1, 8), *(i / 2 for i in range(10)))
    assert machine.function("call", type_)(*values) == sum(values)
    assert seen == [values]


C_TYPES = {
    "i32": ctypes.c_int32,
    "i64": ctypes.c_int64,
    "f32": ctypes.c_float,
    "f64": ctypes.c_double,
}


@pytest.mark.parametrize("seed", range(25))
def test_c_functions_of_many_types_get_their_arguments(seed: int) -> None:
    """As C passes them: in registers, then in words on the stack."""
    source = random.Random(seed)
    kinds = source.choices(list(C_TYPES), k=source.randrange(4, 30))
    result = source.choice(kinds)
    seen: list[tuple[object, ...]] = []

    def target(*values: float) -> float:
        seen.append(values)
        return values[kinds.index(result)]

    prototype = ctypes.CFUNCTYPE(C_TYPES[result], *[C_TYPES[kind] for kind in kinds])
    type_ = f"{' '.join(kinds)} -> {result}"
    machine = caller(type_)
    machine.c(0, type_, prototype(target))
    values = tuple(
        source.randrange(-(2**31), 2**31) if kind[0] == "i" else source.randrange(2**20) / 8
        for kind in kinds
    )
    for _ in range(2):
        assert machine.function("call", type_)(*values) == values[kinds.index(result)]
    assert seen == [values] * 2


@pytest.mark.parametrize("ints", [0, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("floats", [0, 8, 9, 10])
def test_variadic_c_functions_find_an_aligned_stack(ints: int, floats: int) -> None:
    # What has variadic parameters stores vector registers, at aligned addresses, if told to.
    formats = b"%d " * ints + b"%g " * floats
    buffer = ctypes.create_string_buffer(1000)
    pattern = ctypes.create_string_buffer(formats)
    type_ = "i64 i64 i64 " + "i32 " * ints + "f64 " * floats + "-> i32"
    machine = caller(type_)
    machine.c(0, type_, ctypes.CDLL(None).snprintf)
    values = [*range(10, 10 + ints), *(i + 0.5 for i in range(floats))]
    call = machine.function("call", type_)
    wanted = b"".join(b"%g " % value for value in values)
    size = call(ctypes.addressof(buffer), 1000, ctypes.addressof(pattern), *values)
    assert (size, buffer.value) == (len(wanted), wanted)


def test_c_function_may_call_wasm_again() -> None:
    machine = Machine(HOST + DIVIDE)
    divide = machine.function("divide")
    callback = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(lambda x: divide(100, x))
    machine.c(0, "i32 -> i32", callback)
    assert machine.function("host")(7) == 14


def test_c_function_has_at_most_one_result() -> None:
    with pytest.raises(TypeError, match="at most one"):
        native().c_function(signature("-> i32 i32"), 1, None, 0, 0)
