"""The ways to compile and run that modules go through."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jitwasm
from jitwasm import tierchoice, tierup
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.units import unit_text
from jitwasm.frontend.emit.loopentry import NoLoopEntry
from jitwasm.frontend.translate import Translator
from jitwasm.ir import FunctionIR
from jitwasm.livecode import LiveCode

__all__ = ["TIERS", "Tier", "caller_config", "compile_module", "settle", "tiers_of"]

LOOP = 0x03
SETTLE = 60.0
"""Seconds in which the background compiler finishes a small module on a loaded machine."""


@dataclass(frozen=True)
class Tier:
    """A way of compiling and running.

    Attributes:
        lazy: compile functions when they are first called, however small the module is.
        precise: whether memory accesses out of bounds trap in order with everything else.
        cached: compile twice, so that the second time the code comes from the disk; a module that
            looks the same up to its code goes first.
        leaving: whether every call goes on in optimised code at the first loop it comes to.
    """

    config: jitwasm.Config
    lazy: bool = False
    precise: bool = True
    cached: bool = False
    leaving: bool = False

    @property
    def settles(self) -> bool:
        """Whether functions are optimised while they run."""
        return self.config.tier == "auto" and self.config.tier_up == "early"

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, small modules are compiled lazily, if that is the way."""
        before = tierchoice.EAGER_BYTES
        if self.lazy:
            tierchoice.EAGER_BYTES = 0
        try:
            yield
        finally:
            tierchoice.EAGER_BYTES = before


def _config(**options: Any) -> jitwasm.Config:
    return jitwasm.Config(threads=1, cache=False, **options)


def _optimized(level: int, precise: bool = False, **options: Any) -> Tier:
    return Tier(_config(tier="optimized", opt_level=level, **options), precise=precise)


_LAZY = _config(tier="auto", tier_up="never")
_EARLY = _config(tier="auto", tier_up="early")
FUEL = 3000

TIERS: dict[str, Tier] = {
    "baseline": Tier(_config(tier="baseline")),
    "baseline, explicit bounds": Tier(
        _config(tier="baseline", bounds="explicit", host_calls="ctypes")
    ),
    "lazy": Tier(_LAZY, lazy=True),
    "tier-up": Tier(_EARLY, lazy=True, precise=False),
    "loops": Tier(_LAZY, lazy=True, precise=False, leaving=True),
    "O0": _optimized(0),
    "O2": _optimized(2),
    "O2, strict": _optimized(2, strict=True, precise=True, host_calls="ctypes"),
    "O2, explicit bounds": _optimized(2, bounds="explicit", precise=True, portable_ir=True),
    "O3": _optimized(3, release_gil=True),
    "O1": _optimized(1, verify_ir=True),
    "fuel, baseline": Tier(_config(tier="baseline", fuel=FUEL)),
    "fuel, O2": _optimized(2, fuel=FUEL, precise=True),
    "fuel, tier-up": Tier(replace(_EARLY, fuel=FUEL), lazy=True),
    "cached, baseline": Tier(replace(_LAZY, cache=True), lazy=True, cached=True),
    "cached, tier-up": Tier(replace(_EARLY, cache=True), lazy=True, precise=False, cached=True),
    "cached, O0": Tier(
        replace(_config(tier="optimized", opt_level=0), cache=True), precise=False, cached=True
    ),
}
"""All ways to compile; `TURNS` says which of them a module does not go through."""

TURNS: tuple[tuple[str, ...], ...] = (
    ("lazy", "O0"),
    ("baseline, explicit bounds", "O2, strict"),
    ("O2, explicit bounds",),
    ("fuel, baseline", "fuel, O2"),
    ("O3",),
    ("cached, baseline", "cached, O0"),
    ("O1", "lazy"),
    ("fuel, baseline", "fuel, tier-up"),
    ("cached, tier-up", "O0"),
    ("loops",),
    ("loops",),
)
"""Tiers that take turns; every module goes through all others."""


def tiers_of(seed: int) -> list[str]:
    """The tiers that the module of a seed goes through."""
    in_turn = {name for names in TURNS for name in names}
    now = TURNS[seed % len(TURNS)]
    return [name for name in TIERS if name not in in_turn or name in now]


def caller_config(tier: Tier) -> jitwasm.Config:
    """For code that calls code of a tier: another tier, so that they call each other."""
    return TIERS["O0" if tier.config.tier == "baseline" else "baseline"].config


def compile_module(binary: bytes, tier: Tier) -> jitwasm.Module:
    """The module, from the disk if that is the way."""
    with tier.applied():
        if not tier.cached:
            module = jitwasm.Module(binary, tier.config)
            if tier.leaving:
                _replace_loops(module)
            return module
        config = replace(tier.config, cache=_folder(), cache_size=8 << 20)
        twin = _twin(binary)
        if twin is not None:
            _compile_and_save(twin, config)
        _compile_and_save(binary, config)
        return jitwasm.Module(binary, config)


def _compile_and_save(binary: bytes, config: jitwasm.Config) -> None:
    module = jitwasm.Module(binary, config)
    settle(module)
    code = _all_compiled(module)
    if code is not None:
        code.save()


def _all_compiled(module: jitwasm.Module) -> LiveCode | None:
    """The live code of a module, after all of its functions have been compiled."""
    code = module._parts.lazy
    if not isinstance(code, LiveCode):
        return None
    module.image()
    for funcidx in code.bodies:
        code._compile(funcidx)
    return code


def _replace_loops(module: jitwasm.Module) -> None:
    """Do at once, at every loop, what the background compiler does where a call is stuck."""
    code = _all_compiled(module)
    if code is None:
        return
    translator = Translator(code.info, module.config)
    for place, funcidx in enumerate(code.bodies):
        body, start = code.body(funcidx), code._codes[place]
        for offset, position in code._compilers.positions(body):
            if body.body[position] != LOOP:
                continue
            loop = code.running_loop(start + offset, translator.loops_around)
            if loop is None or loop.loops[-1] != position:
                continue
            with contextlib.suppress(NoLoopEntry):
                function = _drained(translator.pieces(body, 1 << 20, loop.loops))
                text = unit_text([function], code.info.layout)
                code.replace_loop(loop, compile_unit(text, host_target(2), True))


def _drained(pieces: Generator[None, None, FunctionIR]) -> FunctionIR:
    results: list[FunctionIR] = []

    def run() -> Iterator[None]:
        results.append((yield from pieces))

    for _ in run():
        pass
    return results[0]


def _twin(binary: bytes) -> bytes | None:
    """A valid module that differs in one byte near the end of its code, if there is one."""
    for place in range(len(binary) - 2, max(len(binary) - 60, 8), -1):
        other = binary[:place] + bytes([binary[place] ^ 1]) + binary[place + 1 :]
        if jitwasm.validate(other):
            return other
    return None


def settle(module: jitwasm.Module) -> None:
    """Wait until a module that is optimised in the background is.

    Raises:
        AssertionError: something went wrong with one of its functions.
    """
    code = module._parts.lazy
    if isinstance(code, LiveCode) and module.config.tier_up == "early":
        assert tierup.settle(code, SETTLE), "the background compiler does not finish"
        failures = tierup.failures(code)
        assert not failures, failures


@lru_cache(maxsize=1)
def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="fuzz-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
