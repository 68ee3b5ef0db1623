"""Binary modules by hand, for what no assembler would write."""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.config import Features, ImplementationLimits
from jitwasm.frontend.events import Event
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser

HEADER = b"\0asm\1\0\0\0"

ALL_FEATURES = Features(exceptions=True, gc=True, threads=True)


def leb(value: int) -> bytes:
    """`value` as the shortest unsigned LEB128."""
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def signed_leb(value: int) -> bytes:
    """`value` as the shortest signed LEB128."""
    result = bytearray()
    while not -0x40 <= value < 0x40:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value & 0x7F)
    return bytes(result)


def name(text: str) -> bytes:
    encoded = text.encode()
    return leb(len(encoded)) + encoded


def section(ident: int, payload: bytes) -> bytes:
    return bytes([ident]) + leb(len(payload)) + payload


def vector(ident: int, *items: bytes) -> bytes:
    """A section that is a vector."""
    return section(ident, leb(len(items)) + b"".join(items))


def custom(title: str, payload: bytes = b"") -> bytes:
    return section(0, name(title) + payload)


def code(*bodies: bytes) -> bytes:
    return vector(10, *(leb(len(body)) + body for body in bodies))


def module(*sections: bytes) -> bytes:
    return HEADER + b"".join(sections)


def parse_chunks(
    chunks: Sequence[bytes],
    features: Features = ALL_FEATURES,
    limits: ImplementationLimits | None = None,
) -> list[Event]:
    """The events of a module that comes in these portions."""
    parser = StreamParser(features, limits or ImplementationLimits())
    events: list[Event] = []
    for chunk in chunks:
        events += parser.feed(chunk)
    return events + parser.finish()


def parse(data: bytes, features: Features = ALL_FEATURES) -> list[Event]:
    return parse_chunks([data], features)


def decode(data: bytes, features: Features = ALL_FEATURES) -> ModuleInfo:
    """What the module declares."""
    parser = StreamParser(features, ImplementationLimits())
    parser.feed(data)
    parser.finish()
    return parser.info
