"""The shape of the source: which module may import which, and how large things may grow.

    leaves  <-  frontend || backend  <-  runtime objects  <-  pipeline  <-  API  <-  command line

The frontend and the backend meet only as plain data: neither imports the other.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "jitwasm"

LEAVES = (
    "types",
    "trapcodes",
    "errors",
    "config",
    "abi",
    "libcalls",
    "ir",
    "digests",
    "diskcache",
    "records",
    "version",
    "weaktable",
)
PIPELINE = (
    "positions",
    "aot",
    "codecache",
    "compilation",
    "livecode",
    "llvmpool",
    "llvmtier",
    "optimization",
    "pipeline",
    "recovery",
    "storedcode",
    "tierchoice",
    "tiers",
    "tierup",
)
API = (
    "asyncexport",
    "benchmark",
    "fetcher",
    "importer",
    "promise",
    "responses",
    "sources",
    "streaming",
    "stubs",
    "wasi",
    "webassembly",
)
COMMAND_LINE = ("__init__", "__main__", "cli")
# Every other module directly in the package is a runtime object.

FRONTEND_DATA = ("frontend.moduleinfo", "frontend.constexpr", "frontend.names")
"""What runtime objects may know of the frontend: the decoded module."""

DATA_TABLES = ("frontend/opcodes.py", "frontend/opcodes_simd.py")
"""Files of rows: as long as the instruction set."""

MAX_FILE = 600
MAX_FUNCTION = 60
VAGUE_NAMES = ("base", "common", "handler", "helpers", "manager", "misc", "util", "utils")
_LAYERS = ("leaf", "half", "runtime", "pipeline", "api", "command line")


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


FILES = [path.relative_to(PACKAGE).as_posix() for path in _files()]


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse((PACKAGE / name).read_text(encoding="utf-8"))


def _module(name: str) -> str:
    """`frontend/stream.py` -> `frontend.stream`; a package's `__init__` keeps its name."""
    return name.removesuffix(".py").replace("/", ".")


MODULES = {_module(name) for name in FILES}


def _layer(module: str) -> str:
    head = module.split(".")[0]
    if head in ("frontend", "backend"):
        return "half"
    if head in API:
        return "api"
    for names, layer in (
        (LEAVES, "leaf"),
        (PIPELINE, "pipeline"),
        (COMMAND_LINE, "command line"),
    ):
        if module in names or head in names:
            return layer
    return "runtime"


