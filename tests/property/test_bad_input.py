"""Hostile bytes give a `CompileError` or a valid module: no other exception, no hang, no bloat."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator

import pytest

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")
jitwasm = pytest.importorskip("jitwasm")

from tests.support.corpus import CORPUS, binary  # noqa: E402

SEED = 7
MEMORY_LIMIT = 32 << 20
HUGE_NUMBERS = (
    b"\xff\xff\xff\xff\x0f",  # 2^32 - 1
    b"\xff\xff\xff\xff\x07",  # 2^31 - 1
    b"\x80\x80\x80\x80\x04",  # 2^30
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # 2^64 - 1
    b"\xff\xff\x03",  # 65535
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",  # too long
)


def is_valid(data: bytes) -> bool:
    """Through `validate`; any exception but a `CompileError` inside it fails the test."""
    try:
        result: bool = jitwasm.validate(data)
    except Exception as error:
        raise AssertionError(f"validate({data.hex()}) raised {error!r}") from error
    return result


def compiles(data: bytes) -> bool:
    """Through the whole of `Module`."""
    try:
        jitwasm.Module(data)
    except jitwasm.CompileError as error:
        assert error.offset is None or 0 <= error.offset <= len(data), error
        assert error.message
        return False
    except Exception as error:
        raise AssertionError(f"Module({data.hex()}) raised {error!r}") from error
    return True


def flips(data: bytes) -> Iterator[bytes]:
    """Every byte changed in several ways."""
    for i, byte in enumerate(data):
        for new in {byte ^ 1, byte ^ 0x80, byte ^ 0x40, (byte + 1) & 0xFF, 0x00, 0x7F, 0xFF}:
            if new != byte:
                yield data[:i] + bytes([new]) + data[i + 1 :]


def lengths(data: bytes) -> Iterator[bytes]:
    """A huge number in the place of every byte, and before it."""
    for i in range(len(data)):
        for number in HUGE_NUMBERS:
            yield data[:i] + number + data[i + 1 :]
        yield data[:i] + HUGE_NUMBERS[0] + data[i:]


@pytest.mark.parametrize("name", CORPUS)
def test_corpus_itself_is_valid(name: str) -> None:
    assert is_valid(binary(name))


@pytest.mark.parametrize("name", CORPUS)
def test_truncation_at_every_byte_is_refused_or_valid(name: str) -> None:
    data = binary(name)
    sizes = [size for size in range(len(data)) if is_valid(data[:size])]
    # A module may end between sections, if nothing it promised is missing.
    assert 0 not in sizes
    assert all(size >= 8 for size in sizes)
    for size in range(0, len(data), 5):
        compiles(data[:size])


@pytest.mark.parametrize("name", CORPUS)
def test_flipped_bytes_are_refused_or_valid(name: str) -> None:
    for mutant in flips(binary(name)):
        is_valid(mutant)


@pytest.mark.parametrize("name", CORPUS)
def test_flipped_bytes_compile_or_are_refused(name: str) -> None:
    source = random.Random(f"{SEED} {name}")
    for mutant in source.sample(list(flips(binary(name))), 12):
        assert compiles(mutant) == is_valid(mutant)


@pytest.mark.parametrize("name", CORPUS)
def test_absurd_lengths_take_no_memory(name: str) -> None:
    mutants = list(lengths(binary(name)))
    source = random.Random(f"{SEED} {name}")
    if len(mutants) > 400:
        mutants = source.sample(mutants, 400)
    tracemalloc.start()
    try:
        for mutant in mutants:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            is_valid(mutant)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < MEMORY_LIMIT, mutant.hex()
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seed", range(8))
def test_spliced_modules_are_refused_or_valid(seed: int) -> None:
    source = random.Random(SEED + seed)
    modules = [binary(name) for name in CORPUS]
    for _ in range(150):
        first, second = source.choice(modules), source.choice(modules)
        start, length = source.randrange(len(second)), source.randrange(1, 40)
        place = source.randrange(8, max(9, len(first)))
        cut = source.choice((0, length))
        is_valid(first[:place] + second[start : start + length] + first[place + cut :])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0asm",
        b"\0asm\x01\0\0",
        b"\0asm\x02\0\0\0",
        b"\0asm\x0d\0\x01\0",  # a component
        b"\x7fELF" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        b"<!DOCTYPE html>",
        b"(module)",
        bytes(1000),
        b"\xff" * 1000,
    ],
)
def test_what_is_not_a_module_is_refused(data: bytes) -> None:
    assert not is_valid(data)
    assert not compiles(data)


def section(number: int, payload: bytes) -> bytes:
    size = len(payload)
    leb = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21])
    return bytes([number]) + leb + payload


def one_function(body: bytes) -> bytes:
    """A module of one function `[] -> []`, with no locals and this code."""
    size = len(body) + 1
    leb = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21])
    header = b"\0asm\x01\0\0\0" + section(1, b"\x01\x60\0\0") + section(3, b"\x01\0")
    return header + section(10, b"\x01" + leb + b"\0" + body)


@pytest.mark.parametrize("opener", [b"\x02\x40", b"\x03\x40", b"\x41\x00\x04\x40"])
@pytest.mark.parametrize("depth", [1000, 20_000])
def test_deep_nesting_does_not_recurse(opener: bytes, depth: int) -> None:
    assert is_valid(one_function(opener * depth + b"\x0b" * (depth + 1)))
    assert not is_valid(one_function(opener * depth + b"\x0b" * depth))
    assert not is_valid(one_function(opener * depth))


def test_nesting_beyond_the_limit_is_refused() -> None:
    limit = jitwasm.Config().limits.nesting
    assert not is_valid(one_function(b"\x02\x40" * (limit + 5) + b"\x0b" * (limit + 6)))


def test_many_locals_take_no_memory() -> None:
    too_many = b"\x05" + b"\xff\xff\xff\xff\x0f\x7f" * 5 + b"\x0b"
    header = b"\0asm\x01\0\0\0" + section(1, b"\x01\x60\0\0") + section(3, b"\x01\0")
    body = bytes([len(too_many)]) + too_many
    assert not is_valid(header + section(10, b"\x01" + body))


def test_long_br_table_is_accepted() -> None:
    count = 100_000
    leb = bytes([count & 0x7F | 0x80, count >> 7 & 0x7F | 0x80, count >> 14])
    assert is_valid(one_function(b"\x41\0\x0e" + leb + b"\0" * (count + 1) + b"\x0b"))
