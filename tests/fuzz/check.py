"""One module on every tier and on wasmtime."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jitwasm
from jitwasm import tiers
from tests.fuzz.compare import agreement, difference
from tests.fuzz.engines import Ours, Peer, Resources, attempt, environment_module
from tests.fuzz.environment import Host
from tests.fuzz.modules import Generated, validates
from tests.fuzz.sessions import SESSIONS, Plan, Record, make_plan, run_session
from tests.spec.engine import Exhausted, Outcome

__all__ = ["TIERS", "Finding", "Tier", "check", "our_modules", "peer_modules", "tiers_of"]


@dataclass(frozen=True)
class Tier:
    """A way of compiling and running.

    Attributes:
        lazy: compile functions when they are first called, however small the module is.
        precise: whether memory accesses out of bounds trap in order with everything else.
    """

    config: jitwasm.Config
    lazy: bool = False
    precise: bool = True


def _optimized(level: int, precise: bool = False, **options: Any) -> Tier:
    config = jitwasm.Config(tier="optimized", opt_level=level, threads=1, **options)
    return Tier(config, precise=precise)


TIERS: dict[str, Tier] = {
    "baseline": Tier(jitwasm.Config(tier="baseline", threads=1)),
    "baseline, explicit bounds": Tier(
        jitwasm.Config(tier="baseline", bounds="explicit", host_calls="ctypes", threads=1)
    ),
    "lazy": Tier(jitwasm.Config(tier="auto", threads=1), lazy=True),
    "O0": _optimized(0),
    "O2": _optimized(2),
    "O2, strict": _optimized(2, strict=True, precise=True, host_calls="ctypes"),
    "O2, explicit bounds": _optimized(2, bounds="explicit", precise=True, portable_ir=True),
    "O3": _optimized(3, release_gil=True),
    "O1": _optimized(1, verify_ir=True),
}
"""All ways to compile; `TURNS` says which of them a module does not go through."""

_CALLERS = {
    "optimized": TIERS["baseline"].config,
    "baseline": TIERS["O0"].config,
    "auto": TIERS["baseline"].config,
}

TURNS = ("O2, strict", "O2, explicit bounds", "O3", "O1", "O2, explicit bounds")
"""Tiers that take turns; every module goes through all others."""


@dataclass(frozen=True)
class Finding:
    """A module that behaves differently.

    Attributes:
        kind: "validity", "results" or "error".
    """

    kind: str
    tier: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.tier}): {self.text}"


_RELAXED = re.compile(rb"\xfd[\x80-\x94]\x02")
"""Relaxed vector instructions, or bytes that look like one."""


def tiers_of(seed: int) -> list[str]:
    """The tiers that the module of a seed goes through."""
    return [name for name in TIERS if name not in TURNS or name == TURNS[seed % len(TURNS)]]


Progress = Callable[[str], None]


def check(
    module: Generated,
    seed: str,
    names: list[str],
    progress: Progress = lambda text: None,
    keep: bool = False,
) -> list[Finding]:
    """Everything that differs between jitwasm's tiers and wasmtime.

    Args:
        names: the tiers.
        progress: is told what is begun, so that a crash can be blamed.
        keep: keep the contents of memories, for clearer texts.
    """
    progress("wasmtime: compile")
    theirs = attempt(_peer(False).compile, module.binary)
    progress("validate")
    mine = jitwasm.validate(module.binary)
    valid = not isinstance(theirs, Outcome)
    if mine != valid:
        if mine == validates(module.binary):
            return []  # wasmtime has limits of its own
        return [Finding("validity", "validate", f"jitwasm {mine}, wasmtime {valid}: {theirs}")]
    if not valid:
        return []
    peers = Traces(module, seed)
    findings = []
    for name in names:
        progress(f"{name}: compile")
        try:
            text = peers.compare(name, progress, keep)
        except jitwasm.CompileError as error:
            text = f"does not compile: {error}"
        except Exception as error:
            findings.append(Finding("error", name, f"{type(error).__name__}: {error}"))
            continue
        if text:
            findings.append(Finding("results", name, text))
    return findings


class Traces:
    """wasmtime's traces of a valid module, made once."""

    def __init__(self, module: Generated, seed: str) -> None:
        self.module = module
        exports = jitwasm.Module(module.binary, TIERS["baseline"].config).exports()
        self.plan = make_plan(seed, exports)
        self.traces: dict[int, tuple[list[Record], int]] = {}

    def compare(self, name: str, progress: Progress, keep: bool) -> str | None:
        tier = TIERS[name]
        modules = our_modules(self.module.binary, self.plan, tier)
        for number in range(SESSIONS):
            progress(f"{name}: session {number}")
            theirs, comparable = self._trace(number, keep)
            steps = _endless(theirs)
            with _laziness(tier):
                mine = run_session(
                    Ours(tier.config, Host("")), modules, self.plan, number, keep, steps
                )
            found = difference(mine, theirs, tier.precise, comparable)
            if found:
                return f"session {number}, {found}"
        return None

    def _trace(self, number: int, keep: bool) -> tuple[list[Record], int]:
        if number not in self.traces:
            trace = self._run(number, keep, canonical=False)
            comparable = len(trace)
            if not self.module.canonical or _RELAXED.search(self.module.binary):
                comparable = agreement(trace, self._run(number, keep, canonical=True))
            self.traces[number] = trace, comparable
        return self.traces[number]

    def _run(self, number: int, keep: bool, canonical: bool) -> list[Record]:
        modules = peer_modules(self.module.binary, self.plan, canonical)
        return run_session(_peer(canonical), modules, self.plan, number, keep)


