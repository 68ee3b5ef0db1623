"""Which instruction of the module a place in unoptimised code comes from.

The one-pass compiler records nothing about it. Where somebody asks, after a trap, the function is
compiled once more with a recorder; the code is the same, byte for byte.
"""

from __future__ import annotations

import bisect
import threading

from jitwasm.backend.baseline.compiler import Unsupported
from jitwasm.config import Config
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.tiers import baseline_compiler

__all__ = ["Positions"]

REMEMBERED = 256
"""Functions whose places are kept."""
FEED_BYTES = 1 << 20


class Positions:
    """The places in one module, function by function. Any thread may ask."""

    def __init__(self, data: bytes, info: ModuleInfo, config: Config) -> None:
        """Prepare for the module that `data` holds, compiled as `config` says."""
        self._data = data
        self._info = info
        self._config = config
        self._known: dict[int, tuple[list[int], list[int]]] = {}
        self._lock = threading.Lock()

    def find(self, funcidx: int, at: int) -> int | None:
        """The byte offset in the module of the instruction that a place in the code belongs to.

        Args:
            funcidx: a function that the one-pass compiler compiled.
            at: the place, in bytes from the start of its code. Before the body's code, where the
                frame is made, it counts as the body's first instruction.
        """
        with self._lock:
            found = self._known.get(funcidx)
            if found is None:
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                found = self._known[funcidx] = self._record(funcidx)
        places, offsets = found
        if not places:
            return None
        return offsets[max(bisect.bisect_right(places, at) - 1, 0)]

    def _record(self, funcidx: int) -> tuple[list[int], list[int]]:
        body = self._body(funcidx)
        if body is None:
            return [], []
        positions: list[tuple[int, int]] = []
        try:
            baseline_compiler(self._info, self._config).compile(funcidx, body.body, positions)
        except Unsupported:
            return [], []
        return [at for at, _ in positions], [body.offset + pos for _, pos in positions]

    def _body(self, funcidx: int) -> FunctionBody | None:
        parser = StreamParser(self._config.features, self._config.limits)
        view = memoryview(self._data)
        for start in range(0, len(view), FEED_BYTES):
            for event in parser.feed(view[start : start + FEED_BYTES]):
                if isinstance(event, FunctionBody) and event.funcidx == funcidx:
                    return event
        return None
