"""Counterparts of module/*, constructor/compile and constructor/validate."""

from __future__ import annotations

from array import array
from mmap import mmap
from typing import Any

import numpy
import pytest

import jitwasm
from jitwasm import CompileError, Module, compile, validate
from tests.jsapi.accounting import ported
from tests.jsapi.samples import EMPTY, INVALID, module, not_a_buffer

KINDS = ["shared", "resizable", "growable"]


def special_buffer(kind: str, data: bytes) -> Any:
    """The buffers Python has for JavaScript's shared, resizable and growable shared ones."""
    if kind == "resizable":
        return bytearray(data)
    if kind == "growable":
        return numpy.frombuffer(data, "u1")
    shared = mmap(-1, len(data))
    shared[:] = data
    return shared


# module/constructor


@ported("module/constructor")
def test_name() -> None:
    assert Module.__name__ == "Module" and jitwasm.WebAssembly.Module is Module


@ported("module/constructor", covers=2)
def test_no_arguments() -> None:
    with pytest.raises(TypeError):
        Module()  # type: ignore[call-arg]


@ported("module/constructor")
def test_invalid_arguments() -> None:
    for argument in not_a_buffer():
        with pytest.raises(TypeError):
            Module(argument)


@ported("module/constructor", covers=1)
@pytest.mark.parametrize("data", [b"", INVALID])
def test_bad_bytes(data: bytes) -> None:
    with pytest.raises(CompileError):
        Module(data)


@ported("module/constructor")
def test_class_of_the_result() -> None:
    assert type(Module(EMPTY)) is Module


@ported("module/constructor", "sealed")
def test_it_takes_no_attributes() -> None:
    with pytest.raises(AttributeError):
        Module(EMPTY).other = 1  # type: ignore[attr-defined]


@ported("module/constructor", "arguments")
def test_stray_argument_of_the_constructor() -> None:
    with pytest.raises(TypeError):
        Module(EMPTY, None, {})  # type: ignore[call-arg]


@ported("module/constructor")
@pytest.mark.parametrize("kind", KINDS)
def test_special_buffers(kind: str) -> None:
    assert isinstance(Module(special_buffer(kind, EMPTY)), Module)


@ported("module/constructor")
@pytest.mark.parametrize("kind", KINDS)
def test_invalid_modules_in_special_buffers(kind: str) -> None:
    with pytest.raises(CompileError):
        Module(special_buffer(kind, INVALID))


# constructor/compile


@ported("constructor/compile", "arguments")
def test_compile_without_argument() -> None:
    with pytest.raises(TypeError):  # at the call, which lacks something, not through a promise
        compile()  # type: ignore[call-arg]


@ported("constructor/compile")
def test_compile_of_what_is_no_buffer() -> None:
    for argument in not_a_buffer():
        with pytest.raises(TypeError):
            compile(argument).result()


@ported("constructor/compile")
def test_compile_is_a_plain_function() -> None:
    alone = jitwasm.WebAssembly.compile
    assert isinstance(alone(EMPTY).result(), Module)


@ported("constructor/compile")
def test_compile_gives_a_promise() -> None:
    assert type(compile(EMPTY)) is jitwasm.Promise


@ported("constructor/compile")
@pytest.mark.parametrize("data", [b"", INVALID])
def test_compile_of_bad_bytes(data: bytes) -> None:
    with pytest.raises(CompileError):
        compile(data).result()


@ported("constructor/compile")
def test_compile_gives_a_module() -> None:
    assert type(compile(EMPTY).result()) is Module


@ported("constructor/compile", "arguments")
def test_stray_argument_of_compile() -> None:
    with pytest.raises(TypeError):
        compile(EMPTY, None, {})  # type: ignore[call-arg]


@ported("constructor/compile")
def test_changing_the_buffer_after_compile() -> None:
    data = bytearray(EMPTY)
    promise = compile(data)
    data[0] = 1
    assert isinstance(promise.result(), Module)


@ported("constructor/compile")
@pytest.mark.parametrize("kind", KINDS)
def test_compile_of_special_buffers(kind: str) -> None:
    assert isinstance(compile(special_buffer(kind, EMPTY)).result(), Module)


