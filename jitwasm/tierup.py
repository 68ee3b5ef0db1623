"""Tier-up: functions that take time are optimised in the background, then everything else.

One thread serves the process. It sleeps until samples come (backend/sampling.py), counts which
function each fell into, translates the hottest ones to LLVM IR, has them compiled by a pool of
threads of low priority, and puts the result to use (livecode.py). Translating needs the GIL, so it
is done in pieces of less than a millisecond, with pauses in which whoever waits for it gets it.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from jitwasm.backend.native import native
from jitwasm.codecache import CodeRecord
from jitwasm.config import Config
from jitwasm.errors import CompileError
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.ir import FunctionIR
from jitwasm.livecode import LiveCode, RunningLoop, Tier, reset_locks
from jitwasm.optimization import UNIT_BYTES, OptimizationPlan
from jitwasm.records import record
from jitwasm.storedcode import OptimizedCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Future

    from jitwasm.frontend.translate import Translator
    from jitwasm.llvmpool import LLVMPool

__all__ = ["failures", "live_code", "settle"]

SAMPLING_NS = 2_000_000
"""How often threads in wasm code are looked at while something there is not optimised."""
LINGERING_NS, LINGER = 10_000_000, 10.0
"""The same once everything is optimised: for so many seconds after old code was last seen."""
REST_AFTER = 1.0
"""Seconds without anything hot after which the rest of a module is optimised."""
PIECE = 400
"""Bytes of wasm code that are translated without letting the GIL go: half a millisecond."""
PAUSE = 0.0002
"""Seconds after each piece."""
RUNNING_SAMPLES = 4
"""After so many ticks in code for which there is better, the call is moved there."""


class _Stopped(Exception):
    """The process ends, or has been forked."""


@record(frozen=True)
class _Job:
    """What LLVM is busy with: some functions, or the version of one that begins at a loop."""

    funcidxs: tuple[int, ...]
    loop: RunningLoop | None = None


class _Module:
    """One module's share of the work.

    Attributes:
        plan: what is to be done.
        compiling: the units that LLVM is busy with.
        translating: whether something is on its way there.
        running: ticks in old code of functions that have been optimised.
        loops: (function, program counter) of calls that are to be moved to their optimised code.
        entered: loops (the function, then positions) for which that has been done, or tried.
        failures: what went wrong; those functions stay as they are.
    """

    def __init__(self, code: LiveCode) -> None:
        config = code.config
        sizes = {i: size for i, (_, size) in code.bodies.items() if code.tier(i) != Tier.OPTIMIZED}
        self.plan = OptimizationPlan(sizes, code.hot, config.tier_up == "early")
        self.mode = config.tier_up
        self.compiling: dict[Future[bytes], _Job] = {}
        self.running: Counter[int] = Counter()
        self.loops: list[tuple[int, int]] = []
        self.entered: set[tuple[int, ...]] = set()
        self.translating = False
        self.failures: list[BaseException] = []
        self.since = time.monotonic()
        self._translator: Translator | None = None

    def translator(self, code: LiveCode) -> Translator:
        if self._translator is None:
            # Not at import: with code from the cache there may be nothing to optimise.
            translate = importlib.import_module("jitwasm.frontend.translate")
            self._translator = translate.Translator(code.info, code.config)
        return self._translator

    def is_entering(self, funcidx: int) -> bool:
        """Whether calls of a function are being moved to optimised code."""
        jobs = self.compiling.values()
        return any(job.loop is not None and job.loop.funcidx == funcidx for job in jobs) or any(
            row[0] == funcidx for row in self.loops
        )

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Something is being translated; if that fails, it stays as it is."""
        self.translating = True
        try:
            yield
        except _Stopped:
            raise
        except Exception as error:
            self.failures.append(error)
        finally:
            self.translating = False

    def rest_in(self) -> float | None:
        """Seconds until it is time for what is not hot; None if that is never."""
        if self.mode == "hot" or not self.plan.pending:
            return None
        return max(0.0, self.since + REST_AFTER - time.monotonic())

    @property
    def is_settled(self) -> bool:
        if self.compiling or self.translating or self.loops:
            return False
        return self.plan.is_settled if self.mode == "hot" else not self.plan.pending


