"""One module on every tier and on wasmtime."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jitwasm
from jitwasm.abi import MEMORY32_MOST, MEMORY64_RESERVED
from jitwasm.types import I64
from tests.fuzz.compare import agreement, difference
from tests.fuzz.engines import Ours, Peer, attempt, environment_module
from tests.fuzz.environment import Host
from tests.fuzz.modules import Generated, validates
from tests.fuzz.sessions import SESSIONS, Plan, Record, ends, make_plan, run_session
from tests.fuzz.tiers import TIERS, Tier, caller_config, compile_module, settle
from tests.spec.engine import Outcome

__all__ = ["Finding", "check", "our_modules", "peer_modules"]


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
_LANESELECT = re.compile(rb"\xfd[\x89-\x8c]\x02")
"""Those for which there are more choices than the two that wasmtime can be made to take."""


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
        compiled = jitwasm.Module(module.binary, TIERS["baseline"].config)
        self.plan = make_plan(seed, compiled.exports())
        self.most = _most_bytes(compiled)
        self.metered: dict[int, list[Record]] = {}
        self.traces: dict[int, tuple[list[Record], int]] = {}

    def compare(self, name: str, progress: Progress, keep: bool) -> str | None:
        tier = TIERS[name]
        modules = our_modules(self.module.binary, self.plan, tier)
        for number in range(SESSIONS):
            if number:
                settle(modules["call"])  # the first session runs while it is optimised
            progress(f"{name}: session {number}")
            theirs, comparable = self._trace(number, keep)
            steps = _endless(theirs)
            engine = Ours(tier.config, Host(""))
            with tier.applied():
                mine = run_session(engine, modules, self.plan, number, keep, steps)
            nans = not self.module.canonical
            found = difference(mine, theirs, tier.precise, comparable, nans=nans)
            if not found and tier.config.fuel is not None:
                other = self.metered.setdefault(number, mine)
                found = difference(mine, other, True, comparable, alike=True, nans=nans)
            if found:
                return f"session {number}, {found}"
        return None

    def _trace(self, number: int, keep: bool) -> tuple[list[Record], int]:
        if number not in self.traces:
            trace = self._run(number, keep, canonical=False)
            comparable = len(trace)
            if _LANESELECT.search(self.module.binary):
                comparable = 0
            elif not self.module.canonical or _RELAXED.search(self.module.binary):
                comparable = agreement(trace, self._run(number, keep, canonical=True))
            self.traces[number] = trace, comparable
        return self.traces[number]

    def _run(self, number: int, keep: bool, canonical: bool) -> list[Record]:
        modules = peer_modules(self.module.binary, self.plan, canonical)
        peer = Peer(canonical, Host(""), self.most)
        return run_session(peer, modules, self.plan, number, keep)


def _most_bytes(module: jitwasm.Module) -> int:
    """What memories may grow to: 32-bit ones lack their last page if none asks for it."""
    for row in module.info.memories:
        if row.addr is I64 or row.limits.minimum * row.page_size > MEMORY32_MOST:
            return MEMORY64_RESERVED
    return MEMORY32_MOST


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
        if ends(record.result):
            return max(i - 1, 0)
    return None


def our_modules(binary: bytes, plan: Plan, tier: Tier) -> dict[str, Any]:
    """What a session wants, compiled by us."""
    with tier.applied():
        environment = environment_module(_our_compiler(tier.config))
    return {
        "env": environment,
        "call": compile_module(binary, tier),
        "forward": jitwasm.Module(plan.forwarding, caller_config(tier)),
    }


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
