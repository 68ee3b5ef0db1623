"""Runs the commands of one script against an engine and counts what happens."""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.spec import assembler
from tests.spec.assembler import TextError
from tests.spec.engine import (
    Engine,
    Exhausted,
    Invalid,
    Malformed,
    Outcome,
    Thrown,
    Trapped,
    Unlinkable,
    Unsupported,
)
from tests.spec.script import (
    Action,
    ActionCommand,
    AssertException,
    AssertExhaustion,
    AssertInvalid,
    AssertMalformed,
    AssertReturn,
    AssertTrap,
    AssertUnlinkable,
    Command,
    InstanceCommand,
    ModuleCommand,
    ModuleSource,
    Register,
    ThreadCommand,
    WaitCommand,
)
from tests.spec.values import Pattern, Ref, Value

__all__ = ["Report", "Runner", "run_script"]

THREAD_TIMEOUT = 60.0
_ELEMENT_INDEX = re.compile(r"(?<=element) \d+$")

T = TypeVar("T")


@dataclass
class Report:
    """The outcome of a script.

    Attributes:
        passed: commands that did what they should.
        failures: line and description of each command that did not.
        unsupported: commands the engine's API cannot express.
        text: assertions about malformed *text*: the assembler's business, not the engine's.
        text_accepted: lines of those whose text the assembler accepted.
        messages: line, expected and actual message where a malformed, invalid or unlinkable
            module was refused for a differently worded reason (not a failure).
    """

    passed: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)
    unsupported: int = 0
    text: int = 0
    text_accepted: list[int] = field(default_factory=list)
    messages: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def commands(self) -> int:
        """Commands that say something about the engine."""
        return self.passed + len(self.failures) + self.unsupported

    def add(self, other: Report) -> None:
        """Count `other` in."""
        self.passed += other.passed
        self.failures += other.failures
        self.unsupported += other.unsupported
        self.text += other.text
        self.text_accepted += other.text_accepted
        self.messages += other.messages


class Failure(Exception):
    """A command did not do what it should."""


class Text(Exception):
    """The command is about malformed text; the argument says whether it was refused."""


def run_script(commands: Iterable[Command], engine: Engine) -> Report:
    """Run the commands in order; a failing one does not stop the others."""
    return Runner(engine).run(commands)


