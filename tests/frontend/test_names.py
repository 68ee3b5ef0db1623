from __future__ import annotations

import pytest

from tests.frontend.binary import code, custom, decode, leb, module, name, section, vector
from tests.support.wat import wat

TYPES = section(1, b"\x01\x60\x00\x00")
TWO_FUNCTIONS = TYPES + vector(3, b"\x00", b"\x00") + code(b"\x00\x0b", b"\x00\x0b")


def subsection(ident: int, payload: bytes) -> bytes:
    return bytes([ident]) + leb(len(payload)) + payload


def function_names(*pairs: tuple[int, str]) -> bytes:
    entries = b"".join(leb(index) + name(text) for index, text in pairs)
    return subsection(1, leb(len(pairs)) + entries)


def names_of(*subsections: bytes) -> tuple[str | None, dict[int, str]]:
    info = decode(module(TWO_FUNCTIONS, custom("name", b"".join(subsections))))
    return info.names.module, info.names.functions


def test_module_and_function_names() -> None:
    got = names_of(subsection(0, name("m")), function_names((0, "a"), (1, "b\N{SNOWMAN}")))
    assert got == ("m", {0: "a", 1: "b\N{SNOWMAN}"})


def test_other_subsections_are_skipped() -> None:
    got = names_of(subsection(2, b"\xff\xff"), subsection(9, b""), function_names((1, "b")))
    assert got == (None, {1: "b"})


@pytest.mark.parametrize(
    "broken",
    [
        subsection(0, b"\x05ab"),
        subsection(0, b"\x01\xff"),
        subsection(1, b"\xff\xff\xff\xff\x0f"),
        subsection(1, b"\x01\x00\x02\xc3\x28"),
        subsection(1, b"\x80\x80\x80\x80\x80\x00"),
    ],
)
def test_a_broken_subsection_does_not_hide_the_others(broken: bytes) -> None:
    assert names_of(broken, function_names((1, "b"))) == (None, {1: "b"})


@pytest.mark.parametrize("broken", [b"\x01", b"\x01\x80", b"\x01\x7f\x01", b"\x00\xff\xff\xff\xff"])
def test_a_broken_section_is_taken_as_far_as_it_goes(broken: bytes) -> None:
    assert names_of(subsection(0, name("m")), broken) == ("m", {})


def test_names_of_functions_that_do_not_exist_are_ignored() -> None:
    assert names_of(function_names((7, "ghost"), (1, "b"), (1, "again"))) == (None, {1: "b"})


def test_a_module_without_names_has_none() -> None:
    info = decode(module(TWO_FUNCTIONS))
    assert (info.names.module, info.names.functions) == (None, {})
    assert info.function_name(0) is None


def test_names_may_come_before_the_functions() -> None:
    info = decode(module(custom("name", function_names((1, "b"))), TWO_FUNCTIONS))
    assert info.function_name(1) == "b"


def test_a_function_is_named_by_name_section_export_or_import() -> None:
    info = decode(
        wat("""
        (module
          (import "env" "imported" (func))
          (import "env" "g" (global i32))
          (import "env" "shadowed" (func $named_import))
          (func $named (export "exported_too"))
          (func (export "first") (export "second"))
          (func))
        """)
    )
    names = [info.function_name(funcidx) for funcidx in range(len(info.functions))]
    assert names == ["imported", "named_import", "named", "first", None]
