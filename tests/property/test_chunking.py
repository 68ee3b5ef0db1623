"""However the bytes are cut, the decoder gives the same events and the translator the same IR."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")

from jitwasm.config import Config
from jitwasm.errors import CompileError
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from tests.support.corpus import CORPUS, binary

SEED = 4


def decode(chunks: Iterable[bytes]) -> list[Any]:
    """Every event in order, each function body with the IR made of it at once."""
    config = Config()
    parser = StreamParser(config.features, config.limits)
    translator: Translator | None = None
    seen: list[Any] = []

    def take(events: Iterable[Any]) -> None:
        nonlocal translator
        for event in events:
            if isinstance(event, CodeStart):
                translator = Translator(event.info, config)
                seen.append(("code", event.count))
            elif isinstance(event, FunctionBody):
                assert translator is not None
                seen.append((event.funcidx, event.offset, bytes(event.body)))
                seen.append(translator.translate(event))
            else:
                seen.append(_plain(event))

    for chunk in chunks:
        take(parser.feed(chunk))
    take(parser.finish())
    return seen


def _plain(event: Any) -> Any:
    """Everything about the events that carry no function."""
    if not hasattr(event, "info"):
        return event
    info = event.info
    return (
        event.size,
        info.imports,
        info.exports,
        info.functions,
        info.elements,
        info.data,
        info.global_inits,
        info.start,
        info.names,
    )


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for cut in [*sorted(cuts), len(data)]:
        yield data[start:cut]
        start = cut


@pytest.mark.parametrize("name", CORPUS)
def test_one_cut_anywhere_changes_nothing(name: str) -> None:
    data = binary(name)
    whole = decode([data])
    for cut in range(len(data) + 1):
        assert decode(pieces(data, [cut])) == whole, f"cut at byte {cut}"


@pytest.mark.parametrize("name", CORPUS)
def test_single_bytes_and_empty_chunks_change_nothing(name: str) -> None:
    data = binary(name)
    singles = [chunk for byte in data for chunk in (b"", bytes([byte]), b"")]
    assert decode(singles) == decode([data])


@pytest.mark.parametrize("name", CORPUS)
def test_many_random_cuts_change_nothing(name: str) -> None:
    data = binary(name)
    whole = decode([data])
    source = random.Random(f"{SEED} {name}")
    for _ in range(50):
        cuts = [source.randrange(len(data) + 1) for _ in range(source.randrange(1, 12))]
        assert decode(pieces(data, cuts)) == whole, f"cuts {sorted(cuts)}"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_like_chunk_will_do(kind: Any) -> None:
    data = binary("memory")
    assert decode([kind(data[:40]), kind(data[40:])]) == decode([data])


def test_chunk_may_be_overwritten_after_it_was_fed() -> None:
    # A reader that reuses its buffer (readinto) must not change what was already taken.
    data = binary("tables")
    whole = decode([data])

    def reused() -> Iterator[bytearray]:
        buffer = bytearray(16)
        for start in range(0, len(data), 16):
            chunk = data[start : start + 16]
            if len(chunk) < 16:
                yield bytearray(chunk)
                return
            buffer[:] = chunk
            yield buffer
            buffer[:] = b"\xaa" * 16

    assert decode(reused()) == whole


@pytest.mark.parametrize("name", CORPUS)
def test_error_of_a_truncated_module_does_not_depend_on_the_cuts(name: str) -> None:
    data = binary(name)
    source = random.Random(f"{SEED} {name}")
    for end in range(0, len(data), 3):
        broken = data[:end]
        cuts = [source.randrange(end + 1) for _ in range(4)]
        assert _error([broken]) == _error(pieces(broken, cuts)), f"{end} bytes"


def _error(chunks: Iterable[bytes]) -> tuple[type[CompileError], str] | None:
    try:
        decode(chunks)
    except CompileError as error:
        return type(error), str(error)
    return None
