"""Counterparts of instance/*, constructor/instantiate and constructor/multi-value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import jitwasm
from jitwasm import CompileError, Global, Instance, Memory, Module, Table, instantiate
from tests.jsapi.accounting import ported
from tests.jsapi.samples import EMPTY, INVALID, not_a_buffer
from tests.jsapi.test_modules import KINDS, special_buffer
from tests.support.wat import wat


class Recorder:
    """A namespace that notes what is read from it."""

    def __init__(self, name: str, values: dict[str, Any], order: list[str]) -> None:
        self._name, self._values, self._order = name, values, order

    def __getattr__(self, name: str) -> Any:
        self._order.append(f"{self._name}{name}")
        return self._values[name]


@dataclass
class Case:
    """A module, its imports, and what is true of its instance."""

    text: str
    imports: Any = None
    names: tuple[str, ...] = ()
    verify: Callable[[Any], None] = field(default=lambda exports: None)


def in_order() -> Case:
    order: list[str] = []
    one = Recorder("one.", {"global1": 0, "global2": 0, "memory": Memory(64, 128)}, order)
    two = Recorder("two.", {"global3": 0}, order)

    def verify(exports: Any) -> None:
        assert [name for name in order if "." in name] == [
            "one.global1", "two.global3", "one.memory", "one.global2",
        ]  # fmt: skip

    return Case(
        """(module (import "one" "global1" (global i32)) (import "two" "global3" (global i32))
        (import "one" "memory" (memory 0 128)) (import "one" "global2" (global i32)))""",
        Recorder("", {"one": one, "two": two}, order),
        verify=verify,
    )


def all_kinds(*names: tuple[str, str]) -> Case:
    kinds = ("func", "global i32", "memory 0 128", "table 0 128 funcref")
    values = (lambda: None, 0, Memory(64, 128), Table("anyfunc", 64, 128))
    rows = [f'(import "{m}" "{n}" ({k}))' for (m, n), k in zip(names, kinds, strict=True)]
    imports: dict[str, dict[str, Any]] = {}
    for (m, n), value in zip(names, values, strict=True):
        imports.setdefault(m, {})[n] = value
    return Case(f"(module {' '.join(rows)})", imports)


def returning(type_: str, result: Any, error: type[Exception] | None) -> Case:
    """An import whose result is no value of its type."""
    called: list[int] = []

    def fn() -> Any:
        called.append(1)
        return result

    def verify(exports: Any) -> None:
        if error is None:
            exports.fn2()
        else:
            with pytest.raises(error):
                exports.fn2()
        assert called == [1]

    text = f"""(module (import "m" "fn" (func $fn (result {type_})))
      (func (export "fn2") (drop (call $fn))))"""
    return Case(text, {"m": {"fn": fn}}, ("fn2",), verify)


def passing(type_: str) -> Case:
    """An import that takes a number and gives an object that is one."""
    seen: list[int] = []

    class Six:
        def __index__(self) -> int:
            return 6

    def fn(value: int) -> Any:
        seen.append(value)
        return Six()

    def verify(exports: Any) -> None:
        assert exports.fn2() == 6 and seen == [-26]

    text = f"""(module (import "m" "fn" (func $fn (param {type_}) (result {type_})))
      (func (export "fn2") (result {type_}) (call $fn ({type_}.const -26))))"""
    return Case(text, {"m": {"fn": fn}}, ("fn2",), verify)


def taking(type_: str) -> Case:
    def verify(exports: Any) -> None:
        assert exports.fn(6) is None
        with pytest.raises(TypeError):
            exports.fn(6.0)

    return Case(f'(module (func (export "fn") (param {type_})))', None, ("fn",), verify)


def mutable(type_: str) -> Case:
    value = Global(type_, 102, mutable=True)

    def verify(exports: Any) -> None:
        assert exports.fn() == 102
        value.value = 201
        assert exports.fn() == 201

    text = f"""(module (import "m" "global" (global $g (mut {type_})))
      (func (export "fn") (result {type_}) (global.get $g)))"""
    return Case(text, {"m": {"global": value}}, ("fn",), verify)


def exported() -> Case:
    def verify(exports: Any) -> None:
        assert exports.fn(0.0) is None and exports.fn2() is None
        assert len(exports.table) == 1 and len(exports.memory) == 4 * 65536
        assert (exports["global"].value, exports.global2.value) == (7, 1.2)

    text = """(module (func (export "fn") (param f64)) (func (export "fn2"))
      (table (export "table") 1 funcref) (global (export "global") (mut i32) (i32.const 7))
      (global (export "global2") (mut f64) (f64.const 1.2)) (memory (export "memory") 4 8))"""
    return Case(text, None, ("fn", "fn2", "table", "global", "global2", "memory"), verify)


def imported_global(type_: str, value: int) -> Case:
    def verify(exports: Any) -> None:
        assert exports.fn() == value

    text = f"""(module (import "m" "global" (global $g {type_}))
      (func (export "fn") (result {type_}) (global.get $g)))"""
    return Case(text, {"m": {"global": value}}, ("fn",), verify)


def several_i64() -> Case:
    def verify(exports: Any) -> None:
        for value in (0, 123, -123):
            assert exports.fn(1, value) == value
        with pytest.raises(TypeError):
            exports.fn(1, "5")

    text = '(module (func (export "fn") (param i64 i64) (result i64) (local.get 1)))'
    return Case(text, None, ("fn",), verify)


def exporting_constant() -> Case:
    def verify(exports: Any) -> None:
        assert exports.fn() == -26

    text = '(module (func (export "fn") (result i64) (i64.const -26)))'
    return Case(text, None, ("fn",), verify)


CASES: dict[str, tuple[Callable[[], Case], str | None]] = {
    "no imports argument": (lambda: Case("(module)"), None),
    "imports are None": (lambda: Case("(module)", None), None),
    "no imports in the argument": (lambda: Case("(module)", {}), None),
    "order of reading": (in_order, None),
    "all kinds": (
        lambda: all_kinds(("m", "fn"), ("m", "global"), ("m", "memory"), ("m", "table")),
        None,
    ),
    "empty module names": (
        lambda: all_kinds(("", "fn"), ("", "global"), ("", "memory"), ("", "table")),
        None,
    ),
    "empty names": (lambda: all_kinds(("a", ""), ("b", ""), ("c", ""), ("d", "")), None),
    "a function without a name": (
        lambda: Case('(module (func (export "") (param f64)))', None, ("",)),
        "names",
    ),
    "a table without a name": (
        lambda: Case('(module (table (export "") 1 funcref))', None, ("",)),
        None,
    ),
    "a global without a name": (
        lambda: Case('(module (global (export "") (mut i32) (i32.const 7)))', None, ("",)),
        None,
    ),
    "exports": (exported, "names"),
    "exports and imports": (lambda: imported_global("i32", 102), "names"),
    "i64 exports and imports": (lambda: imported_global("i64", -(1 << 63)), "bigint"),
    "a float for i32": (lambda: returning("i32", 6.0, TypeError), "bigint"),
    "i32 to an import and back": (lambda: passing("i32"), "names"),
    "a float for i64": (lambda: returning("i64", 6.0, TypeError), "bigint"),
    "i64 to an import and back": (lambda: passing("i64"), "names"),
    "i32 parameter": (lambda: taking("i32"), "bigint"),
    "i64 parameter": (lambda: taking("i64"), "bigint"),
    "i64 result": (exporting_constant, "bigint"),
    "a mutable i32 global": (lambda: mutable("i32"), "names"),
    "a mutable i64 global": (lambda: mutable("i64"), "bigint"),
    "several i64 parameters": (several_i64, "bigint"),
}


def factory(file: str) -> list[Any]:
    return [
        pytest.param(make, marks=ported(file, deviation), id=name)
        for name, (make, deviation) in CASES.items()
    ]


def check(instance: Any, case: Case) -> None:
    assert type(instance) is Instance
    assert tuple(instance.exports) == case.names
    with pytest.raises((TypeError, AttributeError)):
        instance.exports.other = 1
    case.verify(instance.exports)


# instance/constructor


@ported("instance/constructor")
def test_name() -> None:
    assert Instance.__name__ == "Instance" and jitwasm.WebAssembly.Instance is Instance


@ported("instance/constructor", covers=2)
def test_no_arguments() -> None:
    with pytest.raises(TypeError):
        Instance()  # type: ignore[call-arg]


@ported("instance/constructor")
def test_what_is_no_module() -> None:
    for argument in (None, True, "", 1, {}, Module, EMPTY):
        with pytest.raises(TypeError):
            Instance(argument)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", factory("instance/constructor"))
def test_instances(make: Callable[[], Case]) -> None:
    case = make()
    check(Instance(Module(wat(case.text)), case.imports), case)


@ported("instance/constructor", "arguments")
def test_stray_argument_of_the_constructor() -> None:
    with pytest.raises(TypeError):
        Instance(Module(EMPTY), {}, {})  # type: ignore[call-arg]


# constructor/instantiate


@ported("constructor/instantiate", "arguments")
def test_instantiate_without_argument() -> None:
    with pytest.raises(TypeError):
        instantiate()  # type: ignore[call-overload]


@ported("constructor/instantiate")
def test_instantiate_is_a_plain_function() -> None:
    alone = jitwasm.WebAssembly.instantiate
    assert type(alone(EMPTY).result().instance) is Instance


@ported("constructor/instantiate")
def test_instantiate_of_what_is_no_buffer() -> None:
    for argument in not_a_buffer():
        with pytest.raises(TypeError):
            instantiate(argument).result()


@ported("constructor/instantiate")
def test_instantiate_gives_a_promise() -> None:
    assert type(instantiate(EMPTY)) is jitwasm.Promise


@pytest.mark.parametrize("make", factory("constructor/instantiate"))
def test_instantiate_of_bytes(make: Callable[[], Case]) -> None:
    case = make()
    module, instance = instantiate(wat(case.text), case.imports).result()
    assert type(module) is Module
    check(instance, case)


@pytest.mark.parametrize("make", factory("constructor/instantiate"))
def test_instantiate_of_a_module(make: Callable[[], Case]) -> None:
    case = make()
    check(instantiate(Module(wat(case.text)), case.imports).result(), case)


@ported("constructor/instantiate", "arguments")
@pytest.mark.parametrize("source", [EMPTY, Module(EMPTY)], ids=["bytes", "module"])
def test_stray_argument_of_instantiate(source: Any) -> None:
    with pytest.raises(TypeError):
        instantiate(source, {}, None, {})  # type: ignore[call-overload]


ONE_GLOBAL = '(module (import "module" "global" (global i32)))'


def recorded() -> tuple[Recorder, list[str]]:
    order: list[str] = []
    inner = Recorder("module.", {"global": 0}, order)
    return Recorder("", {"module": inner}, order), order


@ported("constructor/instantiate")
def test_imports_for_bytes_are_read_after_the_compilation() -> None:
    imports, order = recorded()

    def pieces() -> Iterator[bytes]:
        data = wat(ONE_GLOBAL)
        yield data[:-1]
        assert order == []
        yield data[-1:]

    jitwasm.instantiate_streaming(pieces(), imports).result()
    assert order == ["module", "module.global"]


@ported("constructor/instantiate")
def test_imports_for_a_module_are_read_at_the_call() -> None:
    imports, order = recorded()
    promise = instantiate(Module(wat(ONE_GLOBAL)), imports)
    assert order == ["module", "module.global"]
    assert type(promise.result()) is Instance


@ported("constructor/instantiate")
@pytest.mark.parametrize("data", [b"", INVALID])
def test_instantiate_of_bad_bytes(data: bytes) -> None:
    with pytest.raises(CompileError):
        instantiate(data).result()


@ported("constructor/instantiate")
def test_changing_the_buffer_after_instantiate() -> None:
    data = bytearray(EMPTY)
    promise = instantiate(data)
    data[0] = 1
    assert type(promise.result().instance) is Instance


@ported("constructor/instantiate")
@pytest.mark.parametrize("kind", KINDS)
def test_instantiate_of_special_buffers(kind: str) -> None:
    assert type(instantiate(special_buffer(kind, EMPTY)).result().instance) is Instance


@ported("constructor/instantiate")
@pytest.mark.parametrize("kind", KINDS)
def test_instantiate_of_invalid_special_buffers(kind: str) -> None:
    with pytest.raises(CompileError):
        instantiate(special_buffer(kind, INVALID)).result()


# instance/constructor-caching, instance/exports, instance/toString


@ported("instance/constructor-caching")
def test_one_object_however_it_is_reached() -> None:
    library = Instance(
        Module(
            wat(
                """(module (func (export "fn") (param f64)) (table (export "table") 1 funcref)
                (global (export "global") i32 (i32.const 0)) (memory (export "memory") 4 8))"""
            )
        )
    ).exports
    text = """(module (import "m" "fn" (func (param f64))) (import "m" "global" (global i32))
      (import "m" "memory" (memory 4)) (import "m" "table" (table 1 funcref))
      (export "fn" (func 0)) (export "global" (global 0)) (export "memory" (memory 0))
      (export "table" (table 0)))"""
    again = Instance(Module(wat(text)), {"m": library}).exports
    for name in ("fn", "global", "memory", "table"):
        assert again[name] is library[name]


@ported("instance/exports")
def test_exports_of_something_else() -> None:
    for value in (True, "", 1, {}, object()):
        with pytest.raises((TypeError, AttributeError)):
            Instance.exports.__get__(value)  # type: ignore[attr-defined]


@ported("instance/exports")
def test_exports_are_one_object() -> None:
    instance = Instance(Module(EMPTY))
    assert instance.exports is instance.exports


@ported("instance/exports", "frozen")
def test_exports_cannot_be_set() -> None:
    instance = Instance(Module(EMPTY))
    exports = instance.exports
    with pytest.raises(AttributeError):
        instance.exports = {}  # type: ignore[assignment]
    assert instance.exports is exports


@ported("instance/toString")
def test_repr_names_the_class() -> None:
    assert repr(Instance(Module(EMPTY))).startswith("<Instance")


# constructor/multi-value

SWAP = """(func $swap (export "swap") (param f64 i32) (result i32 f64)
  local.get 1 local.get 0)"""


@ported("constructor/multi-value")
def test_several_results_from_wasm() -> None:
    exports = instantiate(wat(f"(module {SWAP})")).result().instance.exports
    assert exports.swap(4.2, 7) == (7, 4.2) and type(exports.swap(4.2, 7)) is tuple


@ported("constructor/multi-value")
def test_several_results_within_wasm() -> None:
    text = f"""(module {SWAP} (func (export "f") (result i32)
      (f64.const 4.2) (i32.const 7) call $swap drop))"""
    assert instantiate(wat(text)).result().instance.exports.f() == 7


@ported("constructor/multi-value")
def test_several_results_from_python() -> None:
    actual: list[str] = []

    class Number:
        def __init__(self, name: str, value: Any) -> None:
            self.name, self.value = name, value

        def __index__(self) -> int:
            actual.append(f"convert {self.name}")
            return int(self.value)

        def __float__(self) -> float:
            actual.append(f"convert {self.name}")
            return float(self.value)

    def fn(f64: float, i32: int) -> Iterator[Number]:
        assert (f64, i32) == (4.2, 7)
        actual.append("first")
        yield Number("one", 2)
        actual.append("second")
        yield Number("two", 7.3)
        actual.append("end")

    text = """(module (import "m" "fn" (func $fn (param f64 i32) (result i32 f64)))
      (func (export "f") (result i32) (f64.const 4.2) (i32.const 7) call $fn drop))"""
    instance = instantiate(wat(text), {"m": {"fn": fn}}).result().instance
    assert instance.exports.f() == 2
    assert actual == ["first", "second", "end", "convert one", "convert two"]
