"""What is done with a module, and what came of it.

A plan follows from a seed and the module's exports alone. Each engine carries it out by itself and
gives a trace; comparing traces is another matter (compare.py). A session is one instance, with
everything done to it: its state is carried from step to step, also after traps.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jitwasm
from tests.fuzz.engines import Failed, Ours, Peer, Resources, attempt, seeded
from tests.fuzz.environment import Host, interesting
from tests.fuzz.forwarding import forwarding_module
from tests.spec.engine import Exhausted, Outcome
from tests.spec.values import Ref, Value

__all__ = ["Plan", "Record", "Step", "ends", "make_plan", "run_session"]

SESSIONS = 2
STEPS = 9
DEADLINE = 20.0
"""Seconds for a call that ends within wasmtime's fuel: only a hang takes that long."""


@dataclass(frozen=True)
class Step:
    """One thing done to an instance.

    Attributes:
        action: "call" an export, "forward": call it from another module, "grow" a memory, "set" a
            global, "clear" an element of a table.
        name: of the export.
        args: of the call, or the value.
    """

    action: str
    name: str
    args: tuple[Value | Ref | int, ...] = ()

    def __str__(self) -> str:
        return f"{self.action} {self.name!r}({', '.join(map(str, self.args))})"


@dataclass(frozen=True)
class Plan:
    """All sessions of a module; `forwarding` is the module that calls it from outside."""

    seed: str
    sessions: tuple[tuple[Step, ...], ...]
    forwarding: bytes
    reentered: tuple[Step, ...]


@dataclass(frozen=True)
class Record:
    """What a step did: its outcome or results, the host's log, and all of the state after it.

    Attributes:
        outcomes: how calls of the module by the host ended, where not with results.
    """

    step: str
    result: Any
    log: tuple[Any, ...]
    state: dict[str, Any]
    outcomes: tuple[Outcome, ...] = ()


def make_plan(seed: str, exports: Sequence[jitwasm.ExportDescriptor]) -> Plan:
    """The plan of a module with these exports."""
    source = seeded("plan", seed)
    forwarding, forwards = forwarding_module(exports)
    callable_ = [
        (row.name, [str(t) for t in row.type.params])
        for row in exports
        if isinstance(row.type, jitwasm.FuncType)
    ]
    calls = [("call", *row) for row in callable_] + [("forward", *row) for row in forwards]
    sessions = []
    for number in range(SESSIONS):
        steps = []
        if number == 0:
            chosen = callable_ if len(callable_) <= STEPS else source.sample(callable_, STEPS)
            steps = [_call(source, exports, "call", *row) for row in chosen]
        else:
            for _ in range(STEPS):
                if calls and source.random() < 0.8:
                    steps.append(_call(source, exports, *source.choice(calls)))
                else:
                    steps.append(_change(source, exports))
        sessions.append(tuple(step for step in steps if step is not None))
    simple = [row for row in callable_ if len(row[1]) < 4]
    reentered = [_call(source, exports, "call", *row) for row in simple[:4]]
    return Plan(
        seed, tuple(sessions), forwarding, tuple(step for step in reentered if step is not None)
    )


def _call(
    source: random.Random, exports: Sequence[Any], action: str, name: str, params: list[str]
) -> Step | None:
    args = [_argument(source, exports, type_) for type_ in params]
    return None if None in args else Step(action, name, tuple(a for a in args if a is not None))


def _argument(source: random.Random, exports: Sequence[Any], type_: str) -> Value | Ref | None:
    """An argument of this type; None where there is none to be had."""
    if type_ in ("i32", "i64", "f32", "f64", "v128"):
        return interesting(source, type_)
    if type_ == "externref":
        return source.choice((Ref("null", "extern"), Ref("extern", source.randrange(9))))
    if type_ == "funcref":
        functions = [row.name for row in exports if row.kind == "function"]
        return source.choice((Ref("null", "func"), Ref("func", source.choice(functions))))
    if type_.startswith("(ref null "):
        return Ref("null", "extern" if "extern" in type_ else "func")
    return None


def _change(source: random.Random, exports: Sequence[jitwasm.ExportDescriptor]) -> Step | None:
    rows = [row for row in exports if row.kind in ("memory", "global", "table")]
    if not rows:
        return None
    row = source.choice(rows)
    if isinstance(row.type, jitwasm.MemoryType):
        return Step("grow", row.name, (source.choice((0, 1, 1, 2, 70_000)),))
    if isinstance(row.type, jitwasm.GlobalType):
        type_ = str(row.type.value)
        if not row.type.mutable or type_ not in ("i32", "i64", "f32", "f64", "v128"):
            return None
        return Step("set", row.name, (interesting(source, type_),))
    assert isinstance(row.type, jitwasm.TableType)
    if not row.type.element.nullable:
        return None
    return Step("clear", row.name, (source.choice((0, 1, 2, 3, 5, 1000)),))


