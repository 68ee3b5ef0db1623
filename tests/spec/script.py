"""Commands of a `.wast` script (the suite's interpreter/README.md, "Scripts").

A script that begins with module fields instead of commands is one inline module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.spec import sexpr
from tests.spec.sexpr import Form, Node, Quoted, ScriptError
from tests.spec.values import Pattern, Ref, Value, argument, result_pattern

__all__ = [
    "Action",
    "ActionCommand",
    "AssertException",
    "AssertExhaustion",
    "AssertInvalid",
    "AssertMalformed",
    "AssertReturn",
    "AssertTrap",
    "AssertUnlinkable",
    "Command",
    "InstanceCommand",
    "ModuleCommand",
    "ModuleSource",
    "Register",
    "ThreadCommand",
    "WaitCommand",
    "read_script",
]


@dataclass(frozen=True)
class ModuleSource:
    """A module as written: `kind` is text, quote or binary; `name` its `$name`."""

    kind: str
    payload: bytes
    name: str | None = None
    definition: bool = False


@dataclass(frozen=True)
class Action:
    """`(invoke $module "name" args…)`, or `(get $module "name")` where `args` is None."""

    module: str | None
    name: str
    args: tuple[Value | Ref, ...] | None


@dataclass(frozen=True)
class Command:
    """Base of all commands; `line` is where it begins, from 1."""

    line: int


@dataclass(frozen=True)
class ModuleCommand(Command):
    source: ModuleSource


@dataclass(frozen=True)
class InstanceCommand(Command):
    """Instantiate the definition `module` (None: the last one) as `name`."""

    name: str | None
    module: str | None


@dataclass(frozen=True)
class Register(Command):
    """Give instance `name` (None: the last one) to imports as module `as_name`."""

    as_name: str
    name: str | None


@dataclass(frozen=True)
class ActionCommand(Command):
    action: Action


@dataclass(frozen=True)
class AssertReturn(Command):
    action: Action
    results: tuple[Pattern, ...]


@dataclass(frozen=True)
class AssertTrap(Command):
    """The action, or the instantiation of the module, traps with a message."""

    subject: Action | ModuleSource
    message: str


@dataclass(frozen=True)
class AssertExhaustion(Command):
    action: Action
    message: str


@dataclass(frozen=True)
class AssertException(Command):
    action: Action


@dataclass(frozen=True)
class AssertInvalid(Command):
    source: ModuleSource
    message: str


@dataclass(frozen=True)
class AssertMalformed(Command):
    source: ModuleSource
    message: str


@dataclass(frozen=True)
class AssertUnlinkable(Command):
    source: ModuleSource
    message: str


@dataclass(frozen=True)
class ThreadCommand(Command):
    """Run `commands` in a thread that shares only the instances named in `shared`."""

    name: str
    shared: tuple[str, ...]
    commands: tuple[Command, ...] = field(repr=False)


@dataclass(frozen=True)
class WaitCommand(Command):
    name: str


def read_script(source: bytes) -> list[Command]:
    """The commands of a script."""
    return _Reader(source).commands()


class _Reader:
    def __init__(self, source: bytes) -> None:
        self._source = source
        self._lines = sexpr.Line(source)

    def commands(self) -> list[Command]:
        forms = sexpr.parse(self._source)
        if forms and forms[0].head not in _COMMANDS:
            text = b"(module " + self._source + b"\n)"
            line = self._lines.at(forms[0].start)
            return [ModuleCommand(line, ModuleSource("text", text))]
        return [self._command(form) for form in forms]

    def _command(self, form: Form) -> Command:
        try:
            read = _COMMANDS[form.head]
        except KeyError:
            raise ScriptError(
                f"line {self._lines.at(form.start)}: unknown command {form.head!r}"
            ) from None
        return read(self, self._lines.at(form.start), form)

    def _module(self, line: int, form: Form) -> Command:
        rest = form[1:]
        if rest[:1] == ["instance"]:
            names = [*_identifiers(rest[1:]), None, None]
            return InstanceCommand(line, names[0], names[1])
        return ModuleCommand(line, self._module_source(form))

    def _module_source(self, form: Form) -> ModuleSource:
        if form.head != "module":
            raise ScriptError(f"line {self._lines.at(form.start)}: a module is expected")
        rest = form[1:]
        definition = rest[:1] == ["definition"]
        if definition:
            rest = rest[1:]
        name = None
        if rest and isinstance(rest[0], str) and rest[0].startswith("$"):
            name, rest = rest[0], rest[1:]
        if rest and rest[0] in ("binary", "quote"):
            kind = str(rest[0])
            separator = b"\n" if kind == "quote" else b""
            payload = separator.join(node for node in rest[1:] if isinstance(node, Quoted))
            return ModuleSource(kind, payload, name, definition)
        text = self._source[form.start : form.end]
        if definition:
            text = text.replace(b"definition", b"", 1)
        return ModuleSource("text", text, name, definition)

    def _register(self, line: int, form: Form) -> Command:
        names = _identifiers(form[2:])
        return Register(line, _text(form[1]), names[0] if names else None)

    def _action_command(self, line: int, form: Form) -> Command:
        return ActionCommand(line, _action(form))

    def _assert_return(self, line: int, form: Form) -> Command:
        patterns = tuple(result_pattern(_form(node)) for node in form[2:])
        return AssertReturn(line, _action(_form(form[1])), patterns)

    def _assert_trap(self, line: int, form: Form) -> Command:
        subject = _form(form[1])
        if subject.head == "module":
            return AssertTrap(line, self._module_source(subject), _text(form[2]))
        return AssertTrap(line, _action(subject), _text(form[2]))

    def _assert_exhaustion(self, line: int, form: Form) -> Command:
        return AssertExhaustion(line, _action(_form(form[1])), _text(form[2]))

    def _assert_exception(self, line: int, form: Form) -> Command:
        return AssertException(line, _action(_form(form[1])))

    def _assert_invalid(self, line: int, form: Form) -> Command:
        return AssertInvalid(line, self._module_source(_form(form[1])), _text(form[2]))

    def _assert_malformed(self, line: int, form: Form) -> Command:
        return AssertMalformed(line, self._module_source(_form(form[1])), _text(form[2]))

    def _assert_unlinkable(self, line: int, form: Form) -> Command:
        return AssertUnlinkable(line, self._module_source(_form(form[1])), _text(form[2]))

    def _thread(self, line: int, form: Form) -> Command:
        (name,) = _identifiers(form[1:2])
        shared: list[str] = []
        commands: list[Command] = []
        for node in form[2:]:
            inner = _form(node)
            if inner.head == "shared":
                shared += [_identifiers(_form(module)[1:])[0] for module in inner[1:]]
            else:
                commands.append(self._command(inner))
        return ThreadCommand(line, name, tuple(shared), tuple(commands))

    def _wait(self, line: int, form: Form) -> Command:
        (name,) = _identifiers(form[1:])
        return WaitCommand(line, name)


_COMMANDS = {
    "module": _Reader._module,
    "register": _Reader._register,
    "invoke": _Reader._action_command,
    "get": _Reader._action_command,
    "assert_return": _Reader._assert_return,
    "assert_trap": _Reader._assert_trap,
    "assert_exhaustion": _Reader._assert_exhaustion,
    "assert_exception": _Reader._assert_exception,
    "assert_invalid": _Reader._assert_invalid,
    "assert_malformed": _Reader._assert_malformed,
    "assert_unlinkable": _Reader._assert_unlinkable,
    "thread": _Reader._thread,
    "wait": _Reader._wait,
}


def _action(form: Form) -> Action:
    rest = form[1:]
    module = None
    if rest and isinstance(rest[0], str) and rest[0].startswith("$"):
        module, rest = rest[0], rest[1:]
    if form.head == "get":
        return Action(module, _text(rest[0]), None)
    if form.head != "invoke":
        raise ScriptError(f"unknown action {form.head!r}")
    args = tuple(argument(_form(node)) for node in rest[1:])
    return Action(module, _text(rest[0]), args)


def _form(node: Node) -> Form:
    if not isinstance(node, Form):
        raise ScriptError(f"a form is expected, not {node!r}")
    return node


def _text(node: Node) -> str:
    if not isinstance(node, Quoted):
        raise ScriptError(f"a string is expected, not {node!r}")
    return node.decode()


def _identifiers(nodes: Sequence[Node]) -> list[str]:
    for node in nodes:
        if not isinstance(node, str) or not node.startswith("$"):
            raise ScriptError(f"an identifier is expected, not {node!r}")
    return [str(node) for node in nodes]
