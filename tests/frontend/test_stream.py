from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from jitwasm.config import Features, ImplementationLimits
from jitwasm.errors import CompileError, InvalidError, MalformedError
from jitwasm.frontend.events import CodeStart, CustomSection, Event, FunctionBody, ModuleEnd
from jitwasm.frontend.stream import StreamParser
from tests.frontend.binary import (
    ALL_FEATURES,
    HEADER,
    code,
    custom,
    leb,
    module,
    parse,
    parse_chunks,
    section,
    vector,
)
from tests.frontend.corpus import ADD, CUSTOMS, EVERYTHING, SMALL, large

TYPES = section(1, b"\x01\x60\x00\x00")
TWO_FUNCTIONS = vector(3, b"\x00", b"\x00")
EMPTY_BODY = b"\x00\x0b"


def parser(limits: ImplementationLimits | None = None) -> StreamParser:
    return StreamParser(ALL_FEATURES, limits or ImplementationLimits())


def outcome(chunks: Sequence[bytes]) -> tuple[list[Event], str]:
    """The events, and the error that ended them or ""."""
    stream = parser()
    events: list[Event] = []
    try:
        for chunk in chunks:
            events += stream.feed(chunk)
        events += stream.finish()
    except CompileError as error:
        return events, f"{type(error).__name__}: {error}"
    return events, ""


# What is reported


def test_events_come_in_order_with_their_offsets() -> None:
    body = b"\x00\x01\x0b"
    data = module(TYPES, custom("a", b"xyz"), TWO_FUNCTIONS, code(body, EMPTY_BODY), custom("b"))
    events = parse(data)
    custom_a, start, first, second, custom_b, end = events
    assert custom_a == CustomSection("a", data.index(b"xyz"), b"xyz")
    assert isinstance(start, CodeStart)
    assert start.count == 2
    assert first == FunctionBody(0, data.index(body), body)
    assert second == FunctionBody(1, data.index(body) + len(body) + 1, EMPTY_BODY)
    assert custom_b == CustomSection("b", len(data), b"")
    assert end == ModuleEnd(start.info, len(data))


def test_bodies_are_numbered_behind_the_imported_functions() -> None:
    bodies = [event for event in parse(EVERYTHING) if isinstance(event, FunctionBody)]
    assert [body.funcidx for body in bodies] == [1, 2]


def test_a_module_without_code_has_no_code_start() -> None:
    (end,) = parse(HEADER)
    assert isinstance(end, ModuleEnd)
    assert end.size == 8


def test_an_empty_code_section_starts_code() -> None:
    start, _ = parse(module(code()))
    assert isinstance(start, CodeStart)
    assert start.count == 0


def test_bodies_are_reported_as_soon_as_they_are_complete() -> None:
    stream = parser()
    data = module(TYPES, TWO_FUNCTIONS, code(b"\x00\x01\x0b", EMPTY_BODY))
    seen = []
    for index in range(len(data)):
        events = stream.feed(data[index : index + 1])
        seen += [(index, type(event).__name__) for event in events]
    assert seen == [
        (len(data) - 8, "CodeStart"),
        (len(data) - 4, "FunctionBody"),
        (len(data) - 1, "FunctionBody"),
    ]


def test_everything_but_the_code_is_known_when_code_starts() -> None:
    stream = parser()
    start_of_code = EVERYTHING.index(b"\x0a", EVERYTHING.index(b"\x0c\x01\x03"))
    events = stream.feed(EVERYTHING[: start_of_code + 3])
    (start,) = events
    assert isinstance(start, CodeStart)
    assert len(start.info.functions) == 3
    assert len(start.info.elements) == 5
    assert start.info.data_count == 3
    layout = start.info.layout
    (*_, end) = stream.feed(EVERYTHING[start_of_code + 3 :]) + stream.finish()
    assert isinstance(end, ModuleEnd)
    assert end.info is start.info
    del end.info.__dict__["layout"]
    assert end.info.layout == layout


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_like_objects_are_taken(kind: type) -> None:
    assert parse_chunks([kind(ADD)]) == parse(ADD)


def test_the_caller_may_reuse_its_buffer() -> None:
    stream = parser()
    buffer = bytearray(ADD)
    events = stream.feed(buffer)
    buffer[:] = bytes(len(buffer))
    assert events + stream.finish() == parse(ADD)


def test_what_is_not_bytes_like_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        parser().feed(8)  # type: ignore[arg-type]


def test_feeding_nothing_is_fine() -> None:
    stream = parser()
    assert stream.feed(b"") == []
    assert stream.feed(HEADER) == []
    assert stream.feed(b"") == []
    assert stream.bytes_received == 8
    assert len(stream.finish()) == 1


# Any split of the input gives the same


@pytest.mark.parametrize("title", SMALL)
def test_every_single_split_gives_the_same_events(title: str) -> None:
    data = SMALL[title]
    whole = parse(data)
    for at in range(len(data) + 1):
        assert parse_chunks([data[:at], data[at:]]) == whole, at


