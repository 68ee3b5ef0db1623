"""The code of one module in use: compiled at the first call, replaced when there is better.

All instances of a module share its code. Calls between its functions go through the slots of each
instance's vmctx, so better code is put to use by one store to each of them. Pointers to functions
that are copied anywhere else (FuncRefs, import slots of other instances) lead to stubs, which jump
through the slot of the instance whose function it is. What has been code once stays in memory as
long as the module's image, since threads may be running it.
"""

from __future__ import annotations

import bisect
import threading
import weakref
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from jitwasm.abi import function_symbol
from jitwasm.backend.baseline.compiler import Unsupported
from jitwasm.backend.baseline.objectfile import write_object
from jitwasm.backend.baseline.stubs import lazy_symbol, stub_object
from jitwasm.backend.native import CodeImage, FrameInfo, native
from jitwasm.block import write_word
from jitwasm.config import Config
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.module import InstanceCode, TierCounts
from jitwasm.tiers import FunctionCompilers
from jitwasm.types import I32, I64, func_type

__all__ = ["LiveCode", "OptimizedCode", "StoredCode", "Tier", "reset_locks"]


class Tier(IntEnum):
    """How far the code of a function is."""

    NONE = 0
    BASELINE = 1
    OPTIMIZED = 2


@dataclass(frozen=True)
class OptimizedCode:
    """An object of optimised code: it defines `f<idx>` for each of these functions."""

    funcidxs: tuple[int, ...]
    data: bytes


@dataclass(frozen=True)
class StoredCode:
    """What is worth keeping of a module's code. Plain data.

    Attributes:
        baseline: machine code of the one-pass compiler, by function index; position-independent.
        optimized: objects; where several define a function, the last one counts.
        hot: functions that took time, the hottest first.
    """

    baseline: Mapping[int, bytes] = field(default_factory=dict)
    optimized: Sequence[OptimizedCode] = ()
    hot: Sequence[int] = ()


