"""Type stubs (`.pyi`) for the exports of a module, for editors and type checkers."""

from __future__ import annotations

import keyword

from jitwasm.pipeline import Module
from jitwasm.types import F32, F64, I32, I64, V128, DefType, FuncType, GlobalType, ValType

__all__ = ["stub_of"]

_PYTHON_TYPES = {I32: "int", I64: "int", F32: "float", F64: "float", V128: "bytes"}
_OBJECT_TYPES = {"memory": "Memory", "table": "Table", "tag": "Tag"}


def stub_of(module: Module) -> str:
    """The text of the stub file. Exports whose names are not Python identifiers are comments."""
    lines = ["from typing import Any", "", "import jitwasm", ""]
    for export in module.exports():
        line = _declaration(export.name, export.kind, export.type)
        usable = export.name.isidentifier() and not keyword.iskeyword(export.name)
        lines.append(line if usable else f"# {line}")
    return "\n".join(lines) + "\n"


def _declaration(name: str, kind: str, type_: object) -> str:
    if isinstance(type_, DefType) and isinstance(type_.comp, FuncType):
        params = "".join(f"a{i}: {_python(t)}, " for i, t in enumerate(type_.comp.params))
        return f"def {name}({params}/) -> {_result(type_.comp)}: ..." if params else (
            f"def {name}() -> {_result(type_.comp)}: ..."
        )
    if isinstance(type_, GlobalType):
        return f"{name}: jitwasm.Global  # {type_}"
    return f"{name}: jitwasm.{_OBJECT_TYPES[kind]}"


def _python(value: ValType) -> str:
    return _PYTHON_TYPES.get(value, "Any")


def _result(type_: FuncType) -> str:
    results = [_python(t) for t in type_.results]
    if not results:
        return "None"
    return results[0] if len(results) == 1 else f"tuple[{', '.join(results)}]"
