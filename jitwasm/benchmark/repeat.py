"""A module that calls an export n times, so that the host's part of a call is not measured.

It imports the function as "" "f" and exports `repeat(n: i32)`; the arguments are constants in it.
Every engine links the call directly: it costs what a call between two modules costs.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from jitwasm.benchmark.job import Unavailable
from jitwasm.types import F32, F64, I32, I64, V128, FuncType, ValType

__all__ = ["repeat_module"]

_NUMBERS = {I32: 0x7F, I64: 0x7E, F32: 0x7D, F64: 0x7C, V128: 0x7B}
_REFERENCES = {"funcref": 0x70, "externref": 0x6F}


def repeat_module(type_: FuncType, arguments: Sequence[Any]) -> bytes:
    """The module's bytes.

    Raises:
        Unavailable: the type has a reference that has no short form.
    """
    constants = b"".join(
        _constant(row, value) for row, value in zip(type_.params, arguments, strict=True)
    )
    # loop { call f; drop its results; n -= 1; br_if }, if n > 0 to begin with.
    drops = b"\x1a" * len(type_.results)
    count_down = b"\x20\x00\x41\x01\x6b\x22\x00\x0d\x00"
    body = b"\x00\x20\x00\x04\x40\x03\x40" + constants + b"\x10\x00" + drops + count_down
    body += b"\x0b\x0b\x0b"
    function_type = b"\x60" + _valtypes(type_.params) + _valtypes(type_.results)
    return b"".join(
        (
            b"\0asm\x01\0\0\0",
            _section(1, _vector([function_type, b"\x60\x01\x7f\x00"])),
            _section(2, _vector([b"\x00\x01f\x00\x00"])),
            _section(3, _vector([b"\x01"])),
            _section(7, _vector([b"\x06repeat\x00\x01"])),
            _section(10, _vector([_unsigned(len(body)) + body])),
        )
    )


def _code(type_: ValType) -> bytes:
    code = _NUMBERS.get(type_, _REFERENCES.get(str(type_)))
    if code is None:
        raise Unavailable(f"no call of it can be repeated: its type has {type_}")
    return bytes([code])


def _valtypes(types: Sequence[ValType]) -> bytes:
    return _vector([_code(row) for row in types])


def _constant(type_: ValType, value: Any) -> bytes:
    if type_ is I32 or type_ is I64:
        bits = 32 if type_ is I32 else 64
        signed = (int(value) + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
        return (b"\x41" if type_ is I32 else b"\x42") + _signed(signed)
    if type_ is F32:
        return b"\x43" + struct.pack("<f", value)
    if type_ is F64:
        return b"\x44" + struct.pack("<d", value)
    if type_ is V128:
        return b"\xfd\x0c" + bytes(value)
    return b"\xd0" + _code(type_)  # ref.null: no other reference can be typed in


def _vector(items: Sequence[bytes]) -> bytes:
    return _unsigned(len(items)) + b"".join(items)


def _section(number: int, content: bytes) -> bytes:
    return bytes([number]) + _unsigned(len(content)) + content


def _unsigned(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def _signed(value: int) -> bytes:
    result = bytearray()
    while not -0x40 <= value < 0x40:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value & 0x7F])
