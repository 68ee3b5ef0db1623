"""Imports: where they are looked up, what fits, and the one error that lists what does not."""

from __future__ import annotations

import ctypes
import ctypes.util
import types
from collections.abc import Callable
from typing import Any

import pytest

from jitwasm import Config, Global, Instance, LinkError, Memory, Module, Table
from jitwasm.backend.native import NativeRuntime
from tests.runtime.support import instantiate, module_of
from tests.support.wat import wat


def import_function(type_: str, function: object) -> Callable[..., Any]:
    """A wasm function that passes its arguments on to an imported one."""
    params = type_.count("param")
    gets = " ".join(f"local.get {i}" for i in range(params))
    text = f"""(module (import "m" "f" (func $f {type_}))
      (func (export "call") {type_} {gets} call $f))"""
    call: Callable[..., Any] = instantiate(text, {"m": {"f": function}}).exports.call
    return call


# Looking up.


@pytest.mark.parametrize(
    "imports",
    [
        {"m": {"f": lambda: 7}},
        {"m": types.SimpleNamespace(f=lambda: 7)},
        types.SimpleNamespace(m={"f": lambda: 7}),
        types.MappingProxyType({"m": types.MappingProxyType({"f": lambda: 7})}),
    ],
)
def test_both_levels_may_be_mappings_or_objects(imports: object) -> None:
    text = '(module (import "m" "f" (func (result i32))) (export "f" (func 0)))'
    assert instantiate(text, imports).exports.f() == 7


def test_exports_of_an_instance_are_a_namespace() -> None:
    library = instantiate('(module (func (export "f") (result i32) i32.const 3))')
    text = '(module (import "m" "f" (func (result i32))) (export "f" (func 0)))'
    assert instantiate(text, {"m": library.exports}).exports.f() == 3


def test_instance_itself_stands_for_its_exports() -> None:
    library = instantiate('(module (func (export "f") (result i32) i32.const 3))')
    text = '(module (import "m" "f" (func (result i32))) (export "f" (func 0)))'
    assert instantiate(text, {"m": library}).exports.f() == 3


def test_imports_may_be_left_out_where_none_are_wanted() -> None:
    instantiate("(module)")
    instantiate("(module)", None)
    instantiate("(module)", {})


@pytest.mark.parametrize("imports", [5, "", True, 1.5, b"", [], ()])
def test_imports_of_the_wrong_kind_are_a_type_error_even_if_none_are_wanted(
    imports: object,
) -> None:
    with pytest.raises(TypeError, match="imports must be"):
        instantiate("(module)", imports)


def test_module_must_be_a_module() -> None:
    with pytest.raises(TypeError, match="module must be a Module, not bytes"):
        Instance(b"\0asm\1\0\0\0")  # type: ignore[arg-type]


