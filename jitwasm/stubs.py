"""Type stubs (`.pyi`) for the exports of a module, for editors and type checkers."""

from __future__ import annotations

import keyword
from collections.abc import Mapping

from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.pipeline import Module
from jitwasm.types import F32, F64, I32, I64, V128, DefType, FuncType, GlobalType, ValType

__all__ = ["stub_of"]

_PYTHON_TYPES = {I32: "int", I64: "int", F32: "float", F64: "float", V128: "bytes"}
_OBJECT_TYPES = {"memory": "Memory", "table": "Table", "tag": "Tag"}
_USED = {"int": "builtins", "float": "builtins", "bytes": "builtins", "tuple": "builtins"}


def stub_of(module: Module | ModuleInfo) -> str:
    """The text of the stub file. Exports whose names are not Python identifiers are comments."""
    info = module if isinstance(module, ModuleInfo) else module.info
    taken = {row.name for row in info.exports}
    names = {name: _free(name, taken) for name in (*_USED, "Any", "jitwasm")}
    lines = [f"from typing import {_renamed('Any', names)}", ""]
    lines += [
        f"from {place} import {_renamed(name, names)}"
        for name, place in _USED.items()
        if names[name] != name
    ]
    lines += [f"import {_renamed('jitwasm', names)}", ""]
    for export in info.exports:
        line = _declaration(export.name, export.kind, export.type, names)
        usable = export.name.isidentifier() and not keyword.iskeyword(export.name)
        # The name is any text: escaped, it stays within its comment.
        comment = _declaration(ascii(export.name), export.kind, export.type, names)
        lines.append(line if usable else f"# {comment}")
    return "\n".join(lines) + "\n"


def _free(name: str, taken: set[str]) -> str:
    """A name for what the stub itself uses that no export hides."""
    while name in taken:
        name = f"_{name}"
    return name


def _renamed(name: str, names: Mapping[str, str]) -> str:
    return name if names[name] == name else f"{name} as {names[name]}"


def _declaration(name: str, kind: str, type_: object, names: Mapping[str, str]) -> str:
    if isinstance(type_, DefType) and isinstance(type_.comp, FuncType):
        row = [f"a{i}: {_python(t, names)}" for i, t in enumerate(type_.comp.params)]
        params = ", ".join([*row, "/"] if row else [])
        return f"def {name}({params}) -> {_result(type_.comp, names)}: ..."
    if isinstance(type_, GlobalType):
        return f"{name}: {names['jitwasm']}.Global  # {type_}"
    return f"{name}: {names['jitwasm']}.{_OBJECT_TYPES[kind]}"


def _python(value: ValType, names: Mapping[str, str]) -> str:
    return names[_PYTHON_TYPES.get(value, "Any")]


def _result(type_: FuncType, names: Mapping[str, str]) -> str:
    results = [_python(t, names) for t in type_.results]
    if not results:
        return "None"
    return results[0] if len(results) == 1 else f"{names['tuple']}[{', '.join(results)}]"
