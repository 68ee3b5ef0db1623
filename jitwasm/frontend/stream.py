"""The push parser: bytes in portions of any size to events (specification: Binary Format).

It knows the frame of a module only: the header, sections with their sizes, function bodies with
theirs. What is in a section is the business of sections.py, what is in a body that of translate.py.

Invariants:
* The events, and the error if there is one, do not depend on how the bytes are cut.
* A declared size reserves nothing: bytes are kept as they come. Each unit (a section, a body) is
  looked at once, when it is complete, so the work is linear however small the portions are.
* Bytes that are no module are refused at the first possible byte.
"""

from __future__ import annotations

from collections.abc import Callable

from jitwasm.config import Features, ImplementationLimits
from jitwasm.errors import CompileError, InvalidError, MalformedError
from jitwasm.frontend.events import CodeStart, CustomSection, Event, FunctionBody, ModuleEnd
from jitwasm.frontend.leb128 import UNEXPECTED_END, read_unsigned
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.reader import Reader
from jitwasm.frontend.sections import CODE, CUSTOM, ORDER, SectionDecoder

__all__ = ["StreamParser"]

_MAGIC = b"\0asm"
_VERSION = b"\1\0\0\0"
_LEB_BYTES = 5


class StreamParser:
    """Feed it a module's bytes as they arrive; it returns what they complete.

    Attributes:
        bytes_received: how many bytes have been fed.
    """

    def __init__(self, features: Features, limits: ImplementationLimits) -> None:
        self.bytes_received = 0
        self._decoder = SectionDecoder(features, limits)
        self._limits = limits
        self._error: CompileError | None = None
        self._finished = False
        # Bytes not used yet, kept until `_need` of them are there: what the state asked for.
        self._kept = bytearray()
        self._need = len(_MAGIC)
        # While `feed` runs: the bytes at hand, the next one, the module offset of the first.
        self._data = b""
        self._pos = 0
        self._base = 0
        # Each state uses up some bytes and returns True, or sets `_need` and returns False.
        self._state: Callable[[list[Event]], bool] = self._magic
        self._section = CUSTOM
        self._section_end = 0  # module offset
        self._places = 0  # sections up to this place in the order are no longer allowed
        self._next_funcidx = 0
        self._functions_end = 0
        self._code_seen = False

    @property
    def info(self) -> ModuleInfo:
        """The declarations so far."""
        return self._decoder.info

    def feed(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take the next bytes of the module and return the events they complete.

        Raises `MalformedError` or `InvalidError`; again at each later call. Where the same bytes
        hold events and an error behind them, the events are returned and the next call raises:
        what is wrong in an earlier function body is to be found first.
        """
        if self._error is not None:
            raise self._error
        if self._finished:
            raise ValueError("feed() after finish()")
        chunk = data if isinstance(data, bytes) else bytes(memoryview(data))
        self.bytes_received += len(chunk)
        if len(self._kept) + len(chunk) < self._need:
            self._kept += chunk
            return []
        if self._kept:
            self._kept += chunk
            chunk = bytes(self._kept)
        return self._run(chunk)

    def finish(self) -> list[Event]:
        """The module is complete: return the last event, or raise what is missing."""
        if self._error is not None:
            raise self._error
        if self._finished:
            raise ValueError("finish() called twice")
        try:
            self._check_end()
        except CompileError as error:
            self._error = error
            raise
        self._finished = True
        return [ModuleEnd(self._decoder.info, self.bytes_received)]

    def _run(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        self._data = data
        self._pos = 0
        self._base = self.bytes_received - len(data)
        try:
            while self._state(events):
                pass
        except CompileError as error:
            self._error = error
            self._pos = len(data)
        self._kept = bytearray(memoryview(data)[self._pos :])
        self._data = b""
        if self._error is not None and not events:
            raise self._error
        return events

    def _check_end(self) -> None:
        offset = self.bytes_received
        if self._state == self._section_head:
            if self._kept:
                raise MalformedError("unexpected end", offset)
            self._decoder.finish(self._code_seen, offset)
        elif self._state in (self._magic, self._version):
            raise MalformedError("unexpected end", offset)
        else:
            missing = self._section_end - offset
            raise MalformedError(
                f"length out of bounds: unexpected end, {missing} bytes of the section are missing",
                offset,
            )

    # States

    def _magic(self, events: list[Event]) -> bool:
        if self._data[: len(_MAGIC)] != _MAGIC:
            raise MalformedError("magic header not detected", 0)
        self._pos = len(_MAGIC)
        self._state = self._version
        return True

    def _version(self, events: list[Event]) -> bool:
        if not self._has(len(_VERSION)):
            return False
        if self._data[self._pos : self._pos + len(_VERSION)] != _VERSION:
            raise MalformedError("unknown binary version", len(_MAGIC))
        self._pos += len(_VERSION)
        self._state = self._section_head
        return True

    def _section_head(self, events: list[Event]) -> bool:
        if not self._has(1):
            return False
        section = self._data[self._pos]
        self._check_order(section)
        start = self._pos + 1
        size = self._u32(start, start + _LEB_BYTES)
        if size is None:
            return False
        value, self._pos = size
        self._section = section
        self._section_end = self._base + self._pos + value
        if self._section_end > self._limits.module_size:
            raise InvalidError(
                f"length out of bounds: the module exceeds the limit of {self._limits.module_size} "
                "bytes",
                self._base + self._pos,
            )
        if section == CODE:
            self._state = self._code_head
        else:
            self._state = self._section_payload
        return True

    def _check_order(self, section: int) -> None:
        offset = self._base + self._pos
        if section == CUSTOM:
            return
        place = ORDER.get(section)
        if place is None:
            raise MalformedError("malformed section id", offset)
        if place < self._places:
            raise MalformedError("unexpected content after last section", offset)

    def _section_payload(self, events: list[Event]) -> bool:
        size = self._section_end - self._base - self._pos
        if not self._has(size):
            return False
        reader = Reader(self._data, self._pos, self._pos + size, self._base)
        if self._section == CUSTOM:
            self._custom(reader, events)
        else:
            self._decoder.decode(self._section, reader)
            self._places = ORDER[self._section] + 1
        self._pos += size
        self._state = self._section_head
        return True

    def _custom(self, reader: Reader, events: list[Event]) -> None:
        name = reader.name()
        offset = reader.offset
        section = CustomSection(name, offset, reader.take(reader.remaining))
        self._decoder.info.add_custom_section(section)
        events.append(section)

    def _code_head(self, events: list[Event]) -> bool:
        offset = self._base + self._pos
        count = self._u32(self._pos, self._section_end - self._base)
        if count is None:
            return False
        value, self._pos = count
        info = self._decoder.info
        self._decoder.begin_code(value, offset)
        self._places = ORDER[CODE] + 1
        self._code_seen = True
        self._next_funcidx = info.imported_functions
        self._functions_end = info.imported_functions + value
        events.append(CodeStart(info, value, self._section_end - offset, offset))
        self._state = self._bodies
        return True

    def _bodies(self, events: list[Event]) -> bool:
        data = self._data
        have = len(data)
        base = self._base
        section_end = self._section_end - base
        limit = self._limits.body_size
        for funcidx in range(self._next_funcidx, self._functions_end):
            start = self._pos
            head = self._u32(start, section_end)
            if head is None:
                return False
            size, start = head
            end = start + size
            if end > section_end:
                raise MalformedError(
                    f"{UNEXPECTED_END}: the function body is longer than the section",
                    base + self._pos,
                )
            if size > limit:
                raise InvalidError(
                    f"function body of {size} bytes, the limit is {limit}",
                    base + self._pos,
                    funcidx,
                    self._decoder.info.function_name(funcidx),
                )
            if end > have:
                self._need = end - self._pos
                return False
            events.append(FunctionBody(funcidx, base + start, data[start:end]))
            self._pos = end
            self._next_funcidx = funcidx + 1
        if self._pos != section_end:
            raise MalformedError("section size mismatch", base + self._pos)
        self._state = self._section_head
        return True

    # Bytes

    def _has(self, count: int) -> bool:
        """Whether `count` bytes are at hand; if not, wait for them."""
        if len(self._data) - self._pos >= count:
            return True
        self._need = count
        return False

    def _u32(self, pos: int, end: int) -> tuple[int, int] | None:
        """An integer at `pos` that must end before `end`, or None: wait for one more byte."""
        data = self._data
        have = len(data)
        if pos < have and pos < end and data[pos] < 0x80:
            return data[pos], pos + 1
        if end > have and have - pos < _LEB_BYTES and all(b >= 0x80 for b in data[pos:have]):
            self._need = have - self._pos + 1
            return None
        return read_unsigned(data, pos, min(end, have), 32, self._base)
