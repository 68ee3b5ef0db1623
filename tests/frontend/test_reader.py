from __future__ import annotations

import pytest

from jitwasm.config import Features
from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.reader import Reader, read_heap_type, read_ref_type, read_val_type
from jitwasm.types import (
    EXNREF,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    RecRef,
    SubType,
    ValType,
    func_type,
    intern_group,
    ref_type,
)
from tests.frontend.binary import ALL_FEATURES

PLAIN = Features(simd=False, function_references=False)
SIGNATURE = intern_group([SubType(func_type([I32], []))])[0]


def test_numbers() -> None:
    reader = Reader(b"\x07\x80\x01\xff\x7f\x80\x80\x80\x80\x0f" + b"\0\0\xc0\x7f", base=10)
    assert reader.u8() == 7
    assert reader.u32() == 128
    assert reader.s32() == -1
    assert reader.s33() == 15 << 28
    assert reader.offset == 20
    assert reader.f32_bits() == 0x7FC00000
    assert reader.at_end


def test_wide_numbers() -> None:
    reader = Reader(b"\xff" * 9 + b"\x01" + b"\x7f" + bytes(range(8)))
    assert reader.u64() == 2**64 - 1
    assert reader.s64() == -1
    assert reader.f64_bits() == 0x0706050403020100


@pytest.mark.parametrize(
    "read", [Reader.u8, Reader.u32, Reader.u64, Reader.s32, Reader.s33, Reader.s64, Reader.name]
)
def test_nothing_is_read_behind_the_end(read: object) -> None:
    reader = Reader(b"\x05abcdef", 3, 3, base=40)
    with pytest.raises(MalformedError, match="unexpected end") as raised:
        read(reader)  # type: ignore[operator]
    assert raised.value.offset == 43


def test_take_refuses_more_than_is_there() -> None:
    reader = Reader(b"abc")
    with pytest.raises(MalformedError, match="unexpected end"):
        reader.take(1 << 60)
    assert reader.take(3) == b"abc"


def test_names_may_be_any_utf8() -> None:
    text = "\0 \N{SNOWMAN} \U0001f40d"
    encoded = text.encode()
    assert Reader(bytes([len(encoded)]) + encoded).name() == text


@pytest.mark.parametrize(
    "encoded", [b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff"]
)
def test_names_are_strict_utf8(encoded: bytes) -> None:
    with pytest.raises(MalformedError, match="malformed UTF-8 encoding"):
        Reader(bytes([len(encoded)]) + encoded).name()


def test_a_name_longer_than_the_section_is_out_of_bounds() -> None:
    with pytest.raises(MalformedError, match="length out of bounds"):
        Reader(b"\xff\xff\xff\xff\x0fabc").name()


def test_a_count_is_bounded_by_the_bytes_that_follow() -> None:
    with pytest.raises(MalformedError, match="unexpected end"):
        Reader(b"\x04abc").count("things", 100)
    assert Reader(b"\x03abc").count("things", 100) == 3


def test_a_count_is_bounded_by_the_limit() -> None:
    with pytest.raises(InvalidError, match="too many things: 3, the limit is 2"):
        Reader(b"\x03abc").count("things", 2)


def test_a_sub_reader_is_skipped_and_confined() -> None:
    reader = Reader(b"\x01\x02\x03", base=7)
    inner = reader.sub_reader(2)
    assert (inner.u8(), inner.u8(), inner.at_end, inner.offset) == (1, 2, True, 9)
    assert reader.u8() == 3
    with pytest.raises(MalformedError, match="length out of bounds"):
        reader.sub_reader(1)


@pytest.mark.parametrize(
    ("data", "type_"),
    [
        (b"\x7f", I32),
        (b"\x7e", I64),
        (b"\x7d", F32),
        (b"\x7c", F64),
        (b"\x7b", V128),
        (b"\x70", FUNCREF),
        (b"\x6f", EXTERNREF),
        (b"\x69", EXNREF),
        (b"\x63\x70", FUNCREF),
        (b"\x64\x6f", ref_type(False, "extern")),
        (b"\x6e", ref_type(True, "any")),
        (b"\x64\x6c", ref_type(False, "i31")),
        (b"\x63\x00", ref_type(True, SIGNATURE)),
        (b"\x64\x81\x00", ref_type(False, RecRef(0))),
        (b"\x71", ref_type(True, "none")),
        (b"\x72", ref_type(True, "noextern")),
        (b"\x73", ref_type(True, "nofunc")),
        (b"\x74", ref_type(True, "noexn")),
    ],
)
def test_value_types(data: bytes, type_: ValType) -> None:
    reader = Reader(data)
    assert read_val_type(reader, [SIGNATURE, RecRef(0)], ALL_FEATURES) is type_
    assert reader.at_end


@pytest.mark.parametrize("data", [b"\x40", b"\x00", b"\x60", b"\x80\x7f", b"\xff\x7f", b"\x78"])
def test_malformed_value_types(data: bytes) -> None:
    with pytest.raises(MalformedError, match="malformed value type"):
        read_val_type(Reader(data), [], ALL_FEATURES)


def test_a_reference_type_is_not_a_number_type() -> None:
    with pytest.raises(MalformedError, match="malformed reference type"):
        read_ref_type(Reader(b"\x7f"), [], ALL_FEATURES)


@pytest.mark.parametrize("data", [b"\x40", b"\x7f", b"\xf0\x7f"])
def test_malformed_heap_types(data: bytes) -> None:
    with pytest.raises(MalformedError, match="malformed heap type"):
        read_heap_type(Reader(data), [], ALL_FEATURES)


def test_a_heap_type_must_exist() -> None:
    with pytest.raises(InvalidError, match="unknown type 1"):
        read_heap_type(Reader(b"\x01"), [SIGNATURE], ALL_FEATURES)


@pytest.mark.parametrize(
    ("data", "feature"),
    [
        (b"\x7b", "simd"),
        (b"\x6e", "gc"),
        (b"\x69", "exceptions"),
        (b"\x63\x70", "function_references"),
        (b"\x64\x00", "function_references"),
    ],
)
def test_a_disabled_feature_is_named(data: bytes, feature: str) -> None:
    with pytest.raises(InvalidError, match=f"requires the feature '{feature}'"):
        read_val_type(Reader(data), [SIGNATURE], PLAIN)
