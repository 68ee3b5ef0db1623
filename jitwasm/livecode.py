"""The code of one module in use: compiled at the first call, replaced when there is better.

All instances of a module share its code. Calls between its functions go through the slots of each
instance's vmctx, so better code is put to use by one store to each of them. Pointers to functions
that are copied anywhere else (FuncRefs, import slots of other instances) lead to stubs, which jump
through the slot of the instance whose function it is. What has been code once stays in memory as
long as the module's image, since threads may be running it.
"""

from __future__ import annotations

import bisect
import functools
import importlib
import threading
import time
import weakref
from array import array
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

from jitwasm.abi import entry_symbol, function_symbol
from jitwasm.backend.baseline.entrymark import ENTRY_MARK
from jitwasm.backend.baseline.stubs import LAZY, STUB, stub_code
from jitwasm.backend.native import CodeImage, FrameInfo, native
from jitwasm.block import read_word, write_word
from jitwasm.codecache import CodeRecord
from jitwasm.config import Config
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.module import InstanceCode, TierCounts
from jitwasm.records import record
from jitwasm.storedcode import OptimizedCode
from jitwasm.types import I32, I64, func_type
from jitwasm.weaktable import WeakTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitwasm.tiers import FunctionCompilers

__all__ = ["LiveCode", "RunningLoop", "Tier", "reset_locks"]

SAVE_SECONDS = 5.0
"""What has been compiled goes to the cache when more of it is compiled so long after the last time,
when nothing is left to be optimised, and at exit."""
_ALIGN = 16

LoopsAround = Callable[[FunctionBody, int], list[int]]


class Tier(IntEnum):
    """How far the code of a function is."""

    NONE = 0
    BASELINE = 1
    OPTIMIZED = 2


@record(frozen=True)
class RunningLoop:
    """A loop in which unoptimised code spends its time.

    Attributes:
        funcidx: its function.
        loops: its position in the body, behind those of the loops around it.
        mark: address of the instruction at its header that stands for the jump out.
    """

    funcidx: int
    loops: tuple[int, ...]
    mark: int


