"""Calls from Python into wasm code: conversions, errors, overflow areas, what a builtin shows."""

from __future__ import annotations

import ctypes
import gc
import inspect
import math
import random
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from jitwasm.abi import INT_REGISTERS, OVERFLOW_SLOT, call_conv
from jitwasm.backend import cpython
from jitwasm.backend.adapters import MOST_VALUES
from jitwasm.backend.native import native
from jitwasm.backend.runtime.layout import HOT
from jitwasm.types import FuncType
from tests.backend.machine import Machine, entries, signature

IDENTITY = "\n".join(
    f"define {ir} @id_{name}(ptr %vm, {ir} %a) {{\n  ret {ir} %a\n}}"
    for name, ir in (
        ("i32", "i32"),
        ("i64", "i64"),
        ("f32", "float"),
        ("f64", "double"),
        ("v128", "<2 x i64>"),
        ("funcref", "ptr"),
    )
)

SIMPLE = (
    IDENTITY
    + """
define void @nop(ptr %vm) {
  ret void
}
define i32 @sub(ptr %vm, i32 %a, i32 %b) {
  %r = sub i32 %a, %b
  ret i32 %r
}
define { i32, i64, double } @three(ptr %vm, i32 %a, double %b) {
  %w = sext i32 %a to i64
  %x = insertvalue { i32, i64, double } poison, i32 %a, 0
  %y = insertvalue { i32, i64, double } %x, i64 %w, 1
  %z = insertvalue { i32, i64, double } %y, double %b, 2
  ret { i32, i64, double } %z
}
"""
)


def echo(type_: FuncType) -> str:
    """A function whose results are its parameters, in reverse order of the type."""
    conv = call_conv(type_)
    assert type_.results == tuple(reversed(type_.params))
    lines, values, register = ["  %area = load ptr, ptr %vm"], [], 0
    for i, loc in enumerate(conv.params):
        if loc.slot is None:
            values.append(f"%p{register}")
            register += 1
        else:
            at = loc.slot * OVERFLOW_SLOT
            lines.append(f"  %q{i} = getelementptr i8, ptr %area, i64 {at}")
            lines.append(f"  %v{i} = load {loc.type.ir}, ptr %q{i}")
            values.append(f"%v{i}")
    values.reverse()
    returned = []
    for i, (loc, value) in enumerate(zip(conv.results, values, strict=True)):
        if loc.slot is None:
            returned.append(f"{loc.type.ir} {value}")
        else:
            at = loc.slot * OVERFLOW_SLOT
            lines.append(f"  %s{i} = getelementptr i8, ptr %area, i64 {at}")
            lines.append(f"  store {loc.type.ir} {value}, ptr %s{i}")
    if len(returned) == 1:
        lines.append(f"  ret {returned[0]}")
    elif returned:
        whole = "poison"
        for i, value in enumerate(returned):
            lines.append(f"  %w{i} = insertvalue {conv.ret_ir} {whole}, {value}, {i}")
            whole = f"%w{i}"
        lines.append(f"  ret {conv.ret_ir} {whole}")
    else:
        lines.append("  ret void")
    params = ", ".join(["ptr %vm", *(f"{t} %p{i}" for i, t in enumerate(conv.param_ir))])
    return f"define {conv.ret_ir} @echo({params}) {{\n" + "\n".join(lines) + "\n}\n"


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(SIMPLE)


WAYS = ("generic", "thunk")


def function_of(machine: Machine, way: str, name: str, type_: str) -> Callable[..., Any]:
    """A function that stays with the generic entry, or one with a thunk of its type."""
    with entries(way):
        function = machine.function(name, type_)
    definition = next(row for ref, row in native()._definitions._live if ref() is function)
    generic = native()._space.symbol("jw_entry")
    type = signature(type_)
    is_generic = way == "generic" or len(type.params) + len(type.results) > MOST_VALUES
    assert (definition._function == generic) == is_generic
    return function


@pytest.fixture(scope="module", params=WAYS)
def calls(request: pytest.FixtureRequest, machine: Machine) -> Callable[..., Any]:
    """Makes functions that are entered in one of the ways."""

    def make(name: str, type_: str) -> Callable[..., Any]:
        return function_of(machine, request.param, name, type_)

    return make