def _is_for_type_checkers(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _nodes(node: ast.AST, at_run_time: bool) -> Iterator[ast.AST]:
    if not (at_run_time and _is_for_type_checkers(node)):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _nodes(child, at_run_time)


def _imports(name: str, at_run_time: bool = False) -> Iterator[tuple[ast.stmt, str]]:
    """Each import statement with the full name of what it imports."""
    for node in _nodes(_tree(name), at_run_time):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                inside = full.removeprefix("jitwasm.")
                is_module = inside in MODULES or f"{inside}.__init__" in MODULES
                yield node, full if is_module else str(node.module)


def _package_imports(name: str, at_run_time: bool = False) -> set[str]:
    """The modules of this package that a file imports."""
    found = set()
    for _, full in _imports(name, at_run_time):
        if full == "jitwasm":
            found.add("__init__")
        elif full.startswith("jitwasm."):
            inside = full.removeprefix("jitwasm.")
            found.add(inside if inside in MODULES else f"{inside}.__init__")
    return found


def _may_import(importer: str, imported: str) -> bool:
    source, target = _layer(importer), _layer(imported)
    if target == "leaf":
        return True
    if source == target == "half":
        return importer.split(".")[0] == imported.split(".")[0]
    if source == "runtime" and imported.startswith("frontend."):
        return imported in FRONTEND_DATA
    if imported == "__init__":
        return source == "command line"
    return _LAYERS.index(source) >= _LAYERS.index(target)


@pytest.mark.parametrize("name", FILES)
def test_imports_go_down_the_layers(name: str) -> None:
    module = _module(name)
    if module.endswith(".__init__"):
        assert not _package_imports(name), "a sub-package's __init__ holds only its docstring"
    wrong = [other for other in sorted(_package_imports(name)) if not _may_import(module, other)]
    assert not wrong, f"{module} ({_layer(module)}) must not import {', '.join(wrong)}"


def test_modules_do_not_import_each_other_in_circles() -> None:
    graph = {_module(name): _package_imports(name, at_run_time=True) for name in FILES}
    left = set(graph)
    while True:
        # What imports nothing that is left, and what nothing left imports, is in no circle.
        imported = {other for module in left for other in graph[module] if other != module}
        free = {m for m in left if not (graph[m] - {m}) & left or m not in imported}
        if not free:
            break
        left -= free
    assert not left


@pytest.mark.parametrize("name", FILES)
def test_imports_stand_at_the_top_of_the_file(name: str) -> None:
    inside = [
        f"{name}:{node.lineno}"
        for function in ast.walk(_tree(name))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inside


@pytest.mark.parametrize("name", FILES)
def test_only_one_module_knows_llvmlite_and_few_know_ctypes(name: str) -> None:
    roots = {full.split(".")[0] for _, full in _imports(name)}
    module = _module(name)
    if module != "backend.llvm":
        assert "llvmlite" not in roots
    native = module == "abi" or module.startswith("backend.") or _layer(module) == "runtime"
    assert native or "ctypes" not in roots
    if module.startswith("frontend."):
        assert not roots & {"threading", "concurrent", "asyncio", "multiprocessing"}


@pytest.mark.parametrize("name", FILES)
def test_only_the_standard_library_and_llvmlite_are_imported(name: str) -> None:
    allowed = sys.stdlib_module_names | {"jitwasm", "llvmlite"}
    roots = {full.split(".")[0] for _, full in _imports(name)}
    # mypy's types of machine integers: only where types are checked, or compiled to C.
    assert roots - _for_type_checkers(name) <= allowed


def _for_type_checkers(name: str) -> set[str]:
    """`mypy_extensions`, if nothing imports it but blocks that never run."""
    blocks = [
        node
        for block in _tree(name).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
    ]
    everywhere = [
        node
        for node in ast.walk(_tree(name))
        if isinstance(node, ast.ImportFrom) and node.module == "mypy_extensions"
    ]
    return {"mypy_extensions"} if all(node in blocks for node in everywhere) else set()


@pytest.mark.parametrize("name", FILES)
def test_file_has_a_docstring_and_is_not_too_long(name: str) -> None:
    text = (PACKAGE / name).read_text(encoding="utf-8")
    assert ast.get_docstring(_tree(name)), "a module says what it is responsible for"
    if name not in DATA_TABLES:
        assert text.count("\n") <= MAX_FILE
    if len(_tree(name).body) > 1:
        assert "from __future__ import annotations" in text


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its decorators, its docstring and the LLVM IR it quotes."""
    length = (function.end_lineno or 0) - function.lineno + 1
    return length - _quoted_lines(function)


def _quoted_lines(node: ast.AST) -> int:
    """Lines that literals of more than one line take, in the outermost of nested ones."""
    is_text = isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    if is_text and isinstance(node, ast.expr) and (node.end_lineno or 0) > node.lineno:
        return (node.end_lineno or 0) - node.lineno + 1
    return sum(_quoted_lines(child) for child in ast.iter_child_nodes(node))


@pytest.mark.parametrize("name", FILES)
def test_functions_are_short(name: str) -> None:
    long = [
        f"{name}:{node.lineno} {node.name}: {_length(node)} lines"
        for node in ast.walk(_tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > MAX_FUNCTION
    ]
    assert not long


@pytest.mark.parametrize("name", FILES)
def test_module_state_is_not_rebound(name: str) -> None:
    rebinding = [n.lineno for n in ast.walk(_tree(name)) if isinstance(n, ast.Global)]
    assert not rebinding, "`global` means module-level mutable state: give it an owner"


def test_names_of_modules_say_what_they_hold() -> None:
    vague = [name for name in FILES if Path(name).stem in VAGUE_NAMES]
    assert not vague


def test_nothing_names_a_path_of_a_machine() -> None:
    # The folders are spelt so that this file does not find itself.
    place = re.compile(r"/w[o]rk/(main|shared)|/o[p]t/jw")
    wrong = []
    for folder in ("jitwasm", "tests", "bench", "docs", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".md", ".txt", ".toml", ".sh", ".c", "") and path.is_file():
                for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                    if place.search(line):
                        wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not wrong
