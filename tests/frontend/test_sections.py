"""Validation of everything outside of function bodies, apart from types and constants."""

from __future__ import annotations

import pickle

import pytest

from jitwasm.config import Features, ImplementationLimits
from jitwasm.errors import CompileError, InvalidError, MalformedError
from jitwasm.frontend.moduleinfo import Export, Import
from jitwasm.types import (
    EXTERNREF,
    F64,
    FUNCREF,
    I32,
    I64,
    DefType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    ref_type,
)
from tests.frontend.binary import (
    ALL_FEATURES,
    code,
    decode,
    leb,
    module,
    name,
    parse_chunks,
    section,
    vector,
)
from tests.frontend.corpus import EVERYTHING, SMALL, TYPED
from tests.support.wat import wat

TYPES = section(1, b"\x01\x60\x00\x00")


def malformed(*sections: bytes, match: str) -> None:
    with pytest.raises(MalformedError, match=match):
        decode(module(*sections))


def invalid(text: str, match: str, features: Features = ALL_FEATURES) -> None:
    with pytest.raises(InvalidError, match=match):
        decode(wat(text), features)


# Index spaces


def test_index_spaces_hold_imports_first() -> None:
    info = decode(EVERYTHING)
    assert info.imports[0] == Import("env", "f", info.types[0])
    assert [info.imported_functions, info.imported_tables, info.imported_memories] == [1, 1, 1]
    assert [info.imported_globals, info.imported_tags] == [2, 0]
    assert [str(f.comp) for f in info.functions] == ["(i32) -> (i64)", "(i32) -> (i32)", "() -> ()"]
    assert info.tables == [TableType(Limits(1, 2), FUNCREF), TableType(Limits(3), EXTERNREF)]
    assert info.memories == [MemoryType(Limits(1, 2)), MemoryType(Limits(0))]
    assert info.globals[:4] == [
        GlobalType(I32, False),
        GlobalType(F64, True),
        GlobalType(I32, False),
        GlobalType(I64, True),
    ]
    assert len(info.global_inits) == len(info.globals) - 2
    assert info.start == 2
    assert info.func_type(1).params == (I32,)


def test_exports_carry_their_types() -> None:
    info = decode(EVERYTHING)
    assert info.exports == [
        Export("id", "function", 1, info.functions[1]),
        Export("mem", "memory", 0, info.memories[0]),
        Export("refs", "table", 1, info.tables[1]),
        Export("g", "global", 0, info.globals[0]),
    ]


def test_segments() -> None:
    info = decode(EVERYTHING)
    active, passive, declared, refs, exprs = info.elements
    assert (active.mode, active.tableidx, active.items) == ("active", 0, (0, 1))
    assert active.offset is not None
    assert active.offset.ops == (("i32.const", 0),)
    assert (passive.mode, passive.offset, passive.items) == ("passive", None, (2,))
    assert (declared.mode, declared.items) == ("declarative", (0,))
    assert (refs.tableidx, refs.type) == (1, EXTERNREF)
    assert exprs.type is FUNCREF
    assert exprs.items[0] == 1
    assert not isinstance(exprs.items[1], int)
    assert exprs.items[1].ops == (("ref.null", "func"),)
    hello, bare, empty = info.data
    assert (hello.mode, hello.memidx, hello.payload) == ("active", 0, b"hello")
    assert (bare.mode, bare.offset, bare.payload) == ("passive", None, b"passive")
    assert (empty.memidx, empty.payload) == (1, b"")


def test_functions_named_outside_of_bodies_are_declared() -> None:
    info = decode(
        wat("""
        (module
          (import "" "import" (func))
          (func (export "exported"))
          (func $in_element) (func $in_global) (func $in_table) (func $called call $called)
          (table 1 funcref (ref.func $in_table))
          (global funcref (ref.func $in_global))
          (elem declare func $in_element)
          (start $called))
        """)
    )
    assert info.declared_functions == {1, 2, 3, 4}


def test_tags_and_table_initialisers() -> None:
    info = decode(TYPED)
    assert info.imported_tags == 1
    imported, local = info.tags
    assert str(imported.type) == "(i32) -> ()"
    assert str(local.type).startswith("((ref ")
    assert info.memories[0] == MemoryType(Limits(1, 3), I64)
    assert info.memories[1] == MemoryType(Limits(1, 1), shared=True)
    assert info.tables[0].addr is I64
    assert info.tables[1].element is ref_type(False, "func")
    assert info.table_inits[1].ops == (("ref.func", 0),)