class Runner:
    """The state of a script: its instances and definitions by name, and what is registered."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.report = Report()
        self._current: Any = None
        self._instances: dict[str, Any] = {}
        self._definition: Any = None
        self._definitions: dict[str, Any] = {}
        self._registered: dict[str, Any] = {}
        self._threads: dict[str, tuple[threading.Thread, Report]] = {}

    def run(self, commands: Iterable[Command]) -> Report:
        for command in commands:
            self._run_one(command)
        return self.report

    def _run_one(self, command: Command) -> None:
        report = self.report
        try:
            _RUN[type(command)](self, command)
        except Unsupported:
            report.unsupported += 1
        except Text as text:
            report.text += 1
            if not text.args[0]:
                report.text_accepted.append(command.line)
        except (Failure, TextError) as failure:
            report.failures.append((command.line, str(failure)))
        except Outcome as outcome:
            report.failures.append((command.line, f"unexpected {describe(outcome)}"))
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{where.filename}:{where.lineno}"
            report.failures.append(
                (command.line, f"{type(error).__name__} at {place}: {first_line(error)}")
            )
        else:
            report.passed += 1

    # Modules and instances

    def _module(self, command: ModuleCommand) -> None:
        source = command.source
        if source.definition:
            self._definition = None
            self._definition = self.engine.compile(assembler.assemble(source))
            if source.name:
                self._definitions[source.name] = self._definition
            return
        self._current = None
        if source.name:
            self._instances.pop(source.name, None)
        module = self.engine.compile(assembler.assemble(source))
        self._set_current(self._link(module), source.name)

    def _instance(self, command: InstanceCommand) -> None:
        module = self._definitions.get(command.module) if command.module else self._definition
        if module is None:
            raise Failure(f"no module definition {command.module or ''}")
        self._current = None
        self._set_current(self._link(module), command.name)

    def _set_current(self, instance: Any, name: str | None) -> None:
        self._current = instance
        if name:
            self._instances[name] = instance

    def _link(self, module: Any) -> Any:
        if "spectest" not in self._registered:
            self._registered["spectest"] = self.engine.spectest()
        return self.engine.instantiate(module, self._registered)

    def _register(self, command: Register) -> None:
        self._registered.pop(command.as_name, None)
        self._registered[command.as_name] = self._find(command.name)

    def _find(self, name: str | None) -> Any:
        instance = self._instances.get(name) if name else self._current
        if instance is None:
            raise Failure(f"no instance {name or ''}: its module failed")
        return instance

    # Actions

    def _perform(self, action: Action) -> list[Value | Ref]:
        instance = self._find(action.module)
        if action.args is None:
            return [self.engine.get(instance, action.name)]
        return self.engine.invoke(instance, action.name, action.args)

    def _action(self, command: ActionCommand) -> None:
        self._perform(command.action)

    def _assert_return(self, command: AssertReturn) -> None:
        results = self._perform(command.action)
        if not _match(command.results, results):
            raise Failure(f"expected {_show(command.results)}, got {_show(results)}")

    def _assert_trap(self, command: AssertTrap) -> None:
        subject = command.subject
        outcome: Outcome
        if isinstance(subject, ModuleSource):
            module = self.engine.compile(assembler.assemble(subject))
            outcome = self._expect_outcome((Trapped, Exhausted), self._link, module)
        else:
            outcome = self._expect_outcome((Trapped,), self._perform, subject)
        _expect_message(outcome, command.message)

    def _assert_exhaustion(self, command: AssertExhaustion) -> None:
        outcome = self._expect_outcome((Exhausted,), self._perform, command.action)
        _expect_message(outcome, command.message)

    def _assert_exception(self, command: AssertException) -> None:
        self._expect_outcome((Thrown,), self._perform, command.action)

    # Modules that must be refused

    def _assert_invalid(self, command: AssertInvalid) -> None:
        binary = assembler.assemble(command.source)
        outcome = self._expect_outcome((Invalid,), self.engine.compile, binary)
        self._note_message(command.line, command.message, outcome)

    def _assert_malformed(self, command: AssertMalformed) -> None:
        source = command.source
        if source.kind != "binary":
            try:
                assembler.assemble(source)
            except TextError:
                raise Text(True) from None
            raise Text(False)
        outcome = self._expect_outcome((Malformed,), self.engine.compile, source.payload)
        self._note_message(command.line, command.message, outcome)

    def _assert_unlinkable(self, command: AssertUnlinkable) -> None:
        module = self.engine.compile(assembler.assemble(command.source))
        outcome = self._expect_outcome((Unlinkable,), self._link, module)
        self._note_message(command.line, command.message, outcome)

    def _expect_outcome(
        self, kinds: tuple[type[Outcome], ...], operation: Any, argument: Any
    ) -> Outcome:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        try:
            results = operation(argument)
        except Unsupported:
            raise
        except kinds as outcome:
            return outcome
        except Outcome as outcome:
            raise Failure(f"expected {wanted}, got {describe(outcome)}") from None
        got = _show(results) if isinstance(results, list) else "a module or an instance"
        raise Failure(f"expected {wanted}, got {got}")

    def _note_message(self, line: int, expected: str, outcome: Outcome) -> None:
        if expected not in str(outcome):
            self.report.messages.append((line, expected, str(outcome)))

    # Threads

    def _thread(self, command: ThreadCommand) -> None:
        if not self.engine.threads:
            raise Unsupported("threads")
        child = Runner(self.engine)
        for name in command.shared:
            child._instances[name] = self._find(name)
        thread = threading.Thread(target=child.run, args=(command.commands,), daemon=True)
        self._threads[command.name] = (thread, child.report)
        thread.start()

    def _wait(self, command: WaitCommand) -> None:
        if not self.engine.threads:
            raise Unsupported("threads")
        if command.name not in self._threads:
            raise Failure(f"no thread {command.name}: its module failed")
        thread, report = self._threads.pop(command.name)
        thread.join(THREAD_TIMEOUT)
        if thread.is_alive():
            raise Failure(f"thread {command.name} does not end")
        self.report.add(report)


_RUN: dict[type[Command], Any] = {
    ModuleCommand: Runner._module,
    InstanceCommand: Runner._instance,
    Register: Runner._register,
    ActionCommand: Runner._action,
    AssertReturn: Runner._assert_return,
    AssertTrap: Runner._assert_trap,
    AssertExhaustion: Runner._assert_exhaustion,
    AssertException: Runner._assert_exception,
    AssertInvalid: Runner._assert_invalid,
    AssertMalformed: Runner._assert_malformed,
    AssertUnlinkable: Runner._assert_unlinkable,
    ThreadCommand: Runner._thread,
    WaitCommand: Runner._wait,
}


def _match(patterns: Sequence[Pattern], results: Sequence[Value | Ref]) -> bool:
    return len(patterns) == len(results) and all(
        pattern.matches(result) for pattern, result in zip(patterns, results, strict=True)
    )


def _expect_message(outcome: Outcome, expected: str) -> None:
    # The suite's own interpreter compares in this way: the message begins with the expected text.
    # Its texts may end in the index of the element, which engines leave out.
    wanted = _ELEMENT_INDEX.sub("", expected)
    if not any(text.startswith(wanted) for text in outcome.texts):
        raise Failure(f"expected the message {expected!r}, got {first_line(outcome)!r}")


def describe(outcome: Outcome) -> str:
    return f"{type(outcome).__name__}: {first_line(outcome)}"


def first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:300]


def _show(values: Sequence[object]) -> str:
    return f"({', '.join(map(str, values))})"
