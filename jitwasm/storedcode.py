"""The code of a module as plain data, and as bytes: what is kept for later starts."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from jitwasm.records import record
from jitwasm.tierchoice import Way

__all__ = ["Buffer", "OptimizedCode", "StoredCode"]

Buffer = bytes | memoryview

_WAYS: tuple[Way, ...] = ("optimized", "baseline", "lazy")
_COUNT = struct.Struct("<I")


@record(frozen=True)
class OptimizedCode:
    """An object of optimised code: it defines `f<idx>` for each of these functions."""

    funcidxs: tuple[int, ...]
    data: bytes


@record(frozen=True)
class StoredCode:
    """What is worth keeping of a module's code. Plain data.

    Attributes:
        way: how the module's functions are compiled at first.
        fingerprint: of the machine that code is for (see `ModuleParts`).
        objects: of a module whose functions are compiled at once, the code of all of them.
        baseline: else machine code of the one-pass compiler, by function index;
            position-independent.
        fallbacks: and objects of the functions that it does not cover.
        optimized: better code; where several objects define a function, the last one counts.
        hot: functions that took time, the hottest first.
    """

    way: Way
    fingerprint: str = ""
    objects: tuple[bytes, ...] = ()
    baseline: Mapping[int, Buffer] = MappingProxyType({})
    fallbacks: Mapping[int, bytes] = MappingProxyType({})
    optimized: Sequence[OptimizedCode] = ()
    hot: Sequence[int] = ()

    def pack(self) -> bytes:
        """As bytes: the number of numbers, the numbers, then text and code."""
        text = self.fingerprint.encode()
        numbers = array("I", (_WAYS.index(self.way), len(text)))
        parts: list[Buffer] = [text]
        for codes in (self.baseline, self.fallbacks):
            _append(numbers, list(codes))
            _append(numbers, [len(code) for code in codes.values()])
            parts += codes.values()
        _append(numbers, [len(data) for data in self.objects])
        parts += self.objects
        _append(numbers, [len(row.data) for row in self.optimized])
        parts += [row.data for row in self.optimized]
        for row in self.optimized:
            _append(numbers, row.funcidxs)
        _append(numbers, self.hot)
        return b"".join([_COUNT.pack(len(numbers)), numbers.tobytes(), *parts])

    @classmethod
    def unpack(cls, data: bytes) -> StoredCode:
        """The inverse of `pack`. The result refers to `data`.

        Raises:
            ValueError, LookupError, StopIteration: those are no bytes that `pack` has made.
        """
        end = _COUNT.size + 4 * int.from_bytes(data[: _COUNT.size], "little")
        numbers = iter(array("I", data[_COUNT.size : end]))
        parts = _Parts(data, end)
        way = _WAYS[next(numbers)]
        text = str(parts.take(next(numbers)), "utf-8")
        baseline = parts.take_by_number(_row(numbers), _row(numbers))
        fallbacks = parts.take_by_number(_row(numbers), _row(numbers))
        objects = tuple([bytes(parts.take(size)) for size in _row(numbers)])
        optimized = [bytes(parts.take(size)) for size in _row(numbers)]
        rows = [OptimizedCode(tuple(_row(numbers)), code) for code in optimized]
        parts.finish()
        made = {funcidx: bytes(code) for funcidx, code in fallbacks.items()}
        return cls(way, text, objects, baseline, made, tuple(rows), _row(numbers))


class _Parts:
    """One part behind the other."""

    def __init__(self, data: bytes, start: int) -> None:
        self._view = memoryview(data)
        self._end = start

    def take(self, size: int) -> memoryview:
        start = self._end
        self._end += size
        return self._view[start : self._end]

    def take_by_number(self, keys: list[int], sizes: list[int]) -> dict[int, Buffer]:
        return {key: self.take(size) for key, size in zip(keys, sizes, strict=True)}

    def finish(self) -> None:
        if self._end != len(self._view):
            raise ValueError("more or less than was stored")


def _append(numbers: array[int], row: Sequence[int]) -> None:
    numbers.append(len(row))
    numbers.extend(row)


def _row(numbers: Iterator[int]) -> list[int]:
    return [next(numbers) for _ in range(next(numbers))]