@pytest.mark.parametrize("title", SMALL)
def test_byte_by_byte_gives_the_same_events(title: str) -> None:
    data = SMALL[title]
    assert parse_chunks([data[i : i + 1] for i in range(len(data))]) == parse(data)


@pytest.mark.parametrize("seed", range(12))
def test_random_splits_of_a_larger_module_give_the_same_events(seed: int) -> None:
    data = large()
    generator = random.Random(seed)
    cuts = sorted(generator.choices(range(len(data)), k=2 ** (seed % 11)))
    chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert parse_chunks(chunks) == parse(data)


@pytest.mark.parametrize("seed", range(200))
def test_the_error_does_not_depend_on_the_split(seed: int) -> None:
    generator = random.Random(seed)
    data = bytearray(SMALL[generator.choice(sorted(SMALL))])
    for _ in range(generator.randint(1, 3)):
        data[generator.randrange(len(data))] = generator.choice([0, 1, 0x7F, 0x80, 0xFF])
    whole = outcome([bytes(data)])
    assert outcome([bytes(data[i : i + 1]) for i in range(len(data))]) == whole
    for at in range(0, len(data), 7):
        assert outcome([bytes(data[:at]), bytes(data[at:])]) == whole


def test_bodies_before_an_error_are_reported_first() -> None:
    data = module(TYPES, TWO_FUNCTIONS, code(EMPTY_BODY, EMPTY_BODY), section(1, b"\x00"))
    stream = parser()
    assert [type(event) for event in stream.feed(data)] == [CodeStart, FunctionBody, FunctionBody]
    with pytest.raises(MalformedError, match="unexpected content after last section"):
        stream.finish()


def test_after_an_error_every_call_raises_it_again() -> None:
    stream = parser()
    for _ in range(3):
        with pytest.raises(MalformedError, match="magic header not detected"):
            stream.feed(b"<!doctype html>")
    with pytest.raises(MalformedError, match="magic header not detected"):
        stream.finish()


def test_after_the_end_no_more_bytes_are_taken() -> None:
    stream = parser()
    stream.feed(HEADER)
    stream.finish()
    with pytest.raises(ValueError, match="after finish"):
        stream.feed(b"")
    with pytest.raises(ValueError, match="twice"):
        stream.finish()


# The header


@pytest.mark.parametrize("size", range(8))
def test_a_truncated_header_is_an_unexpected_end(size: int) -> None:
    stream = parser()
    stream.feed(HEADER[:size])
    with pytest.raises(MalformedError, match="unexpected end"):
        stream.finish()


@pytest.mark.parametrize(
    "data",
    [b"asm\0", b"\0ASM\1\0\0\0", b"wasm\1\0\0\0", b"\xef\xbb\xbf\0asm", b"\x7fELF", b"PK\3\4"],
)
def test_other_formats_are_refused_at_their_first_bytes(data: bytes) -> None:
    with pytest.raises(MalformedError, match="magic header not detected") as raised:
        parser().feed(data)
    assert raised.value.offset == 0


@pytest.mark.parametrize("version", [b"\0\0\0\0", b"\2\0\0\0", b"\1\0\1\0", b"\x0d\0\1\0"])
def test_other_versions_are_refused(version: bytes) -> None:
    with pytest.raises(MalformedError, match="unknown binary version") as raised:
        parser().feed(b"\0asm" + version)
    assert raised.value.offset == 4


# Sections


@pytest.mark.parametrize("title", SMALL)
def test_truncation_anywhere_but_between_sections_is_malformed(title: str) -> None:
    data = SMALL[title]
    for size in range(len(data)):
        events, error = outcome([data[:size]])
        if error:
            assert "MalformedError" in error, (size, error)
        else:
            # A prefix that ends between sections and misses none is a module too.
            assert isinstance(events[-1], ModuleEnd)


def test_truncation_in_a_section_tells_how_much_is_missing() -> None:
    with pytest.raises(MalformedError, match="unexpected end, 3 bytes of the section are missing"):
        parse(module(custom("x", b"abc"))[:-3])


@pytest.mark.parametrize("ident", [14, 15, 0x7F, 0x80, 0xFF])
def test_unknown_section_ids_are_malformed(ident: int) -> None:
    with pytest.raises(MalformedError, match="malformed section id") as raised:
        parser().feed(HEADER + bytes([ident]))
    assert raised.value.offset == 8


ORDER = (1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11)
EMPTY = {ident: section(ident, b"\x00") for ident in ORDER}
EMPTY[8] = b""  # a start section needs a function


def test_sections_may_come_in_the_order_of_the_specification() -> None:
    parse(module(*(EMPTY[ident] for ident in ORDER)))


@pytest.mark.parametrize("later", [i for i in ORDER if EMPTY[i]])
def test_any_other_order_is_malformed(later: int) -> None:
    for earlier in ORDER[ORDER.index(later) :]:
        if EMPTY[earlier]:
            with pytest.raises(MalformedError, match="unexpected content after last section"):
                parse(module(EMPTY[earlier], EMPTY[later]))


