"""Extension modules: imported by an interpreter that has neither jitwasm nor llvmlite."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from jitwasm.aot import linking
from jitwasm.aot.emit import AotOptions, compile_module
from jitwasm.aot.pyext import extension_filename, left_out, python_extension
from tests.aot.support import HERE, run
from tests.support.wat import wat

pytestmark = pytest.mark.skipif(
    not linking._shared_commands(), reason="needs a linker: cc, ld or ziglang"
)

ENV = """
def log(a, b): return a + int(b * 2)
def wide(*args): return sum(map(int, args))
def pair(a):
    if a == 13: raise KeyError("unlucky")
    if a == 14: return 5
    if a == 15: return (1, "x", 2)
    return (a + 1, a / 2, 1 << 40)
"""


def build(folder: Path, name: str, source: str) -> str:
    compiled = compile_module(wat(source), AotOptions(cpu="native"))
    notices: list[str] = []
    library = python_extension(compiled, name, notices.append)
    (folder / extension_filename(name)).write_bytes(library)
    return notices[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pyext")
    (folder / "env.py").write_text(ENV)
    assert build(folder, "demo", (HERE / "demo.wat").read_text())
    return folder


SETUP = """
import sys
sys.path.insert(0, {folder!r})
def raised(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return f"{{type(error).__name__}}: {{error}}"
    return "nothing"
"""


def python(folder: Path, code: str) -> None:
    """Run code in a bare interpreter: without site-packages, jitwasm cannot be there."""
    setup = SETUP.format(folder=str(folder))
    run(folder, sys.executable, "-S", "-I", "-c", setup + textwrap.dedent(code))


def test_exports_are_builtins_that_compute(folder: Path) -> None:
    python(
        folder,
        """
        import demo
        assert not {"jitwasm", "llvmlite"} & set(sys.modules)
        assert type(demo.add) is type(len)
        assert demo.add(2, 3) == 5
        assert demo.add(2**32 - 1, 2) == 1
        assert demo.two(4) == (4, 2.5)
        assert demo.many(4) == (5, 2.0, 2**40)
        assert demo.spread(9) == 37
        assert demo.fill(0) is None
        assert demo.vector(bytes(16)) == bytes.fromhex("01000000020000000300000004000000")
        assert getattr(demo, "weird-name.x")() == 99
        assert demo.tail(100000, 0) == 100000
        assert demo.say(5) == 8
        assert demo.__doc__ is None and demo.add.__doc__ == "(i32, i32) -> (i32)"
        assert demo.add.__text_signature__ == "(a0, a1, /)"
        """,
    )


def test_memories_and_globals_are_attributes_read_anew(folder: Path) -> None:
    python(
        folder,
        """
        import demo
        assert demo.pi == 3.5
        assert (demo.counter, demo.count(), demo.counter) == (40, 41, 41)
        memory = demo.memory
        assert bytes(memory[16:31]) == b"hello from wasm" and len(memory) == 65536
        memory[16:20] = b"HELL"
        assert demo.load(16) == int.from_bytes(b"HELL", "little")
        assert demo.grow(2) == 1 and len(demo.memory) == 3 * 65536 and len(memory) == 65536
        assert raised(lambda: demo.blub) == "AttributeError: module 'demo' has no attribute 'blub'"
        assert raised(lambda: demo.operations).startswith("AttributeError")
        """,
    )


def test_traps_are_exceptions(folder: Path) -> None:
    python(
        folder,
        """
        import demo
        for _ in range(3):
            assert raised(demo.divide, 1, 0) == "RuntimeError: integer divide by zero"
            assert raised(demo.load, -1) == "RuntimeError: out of bounds memory access"
            assert raised(demo.recurse, 0) == "RecursionError: call stack exhausted"
            assert raised(demo.apply, 100, 0, 0) == "RuntimeError: undefined element"
        assert demo.add(1, 2) == 3
        """,
    )


def test_arguments_and_results_are_checked(folder: Path) -> None:
    python(
        folder,
        """
        import demo
        class Index:
            def __index__(self): return 7
        class Broken:
            def __index__(self): raise ZeroDivisionError("inside")
        assert demo.add(Index(), True) == 8
        assert raised(demo.add, Broken(), 1) == "ZeroDivisionError: inside"
        assert raised(demo.add, "x", 1) == "TypeError: add() argument 1 must be an int, not str"
        assert raised(demo.add, 1, 1.5) == "TypeError: add() argument 2 must be an int, not float"
        assert raised(demo.add, 1, 2**32) == "OverflowError: add() argument 2 does not fit in i32"
        assert raised(demo.add, 1, -2**31 - 1).startswith("OverflowError")
        too_large = "OverflowError: spread() argument 1 does not fit in i64"
        assert raised(demo.spread, 2**64) == too_large
        assert demo.spread(2**64 - 1) == 27 and demo.spread(-2**63) == 28 - 2**63
        few = "TypeError: add() takes 2 positional arguments but 1 were given"
        assert raised(demo.add, 1) == few
        assert raised(demo.vector, b"short").startswith("TypeError: vector() argument 1")
        assert raised(demo.many, 13) == "KeyError: 'unlucky'"
        assert raised(demo.many, 14).startswith("TypeError")
        assert raised(demo.many, 15).startswith("TypeError: result of pair() number 2")
        assert demo.many(1)[0] == 2
        """,
    )


def test_missing_import_fails_the_import(tmp_path: Path) -> None:
    source = '(module (import "nowhere" "f" (func)) (func (export "g")))'
    build(tmp_path, "lost", source)
    python(tmp_path, "assert 'nowhere' in raised(__import__, 'lost')")
    (tmp_path / "nowhere.py").write_text("")
    python(tmp_path, "assert raised(__import__, 'lost').startswith('AttributeError')")


def test_start_function_that_traps_fails_the_import(tmp_path: Path) -> None:
    build(tmp_path, "sad", "(module (func $s unreachable) (start $s))")
    python(tmp_path, "assert raised(__import__, 'sad') == 'RuntimeError: unreachable'")


def test_references_are_left_out_or_refused(tmp_path: Path) -> None:
    source = """(module (func (export "f") (param externref)) (func (export "g"))
        (table (export "t") 1 funcref))"""
    compiled = compile_module(wat(source), AotOptions())
    assert left_out(compiled.info) == ["f", "t"]
    for wanted in ("(func (param externref))", "(memory 1)", "(global i32)"):
        source = f'(module (import "m" "x" {wanted}))'
        with pytest.raises(ValueError, match="Python module cannot define it"):
            python_extension(compile_module(wat(source), AotOptions()), "x")


def test_another_linker_is_used_where_there_is_no_compiler(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ziglang")
    monkeypatch.setattr(linking.shutil, "which", lambda name: None)
    assert "ziglang" in build(
        tmp_path, "tiny", '(module (func (export "f") (result i32) (i32.const 6)))'
    )
    python(tmp_path, "import tiny; assert tiny.f() == 6")
    monkeypatch.setattr(linking.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(linking.LinkerError, match="none is installed"):
        build(tmp_path, "none", "(module)")
