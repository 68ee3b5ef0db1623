"""Small function bodies that make LLVM's algorithms take minutes or hours."""

from __future__ import annotations

from tests.frontend.binary import leb


def _get(local: int) -> bytes:
    return b"\x20" + leb(local)


def _set(local: int) -> bytes:
    return b"\x21" + leb(local)


def _locals(count: int) -> bytes:
    return b"\x01" + leb(count) + b"\x7f"


def module(body: bytes) -> bytes:
    """The module whose one function, exported as `f: (i32) -> i32`, has this body."""
    body += b"\x0b"
    return (
        b"\0asm\1\0\0\0\1\6\1\x60\1\x7f\1\x7f\3\2\1\0\5\3\1\0\1\7\5\1\1f\0\0\x0a"
        + leb(1 + len(leb(len(body))) + len(body))
        + b"\1"
        + leb(len(body))
        + body
    )


def recurrences(count: int) -> bytes:
    """A loop in which each local adds up another one: LLVM evaluates them as polynomials of this
    degree. 711 bytes of code for 100 of them take 18 s."""
    code = b"\x03\x40"
    for local in range(1, count):
        code += _get(local) + _get(local - 1) + b"\x6a" + _set(local)
    return _locals(count) + code + _get(0) + b"\x41\x01\x6b\x22\x00\x0d\x00\x0b" + _get(count - 1)


def nested_loops(depth: int, locals_: int) -> bytes:
    """Nested loops, the innermost of which assigns all locals: depth times locals phis."""
    code = b"\x03\x40" * depth
    for local in range(1, locals_):
        code += _get(local - 1) + _get(local) + b"\x6a" + _set(local)
    for level in range(depth):
        code += _get(level % locals_) + b"\x0d\x00\x0b"
    return _locals(locals_) + code + _get(locals_ - 1)


def loops(count: int) -> bytes:
    """Loops one behind the other."""
    loop = b"\x03\x40" + _get(0) + b"\x41\x01\x6b\x22\x00" + _get(0) + _get(0)
    return b"\x00" + (loop + b"\x36\x02\x00\x0d\x00\x0b") * count + _get(0)