@ported("constructor/compile")
@pytest.mark.parametrize("kind", KINDS)
def test_compile_of_invalid_special_buffers(kind: str) -> None:
    with pytest.raises(CompileError):
        compile(special_buffer(kind, INVALID)).result()


# constructor/validate


@ported("constructor/validate")
def test_validate_without_argument() -> None:
    with pytest.raises(TypeError):
        validate()  # type: ignore[call-arg]


@ported("constructor/validate")
def test_validate_of_what_is_no_buffer() -> None:
    for argument in not_a_buffer():
        with pytest.raises(TypeError):
            validate(argument)


@ported("constructor/validate")
def test_validate_is_a_plain_function() -> None:
    alone = jitwasm.WebAssembly.validate
    assert alone(EMPTY) is True


PREFIXES = [(EMPTY[:n], False) for n in range(8)]
OTHERS = [
    (EMPTY, True),
    (b"\0asm\0\0\0\0", False),
    (b"\0asm\2\0\0\0", False),
    (EMPTY + b"\0\0", False),
    (EMPTY + b"\0\1\0", True),
    (EMPTY + b"\0\2\1a", True),
]
CASES = [
    pytest.param(data, code, expected, id=f"{data.hex() or 'empty'}-{code}")
    for data, expected in PREFIXES + OTHERS
    for code in "BbHhIi"
    if len(data) % array(code).itemsize == 0
]


@ported("constructor/validate")
@pytest.mark.parametrize(("data", "code", "expected"), CASES)
def test_validate_in_buffers_of_any_element(data: bytes, code: str, expected: bool) -> None:
    assert validate(array(code, data)) is expected


@ported("constructor/validate", "arguments")
def test_stray_argument_of_validate() -> None:
    with pytest.raises(TypeError):
        validate(EMPTY, None, {})  # type: ignore[call-arg]


@ported("constructor/validate")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("data", "expected"), [(EMPTY, True), (INVALID, False)])
def test_validate_of_special_buffers(kind: str, data: bytes, expected: bool) -> None:
    assert validate(special_buffer(kind, data)) is expected


# module/imports, module/exports, module/customSections, module/toString

REFLECTION = [pytest.param(name, marks=ported(f"module/{name}")) for name in ("imports", "exports")]
REFLECTION_SURPLUS = [
    pytest.param(name, marks=ported(f"module/{name}", "arguments"))
    for name in ("imports", "exports")
]


def reflect(name: str, *arguments: object) -> Any:
    method = getattr(Module, {"customSections": "custom_sections"}.get(name, name))
    return method(*arguments)


@pytest.mark.parametrize("name", REFLECTION)
def test_reflection_without_a_module(name: str) -> None:
    with pytest.raises(TypeError):
        reflect(name)


@pytest.mark.parametrize("name", REFLECTION)
def test_reflection_of_what_is_no_module(name: str) -> None:
    for argument in (None, True, "", 1, {}, Module):
        with pytest.raises((TypeError, AttributeError)):
            reflect(name, argument)


@pytest.mark.parametrize("name", REFLECTION)
def test_reflection_is_a_function_of_the_class(name: str) -> None:
    assert getattr(jitwasm.WebAssembly.Module, name)(Module(EMPTY)) == []


@pytest.mark.parametrize("name", REFLECTION)
def test_reflection_gives_a_list(name: str) -> None:
    assert type(reflect(name, Module(EMPTY))) is list


@pytest.mark.parametrize("name", REFLECTION)
def test_reflection_of_an_empty_module(name: str) -> None:
    assert reflect(name, Module(EMPTY)) == []


@pytest.mark.parametrize("name", REFLECTION)
def test_reflection_gives_a_fresh_list(name: str) -> None:
    empty = Module(EMPTY)
    assert reflect(name, empty) is not reflect(name, empty)


@pytest.mark.parametrize("name", REFLECTION_SURPLUS)
def test_reflection_takes_no_stray_argument(name: str) -> None:
    with pytest.raises(TypeError):
        reflect(name, Module(EMPTY), {})