class Session:
    """One instance of the module on one engine, with the environment and the forwarding module."""

    def __init__(self, engine: Ours | Peer, modules: dict[str, Any], plan: Plan) -> None:
        self.engine: Any = engine
        self.modules = modules
        self.plan = plan
        self.instances: dict[str, Any] = {}
        self.ended: Outcome | None = None
        self.outcomes: list[Outcome] = []

    def start(self) -> None:
        """Instantiate everything. Raises Outcome."""
        engine = self.engine
        self.instances["env"] = engine.environment(self.modules["env"])
        imports = dict(self.instances)
        if isinstance(engine, Ours):
            imports["host"] = engine.host_namespace()
        made = engine.instantiate(self.modules["call"], imports)
        self.instances["call"] = engine.functions_of = made
        given = {"a": self.instances["call"]}
        self.instances["forward"] = engine.instantiate(self.modules["forward"], given)
        engine.host.reenter = self._reenter

    def _reenter(self, source: random.Random) -> str | None:
        if not self.plan.reentered:
            return None
        step = source.choice(self.plan.reentered)
        result = attempt(self._call, step)
        if ends(result):
            self.ended = result
        if isinstance(result, Outcome):
            self.outcomes.append(result)
        return f"{step}: {shown(result)}"

    def _call(self, step: Step) -> Any:
        return self.engine.invoke(self.instances[step.action], step.name, step.args)

    def do(self, step: Step) -> Any:
        """The step's results, or the Outcome it ended with.

        Where the host's call of the module ran out of something, that is the outcome, although
        the host and its caller went on.
        """
        result = self._done(step)
        return self.ended or result

    def _done(self, step: Step) -> Any:
        if step.action in ("call", "forward"):
            return attempt(self._call, step)
        change = {
            "grow": self.engine.grow_memory,
            "set": self.engine.set_global,
            "clear": self.engine.clear_element,
        }[step.action]
        return attempt(change, self.instances["call"], step.name, *step.args)

    def state(self, keep: bool, last: bool) -> dict[str, Any]:
        """Everything that can be seen from outside; of the environment only at the end."""
        found = {}
        for name in ("call", "env") if last else ("call",):
            if name in self.instances:
                rows = self.engine.state(self.instances[name], keep)
                found.update({f"{name} {row}": value for row, value in rows.items()})
        return found


def ends(result: Any) -> bool:
    """Whether nothing can be compared from here on: stacks need not be equally deep, fuel is
    wasmtime's alone, and so is its memory.
    """
    return isinstance(result, (Exhausted, Resources)) or (
        isinstance(result, Outcome) and any("fuel" in text for text in result.texts)
    )


def shown(result: Any) -> str:
    """A result or an outcome as text, the same for the same thing on both engines."""
    if isinstance(result, Failed):
        return "host failure"
    if isinstance(result, Outcome):
        return type(result).__name__
    return ", ".join(map(str, result)) if isinstance(result, list) else str(result)


def run_session(
    engine: Ours | Peer,
    modules: dict[str, Any],
    plan: Plan,
    number: int,
    keep: bool = False,
    steps: int | None = None,
) -> list[Record]:
    """Carry out a session. `steps` stops before that step; `keep` keeps memories' contents."""
    engine.host = host = _host(engine, plan, number)
    session = Session(engine, modules, plan)
    records: list[Record] = []

    todo = plan.sessions[number][:steps]

    def record(text: str, result: Any, last: bool) -> None:
        log, host.log = tuple(host.log), []
        outcomes, session.outcomes = tuple(session.outcomes), []
        records.append(Record(text, result, log, session.state(keep, last), outcomes))

    with jitwasm.deadline(DEADLINE):
        result = attempt(session.start)
    record("instantiation", result, not todo)
    if isinstance(result, Outcome):
        return records
    for step in todo:
        if isinstance(engine, Peer):
            engine.refuel()
        with jitwasm.deadline(DEADLINE):
            result = session.do(step)
        record(str(step), result, step is todo[-1])
    return records


def _host(engine: Ours | Peer, plan: Plan, number: int) -> Host:
    host: Host = engine.host
    host.seed = f"{plan.seed} {number}"
    return host