Calls = Callable[..., Callable[..., Any]]


class Index:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Float:
    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


@pytest.mark.parametrize("bits", [32, 64])
def test_integers_in_range_are_signed_results(calls: Calls, bits: int) -> None:
    identity = calls(f"id_i{bits}", f"i{bits} -> i{bits}")
    edges = [0, 1, -1, 2**30 - 1, 2**30, -(2**30), 2**31 - 1, -(2**31), 2**31, 2**32 - 1]
    if bits == 64:
        edges += [2**32, -(2**33), 2**60, 2**61 + 5, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]
    edges += [random.Random(1).randrange(-(2 ** (bits - 1)), 2**bits) for _ in range(200)]
    for value in edges:
        expected = (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
        assert identity(value) == expected
        assert type(identity(value)) is int


@pytest.mark.parametrize("bits", [32, 64])
def test_integers_out_of_range_overflow(calls: Calls, bits: int) -> None:
    identity = calls(f"id_i{bits}", f"i{bits} -> i{bits}")
    for value in (2**bits, -(2 ** (bits - 1)) - 1, 10**40, -(10**40), 10**6000):
        for wrapped in (value, Index(value)):
            message = rf"id_i{bits}\(\) argument 1 does not fit in i{bits}"
            with pytest.raises(OverflowError, match=message):
                identity(wrapped)


@pytest.mark.parametrize("type_", ["i32", "i64"])
def test_what_has_index_is_an_integer(calls: Calls, type_: str) -> None:
    identity = calls(f"id_{type_}", f"{type_} -> {type_}")
    assert identity(True) == 1
    assert identity(Index(77)) == 77
    assert identity(np.int8(-3)) == -3
    assert identity(np.uint16(65535)) == 65535
    assert identity(type("Int", (int,), {})(12)) == 12


@pytest.mark.parametrize("type_", ["i32", "i64"])
@pytest.mark.parametrize("value", [1.0, "1", None, b"1", [], np.float64(2), 1j])
def test_what_has_no_index_is_a_type_error(calls: Calls, type_: str, value: object) -> None:
    identity = calls(f"id_{type_}", f"{type_} -> {type_}")
    name = type(value).__name__
    message = rf"id_{type_}\(\) argument 1 must be an int \({type_}\), not {name}"
    with pytest.raises(TypeError, match=message):
        identity(value)


def test_exception_of_index_or_float_passes(calls: Calls) -> None:
    class Angry:
        def __index__(self) -> int:
            raise KeyError("index")

        def __float__(self) -> float:
            raise KeyError("float")

    for type_, name in (("i32", "index"), ("i64", "index"), ("f64", "float"), ("f32", "float")):
        with pytest.raises(KeyError, match=name):
            calls(f"id_{type_}", f"{type_} -> {type_}")(Angry())


@pytest.mark.parametrize("type_", ["f32", "f64"])
def test_numbers_are_floats(calls: Calls, type_: str) -> None:
    identity = calls(f"id_{type_}", f"{type_} -> {type_}")
    assert identity(1.5) == 1.5
    assert identity(3) == 3.0
    assert type(identity(3)) is float
    assert identity(True) == 1.0
    assert identity(Float(0.25)) == 0.25
    assert identity(Index(8)) == 8.0
    assert identity(np.float32(0.5)) == 0.5
    assert identity(np.int64(-2)) == -2.0
    assert identity(math.inf) == math.inf
    assert math.isnan(identity(math.nan))
    assert math.copysign(1, identity(-0.0)) == -1
    assert identity(-1) == identity(-1.0) == -1.0


def test_f32_rounds_to_nearest_and_to_infinity(calls: Calls) -> None:
    identity = calls("id_f32", "f32 -> f32")
    assert identity(0.1) == struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert identity(16777217) == 16777216
    assert identity(1e40) == math.inf
    assert identity(-1e40) == -math.inf
    assert identity(1e-46) == 0.0


@pytest.mark.parametrize("type_", ["f32", "f64"])
@pytest.mark.parametrize("value", ["1.0", None, b"", []])
def test_what_is_no_number_is_a_type_error(calls: Calls, type_: str, value: object) -> None:
    identity = calls(f"id_{type_}", f"{type_} -> {type_}")
    name = type(value).__name__
    with pytest.raises(TypeError, match=rf"argument 1 must be a number \({type_}\), not {name}"):
        identity(value)


@pytest.mark.parametrize("type_", ["f32", "f64"])
def test_integer_too_large_for_a_float_overflows(calls: Calls, type_: str) -> None:
    with pytest.raises(OverflowError, match=rf"id_{type_}\(\) argument 1 does not fit"):
        calls(f"id_{type_}", f"{type_} -> {type_}")(10**400)


def test_nan_payloads_survive(calls: Calls) -> None:
    def bits(value: float) -> int:
        return int.from_bytes(struct.pack("<d", value), "little")

    def nan(word: int) -> float:
        return float(ctypes.c_double.from_buffer_copy(word.to_bytes(8, "little")).value)

    f64 = calls("id_f64", "f64 -> f64")
    f32 = calls("id_f32", "f32 -> f32")
    for word in (0x7FF8 << 48, 0xFFF8 << 48, 0x7FF0 << 48 | 1, 0x7FF4000000000001):
        assert bits(f64(nan(word))) == word
    for word in (0x7FF8 << 48, 0xFFF8 << 48, 0x7FF4 << 48, 0x7FF0000020000000):
        assert bits(f32(nan(word))) == word
    # A payload that has no place in an f32 must not become infinity.
    assert math.isnan(f32(nan(0x7FF0 << 48 | 1)))


def test_vectors_are_sixteen_bytes(calls: Calls) -> None:
    identity = calls("id_v128", "v128 -> v128")
    data = bytes(range(16))
    assert identity(data) == data
    assert identity(bytearray(data)) == data
    assert identity(memoryview(data)) == data
    assert identity(np.arange(16, dtype=np.uint8)) == data
    with pytest.raises(ValueError, match=r"id_v128\(\) argument 1 must be bytes of length 16"):
        identity(data[:15])
    for wrong in (16, "0123456789abcdef", None):
        with pytest.raises(TypeError, match=r"id_v128\(\) argument 1 must be bytes"):
            identity(wrong)


def test_wrong_number_of_arguments_is_a_type_error(calls: Calls) -> None:
    sub = calls("sub", "i32 i32 -> i32")
    message = r"sub\(\) takes 2 positional arguments but {} given"
    with pytest.raises(TypeError, match=message.format("1 was")):
        sub(1)
    with pytest.raises(TypeError, match=message.format("0 were")):
        sub()
    with pytest.raises(TypeError, match=message.format("3 were")):
        sub(1, 2, 3)
    with pytest.raises(TypeError, match=r"id_i32\(\) takes 1 positional argument but 2 were given"):
        calls("id_i32", "i32 -> i32")(1, 2)
    with pytest.raises(TypeError, match="keyword"):
        sub(1, b=2)
    assert sub(7, 2) == 5


def test_error_names_the_right_argument(calls: Calls) -> None:
    sub = calls("sub", "i32 i32 -> i32")
    with pytest.raises(TypeError, match="argument 2 must"):
        sub(1, "x")
    with pytest.raises(TypeError, match="argument 1 must"):
        sub("x", "x")


def test_no_result_is_none(calls: Calls) -> None:
    nop = calls("nop", "->")
    before = sys.getrefcount(None)
    for _ in range(1000):
        assert nop() is None
    assert abs(sys.getrefcount(None) - before) < 100


def test_several_results_are_a_tuple(calls: Calls) -> None:
    three = calls("three", "i32 f64 -> i32 i64 f64")
    assert three(-7, 2.5) == (-7, -7, 2.5)
    assert type(three(1, 2)) is tuple


def test_calls_leak_nothing(calls: Calls) -> None:
    three, big, number = calls("three", "i32 f64 -> i32 i64 f64"), 10**12, 2.5
    identity = calls("id_i64", "i64 -> i64")
    before = sys.getrefcount(big), sys.getrefcount(number)
    for _ in range(1000):
        three(100000, number)
        identity(big)
        with pytest.raises(TypeError):
            three(number, number)
    assert (sys.getrefcount(big), sys.getrefcount(number)) == before


SIGNATURES = [
    "i32 i32 i32 i32 i32 i32",
    "i64 i64 i64 i64 i64 i64 i64 i64 i64",
    "f64 f64 f64 f64 f64 f64 f64 f64 f64 f64",
    "f32 i32 f64 i64 f32 i32 f64 i64 f32 i32 f64 i64 f32 i32 f64 i64 f32 i32 f64 i64",
    "v128 v128 v128 v128 v128 v128 v128 v128 v128 v128",
    "i32 v128 f32 i64",
    "i32",
    "",
    " ".join(["i32"] * 200),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("types", SIGNATURES)
def test_any_number_of_parameters_and_results(types: str, way: str) -> None:
    text = f"{types} -> {' '.join(reversed(types.split()))}"
    type_ = signature(text)
    function = function_of(Machine(echo(type_)), way, "echo", text)
    source = random.Random(3)
    make: dict[str, Callable[[], object]] = {
        "i32": lambda: source.randrange(-(2**31), 2**31),
        "i64": lambda: source.randrange(-(2**63), 2**63),
        "f32": lambda: float(np.float32(source.uniform(-1e6, 1e6))),
        "f64": lambda: source.uniform(-1e9, 1e9),
        "v128": lambda: source.randbytes(16),
    }
    for _ in range(3):
        values = [make[name]() for name in types.split()]
        expected = tuple(reversed(values))
        result = function(*values)
        assert result == (expected if len(values) > 1 else expected[0] if values else None)


def test_overflow_limit_is_where_the_abi_says() -> None:
    conv = call_conv(signature(" ".join(["i32"] * (INT_REGISTERS + 2)) + " ->"))
    assert [loc.slot for loc in conv.params][-2:] == [0, 1]


@pytest.mark.parametrize("way", WAYS)
def test_references_go_through_the_hooks(way: str) -> None:
    class Thing:
        pass

    things: dict[int, object] = {}
    seen: list[tuple[str, int]] = []

    def to_ref(value: object, type_: object, env: int) -> int:
        seen.append((str(type_), env))
        if value is None:
            return 0
        if isinstance(value, str):
            raise LookupError(value)
        things[id(value)] = value
        return id(value)

    def from_ref(word: int, type_: object) -> object:
        return things[word]

    machine = Machine(IDENTITY)
    runtime = native()
    before = runtime._hooks.to_ref, runtime._hooks.from_ref
    runtime.set_hooks(to_ref=to_ref, from_ref=from_ref)
    try:
        identity = function_of(machine, way, "id_funcref", "funcref -> funcref")
        thing = Thing()
        assert identity(thing) is thing
        assert seen[-1] == ("funcref", machine.env)
        assert identity(None) is None
        with pytest.raises(LookupError, match="no"):
            identity("no")
        runtime.set_hooks(from_ref=lambda word, type_: things[0])
        with pytest.raises(KeyError):
            identity(thing)
    finally:
        runtime.set_hooks(to_ref=before[0], from_ref=before[1])


def test_builtin_shows_what_it_is(machine: Machine) -> None:
    ref = machine.funcref(machine.image.symbols["sub"], machine.env)
    doc = "sub(a, b, /)\n--\n\nSubtract."
    sub = native().function(signature("i32 i32 -> i32"), ref, "sub", doc, machine)
    assert sub.__name__ == "sub"
    assert sub.__doc__ == "Subtract."
    assert str(inspect.signature(sub)) == "(a, b, /)"
    assert "sub" in repr(sub)
    assert "WasmFunction" in repr(sub)
    assert sub.__self__.owner is machine
    assert callable(sub)
    assert weakref.ref(sub)() is sub
    assert {sub: 1}[sub] == 1


def test_names_need_not_be_identifiers(machine: Machine) -> None:
    ref = machine.funcref(machine.image.symbols["nop"], machine.env)
    for name, shown in (("a b", "a b"), ("", ""), ("é→", "é→"), ("x\0y", "x"), ("\ud800", "?")):
        function = native().function(signature("->"), ref, name, "", machine)
        assert function.__name__ == shown
        with pytest.raises(TypeError):
            function(1)


def test_owner_lives_as_long_as_the_function() -> None:
    class Owner:
        pass

    machine = Machine(SIMPLE)
    owner = Owner()
    gone = weakref.ref(owner)
    ref = machine.funcref(machine.image.symbols["nop"], machine.env)
    function = native().function(signature("->"), ref, "nop", "", owner)
    del owner
    gc.collect()
    assert gone() is not None
    function()
    del function
    gc.collect()
    assert gone() is None


def test_definitions_are_given_back(machine: Machine) -> None:
    kept = native()._definitions
    gc.collect()
    kept.sweep()
    before = len(kept)
    held = [machine.function("nop", "->") for _ in range(100)]
    for _ in range(3000):
        machine.function("nop", "->")()
    assert before + 100 <= len(kept) < before + 1000
    for function in held:
        function()
    del held, function
    gc.collect()
    kept.sweep()
    assert len(kept) <= before


def test_functions_in_garbage_cycles_go(machine: Machine) -> None:
    class Node:
        function: object

    alive = []
    for _ in range(300):
        node = Node()
        ref = machine.funcref(machine.image.symbols["nop"], machine.env)
        node.function = native().function(signature("->"), ref, "nop", "", node)
        alive.append(weakref.ref(node))
    del node
    gc.collect()
    assert all(ref() is None for ref in alive)


def test_frequent_calls_switch_to_a_thunk() -> None:
    # A type that nothing else here uses.
    machine = Machine(
        "define i32 @sub(ptr %vm, i64 %a, i64 %b) {\n"
        "  %s = sub i64 %a, %b\n  %r = trunc i64 %s to i32\n  ret i32 %r\n}\n"
    )
    type_ = "i64 i64 -> i32"
    generic = native()._space.symbol("jw_entry")
    first = machine.function("sub", type_)
    second = machine.function("sub", type_)
    assert native()._adapters.code("thunk", signature(type_), False) == generic
    for i in range(2 * HOT):
        assert first(i, 1) == i - 1
    native().settle()
    assert native()._adapters.code("thunk", signature(type_), False) != generic
    assert first(5, 3) == second(5, 3) == machine.function("sub", type_)(5, 3) == 2


@pytest.fixture
def public_api_only() -> Iterator[None]:
    """An interpreter whose object layout the self-test does not know."""
    layout = cpython.layout()
    saved = layout.ints, layout.floats, layout.wrapped
    layout.ints = layout.floats = layout.wrapped = False
    runtime = native()
    adapters, runtime._adapters = runtime._adapters, type(runtime._adapters)(runtime._space, None)
    runtime._set("jw_wrapped", 0)
    try:
        yield
    finally:
        layout.ints, layout.floats, layout.wrapped = saved
        runtime._adapters = adapters
        runtime._set("jw_wrapped", int(layout.wrapped))


def test_layout_is_known_here() -> None:
    layout = cpython.layout()
    assert layout.ints and layout.floats and layout.wrapped


@pytest.mark.usefixtures("public_api_only")
@pytest.mark.parametrize("way", WAYS)
def test_unknown_layouts_use_the_public_api(way: str) -> None:
    machine = Machine(SIMPLE)
    sub = function_of(machine, way, "sub", "i32 i32 -> i32")
    assert sub(5, 7) == -2
    assert sub(-(2**31), 0) == -(2**31)
    assert sub(-1, -1) == 0
    with pytest.raises(TypeError, match=r"sub\(\) argument 1"):
        sub(1.0, 2)
    with pytest.raises(TypeError, match=r"sub\(\) takes 2 positional arguments but 1 was given"):
        sub(1)
    three = function_of(machine, way, "three", "i32 f64 -> i32 i64 f64")
    assert three(-1, -1) == (-1, -1, -1.0)
    assert function_of(machine, way, "id_f64", "f64 -> f64")(-1.0) == -1.0
    assert "WasmFunction" in repr(sub)


def test_threads_make_functions_at_once(machine: Machine) -> None:
    failures: list[object] = []
    held: list[Callable[..., Any]] = []

    def work(number: int) -> None:
        for i in range(1500):
            name, type_, arguments, expected = (
                ("nop", "->", (), None),
                ("sub", "i32 i32 -> i32", (i, number), i - number),
                ("id_f64", "f64 -> f64", (0.5,), 0.5),
            )[(i + number) % 3]
            function = machine.function(name, type_)
            if function(*arguments) != expected:
                failures.append(name)
            if i % 50 == 0:
                held.append(function)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for function in held:
        with pytest.raises(TypeError, match="takes"):
            function(1, 2, 3, 4)
