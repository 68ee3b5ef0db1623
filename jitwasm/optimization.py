"""In which order the functions of a module are optimised, and which of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

__all__ = ["HOT_SAMPLES", "LARGEST", "OptimizationPlan"]

HOT_SAMPLES = 2
"""A function in which so many ticks fell is hot. One may be chance."""
LARGEST = 64_000
"""Bytes of wasm code. What is larger stays with the code it has: LLVM's optimisers take more than
linear time, and without them its code is slower than the one-pass compiler's."""
UNIT_BYTES = 4096
"""Wasm bytes of functions that are optimised together: some hundred milliseconds."""
SMALL = 120
"""A callee of so many bytes is worth having beside its caller, hot or not."""


class OptimizationPlan:
    """What is to be done for one module. Not thread-safe.

    Attributes:
        samples: how many ticks fell into each function's unoptimised code.
        pending: the functions to be optimised, in the order of the module.
    """

    def __init__(self, sizes: Mapping[int, int], hot: Sequence[int], early: bool) -> None:
        """Begin.

        Args:
            sizes: bytes of each function's body that may be optimised.
            hot: functions known to be hot, the hottest first.
            early: optimise all in the order of the module, without waiting.
        """
        self._sizes = sizes
        self._early = early
        self.samples: Counter[int] = Counter()
        self.pending = {funcidx: None for funcidx, size in sizes.items() if size <= LARGEST}
        for rank, funcidx in enumerate(hot):
            self.samples[funcidx] = HOT_SAMPLES + len(hot) - rank

    def add_sample(self, funcidx: int) -> None:
        """A tick fell into the function's unoptimised code."""
        self.samples[funcidx] += 1

    def hottest(self) -> tuple[int, int] | None:
        """The hot function that took most, and its samples."""
        rows = [(count, i) for i, count in self.samples.items() if i in self.pending]
        if not rows:
            return None
        count, funcidx = max(rows)
        return (funcidx, count) if count >= HOT_SAMPLES else None

    def next_seed(self, called: Sequence[int], rest: bool) -> int | None:
        """The function to go on with.

        Args:
            called: functions that have been called, in this order.
            rest: take what is not hot, too: what took some time, what was called, then all.
        """
        hottest = self.hottest()
        if hottest is not None:
            return hottest[0]
        if self._early or not rest:
            return next(iter(self.pending), None) if self._early else None
        for candidates in (self.samples, called, self.pending):
            for funcidx in candidates:
                if funcidx in self.pending:
                    return funcidx
        return None

    def take(self, funcidx: int) -> int:
        """The function is being optimised; its size."""
        self.pending.pop(funcidx, None)
        return self._sizes[funcidx]

    def size(self, funcidx: int) -> int:
        """Bytes of a function's body."""
        return self._sizes[funcidx]

    def companions(self, calls: Sequence[int], room: int) -> list[int]:
        """Which callees of a function to optimise together with it, within so many bytes."""
        found: list[int] = []
        rows = sorted(calls, key=lambda i: -self.samples[i])
        for funcidx in rows:
            size = self._sizes.get(funcidx, LARGEST)
            wanted = size <= SMALL or self.samples[funcidx]
            if wanted and size <= room and funcidx in self.pending:
                found.append(funcidx)
                room -= size
        return found

    def give_back(self, funcidxs: Sequence[int]) -> None:
        """These were not optimised after all, and may be taken again."""
        self.pending.update(dict.fromkeys(funcidxs))

    @property
    def is_settled(self) -> bool:
        """Whether nothing hot is left."""
        return self.hottest() is None