@pytest.mark.parametrize("title", SMALL)
def test_module_info_pickles(title: str) -> None:
    info = decode(SMALL[title])
    copy = pickle.loads(pickle.dumps(info))
    assert copy == info
    assert copy.layout == info.layout
    assert all(a is b for a, b in zip(copy.types, info.types, strict=True))


def test_layout_follows_the_index_spaces() -> None:
    layout = decode(EVERYTHING).layout
    assert (layout.memories, layout.tables, layout.types) == (2, 2, 3)
    assert (layout.imported_functions, layout.defined_functions) == (1, 2)
    assert (layout.imported_globals, layout.defined_globals) == (2, 5)
    assert (layout.data_segments, layout.elem_segments) == (3, 5)


# Imports and exports


@pytest.mark.parametrize("kind", [b"\x05", b"\x06", b"\x7f", b"\x80"])
def test_import_kinds(kind: bytes) -> None:
    malformed(vector(2, b"\x00\x00" + kind + b"\x00"), match="malformed import kind")


def test_export_kinds() -> None:
    malformed(vector(7, b"\x00\x05\x00"), match="malformed export kind")


def test_import_names_are_utf8() -> None:
    malformed(vector(2, b"\x01\xff\x00\x00\x00"), match="malformed UTF-8 encoding")
    malformed(vector(2, b"\x00\x01\xff\x00\x00"), match="malformed UTF-8 encoding")
    malformed(vector(7, b"\x02\xc3\x28\x00\x00"), match="malformed UTF-8 encoding")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('(module (export "a" (func 0)))', "unknown function 0"),
        ('(module (func) (export "a" (func 1)))', "unknown function 1"),
        ('(module (export "a" (table 0)))', "unknown table 0"),
        ('(module (export "a" (memory 0)))', "unknown memory 0"),
        ('(module (export "a" (global 0)))', "unknown global 0"),
        ('(module (export "a" (tag 0)))', "unknown tag 0"),
        (
            '(module (func) (memory 0) (export "a" (func 0)) (export "a" (memory 0)))',
            "duplicate export name 'a'",
        ),
        ('(module (import "" "" (func (type 3))))', "unknown type 3"),
        ("(module (func (type 3)))", "unknown type 3"),
        (
            '(module (type (struct)) (import "" "" (func (type 0))))',
            "type mismatch: type 0 is not a function type",
        ),
    ],
)
def test_references_in_imports_exports_and_functions(text: str, message: str) -> None:
    invalid(text, message)


def test_equal_import_names_are_allowed() -> None:
    info = decode(wat('(module (import "a" "b" (func)) (import "a" "b" (global i32)))'))
    assert len(info.imports) == 2


# Limits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(module (memory 65537))", r"memory size must be at most 65536 pages \(4GiB\)"),
        ("(module (memory 0 65537))", r"memory size must be at most 65536 pages \(4GiB\)"),
        ('(module (import "" "" (memory 65537)))', "memory size"),
        ("(module (memory i64 0x1000000000001))", "memory size must be at most 2^48 pages"),
        ("(module (memory i64 0 0x1000000000001))", "memory size"),
        ("(module (memory 2 1))", "size minimum must not be greater than maximum"),
        ("(module (table 2 1 funcref))", "size minimum must not be greater than maximum"),
        ("(module (table i64 2 1 funcref))", "size minimum must not be greater than maximum"),
        ("(module (memory 1 shared))", "shared memory must have maximum"),
        ("(module (table 1 (ref func)))", "type mismatch"),
        ("(module (tag (result i32)))", "non-empty tag result type"),
    ],
)
def test_sizes_and_types_of_definitions(text: str, message: str) -> None:
    if "shared" in text:
        with pytest.raises(InvalidError, match=message):
            decode(module(vector(5, b"\x02\x01")))
    else:
        invalid(text, message.replace("^", r"\^"))


def test_the_largest_sizes_are_valid() -> None:
    decode(wat("(module (memory 65536 65536))"))
    decode(wat("(module (memory i64 0x1000000000000 0x1000000000000))"))
    decode(wat("(module (table 0xffff_ffff 0xffff_ffff funcref))"))
    info = decode(module(vector(4, b"\x70\x05\x00" + leb(2**64 - 1))))
    assert info.tables[0].limits == Limits(0, 2**64 - 1)


def test_a_32_bit_table_has_a_32_bit_size() -> None:
    with pytest.raises(InvalidError, match="table size"):
        decode(module(vector(4, b"\x70\x00" + leb(2**32))))