def test_errors_of_the_namespaces_themselves_pass_through() -> None:
    class Broken:
        @property
        def f(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        instantiate('(module (import "m" "f" (func)))', {"m": Broken()})


def test_imports_are_read_once_in_the_order_of_the_module() -> None:
    read: list[str] = []

    class Recorder:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattr__(self, name: str) -> object:
            read.append(f"{self.name}.{name}")
            return Recorder(name) if self.name == "" else lambda: None

    instantiate(
        """(module (import "b" "y" (func)) (import "a" "x" (func)) (import "b" "x" (func)))""",
        Recorder(""),
    )
    assert read == [".b", "b.y", ".a", "a.x", ".b", "b.x"]


# Errors.


def test_one_error_lists_everything_that_does_not_fit() -> None:
    library = instantiate('(module (func (export "f") (param i64)))').exports
    text = """(module
      (import "env" "log" (func (param i32)))
      (import "env" "memory" (memory 2 4))
      (import "env" "table" (table 1 funcref))
      (import "env" "ok" (func))
      (import "env" "base" (global i32))
      (import "env" "f" (func (param i32) (result f64)))
      (import "gone" "x" (global (mut i32))))"""
    env = {
        "memory": Memory(1, 4),
        "table": Memory(1),
        "ok": lambda: None,
        "base": "text",
        "f": library.f,
    }
    with pytest.raises(LinkError) as caught:
        instantiate(text, {"env": env})
    lines = str(caught.value).splitlines()
    assert lines[0] == "6 of 7 imports do not fit:"
    assert [line.strip() for line in lines[1:]] == [
        "import #0 'env' 'log': wanted function (i32) -> (), got nothing: it is missing",
        "import #1 'env' 'memory': wanted memory i32 2..4, got memory i32 1..4",
        "import #2 'env' 'table': wanted table i32 1 funcref, got memory i32 1",
        "import #4 'env' 'base': wanted global i32, got an object of type str",
        "import #5 'env' 'f': wanted function (i32) -> (f64), got function (i64) -> ()",
        "import #6 'gone' 'x': wanted global mut i32, got nothing: there is no namespace 'gone'",
    ]


def test_single_error_is_one_line() -> None:
    with pytest.raises(LinkError) as caught:
        instantiate('(module (import "m" "f" (func)))')
    assert str(caught.value) == (
        "import #0 'm' 'f': wanted function () -> (), got nothing: no imports are given"
    )


@pytest.mark.parametrize("value", [None, 5, "x", object(), Memory(0)])
def test_function_import_wants_a_callable(value: object) -> None:
    with pytest.raises(LinkError, match="wanted function"):
        instantiate('(module (import "m" "f" (func)))', {"m": {"f": value}})


@pytest.mark.parametrize("namespace", [5, "abc", [], None, b""])
def test_namespace_of_the_wrong_kind_is_named(namespace: object) -> None:
    with pytest.raises(LinkError, match="namespace 'm'"):
        instantiate('(module (import "m" "f" (func)))', {"m": namespace})


MEMORIES = [
    ("1", Memory(1), True),
    ("1", Memory(2), True),
    ("2", Memory(1), False),
    ("1 2", Memory(1), False),
    ("1 2", Memory(1, 2), True),
    ("1 2", Memory(1, 3), False),
    ("1", Memory(1, 3), True),
    ("1 2 shared", Memory(1, 2), False),
    ("i64 1", Memory(1), False),
    ("i64 1", Memory(1, address="i64"), True),
]


@pytest.mark.parametrize(("wanted", "memory", "fits"), MEMORIES)
def test_memories_match_by_limits_and_kind(wanted: str, memory: Memory, fits: bool) -> None:
    if "shared" in wanted:
        pytest.skip("needs the threads feature")
    text = f'(module (import "m" "x" (memory {wanted})))'
    if fits:
        instantiate(text, {"m": {"x": memory}})
    else:
        with pytest.raises(LinkError, match="wanted memory"):
            instantiate(text, {"m": {"x": memory}})


def test_grown_memory_counts_with_its_present_size() -> None:
    memory = Memory(1)
    memory.grow(1)
    instantiate('(module (import "m" "x" (memory 2)))', {"m": {"x": memory}})


TABLES = [
    ("1 funcref", Table("funcref", 1), True),
    ("1 externref", Table("funcref", 1), False),
    ("2 funcref", Table("funcref", 1), False),
    ("1 2 funcref", Table("funcref", 1), False),
    ("1 2 funcref", Table("funcref", 2, 2), True),
    ("i64 1 funcref", Table("funcref", 2, 2), False),
]


@pytest.mark.parametrize(("wanted", "table", "fits"), TABLES)
def test_tables_match_by_limits_and_element(wanted: str, table: Table, fits: bool) -> None:
    text = f'(module (import "m" "x" (table {wanted})))'
    if fits:
        instantiate(text, {"m": {"x": table}})
    else:
        with pytest.raises(LinkError, match="wanted table"):
            instantiate(text, {"m": {"x": table}})


GLOBALS: list[tuple[str, object, bool]] = [
    ("i32", Global("i32", 1), True),
    ("i32", Global("i64", 1), False),
    ("i32", Global("i32", 1, mutable=True), False),
    ("(mut i32)", Global("i32", 1, mutable=True), True),
    ("(mut i32)", Global("i32", 1), False),
    ("(mut i32)", 1, False),
    ("i32", 1, True),
    ("i32", True, True),
    ("i32", 1 << 32, False),
    ("i32", 1.5, False),
    ("i32", "1", False),
    ("i32", None, False),
    ("i64", 1 << 63, True),
    ("f32", 1, True),
    ("f64", 1.5, True),
    ("f64", "1.5", False),
    ("v128", bytes(16), True),
    ("v128", bytes(15), False),
    ("externref", "any object", True),
    ("externref", None, True),
    ("funcref", None, True),
    ("funcref", print, False),
    ("i32", Memory(0), False),
]


@pytest.mark.parametrize(("wanted", "value", "fits"), GLOBALS)
def test_globals_match_by_type_and_mutability(wanted: str, value: object, fits: bool) -> None:
    text = f'(module (import "m" "x" (global {wanted})))'
    if fits:
        instantiate(text, {"m": {"x": value}})
    else:
        with pytest.raises(LinkError, match="wanted global"):
            instantiate(text, {"m": {"x": value}})


def test_plain_values_become_immutable_globals() -> None:
    value = object()
    exports = instantiate(
        """(module (import "m" "i" (global $i i32)) (import "m" "e" (global $e externref))
             (export "i" (global $i)) (export "e" (global $e))
             (func (export "get") (result i32 externref) global.get $i global.get $e))""",
        {"m": {"i": -5, "e": value}},
    ).exports
    assert exports.get() == (-5, value)
    assert exports.i.value == -5
    assert exports.e.value is value


def test_function_for_a_funcref_global_keeps_its_identity() -> None:
    function = instantiate('(module (func (export "f")))').exports.f
    text = '(module (import "m" "x" (global funcref)) (export "x" (global 0)))'
    assert instantiate(text, {"m": {"x": function}}).exports.x.value is function


# Functions.


def test_exported_function_is_linked_without_python_between() -> None:
    library = instantiate('(module (func (export "f") (result i32) i32.const 3))').exports
    importer = instantiate(
        '(module (import "m" "f" (func $f (result i32))) (export "again" (func $f)))',
        {"m": {"f": library.f}},
    ).exports
    assert importer.again is library.f
    assert importer.again() == 3


def test_same_python_callable_may_be_imported_with_different_types() -> None:
    exports = instantiate(
        """(module (import "m" "f" (func $a (param i32) (result i32)))
             (import "m" "f" (func $b (param f64) (result f64)))
             (func (export "a") (result i32) i32.const 2 call $a)
             (func (export "b") (result f64) f64.const 2.5 call $b))""",
        {"m": {"f": lambda x: x * 2}},
    ).exports
    assert (exports.a(), exports.b()) == (4, 5.0)


def test_reexported_host_function_is_a_wasm_function() -> None:
    seen: list[int] = []
    exports = instantiate(
        '(module (import "m" "f" (func (param i32))) (export "f" (func 0)))',
        {"m": {"f": seen.append}},
    ).exports
    exports.f((1 << 32) - 1)
    assert seen == [-1]
    assert exports.f is exports["f"]
    with pytest.raises(TypeError):
        exports.f("x")


def test_host_function_in_a_table_is_called_and_returned() -> None:
    exports = instantiate(
        """(module (import "m" "f" (func $f (result i32)))
             (table (export "t") 1 funcref) (elem (i32.const 0) $f)
             (func (export "call") (result i32) i32.const 0 call_indirect (result i32)))""",
        {"m": {"f": lambda: 9}},
    ).exports
    assert exports.call() == 9
    assert exports.t[0]() == 9
    assert exports.t[0] is exports.t[0]


# C functions.

LIBM = ctypes.CDLL(ctypes.util.find_library("m"))
LIBC = ctypes.CDLL(None)


def c_function(library: ctypes.CDLL, name: str, restype: Any, *argtypes: Any) -> Any:
    prototype = ctypes.CFUNCTYPE(restype, *argtypes)
    return prototype((name, library))


def test_library_function_is_called_with_its_declared_types() -> None:
    hypot = c_function(LIBM, "hypot", ctypes.c_double, ctypes.c_double, ctypes.c_double)
    assert import_function("(param f64) (param f64) (result f64)", hypot)(3, 4) == 5.0


def test_library_function_without_declared_arguments_gets_what_wasm_passes() -> None:
    assert import_function("(param i32) (result i32)", LIBC.abs)(-5) == 5


def test_result_type_must_be_declared() -> None:
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    with pytest.raises(LinkError, match=r"wanted function \(f64\) -> \(f64\), got C function"):
        import_function("(param f64) (result f64)", library.sin)
    library.sin.restype = ctypes.c_double
    assert import_function("(param f64) (result f64)", library.sin)(0) == 0.0


@pytest.mark.parametrize(
    ("argtypes", "restype"),
    [
        ([ctypes.c_double], ctypes.c_int),
        ([], ctypes.c_int),
        ([ctypes.c_int, ctypes.c_int], ctypes.c_int),
        ([ctypes.c_longlong], ctypes.c_int),
        ([ctypes.c_int], ctypes.c_longlong),
        ([ctypes.c_int], None),
        ([ctypes.c_char_p], ctypes.c_int),
    ],
)
def test_declared_c_types_must_carry_the_wasm_types(argtypes: list[Any], restype: Any) -> None:
    function = c_function(LIBC, "abs", restype, *argtypes)
    with pytest.raises(LinkError, match="C function"):
        import_function("(param i32) (result i32)", function)


def test_callback_is_called_through_its_pointer() -> None:
    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_float)
    callback = prototype(lambda a, b: a + int(b))
    call = import_function("(param i64) (param f32) (result i64)", callback)
    del callback
    assert call(40, 2.0) == 42


