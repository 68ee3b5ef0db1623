"""Functions as an ELF object: `.text`, a global symbol for each function, no relocations.

So the loader, the cache and pickled modules treat the code of both tiers alike. There is no
`.eh_frame`: frames are found by their frame pointers.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

__all__ = ["write_object"]

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
_NAMES = b"\0.text\0.symtab\0.strtab\0"
_PROGBITS, _SYMTAB, _STRTAB = 1, 2, 3
_ALLOC_EXECUTE = 6
_GLOBAL_FUNCTION = 0x12
_ALIGN = 16
_INT3 = b"\xcc"


def write_object(
    functions: Sequence[tuple[str, bytes]], labels: Mapping[str, int] | None = None
) -> bytes:
    """An object that defines these functions: (symbol, code).

    Args:
        labels: more symbols, by their offset in the first function.
    """
    text = bytearray()
    symbols = bytearray(_SYMBOL.size)
    names = bytearray(_NAMES)
    for symbol, code in functions:
        text += _INT3 * (-len(text) % _ALIGN)
        symbols += _SYMBOL.pack(len(names), _GLOBAL_FUNCTION, 0, 1, len(text), len(code))
        names += symbol.encode() + b"\0"
        text += code
    for symbol, at in (labels or {}).items():
        symbols += _SYMBOL.pack(len(names), _GLOBAL_FUNCTION, 0, 1, at, 0)
        names += symbol.encode() + b"\0"
    at = _HEADER.size
    places = []
    for part in (text, symbols, names):
        at = -(-at // _ALIGN) * _ALIGN
        places.append(at)
        at += len(part)
    headers = -(-at // 8) * 8
    out = bytearray(
        _HEADER.pack(_IDENT, 1, 62, 1, 0, 0, headers, 0, _HEADER.size, 0, 0, _SECTION.size, 4, 3)
    )
    for place, part in zip(places, (text, symbols, names), strict=True):
        out += bytes(place - len(out)) + part
    out += bytes(headers - len(out)) + bytes(_SECTION.size)
    out += _SECTION.pack(1, _PROGBITS, _ALLOC_EXECUTE, 0, places[0], len(text), 0, 0, _ALIGN, 0)
    out += _SECTION.pack(7, _SYMTAB, 0, 0, places[1], len(symbols), 3, 1, 8, _SYMBOL.size)
    out += _SECTION.pack(15, _STRTAB, 0, 0, places[2], len(names), 0, 0, 1, 0)
    return bytes(out)
