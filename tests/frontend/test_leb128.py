from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitwasm.errors import MalformedError
from jitwasm.frontend.leb128 import read_signed, read_unsigned
from tests.frontend.binary import leb, signed_leb

U32 = 32
U64 = 64


@pytest.mark.parametrize(
    ("data", "bits", "value"),
    [
        (b"\x00", U32, 0),
        (b"\x7f", U32, 127),
        (b"\x80\x01", U32, 128),
        (b"\xff\xff\xff\xff\x0f", U32, 2**32 - 1),
        (b"\x82\x80\x80\x80\x00", U32, 2),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", U64, 2**64 - 1),
        (b"\x82\x80\x80\x80\x80\x80\x80\x80\x80\x00", U64, 2),
    ],
)
def test_unsigned(data: bytes, bits: int, value: int) -> None:
    assert read_unsigned(data + b"\xff", 0, len(data) + 1, bits) == (value, len(data))


@pytest.mark.parametrize(
    ("data", "bits", "value"),
    [
        (b"\x00", 32, 0),
        (b"\x40", 32, -64),
        (b"\x7f", 32, -1),
        (b"\xff\x7f", 32, -1),
        (b"\xff\xff\xff\xff\x7f", 32, -1),
        (b"\x80\x80\x80\x80\x78", 32, -(2**31)),
        (b"\xff\xff\xff\xff\x07", 32, 2**31 - 1),
        (b"\xff\xff\xff\xff\x0f", 33, 2**32 - 1),
        (b"\x80\x80\x80\x80\x70", 33, -(2**32)),
        (b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f", 64, -(2**63)),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", 64, 2**63 - 1),
    ],
)
def test_signed(data: bytes, bits: int, value: int) -> None:
    assert read_signed(data + b"\xff", 0, len(data) + 1, bits) == (value, len(data))


@pytest.mark.parametrize(
    ("read", "data", "bits", "message"),
    [
        (read_unsigned, b"\x80\x80\x80\x80\x80\x00", 32, "integer representation too long"),
        (read_unsigned, b"\x80" * 11, 64, "integer representation too long"),
        (read_unsigned, b"\xff\xff\xff\xff\x10", 32, "integer too large"),
        (read_unsigned, b"\xff\xff\xff\xff\x70", 32, "integer too large"),
        (read_unsigned, b"\xff" * 9 + b"\x02", 64, "integer too large"),
        (read_signed, b"\x80\x80\x80\x80\x80\x00", 32, "integer representation too long"),
        (read_signed, b"\xff\xff\xff\xff\xff\x7f", 32, "integer representation too long"),
        (read_signed, b"\x80\x80\x80\x80\x70", 32, "integer too large"),
        (read_signed, b"\xff\xff\xff\xff\x0f", 32, "integer too large"),
        (read_signed, b"\xff\xff\xff\xff\x4f", 32, "integer too large"),
        (read_signed, b"\x80" * 9 + b"\x7e", 64, "integer too large"),
        (read_signed, b"\x80" * 9 + b"\x01", 64, "integer too large"),
        (read_signed, b"\x80" * 4 + b"\x60", 33, "integer too large"),
        (read_unsigned, b"", 32, "unexpected end"),
        (read_unsigned, b"\x80\x80", 32, "unexpected end"),
        (read_signed, b"\xff", 64, "unexpected end"),
    ],
)
def test_malformed(read: object, data: bytes, bits: int, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        read(data, 0, len(data), bits)  # type: ignore[operator]


def test_reading_stops_at_the_given_end() -> None:
    with pytest.raises(MalformedError, match="unexpected end"):
        read_unsigned(b"\x80\x01", 0, 1)


def test_errors_carry_the_module_offset() -> None:
    with pytest.raises(MalformedError) as raised:
        read_unsigned(b"\0\0\xff\xff\xff\xff\x1f", 2, 7, 32, base=100)
    assert raised.value.offset == 102


@given(st.integers(0, 2**64 - 1))
def test_unsigned_round_trip(value: int) -> None:
    data = leb(value)
    assert read_unsigned(data, 0, len(data), 64) == (value, len(data))


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_round_trip(value: int) -> None:
    data = signed_leb(value)
    assert read_signed(data, 0, len(data), 64) == (value, len(data))


@given(st.integers(-(2**40), 2**40), st.sampled_from([32, 33]))
def test_signed_accepts_exactly_what_fits(value: int, bits: int) -> None:
    data = signed_leb(value)
    if -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        assert read_signed(data, 0, len(data), bits) == (value, len(data))
    else:
        with pytest.raises(MalformedError):
            read_signed(data, 0, len(data), bits)