class LiveCode:
    """The functions of a validated module.

    Attributes:
        info, config: of the module.
        bodies: where the functions are in the module: funcidx -> (offset, size).
        called: functions in the order in which they were first called, as far as they were
            compiled then.
        hot: functions that took time, the hottest first (kept by who optimises them).
        replaced: loops from which calls were moved to optimised code.
    """

    def __init__(
        self,
        data: bytes,
        info: ModuleInfo,
        config: Config,
        bodies: Mapping[int, tuple[int, int]],
        record: CodeRecord,
        watch: Callable[[LiveCode], None] | None = None,
    ) -> None:
        """Prepare the code; nothing is loaded before `image` is called.

        Args:
            data: the module's bytes.
            info, config: see above.
            bodies: see above.
            record: what code there is, also from earlier runs with the same module and
                configuration; gets what is compiled.
            watch: called with this object, often, while there is something to optimise.
        """
        self.info, self.config, self.bodies = info, config, bodies
        self.called: list[int] = []
        self.hot = record.hot
        self.replaced: list[RunningLoop] = []
        self._data = data
        self._record = record
        self._watch = watch
        self._first = info.imported_functions
        count = len(info.functions) - self._first
        self._tiers = bytearray(count)
        self._codes = array("Q", bytes(8 * count))  # what the slots hold, function by function
        self._stubs: Sequence[int] = ()
        self._waiting: dict[int, OptimizedCode] = {}  # stored code that has not been needed yet
        self._images: list[CodeImage] = []
        self._starts: list[tuple[int, int, int]] = []  # unoptimised code: (start, end, funcidx)
        self._contexts: WeakTable[InstanceCode] = WeakTable()
        self._describe: Callable[[str], FrameInfo | None] = _nameless
        self._lock = threading.RLock()
        self._saved = time.monotonic()
        _all.add(self)
        weakref.finalize(self, record.save_quietly)  # at exit too

    # -- making code ----------------------------------------------------------------------------

    def image(self, describe: Callable[[str], FrameInfo | None]) -> CodeImage:
        """The stubs of all functions and the code there is.

        The image keeps the functions' code alive.
        """
        self._describe = describe
        runtime, layout, record = native(), self.info.layout, self._record
        # No fast path: it would have to be compiled for a few thousand calls.
        host = runtime.host_function(func_type((I32, I64), (I64,)), self._enter, 0, 0, "ctypes")
        code, start = stub_code(layout, host.code, host.env)
        places = []
        for funcidx, function in record.baseline.items():
            code += bytes(-len(code) % _ALIGN)
            places.append((len(code), len(code) + len(function), funcidx))
            code += function
        symbols = functools.partial(_symbols, self._first, start, len(self._codes), places)
        image = runtime.load_code(code, symbols, describe)
        image.owner = (self, host)
        first = image.lo + start
        with self._lock:
            self._stubs = range(first, first + STUB * len(self._codes), STUB)
            self._codes[:] = array(
                "Q", range(first + LAZY, first + LAZY + len(self._stubs) * STUB, STUB)
            )
            self._add_baseline([(image.lo + at, image.lo + end, i) for at, end, i in places])
            if record.objects or record.fallbacks:
                self._load_objects([*record.objects, *record.fallbacks.values()])
            for row in record.optimized:
                for funcidx in row.funcidxs:
                    self._await(funcidx, row)
        return image

    def _await(self, funcidx: int, code: OptimizedCode) -> None:
        """Let a function's first call load its optimised code. The lock is held.

        Nearly all of a module may have been optimised at last; a start needs little of it.
        """
        place = funcidx - self._first
        self._waiting[funcidx] = code
        self._codes[place] = self._stubs[place] + LAZY
        self._tiers[place] = Tier.OPTIMIZED

    def entry_points(self) -> Sequence[int]:
        """Where the functions are entered by whoever keeps pointers to them: the stubs."""
        return self._stubs

    def _enter(self, funcidx: int, vmctx: int) -> int:
        """A function is called through a slot that does not lead to its code yet."""
        place = funcidx - self._first
        with self._lock:
            waiting = self._waiting.get(funcidx)
            if waiting is not None:
                self._use(waiting, stored=True)
            elif self._tiers[place] == Tier.NONE:
                self._compile(funcidx)
                self.called.append(funcidx)
            address = self._codes[place]
            write_word(vmctx + self.info.layout.function_slot(funcidx), address)
        self._save_if_due()
        if self._watch is not None:
            self._watch(self)
        return address

    def _save_if_due(self) -> None:
        now = time.monotonic()
        if now - self._saved > SAVE_SECONDS:
            self._record.save_quietly()
            self._saved = time.monotonic()

    def _compile(self, funcidx: int) -> None:
        """Compile a function that has no code yet. The lock is held."""
        body = self.body(funcidx)
        if self.config.validation == "lazy":
            self._compilers.validate(body)
        code = self._compilers.compile(body)
        if code is None:
            data = self._record.fallbacks[funcidx] = self._compilers.fall_back(body)
            self._load_objects([data])
            return
        self._record.baseline[funcidx] = code
        symbols = {function_symbol(funcidx): 0}
        image = native().load_code(code, lambda: symbols, self._describe)
        self._images.append(image)
        self._add_baseline([(image.lo, image.lo + len(code), funcidx)])

    @functools.cached_property
    def _compilers(self) -> FunctionCompilers:
        # Not at import: where all code comes from the cache, no compiler is ever loaded.
        tiers = importlib.import_module("jitwasm.tiers")
        compilers: FunctionCompilers = tiers.FunctionCompilers(self.info, self.config)
        return compilers

    def _load_objects(self, objects: Sequence[bytes]) -> None:
        """Load code that is not optimised, of functions that have none. The lock is held."""
        image = native().load(objects, self._describe)
        self._images.append(image)
        rows = sorted(
            (at, int(name[1:]))
            for name, at in image.symbols.items()
            if name[0] == "f" and name[1:].isdecimal()
        )
        ends = [*[at for at, _ in rows], image.hi][1:]
        self._add_baseline([(at, end, i) for (at, i), end in zip(rows, ends, strict=True)])

    def _add_baseline(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Note the code of functions that have none yet: (start, end, funcidx)."""
        for start, _, funcidx in rows:
            place = funcidx - self._first
            self._codes[place] = start
            self._tiers[place] = Tier.BASELINE
        if len(rows) == 1:
            bisect.insort(self._starts, rows[0])
        else:
            self._starts = sorted([*self._starts, *rows])

    def body(self, funcidx: int) -> FunctionBody:
        """A function's body."""
        offset, size = self.bodies[funcidx]
        return FunctionBody(funcidx, offset, self._data[offset : offset + size])

    # -- using it -------------------------------------------------------------------------------

    def attach(self, context: InstanceCode) -> None:
        """Let an instance that is being made use the best code there is, now and later."""
        with self._lock:
            self._contexts[id(context)] = context
            context.set_code(self._codes)
        if self._watch is not None:
            self._watch(self)

    def install(self, code: OptimizedCode) -> None:
        """Put optimised code to use, in all instances and those to come."""
        with self._lock:
            self._record.optimized.append(code)
            self._use(code)
        self._save_if_due()

    def _use(self, code: OptimizedCode, stored: bool = False) -> None:
        image = native().load([code.data], self._describe)
        self._images.append(image)
        contexts = list(self._contexts.values())
        for funcidx in code.funcidxs:
            if stored and self._waiting.get(funcidx) is not code:
                continue  # there is better code than this
            self._waiting.pop(funcidx, None)
            address = image.symbols[function_symbol(funcidx)]
            place = funcidx - self._first
            self._codes[place] = address
            self._tiers[place] = Tier.OPTIMIZED
            slot = self.info.layout.function_slot(funcidx)
            for context in contexts:
                context.set_word(slot, address)

    def running_loop(self, pc: int, loops_around: LoopsAround) -> RunningLoop | None:
        """The innermost loop around a program counter in unoptimised code that can be left at its
        header.

        Args:
            loops_around: gives the loops around a position in a body, from outside in.
        """
        found = self._baseline_at(pc)
        if found is None:
            return None
        start, funcidx = found
        body = self.body(funcidx)
        positions = self._compilers.positions(body)
        index = bisect.bisect_right(positions, (pc - start, len(body.body))) - 1
        if index < 0:
            return None
        offsets = {position: offset for offset, position in positions}
        loops = loops_around(body, positions[index][1] + 1)
        while loops:
            mark = start + offsets[loops[-1]]
            if read_word(mark).to_bytes(8, "little").startswith(ENTRY_MARK):
                return RunningLoop(funcidx, tuple(loops), mark)
            loops.pop()
        return None

    def replace_loop(self, loop: RunningLoop, data: bytes) -> None:
        """Let calls that run in a loop go on in optimised code, from its next turn on.

        Args:
            data: an object that defines the version of the function that begins there.
        """
        image = native().load([data], self._describe)
        target = image.symbols[entry_symbol(loop.funcidx)]
        code = self._compilers.loop_exit(self.body(loop.funcidx), target)
        stub = native().load_code(code, lambda: {"leave": 0}, self._describe)
        with self._lock:
            self._images += [image, stub]
        native().redirect(loop.mark, stub.lo)
        self.replaced.append(loop)

    # -- telling about it -----------------------------------------------------------------------

    def tier(self, funcidx: int) -> Tier:
        """How far a function is."""
        return Tier(self._tiers[funcidx - self._first])

    def unoptimized_at(self, pc: int) -> int | None:
        """The function whose unoptimised code holds a program counter."""
        found = self._baseline_at(pc)
        return found[1] if found is not None else None

    def _baseline_at(self, pc: int) -> tuple[int, int] | None:
        starts = self._starts
        index = bisect.bisect_right(starts, (pc, 1 << 64, 0)) - 1
        if index < 0:
            return None
        start, end, funcidx = starts[index]
        return (start, funcidx) if start <= pc < end else None

    @property
    def counts(self) -> TierCounts:
        """How many functions are how far."""
        counted = [self._tiers.count(tier) for tier in Tier]
        return TierCounts(len(self._tiers), *counted)

    @property
    def functions_compiled(self) -> int:
        """How many functions have code of any tier."""
        return len(self._tiers) - self._tiers.count(Tier.NONE)

    def save(self) -> None:
        """Let later processes have what has been compiled: called at quiet moments."""
        self._record.save_quietly()

    def after_fork(self) -> None:
        """In a forked child: a thread that no longer exists may have held the lock."""
        self._lock = threading.RLock()


# For the child of a fork.
_all: weakref.WeakSet[LiveCode] = weakref.WeakSet()


def reset_locks() -> None:
    """In a forked child: make every module's code usable again."""
    for code in list(_all):
        code.after_fork()


def _symbols(
    first: int, stubs: int, count: int, places: Sequence[tuple[int, int, int]]
) -> dict[str, int]:
    """The symbols of an image of stubs and code, for backtraces."""
    symbols = {f"stub{first + i}": stubs + STUB * i for i in range(count)}
    return {**symbols, **{function_symbol(funcidx): at for at, _, funcidx in places}}


def _nameless(symbol: str) -> None:
    return None