@ported("module/imports")
@pytest.mark.parametrize(
    "names",
    [
        [("module", "fn"), ("module", "global"), ("module", "memory"), ("module", "table")],
        [("", "fn"), ("", "global"), ("", "memory"), ("", "table")],
        [("a", ""), ("b", ""), ("c", ""), ("d", "")],
        [("", ""), ("", ""), ("", ""), ("", "")],
    ],
)
def test_imports_are_described(names: list[tuple[str, str]]) -> None:
    kinds = ("func", "global i32", "memory 0 128", "table 0 128 funcref")
    rows = [f'(import "{m}" "{n}" ({k}))' for (m, n), k in zip(names, kinds, strict=True)]
    described = [
        (row.module, row.name, row.kind) for row in module(f"(module {' '.join(rows)})").imports()
    ]
    kinds = ("function", "global", "memory", "table")
    assert described == [(m, n, kind) for (m, n), kind in zip(names, kinds, strict=True)]


@ported("module/exports")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            """(module (func (export "fn")) (func (export "fn2")) (table (export "table") 1 funcref)
            (global (export "global") (mut i32) (i32.const 7))
            (global (export "global2") (mut f64) (f64.const 1.2))
            (memory (export "memory") 0 256))""",
            [
                ("fn", "function"), ("fn2", "function"), ("table", "table"), ("global", "global"),
                ("global2", "global"), ("memory", "memory"),
            ],
        ),
        ('(module (func (export "")))', [("", "function")]),
        ('(module (table (export "") 1 funcref))', [("", "table")]),
        ('(module (global (export "") (mut i32) (i32.const 7)))', [("", "global")]),
    ],
)  # fmt: skip
def test_exports_are_described(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(row.name, row.kind) for row in module(text).exports()] == expected


def with_sections(*rows: tuple[str, bytes]) -> Module:
    data = bytearray(EMPTY)
    for name, payload in rows:
        encoded = name.encode()
        content = bytes([len(encoded)]) + encoded + payload
        data += bytes([0, len(content)]) + content
    return Module(data)


@ported("module/customSections")
def test_custom_sections_without_arguments() -> None:
    for arguments in ((), (Module(EMPTY),)):
        with pytest.raises(TypeError):
            reflect("customSections", *arguments)


@ported("module/customSections")
def test_custom_sections_of_what_is_no_module() -> None:
    for argument in (None, True, "", 1, {}, Module):
        with pytest.raises((TypeError, AttributeError)):
            reflect("customSections", argument, "")


@ported("module/customSections")
def test_custom_sections_is_a_function_of_the_class() -> None:
    assert jitwasm.WebAssembly.Module.custom_sections(Module(EMPTY), "") == []


@ported("module/customSections")
def test_custom_sections_of_an_empty_module() -> None:
    assert Module(EMPTY).custom_sections("") == []


@ported("module/customSections")
def test_custom_sections_are_a_fresh_list() -> None:
    empty = Module(EMPTY)
    assert empty.custom_sections("") is not empty.custom_sections("")


@ported("module/customSections")
def test_custom_sections_by_name_in_order() -> None:
    sections = with_sections(("name", b"first"), ("name", b"second"), ("foo", b"first"))
    assert sections.custom_sections("name") == [b"first", b"second"]
    assert sections.custom_sections("foo") == [b"first"]
    for name in ("", "\0", "name\0", "foo\0"):
        assert sections.custom_sections(name) == []


@ported("module/customSections")
def test_custom_sections_with_names_beyond_the_basic_plane() -> None:
    sections = with_sections(("yee\U00010437eey", b"x"))
    assert sections.custom_sections("yee\U00010437eey") == [b"x"]
    for name in ("yee\ufffdeey", "yee\ufffd\ufffdeey", "yee\ud801\udc37eey"):
        assert sections.custom_sections(name) == []


@ported("module/customSections")
def test_custom_sections_with_replacement_characters() -> None:
    sections = with_sections(("na\ufffdme", b"x"))
    assert sections.custom_sections("na\ufffdme") == [b"x"]
    for name in ("name", "na\udc01me"):
        assert sections.custom_sections(name) == []


@ported("module/customSections", "arguments")
def test_custom_sections_takes_no_stray_argument() -> None:
    with pytest.raises(TypeError):
        reflect("customSections", Module(EMPTY), "", {})


@ported("module/toString")
def test_repr_names_the_class() -> None:
    assert "Module" in repr(Module(EMPTY))
