"""S-expressions of the text format: bytes of a script -> nested forms with their positions.

Specification: "Text Format", Lexical Format. A form remembers where it begins and ends, so that
the text of a module can be cut out unchanged for the assembler.
"""

from __future__ import annotations

import bisect
import re

__all__ = ["Form", "Line", "Node", "Quoted", "ScriptError", "parse"]


class ScriptError(Exception):
    """The script is not well-formed."""


class Quoted(bytes):
    """A string literal, decoded: arbitrary bytes."""


class Form(list["Node"]):
    """One parenthesised form; `start` and `end` are byte offsets in the script."""

    __slots__ = ("end", "start")

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start
        self.end = start

    @property
    def head(self) -> str:
        """The keyword the form begins with, or ""."""
        return self[0] if self and isinstance(self[0], str) else ""


Node = str | Quoted | Form
"""An atom (keyword, number, identifier), a string or a form."""

_STRING = rb'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rb"(?P<space>[ \t\r\n]+|;;[^\r\n]*)"
    rb"|(?P<comment>\(;)"
    rb"|(?P<annotation>\(@)"
    rb"|(?P<open>\()"
    rb"|(?P<close>\))"
    rb"|(?P<string>" + _STRING + rb")"
    rb'|(?P<atom>[^ \t\r\n()";]+(?:' + _STRING + rb")?)"
    rb"|(?P<other>.)",
    re.DOTALL,
)
_COMMENT_EDGE = re.compile(rb"\(;|;\)")
_ESCAPE = re.compile(rb"\\(u\{[0-9a-fA-F_]+\}|[0-9a-fA-F]{2}|.)", re.DOTALL)
_SIMPLE_ESCAPES = {
    b"t": b"\t",
    b"n": b"\n",
    b"r": b"\r",
    b'"': b'"',
    b"'": b"'",
    b"\\": b"\\",
}


def parse(source: bytes) -> list[Form]:
    """The top-level forms of a script."""
    top = Form(0)
    stack = [top]
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise ScriptError(f"unreadable token at byte {position}")
        kind = match.lastgroup
        position = match.end()
        if kind == "space":
            continue
        if kind == "atom":
            stack[-1].append(match[0].decode("utf-8", "surrogateescape"))
        elif kind == "open":
            form = Form(match.start())
            stack[-1].append(form)
            stack.append(form)
        elif kind == "close":
            if len(stack) == 1:
                raise ScriptError(f"unbalanced ')' at byte {match.start()}")
            stack.pop().end = position
        elif kind == "string":
            stack[-1].append(unescape(match[0][1:-1]))
        elif kind == "comment":
            position = _skip_comment(source, match.start())
        elif kind == "annotation":
            position = _skip_annotation(source, match.end())
        else:
            raise ScriptError(f"unexpected {match[0]!r} at byte {match.start()}")
    if len(stack) != 1:
        raise ScriptError(f"form that begins at byte {stack[-1].start} is not closed")
    strays = [node for node in top if not isinstance(node, Form)]
    if strays:
        raise ScriptError(f"stray {strays[0]!r} between the forms")
    return [node for node in top if isinstance(node, Form)]


def unescape(text: bytes) -> Quoted:
    """The bytes a string literal stands for."""
    if b"\\" not in text:
        return Quoted(text)
    return Quoted(_ESCAPE.sub(_replace_escape, text))


def _replace_escape(match: re.Match[bytes]) -> bytes:
    body = match[1]
    if body.startswith(b"u{"):
        return chr(int(body[2:-1].replace(b"_", b""), 16)).encode()
    simple = _SIMPLE_ESCAPES.get(body)
    if simple is not None:
        return simple
    if len(body) != 2:
        raise ScriptError(f"unknown escape \\{body.decode('latin-1')}")
    return bytes([int(body, 16)])


def _skip_comment(source: bytes, start: int) -> int:
    """The position behind the block comment at `start`; comments nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(source, start):
        depth += 1 if edge[0] == b"(;" else -1
        if depth == 0:
            return edge.end()
    raise ScriptError(f"block comment at byte {start} is not closed")


def _skip_annotation(source: bytes, position: int) -> int:
    """The position behind an annotation: any balanced tokens."""
    depth = 1
    while depth:
        match = _TOKEN.match(source, position)
        if match is None:
            raise ScriptError("an annotation is not closed")
        position = match.end()
        if match.lastgroup == "comment":
            position = _skip_comment(source, match.start())
        elif match.lastgroup in ("open", "annotation"):
            depth += 1
        elif match.lastgroup == "close":
            depth -= 1
    return position


class Line:
    """Line numbers, from 1, of byte offsets in one source."""

    def __init__(self, source: bytes) -> None:
        self._newlines = [m.start() for m in re.finditer(rb"\n", source)]

    def at(self, offset: int) -> int:
        return bisect.bisect_left(self._newlines, offset) + 1
