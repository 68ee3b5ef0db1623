"""Names of WebAssembly as C symbols: one rule, which can be undone.

A name is escaped byte by byte (UTF-8): ASCII letters, digits and single inner underscores stand
for themselves; `Z` becomes `ZZ`; every other byte becomes `Z` and two upper-case hexadecimal
digits. An underscore is escaped too (`Z5F`) where it is the first or the last character or follows
another one, so an escaped name never contains two underscores in a row, nor ends in one.

Parts are joined by two underscores:

    prefix__export                what the module exports
    prefix__module__field         what it imports
    prefix_instantiate, …         the interface itself (one underscore)
    prefix_new_module__field      what makes an imported memory or table
"""

from __future__ import annotations

import re

__all__ = ["check_prefix", "escape", "export_symbol", "import_symbol"]

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY0123456789")


def escape(name: str) -> str:
    """A name of any characters as part of a C identifier; different names differ."""
    data = name.encode("utf-8")
    out: list[str] = []
    for i, byte in enumerate(data):
        inner = 0 < i < len(data) - 1
        if byte in _PLAIN or (byte == 0x5F and inner and data[i - 1] != 0x5F):
            out.append(chr(byte))
        elif byte == 0x5A:
            out.append("ZZ")
        else:
            out.append(f"Z{byte:02X}")
    return "".join(out)


def export_symbol(prefix: str, name: str) -> str:
    return f"{prefix}__{escape(name)}"


def import_symbol(prefix: str, module: str, field: str) -> str:
    return f"{prefix}__{escape(module)}__{escape(field)}"


def check_prefix(prefix: str) -> str:
    """The prefix, if it can be one.

    Raises:
        ValueError: it is not a C identifier, or has two underscores in a row or at its end.
    """
    if not re.fullmatch(r"[A-Za-z](?:_?[A-Za-z0-9])*", prefix):
        raise ValueError(
            f"{prefix!r} cannot be a prefix of symbols: letters, digits and single underscores only"
        )
    return prefix