def test_narrow_c_types_are_converted_by_ctypes() -> None:
    prototype = ctypes.CFUNCTYPE(ctypes.c_int8, ctypes.c_uint8)
    call = import_function("(param i32) (result i32)", prototype(lambda x: x))
    assert call(0x1F0) == -16


def test_errcheck_is_honoured() -> None:
    function = c_function(LIBC, "abs", ctypes.c_int, ctypes.c_int)
    function.errcheck = lambda result, func, args: result + 100
    assert import_function("(param i32) (result i32)", function)(-5) == 105


def test_function_of_the_python_api_gets_objects() -> None:
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)
    function = prototype(("PyObject_Str", ctypes.pythonapi))
    assert import_function("(param externref) (result externref)", function)(12) == "12"


def test_null_function_pointer_is_refused() -> None:
    null = ctypes.CFUNCTYPE(ctypes.c_int)()
    with pytest.raises(LinkError):
        import_function("(result i32)", null)


def test_object_that_carries_a_ctypes_pointer_is_linked_directly() -> None:
    class Compiled:  # as numba's cfunc
        ctypes = c_function(LIBC, "abs", ctypes.c_int, ctypes.c_int)

    assert import_function("(param i32) (result i32)", Compiled())(-3) == 3


def test_numba_functions_are_linked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba", reason="numba does not install for this Python")
    mixed = numba.cfunc("float64(int32, int64, float32, float64)")(lambda a, b, c, d: a + b * c + d)
    nothing = numba.cfunc("void(int64)")(lambda a: None)
    direct: list[int] = []
    c_function = NativeRuntime.c_function

    def spy(self: NativeRuntime, type_: Any, address: int, *rest: Any) -> Any:
        direct.append(address)
        return c_function(self, type_, address, *rest)

    monkeypatch.setattr(NativeRuntime, "c_function", spy)
    four = "(param i32) (param i64) (param f32) (param f64) (result f64)"
    call = import_function(four, mixed)
    assert call(1, 2, 0.5, 0.25) == 2.25
    assert import_function("(param i64)", nothing)(7) is None
    assert direct == [mixed.address, nothing.address]
    with pytest.raises(LinkError, match="C function"):
        import_function("(param i32) (result i32)", mixed)
    # Both use LLVM, from one library.
    optimised = Config(tier="optimized", cache=False)
    module = Module(wat('(module (func (export "f") (result i32) (i32.const 7)))'), optimised)
    assert Instance(module).exports.f() == 7
    assert numba.njit("int64(int64)")(lambda n: n * n)(12) == 144


def test_resolved_modules_are_not_bound_to_what_they_were_linked_to() -> None:
    text = '(module (import "m" "f" (func $f (result i32))) (export "f" (func $f)))'
    module = module_of(text)
    one = Instance(module, {"m": {"f": lambda: 1}}).exports
    two = Instance(module, {"m": {"f": lambda: 2}}).exports
    assert (one.f(), two.f()) == (1, 2)
    assert one.f is not two.f