@pytest.mark.parametrize("flags", [b"\x08", b"\x10", b"\x80", b"\x81\x00", b"\xff"])
def test_limits_flags(flags: bytes) -> None:
    malformed(vector(5, flags + b"\x00\x00"), match="malformed limits flags")
    malformed(vector(4, b"\x70" + flags + b"\x00\x00"), match="malformed limits flags")


def test_a_table_is_not_shared() -> None:
    malformed(vector(4, b"\x70\x03\x00\x00"), match="malformed limits flags")


def test_limits_are_64_bit_integers() -> None:
    malformed(vector(5, b"\x00" + b"\x80" * 10 + b"\x00"), match="integer representation too long")
    malformed(vector(5, b"\x00" + b"\x80" * 9 + b"\x02"), match="integer too large")


def test_mutability_is_zero_or_one() -> None:
    malformed(vector(6, b"\x7f\x02\x41\x00\x0b"), match="malformed mutability")


def test_table_forms() -> None:
    malformed(vector(4, b"\x7f\x00\x00"), match="malformed reference type")
    malformed(vector(4, b"\x40\x01\x70\x00\x00\xd0\x70\x0b"), match="malformed table")


def test_tag_attributes() -> None:
    malformed(TYPES, vector(13, b"\x01\x00"), match="malformed tag attribute")


# Start, segments, data count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(module (func) (start 1))", "unknown function 1"),
        ("(module (func (result i32) i32.const 0) (start 0))", "start function"),
        ("(module (func (param i32)) (start 0))", "start function"),
        ("(module (func) (elem (i32.const 0) 0))", "unknown table 0"),
        ("(module (table 1 funcref) (elem (i32.const 0) 0))", "unknown function 0"),
        ("(module (table 1 funcref) (elem func 0))", "unknown function 0"),
        ("(module (table 1 externref) (func) (elem (i32.const 0) func 0))", "type mismatch"),
        ("(module (table 1 funcref) (elem (i32.const 0) externref))", "type mismatch"),
        ("(module (table 1 funcref) (elem (i64.const 0)))", "type mismatch"),
        ("(module (table i64 1 funcref) (elem (i32.const 0)))", "type mismatch"),
        ("(module (elem externref (ref.null func)))", "type mismatch"),
        ('(module (data (i32.const 0) ""))', "unknown memory 0"),
        ('(module (memory 1) (data (memory 1) (offset (i32.const 0)) ""))', "unknown memory 1"),
        ('(module (memory 1) (data (i64.const 0) ""))', "type mismatch"),
        ('(module (memory i64 1) (data (i32.const 0) ""))', "type mismatch"),
    ],
)
def test_references_in_start_and_segments(text: str, message: str) -> None:
    invalid(text, message)


def test_segment_flags() -> None:
    malformed(vector(9, b"\x08\x00"), match="malformed elements segment kind")
    malformed(vector(9, b"\x01\x01\x00"), match="malformed element kind")
    malformed(vector(11, b"\x03\x00"), match="malformed data segment kind")


def test_every_form_of_element_segment() -> None:
    tables = vector(4, b"\x70\x00\x01")
    offset = b"\x41\x00\x0b"
    null = b"\xd0\x70\x0b"
    info = decode(
        module(
            TYPES,
            vector(3, b"\x00"),
            tables,
            vector(
                9,
                b"\x00" + offset + b"\x01\x00",
                b"\x01\x00\x01\x00",
                b"\x02\x00" + offset + b"\x00\x01\x00",
                b"\x03\x00\x01\x00",
                b"\x04" + offset + b"\x01" + null,
                b"\x05\x70\x01" + null,
                b"\x06\x00" + offset + b"\x70\x01" + null,
                b"\x07\x70\x01" + null,
            ),
            code(b"\x00\x0b"),
        )
    )
    modes = [segment.mode for segment in info.elements]
    assert modes == ["active", "passive", "active", "declarative"] * 2
    assert all(len(segment.items) == 1 for segment in info.elements)


@pytest.mark.parametrize(
    "sections",
    [
        (section(12, b"\x03"), vector(11, b"\x01\x00", b"\x01\x00")),
        (section(12, b"\x01"), vector(11, b"\x01\x00", b"\x01\x00")),
        (section(12, b"\x00"), vector(11, b"\x01\x00")),
        (section(12, b"\x01"),),
    ],
)
def test_data_count_and_data_must_agree(sections: tuple[bytes, ...]) -> None:
    malformed(*sections, match="data count and data section have inconsistent lengths")


def test_a_data_count_of_zero_needs_no_data() -> None:
    assert decode(module(section(12, b"\x00"))).data_count == 0


