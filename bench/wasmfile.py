"""The size of a module's code: what throughput in the tables refers to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["code_size"]

_CODE = 10


def code_size(path: Path) -> int:
    """Bytes of the code section's contents; a module without one counts as a single byte."""
    data = path.read_bytes()
    return next((size for number, size in _sections(data) if number == _CODE), 1)


def _sections(data: bytes) -> Iterator[tuple[int, int]]:
    at = 8
    while at < len(data):
        number, size, shift = data[at], 0, 0
        at += 1
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield number, size
        at += size