class TierUp:
    """The background thread and what it works on."""

    def __init__(self) -> None:
        self._sampler = native().sampler
        self._llvm: LLVMPool | None = None
        self._progress = threading.Condition()
        self._modules: weakref.WeakKeyDictionary[LiveCode, _Module] = weakref.WeakKeyDictionary()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._last_news = 0.0
        atexit.register(self._stop)
        os.register_at_fork(after_in_child=self._after_fork)

    # -- called by anybody ----------------------------------------------------------------------

    def watch(self, code: LiveCode) -> None:
        """See to it that a module's functions are optimised. Called often."""
        if code in self._modules and self._thread is not None:
            return
        with self._progress:
            if self._stopped:
                return
            if code not in self._modules:
                self._modules[code] = _Module(code)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="jitwasm-tierup", daemon=True
                )
                self._thread.start()
        self._sampler.run(SAMPLING_NS)
        self._sampler.wake()

    def settle(self, code: LiveCode, timeout: float | None = None) -> bool:
        """Wait until there is nothing left to do for a module, as far as is known."""
        with self._progress:
            return self._progress.wait_for(
                lambda: (found := self._modules.get(code)) is None or found.is_settled, timeout
            )

    def failures(self, code: LiveCode) -> Sequence[BaseException]:
        """What went wrong with a module's functions."""
        found = self._modules.get(code)
        return found.failures if found is not None else ()

    def _stop(self) -> None:
        self._stopped = True
        self._sampler.run(0)
        self._sampler.wake()
        if self._thread is not None:
            self._thread.join()
        if self._llvm is not None:
            self._llvm.shutdown()

    def _after_fork(self) -> None:
        # The thread is lost; `watch` starts another when there is something to do.
        self._thread = None
        self._progress = threading.Condition()
        self._sampler.reset()
        reset_locks()
        for module in list(self._modules.values()):
            for job in module.compiling.values():
                if job.loop is None:
                    module.plan.give_back(job.funcidxs)
            module.compiling.clear()
            module.translating = False

    # -- the thread -----------------------------------------------------------------------------

    def _work(self) -> None:
        with suppress(_Stopped):
            while True:
                self._sampler.wait(self._patience())
                self._breathe()
                self._evaluate(self._sampler.take())
                self._use_finished()
                while self._submit_next():
                    self._use_finished()
                self._save_settled()
                with self._progress:
                    self._progress.notify_all()

    def _save_settled(self) -> None:
        # Not in `_work`: its variables would keep the last module for as long as it waits.
        for code, module in self._live():
            if module.is_settled:
                code.save()

    def _breathe(self) -> None:
        """Let others have the GIL."""
        time.sleep(PAUSE)
        if self._stopped:
            raise _Stopped

    def _live(self) -> Iterator[tuple[LiveCode, _Module]]:
        yield from list(self._modules.items())

    def _patience(self) -> float | None:
        """How long to wait for samples: until it is time for the rest of some module."""
        left = [rest for _, module in self._live() if (rest := module.rest_in()) is not None]
        interval = SAMPLING_NS
        if not any(module.plan.pending for _, module in self._live()):
            # Calls from before may still be running in old code.
            linger = self._last_news + LINGER - time.monotonic()
            interval = LINGERING_NS if linger > 0 else 0
            if linger > 0:
                left.append(linger)
        self._sampler.run(interval)
        if any(module.compiling for _, module in self._live()):
            return None  # the compiler will wake us
        return max(min(left), 0.001) if left else None

    def _evaluate(self, samples: Sequence[int]) -> None:
        modules = list(self._live())
        for pc in samples:
            for code, module in modules:
                funcidx = code.unoptimized_at(pc)
                if funcidx is not None:
                    self._count(code, module, funcidx, pc)
                    break

    def _count(self, code: LiveCode, module: _Module, funcidx: int, pc: int) -> None:
        if code.tier(funcidx) != Tier.OPTIMIZED:
            module.plan.add_sample(funcidx)
            return
        # A call from before: it will stay in the old code as long as it runs.
        self._last_news = time.monotonic()
        if code.config.fuel is not None or module.is_entering(funcidx):
            return
        module.running[funcidx] += 1
        if module.running[funcidx] >= RUNNING_SAMPLES:
            module.running[funcidx] = 0
            module.loops.append((funcidx, pc))

    def _submit_next(self) -> bool:
        """Give the pool a unit, if it has nothing to do after the present one."""
        busy = sum(len(module.compiling) for _, module in self._live())
        if self._llvm is not None and busy > self._llvm.size:
            return False
        best: tuple[int, LiveCode, _Module] | None = None
        for code, module in self._live():
            if module.loops:
                with module.at_work():
                    self._submit_loop(code, module)
                return True
            hottest = module.plan.hottest()
            heat = hottest[1] if hottest is not None else 0
            if best is None or heat > best[0]:
                seed = module.plan.next_seed(code.called, module.rest_in() == 0)
                if seed is not None:
                    best = heat, code, module
        if best is None:
            return False
        heat, code, module = best
        if heat:
            module.since = time.monotonic()
        with module.at_work():
            self._submit_functions(code, module)
        return True

    def _submit_functions(self, code: LiveCode, module: _Module) -> None:
        functions = list(self._unit(code, module))
        if functions:
            self._compile(code, module, functions)

    def _submit_loop(self, code: LiveCode, module: _Module) -> None:
        """Have the version of a function compiled that begins at a loop in which it is stuck."""
        funcidx, pc = module.loops.pop()
        translator = module.translator(code)
        loop = code.running_loop(pc, translator.loops_around)
        self._breathe()
        if loop is None or (funcidx, *loop.loops) in module.entered:
            return
        module.entered.add((funcidx, *loop.loops))
        no_entry = importlib.import_module("jitwasm.frontend.emit.loopentry").NoLoopEntry
        with suppress(no_entry):
            function = self._translate(code, module, funcidx, loop.loops)
            self._compile(code, module, [function], loop)

    def _compile(
        self,
        code: LiveCode,
        module: _Module,
        functions: Sequence[FunctionIR],
        loop: RunningLoop | None = None,
    ) -> None:
        if self._llvm is None:
            self._llvm = importlib.import_module("jitwasm.llvmpool").LLVMPool()
        future = self._llvm.compile(code.config, functions, code.info.layout)
        module.compiling[future] = _Job(tuple(row.funcidx for row in functions), loop)
        future.add_done_callback(lambda future: self._sampler.wake())

    def _unit(self, code: LiveCode, module: _Module) -> Iterator[FunctionIR]:
        """The next functions to be optimised together, translated."""
        plan, room = module.plan, UNIT_BYTES
        while room > 0:
            seed = plan.next_seed(code.called, module.rest_in() == 0)
            if seed is None or (room < UNIT_BYTES and plan.size(seed) > room):
                return
            queue = [seed]
            room -= plan.take(seed)
            while queue:
                try:
                    function = self._translate(code, module, queue.pop(0))
                except CompileError:
                    if code.config.validation == "eager":
                        raise
                    continue  # whoever calls it is told
                if function.is_out_of_proportion:
                    continue  # it stays as it is
                yield function
                for callee in plan.companions(tuple(function.calls), room):
                    room -= plan.take(callee)
                    queue.append(callee)

    def _translate(
        self, code: LiveCode, module: _Module, funcidx: int, loops: Sequence[int] = ()
    ) -> FunctionIR:
        pieces = module.translator(code).pieces(code.body(funcidx), PIECE, loops)
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                function: FunctionIR = end.value
                return function
            self._breathe()

    def _use_finished(self) -> None:
        for code, module in self._live():
            for future in [future for future in module.compiling if future.done()]:
                job = module.compiling[future]
                self._breathe()
                # Before the code is in use: who sees a function optimised sees why, too.
                code.hot[:] = [i for i, _ in module.plan.samples.most_common()]
                try:
                    if job.loop is not None:
                        code.replace_loop(job.loop, future.result())
                    else:
                        code.install(OptimizedCode(job.funcidxs, future.result()))
                except Exception as error:
                    module.failures.append(error)
                del module.compiling[future]
                self._last_news = time.monotonic()


@functools.cache
def _tier_up() -> TierUp:
    return TierUp()


def _watch(code: LiveCode) -> None:
    _tier_up().watch(code)


def live_code(
    data: bytes,
    info: ModuleInfo,
    config: Config,
    bodies: Mapping[int, tuple[int, int]],
    record: CodeRecord,
) -> LiveCode:
    """The code of a module that is compiled lazily, and optimised as `config.tier_up` says.

    Args: see `LiveCode`.
    """
    watch = None if config.tier_up == "never" else _watch
    return LiveCode(data, info, config, bodies, record, watch)


def settle(code: LiveCode, timeout: float | None = None) -> bool:
    """Wait until nothing is left to be done for a module in the background.

    Returns:
        Whether that is so; False if the time (seconds) was over before.
    """
    return _tier_up().settle(code, timeout)


def failures(code: LiveCode) -> Sequence[BaseException]:
    """Why functions of a module could not be optimised (tests)."""
    return _tier_up().failures(code)
