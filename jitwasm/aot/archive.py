"""Static libraries: the `ar` format, with the symbol index linkers want."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from jitwasm.backend.elf import ObjectFile

__all__ = ["archive"]

_MAGIC = b"!<arch>\n"


def _member(name: str, data: bytes) -> bytes:
    # Time, owner and group are 0, so equal inputs give equal archives.
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'644':<8}{len(data):<10}`\n".encode()
    return head + data + b"\n" * (len(data) % 2)


def archive(objects: Sequence[tuple[str, bytes]]) -> bytes:
    """An archive of objects given as (name, contents)."""
    long_names = "".join(f"{name}/\n" for name, _ in objects).encode()
    table = _member("//", long_names)
    symbols = [
        (i, symbol.name)
        for i, (_, data) in enumerate(objects)
        for symbol in ObjectFile(data).symbols
        if symbol.is_global and symbol.section is not None
    ]
    names = b"".join(name.encode() + b"\0" for _, name in symbols)
    index_size = 4 + 4 * len(symbols) + len(names)
    position = len(_MAGIC) + 60 + index_size + index_size % 2 + len(table)
    offsets, members, at = [], [], 0
    for name, data in objects:
        offsets.append(position)
        member = _member(f"/{at}", data)
        members.append(member)
        position += len(member)
        at += len(name) + 2
    index = struct.pack(f">{1 + len(symbols)}I", len(symbols), *(offsets[i] for i, _ in symbols))
    return b"".join([_MAGIC, _member("/", index + names), table, *members])