def test_data_must_be_there() -> None:
    malformed(vector(11, b"\x01\x07abcdef"), match="unexpected end of section or function")
    malformed(vector(11, b"\x01\x05abcdef"), match="section size mismatch")


# Declared counts, implementation limits and features


@pytest.mark.parametrize("ident", [1, 2, 3, 4, 5, 6, 7, 9, 11, 13])
def test_a_count_the_section_cannot_hold_is_refused_at_once(ident: int) -> None:
    malformed(section(ident, b"\xff\xff\xff\xff\x0f"), match="unexpected end of section")


@pytest.mark.parametrize(
    ("limits", "data", "message"),
    [
        ({"types": 1}, vector(1, b"\x60\0\0", b"\x60\0\0"), "too many types: 2, the limit is 1"),
        ({"types": 1}, vector(1, b"\x4e\x02\x60\0\0\x60\0\0"), "too many types"),
        ({"params": 2}, vector(1, b"\x60\x03\x7f\x7f\x7f\x00"), "too many parameters"),
        ({"results": 0}, vector(1, b"\x60\x00\x01\x7f"), "too many results"),
        ({"struct_fields": 0}, vector(1, b"\x5f\x01\x7f\x00"), "too many fields"),
        ({"imports": 0}, vector(2, b"\0\0\x03\x7f\x00"), "too many imports"),
        ({"tables": 1}, vector(4, b"\x70\0\0", b"\x70\0\0"), "too many tables"),
        ({"tables": 0}, vector(2, b"\0\0\x01\x70\0\0"), "too many tables"),
        ({"memories": 1}, vector(5, b"\0\0", b"\0\0"), "too many memories"),
        ({"memories": 0}, vector(2, b"\0\0\x02\0\0"), "too many memories"),
        ({"globals": 0}, vector(6, b"\x7f\0\x41\0\x0b"), "too many globals"),
        ({"exports": 0}, vector(7, b"\0\0\0"), "too many exports"),
        ({"element_segments": 0}, vector(9, b"\x01\0\0"), "too many element segments"),
        ({"table_size": 0}, vector(9, b"\x01\0\x01\0"), "too many elements"),
        ({"data_segments": 1}, vector(11, b"\x01\0", b"\x01\0"), "too many data segments"),
        ({"data_segments": 1}, section(12, b"\x02"), "too many data segments"),
        ({"functions": 1}, TYPES + vector(3, b"\0", b"\0"), "too many functions"),
        ({"tags": 0}, TYPES + vector(13, b"\0\0"), "too many tags"),
        ({"tags": 0}, TYPES + vector(2, b"\0\0\x04\0\0"), "too many tags"),
    ],
)
def test_implementation_limits(limits: dict[str, int], data: bytes, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        parse_chunks([module(data)], ALL_FEATURES, ImplementationLimits(**limits))


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("(module (tag))", "exceptions"),
        ('(module (import "" "" (tag)))', "exceptions"),
        ("(module (global exnref (ref.null exn)))", "exceptions"),
        ("(module (type (struct)))", "gc"),
        ("(module (rec (type (func))))", "function_references"),
        ("(module (type (sub (func))))", "function_references"),
        ("(module (global anyref (ref.null any)))", "gc"),
        ("(module (memory 1 1 shared))", "threads"),
        ("(module (memory i64 1))", "memory64"),
        ("(module (table i64 1 funcref))", "memory64"),
        ("(module (memory 1) (memory 1))", "multi_memory"),
        ("(module (table 1 funcref (ref.null func)))", "function_references"),
        ("(module (type $f (func)) (global (ref null $f) (ref.null $f)))", "function_references"),
        ("(module (global v128 (v128.const i64x2 0 0)))", "simd"),
        ("(module (func (param v128)))", "simd"),
    ],
)
def test_constructs_of_a_feature_that_is_off_name_it(text: str, feature: str) -> None:
    off = Features(
        simd=False, multi_memory=False, memory64=False, function_references=False, threads=False
    )
    invalid(text, f"requires the feature '{feature}'", off)
    decode(wat(text), ALL_FEATURES)


def test_errors_carry_the_offset_of_what_is_wrong() -> None:
    data = module(TYPES, vector(7, name("bad") + b"\x00\x05"))
    with pytest.raises(CompileError) as raised:
        decode(data)
    assert raised.value.offset == data.index(b"bad") + 3


def test_a_function_is_a_defined_type() -> None:
    assert isinstance(decode(EVERYTHING).functions[0], DefType)
