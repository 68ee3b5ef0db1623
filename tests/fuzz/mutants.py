"""Hostile bytes: mutants of modules that know where sections, sizes, counts and bodies lie."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from jitwasm.frontend.opcodes import OPCODES

__all__ = ["Sections", "mutate"]

MAGIC = b"\0asm\x01\0\0\0"
_HUGE = (
    b"\xff\xff\xff\xff\x0f",  # 2^32 - 1
    b"\xff\xff\xff\xff\x07",  # 2^31 - 1
    b"\x80\x80\x80\x80\x04",  # 2^30
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # 2^64 - 1
    b"\x80\x80\x04",  # 65536
    b"\xe8\x07",  # 1000
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",  # too long
    b"\x80\x00",  # 0, longer than it needs to be
    b"\x80\x80\x80\x80\x10",  # a bit too many
)
_EDGES = b"\x00\x01\x02\x7f\x80\xff\x40\x60\x6f\x70\x7b\x7c\x7d\x7e\x63\x64\x0b\x05"

Section = tuple[int, bytes]


def leb(value: int) -> bytes:
    """An unsigned number in LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def read_leb(data: bytes, at: int) -> tuple[int, int]:
    """A number and the place behind it. Raises IndexError."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 70:
            return value, at


class Sections:
    """A module cut into sections; what cannot be cut is one section without a header."""

    @staticmethod
    def split(data: bytes) -> list[Section]:
        found: list[Section] = []
        at = 8
        try:
            while at < len(data):
                size, start = read_leb(data, at + 1)
                found.append((data[at], data[start : start + size]))
                at = start + size
        except IndexError:
            pass
        return found

    @staticmethod
    def join(sections: Sequence[Section]) -> bytes:
        rows = [bytes([number]) + leb(len(payload)) + payload for number, payload in sections]
        return MAGIC + b"".join(rows)


def mutate(source: random.Random, data: bytes, other: bytes) -> bytes:
    """A mutant; `other` is a second module to take parts from."""
    for _ in range(source.choice((1, 1, 1, 2, 3, 5))):
        data = source.choice(_MUTATORS)(source, data, other)
    return data


def _bytes(source: random.Random, data: bytes, other: bytes) -> bytes:
    """One place changed, whatever it is."""
    at = source.randrange(len(data)) if data else 0
    kind = source.randrange(7)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + 1 + source.randrange(4) :]
    if kind == 2:
        return data[:at] + source.choice(_HUGE) + data[at + 1 :]
    if kind == 3:
        return data[:at] + source.randbytes(source.randrange(1, 5)) + data[at:]
    if kind == 4:
        start = source.randrange(len(other)) if other else 0
        piece = other[start : start + source.randrange(1, 30)]
        return data[:at] + piece + data[at + source.choice((0, len(piece))) :]
    if kind == 5 and data:
        return data[:at] + bytes([data[at] ^ 1 << source.randrange(8)]) + data[at + 1 :]
    return data[:at] + bytes([source.choice(_EDGES)]) + data[at + 1 :]


def _payload(source: random.Random, data: bytes, other: bytes) -> bytes:
    """One section's contents changed, with the right size."""
    sections = Sections.split(data)
    if not sections:
        return _bytes(source, data, other)
    place = source.randrange(len(sections))
    number, payload = sections[place]
    theirs = [row[1] for row in Sections.split(other) if row[0] == number]
    changed = _bytes(source, payload, source.choice(theirs) if theirs else other)
    sections[place] = (number, changed)
    return Sections.join(sections)


def _sections(source: random.Random, data: bytes, other: bytes) -> bytes:
    """Sections taken away, doubled, exchanged, or taken from the other module."""
    sections = Sections.split(data)
    if not sections:
        return _bytes(source, data, other)
    place = source.randrange(len(sections))
    theirs = Sections.split(other)
    kind = source.randrange(6)
    if kind == 0:
        del sections[place]
    elif kind == 1:
        sections.insert(source.randrange(len(sections)), sections[place])
    elif kind == 2:
        source.shuffle(sections)
    elif kind == 3 and theirs:
        sections.insert(place, source.choice(theirs))
    elif kind == 4 and theirs:
        row = source.choice(theirs)
        sections = [row if mine[0] == row[0] else mine for mine in sections]
    else:
        sections.insert(place, _custom(source, data))
    return Sections.join(sections)


def _custom(source: random.Random, data: bytes) -> Section:
    name = source.choice((b"name", b"", b"producers", b"\xff\xfe", b"name"))
    at = source.randrange(len(data)) if data else 0
    body = source.choice((b"", data[at : at + 20], bytes([source.randrange(5)]) + data[at:][:9]))
    return 0, leb(len(name)) + name + body


def _counts(source: random.Random, data: bytes, other: bytes) -> bytes:
    """A section that declares more, or fewer, than it has."""
    sections = Sections.split(data)
    if not sections:
        return _bytes(source, data, other)
    place = source.randrange(len(sections))
    number, payload = sections[place]
    try:
        count, start = read_leb(payload, 0)
    except IndexError:
        return data
    new = source.choice((leb(max(count - 1, 0)), leb(count + 1), source.choice(_HUGE)))
    sections[place] = (number, new + payload[start:])
    return Sections.join(sections)


def _bodies(source: random.Random, data: bytes, other: bytes) -> bytes:
    """Instructions put into a function body, taken from it or exchanged; all sizes are right."""
    sections = Sections.split(data)
    place = next((i for i, row in enumerate(sections) if row[0] == 10), -1)
    if place < 0:
        return _payload(source, data, other)
    bodies = _split_bodies(sections[place][1])
    if not bodies:
        return _payload(source, data, other)
    which = source.randrange(len(bodies))
    body = bodies[which]
    at = source.randrange(len(body)) if body else 0
    kind = source.randrange(5)
    if kind == 0:
        body = body[:at] + _instruction(source) + body[at:]
    elif kind == 1:
        body = body[:at] + _instruction(source) + body[at + 1 :]
    elif kind == 2:
        count = source.randrange(1, 6)
        body = body[:at] + body[at + count :]
    elif kind == 3:
        donors = [b for row in Sections.split(other) if row[0] == 10 for b in _split_bodies(row[1])]
        donor = source.choice(donors) if donors else body
        start = source.randrange(len(donor)) if donor else 0
        body = body[:at] + donor[start : start + source.randrange(1, 20)] + body[at:]
    else:
        body = _bytes(source, body, other)
    bodies[which] = body
    rows = [leb(len(row)) + row for row in bodies]
    sections[place] = (10, leb(len(rows)) + b"".join(rows))
    return Sections.join(sections)


def _split_bodies(payload: bytes) -> list[bytes]:
    found = []
    try:
        count, at = read_leb(payload, 0)
        for _ in range(min(count, 1000)):
            size, start = read_leb(payload, at)
            found.append(payload[start : start + size])
            at = start + size
    except IndexError:
        pass
    return found


def _instruction(source: random.Random) -> bytes:
    """An instruction with immediates that need not be right."""
    op = source.choice(OPCODES)
    prefixed = bytes([op.code >> 12]) + leb(op.code & 0xFFF)
    code = bytes([op.code]) if op.code < 0x100 else prefixed
    out = bytearray(code)
    for _ in op.immediates:
        out += source.choice((b"\x00", b"\x00", b"\x01", b"\x02", b"\x7f", b"\x40", b"\x80\x01"))
    if source.random() < 0.05:
        out += source.choice(_HUGE)
    return bytes(out)


_MUTATORS: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    _bytes,
    _payload,
    _payload,
    _sections,
    _counts,
    _bodies,
    _bodies,
    _bodies,
)