class LiveCode:
    """The functions of a validated module.

    Attributes:
        info, config: of the module.
        bodies: where the functions are in the module: funcidx -> (offset, size).
        called: functions in the order in which they were first called, as far as they were
            compiled then.
        hot: functions that took time, the hottest first (kept by who optimises them).
    """

    def __init__(
        self,
        data: bytes,
        info: ModuleInfo,
        config: Config,
        bodies: Mapping[int, tuple[int, int]],
        objects: Sequence[bytes] = (),
        stored: StoredCode | None = None,
        watch: Callable[[LiveCode], None] | None = None,
    ) -> None:
        """Prepare the code; nothing is loaded before `image` is called.

        Args:
            data: the module's bytes.
            info, config: see above.
            bodies: see above.
            objects: code of the baseline tier that defines all functions, if it was compiled at
                once.
            stored: code from earlier runs with the same module and configuration.
            watch: called with this object, often, while there is something to optimise.
        """
        self.info, self.config, self.bodies = info, config, bodies
        self.called: list[int] = []
        self.hot: list[int] = []
        self._data = data
        self._objects = objects
        self._watch = watch
        self._compilers = FunctionCompilers(info, config)
        self._first = info.imported_functions
        count = len(info.functions) - self._first
        self._tiers = bytearray(count)
        self._codes = array("Q", bytes(8 * count))  # what the slots hold, function by function
        self._baseline: dict[int, bytes] = dict(stored.baseline) if stored else {}
        self._optimized: list[OptimizedCode] = list(stored.optimized) if stored else []
        if stored:
            self.hot += stored.hot
        self._images: list[CodeImage] = []
        self._starts: list[tuple[int, int, int]] = []  # unoptimised code: (start, end, funcidx)
        self._contexts: weakref.WeakSet[InstanceCode] = weakref.WeakSet()
        self._describe: Callable[[str], FrameInfo | None] = _nameless
        self._lock = threading.RLock()
        _all.add(self)

    # -- making code ----------------------------------------------------------------------------

    def image(self, describe: Callable[[str], FrameInfo | None]) -> CodeImage:
        """The stubs of all functions. The image keeps the functions' code alive."""
        self._describe = describe
        runtime = native()
        # No fast path: it would have to be compiled for a few thousand calls.
        host = runtime.host_function(func_type((I32, I64), (I64,)), self._enter, 0, 0, "ctypes")
        image = runtime.load([stub_object(self.info.layout, host.code, host.env)], describe)
        image.owner = (self, host)
        with self._lock:
            for place in range(len(self._codes)):
                self._codes[place] = image.symbols[lazy_symbol(self._first + place)]
            if self._objects:
                self._add_baseline(runtime.load(self._objects, describe))
            for row in self._optimized:
                self._use(row)
        return image

    def _enter(self, funcidx: int, vmctx: int) -> int:
        """A function is called through a slot that does not lead to its code yet."""
        place = funcidx - self._first
        with self._lock:
            if self._tiers[place] == Tier.NONE:
                self.called.append(funcidx)
                self._add_baseline(self._compile(funcidx))
            address = self._codes[place]
            write_word(vmctx + self.info.layout.function_slot(funcidx), address)
        if self._watch is not None:
            self._watch(self)
        return address

    def _compile(self, funcidx: int) -> CodeImage:
        code = self._baseline.get(funcidx)
        if code is None:
            body = self.body(funcidx)
            try:
                code = self._baseline[funcidx] = self._compilers.compile(body)
            except Unsupported:
                return native().load([self._compilers.fall_back(body)], self._describe)
        return native().load([write_object([(function_symbol(funcidx), code)])], self._describe)

    def _add_baseline(self, image: CodeImage) -> None:
        """Note the code of functions that have none yet. The lock is held."""
        self._images.append(image)
        rows = sorted(
            (at, int(name[1:]))
            for name, at in image.symbols.items()
            if name[0] == "f" and name[1:].isdecimal()
        )
        ends = [at for at, _ in rows[1:]] + [image.hi]
        for (at, funcidx), end in zip(rows, ends, strict=True):
            place = funcidx - self._first
            self._codes[place] = at
            self._tiers[place] = Tier.BASELINE
            bisect.insort(self._starts, (at, end, funcidx))

    def body(self, funcidx: int) -> FunctionBody:
        """A function's body."""
        offset, size = self.bodies[funcidx]
        return FunctionBody(funcidx, offset, self._data[offset : offset + size])

    # -- using it -------------------------------------------------------------------------------

    def attach(self, context: InstanceCode) -> None:
        """Let an instance that is being made use the best code there is, now and later."""
        with self._lock:
            self._contexts.add(context)
            context.set_code(self._codes)
        if self._watch is not None:
            self._watch(self)

    def install(self, code: OptimizedCode) -> None:
        """Put optimised code to use, in all instances and those to come."""
        with self._lock:
            self._optimized.append(code)
            self._use(code)

    def _use(self, code: OptimizedCode) -> None:
        image = native().load([code.data], self._describe)
        self._images.append(image)
        contexts = list(self._contexts)
        for funcidx in code.funcidxs:
            address = image.symbols[function_symbol(funcidx)]
            place = funcidx - self._first
            self._codes[place] = address
            self._tiers[place] = Tier.OPTIMIZED
            slot = self.info.layout.function_slot(funcidx)
            for context in contexts:
                context.set_word(slot, address)

    # -- telling about it -----------------------------------------------------------------------

    def tier(self, funcidx: int) -> Tier:
        """How far a function is."""
        return Tier(self._tiers[funcidx - self._first])

    def unoptimized_at(self, pc: int) -> int | None:
        """The function whose unoptimised code holds a program counter."""
        starts = self._starts
        index = bisect.bisect_right(starts, (pc, 1 << 64, 0)) - 1
        if index < 0:
            return None
        start, end, funcidx = starts[index]
        return funcidx if start <= pc < end else None

    @property
    def counts(self) -> TierCounts:
        """How many functions are how far."""
        counted = [self._tiers.count(tier) for tier in Tier]
        return TierCounts(len(self._tiers), *counted)

    @property
    def functions_compiled(self) -> int:
        """How many functions have code of any tier."""
        return len(self._tiers) - self._tiers.count(Tier.NONE)

    def stored(self) -> StoredCode:
        """What is worth keeping, as of now. Code given as `objects` is not repeated."""
        with self._lock:
            return StoredCode(dict(self._baseline), tuple(self._optimized), tuple(self.hot))

    def after_fork(self) -> None:
        """In a forked child: a thread that no longer exists may have held the lock."""
        self._lock = threading.RLock()


# For the child of a fork.
_all: weakref.WeakSet[LiveCode] = weakref.WeakSet()


def reset_locks() -> None:
    """In a forked child: make every module's code usable again."""
    for code in list(_all):
        code.after_fork()


def _nameless(symbol: str) -> None:
    return None
