"""Whatever the bytes are: a module or a `CompileError`, and no more memory than the bytes earn."""

from __future__ import annotations

import random
import re
import tracemalloc

import pytest
import wasmtime

from jitwasm.errors import CompileError
from jitwasm.frontend.events import Event, FunctionBody
from tests.frontend.binary import ALL_FEATURES, decode, leb, module, parse, section, vector
from tests.frontend.corpus import SMALL, large

HUGE = leb(0xFFFF_FFFF)
TOO_LARGE = b"\xff\xff\xff\xff\x1f"
TOO_LONG = b"\x80\x80\x80\x80\x80\x00"


def try_parse(data: bytes) -> list[Event] | None:
    """The events, or None if the bytes are refused; any other exception is a bug."""
    try:
        return parse(data)
    except CompileError as error:
        assert error.offset is not None
        assert 0 <= error.offset <= len(data)
        assert str(error)
        return None


def mutated(data: bytes, generator: random.Random) -> bytes:
    result = bytearray(data)
    for _ in range(generator.choice([1, 1, 1, 2, 4])):
        at = generator.randrange(8, len(result))
        match generator.randrange(6):
            case 0:
                result[at] = generator.randrange(256)
            case 1:
                result[at] ^= 1 << generator.randrange(8)
            case 2:
                result.insert(at, generator.randrange(256))
            case 3:
                del result[at]
            case 4:
                result[at:at] = generator.choice([HUGE, TOO_LARGE, TOO_LONG, b"\x80\x00"])
            case 5:
                result[at] = (result[at] + generator.choice([-1, 1])) % 256
        if len(result) < 9:
            break
    return bytes(result)


MUTABLE = sorted(title for title in SMALL if title != "empty")


@pytest.mark.parametrize("title", MUTABLE)
def test_every_flipped_bit_is_a_module_or_a_compile_error(title: str) -> None:
    data = SMALL[title]
    for at in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            try_parse(bytes(flipped))


@pytest.mark.parametrize("title", MUTABLE)
@pytest.mark.parametrize("length", [HUGE, TOO_LARGE, TOO_LONG, b"\xff\xff\xff\xff\x07"])
def test_absurd_lengths_anywhere(title: str, length: bytes) -> None:
    data = SMALL[title]
    for at in range(8, len(data)):
        try_parse(data[:at] + length + data[at + 1 :])


@pytest.mark.parametrize("ident", range(14))
@pytest.mark.parametrize("seed", range(20))
def test_sections_of_random_bytes(ident: int, seed: int) -> None:
    generator = random.Random(seed * 100 + ident)
    payload = generator.randbytes(generator.randint(0, 40))
    try_parse(module(section(1, b"\x01\x60\x00\x00"), section(ident, payload)))


@pytest.fixture(scope="module")
def reference() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_memory64 = True
    config.wasm_multi_memory = True
    config.wasm_threads = True
    config.wasm_tail_call = True
    config.wasm_relaxed_simd = True
    config.wasm_function_references = True
    config.wasm_gc = True
    config.wasm_exceptions = True
    return wasmtime.Engine(config)


def rejected_outside_of_bodies(engine: wasmtime.Engine, data: bytes, events: list[Event]) -> str:
    """The reference's complaint about anything but a function body, or ""."""
    try:
        wasmtime.Module.validate(engine, data)
    except wasmtime.WasmtimeError as error:
        found = re.search(r"offset 0x([0-9a-f]+)", str(error))
        offset = int(found[1], 16) if found else -1
        for event in events:
            # A body's offset is behind its size; the reference may point at that.
            if isinstance(event, FunctionBody) and event.offset - 5 <= offset <= event.offset + len(
                event.body
            ):
                return ""
        return str(error)
    return ""


@pytest.mark.parametrize("seed", range(20))
def test_mutated_modules_are_judged_as_wasmtime_does(reference: wasmtime.Engine, seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(60):
        data = mutated(SMALL[generator.choice(MUTABLE)], generator)
        events = try_parse(data)
        if events is not None:
            assert not rejected_outside_of_bodies(reference, data, events), data.hex()
        else:
            with pytest.raises(wasmtime.WasmtimeError):
                wasmtime.Module.validate(reference, data)


@pytest.mark.parametrize("seed", range(20))
def test_a_mutated_larger_module_is_a_module_or_a_compile_error(seed: int) -> None:
    generator = random.Random(seed)
    data = large()
    for _ in range(5):
        try_parse(mutated(data, generator))


def peak_memory(data: bytes) -> int:
    """Most bytes allocated at a time while `data` is decoded."""
    tracemalloc.start()
    try:
        try_parse(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


COUNT = leb(500_000)


@pytest.mark.parametrize(
    "data",
    [
        section(0, HUGE),
        section(1, COUNT + b"\x60"),
        section(1, b"\x01\x60" + COUNT),
        section(1, b"\x01\x4e" + COUNT),
        section(1, b"\x01\x5f" + COUNT),
        section(2, COUNT),
        section(2, b"\x01" + COUNT),
        section(3, COUNT),
        section(9, b"\x01\x01\x00" + COUNT),
        section(9, b"\x01\x05\x70" + COUNT),
        section(11, b"\x01\x01" + COUNT),
        section(12, leb(99_999)),
        b"\x0b" + leb(1 << 29) + b"\x01\x01",
        b"\x0a" + leb(1 << 29) + b"\x00",
        vector(6, b"\x63\x6a\x00\xfb\x08\x00" + HUGE),
    ],
)
def test_declared_counts_and_sizes_allocate_nothing(data: bytes) -> None:
    parse(module())  # whatever is made once
    assert peak_memory(module(data)) < 100_000


def test_a_name_section_that_lies_about_its_counts() -> None:
    payload = b"\x04name\x01\x0c" + HUGE + b"\x00\x01a\x01\x01b\x02"
    info = decode(module(section(0, payload)), ALL_FEATURES)
    assert info.names.functions == {}