@pytest.mark.parametrize("ident", [i for i in ORDER if i not in (8, 12)])
def test_a_section_must_be_as_long_as_it_says(ident: int) -> None:
    with pytest.raises(MalformedError, match="section size mismatch"):
        parse(module(section(ident, b"\x00\x00")))
    with pytest.raises(MalformedError, match="unexpected end"):
        parse(module(section(ident, b""), custom("following bytes")))
    with pytest.raises(MalformedError, match="unexpected end"):
        parse(module(section(ident, b"\x80"), custom("following bytes")))


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (b"\x80\x80\x80\x80\x80\x00", "integer representation too long"),
        (b"\xff\xff\xff\xff\x1f", "integer too large"),
        (b"\x80\x80", "unexpected end"),
    ],
)
def test_section_sizes_are_leb128(size: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse(HEADER + b"\x00" + size)


def test_a_section_size_need_not_be_the_shortest() -> None:
    assert len(parse(HEADER + b"\x00\x83\x80\x80\x80\x00" + b"\x01ab")) == 2


def test_the_size_of_a_module_is_limited() -> None:
    stream = parser(ImplementationLimits(module_size=1000))
    with pytest.raises(InvalidError, match="limit of 1000 bytes"):
        stream.feed(HEADER + b"\x00" + leb(1000))


def test_a_custom_section_needs_a_name() -> None:
    with pytest.raises(MalformedError, match="unexpected end"):
        parse(module(section(0, b"")))
    with pytest.raises(MalformedError, match="length out of bounds"):
        parse(module(section(0, b"\x05abcd")))
    with pytest.raises(MalformedError, match="malformed UTF-8 encoding"):
        parse(module(section(0, b"\x01\xff")))


# Code


@pytest.mark.parametrize(
    "sections",
    [
        (TYPES, TWO_FUNCTIONS),
        (TYPES, TWO_FUNCTIONS, code(EMPTY_BODY)),
        (TYPES, TWO_FUNCTIONS, code(EMPTY_BODY, EMPTY_BODY, EMPTY_BODY)),
        (code(EMPTY_BODY),),
    ],
)
def test_function_and_code_section_must_agree(sections: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedError, match="function and code section have inconsistent lengths"):
        parse(module(*sections))


def test_a_body_must_fit_in_the_code_section() -> None:
    with pytest.raises(MalformedError, match="the function body is longer than the section"):
        parse(module(TYPES, vector(3, b"\x00"), section(10, b"\x01\x03\x00\x0b"), custom("more")))


def test_the_code_section_must_be_as_long_as_its_bodies() -> None:
    payload = b"\x02\x02\x00\x0b\x02\x00\x0b"
    data = module(TYPES, TWO_FUNCTIONS, section(10, payload + b"\x00"))
    events, error = outcome([data])
    assert len(events) == 3
    assert "section size mismatch" in error


def test_a_body_size_does_not_run_over_the_end_of_the_section() -> None:
    data = module(TYPES, vector(3, b"\x00"), section(10, b"\x01\x80"), custom("more"))
    _, error = outcome([data])
    assert "unexpected end of section or function" in error


def test_the_size_of_a_body_is_limited() -> None:
    stream = parser(ImplementationLimits(body_size=10))
    data = module(TYPES, vector(3, b"\x00"), code(b"\x00" * 11))
    assert len(stream.feed(data)) == 1
    with pytest.raises(InvalidError, match="function body of 11 bytes, the limit is 10") as raised:
        stream.finish()
    assert raised.value.funcidx == 0


# Cost


@pytest.mark.parametrize("ident", [0, 1, 10, 11])
def test_a_declared_size_reserves_nothing(ident: int) -> None:
    stream = parser()
    stream.feed(HEADER + bytes([ident]) + leb(1_000_000_000) + b"\x00")
    assert len(stream._kept) <= 16
    with pytest.raises(MalformedError):
        stream.finish()


@pytest.mark.parametrize("seed", range(3))
def test_small_portions_are_not_looked_at_again_and_again(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    data = large()
    looked_at = 0
    run = StreamParser._run

    def counting(self: StreamParser, data: bytes) -> list[Event]:
        nonlocal looked_at
        looked_at += len(data)
        return run(self, data)

    monkeypatch.setattr(StreamParser, "_run", counting)
    size = (1, 3, 1000)[seed]
    parse_chunks([data[i : i + size] for i in range(0, len(data), size)])
    assert looked_at < 3 * len(data)


def test_features_that_are_off_are_refused() -> None:
    with pytest.raises(InvalidError, match="requires the feature 'exceptions'"):
        parse(module(TYPES, vector(13, b"\x00\x00")), Features())


def test_custom_sections_are_kept_in_order() -> None:
    (*_, end) = parse(CUSTOMS)
    assert isinstance(end, ModuleEnd)
    titles = [section.name for section in end.info.custom_sections]
    assert titles == ["first", "name", "", "name", "last"]
    assert end.info.names.module == "mod!"