def peer_modules(binary: bytes, plan: Plan, canonical: bool) -> dict[str, Any]:
    """What a session wants, compiled by wasmtime."""
    engine = _peer(canonical)
    return {
        "env": environment_module(_compiler(canonical)),
        "call": engine.compile(binary),
        "forward": engine.compile(plan.forwarding),
    }


def _endless(trace: list[Record]) -> int | None:
    """The step at which wasmtime ran out of fuel or stack: ours stops before it."""
    for i, record in enumerate(trace):
        if isinstance(record.result, (Exhausted, Resources)) or "fuel" in str(record.result):
            return max(i - 1, 0)
    return None


def our_modules(binary: bytes, plan: Plan, tier: Tier) -> dict[str, Any]:
    """What a session wants, compiled by us."""
    with _laziness(tier):
        return {
            "env": environment_module(_our_compiler(tier.config)),
            "call": jitwasm.Module(binary, tier.config),
            # The code that calls is of another tier, so that the tiers call each other.
            "forward": jitwasm.Module(plan.forwarding, _CALLERS[tier.config.tier]),
        }


@contextlib.contextmanager
def _laziness(tier: Tier) -> Iterator[None]:
    if not tier.lazy:
        yield
        return
    from jitwasm import pipeline

    before = tiers.EAGER_BYTES, pipeline.OPTIMIZED_CODE_BYTES
    tiers.EAGER_BYTES = pipeline.OPTIMIZED_CODE_BYTES = 0
    try:
        yield
    finally:
        tiers.EAGER_BYTES, pipeline.OPTIMIZED_CODE_BYTES = before


_compilers: dict[Any, Any] = {}


def _our_compiler(config: jitwasm.Config) -> Any:
    made = _compilers.get(config)
    if made is None:
        made = _compilers[config] = lambda binary: jitwasm.Module(binary, config)
    return made


def _compiler(canonical: bool) -> Any:
    made = _compilers.get(canonical)
    if made is None:
        made = _compilers[canonical] = lambda binary: _peer(canonical).compile(binary)
    return made


def _peer(canonical: bool) -> Peer:
    return Peer(canonical, Host(""))
