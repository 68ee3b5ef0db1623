"""`import jitwasm.importer`, and stubs for what it imports."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import jitwasm.importer
from jitwasm.cli.main import main
from jitwasm.stubs import stub_of
from tests.support.wat import wat

LIBRARY = """
(module
  (import "wasm_test_host" "twice" (func $twice (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0))
  (global (export "version") i32 (i32.const 7))
  (data (i32.const 8) "\\10\\00\\00\\00\\03\\00\\00\\00out")
  (func (export "_initialize") (global.set $ready (i32.const 1)))
  (func (export "four_times") (param i32) (result i32)
    (call $twice (call $twice (local.get 0))))
  (func (export "ready") (result i32) (global.get $ready))
  (func (export "say") (result i32)
    (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
  (func (export "__name__")))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "wasm_test_host.py").write_text("def twice(n): return 2 * n\n")
    (tmp_path / "wasm_test_lib.wasm").write_bytes(wat(LIBRARY))
    for name in ("wasm_test_lib", "wasm_test_host"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_a_wasm_file_is_imported(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    library = importlib.import_module("wasm_test_lib")
    assert library.four_times(3) == 12
    assert library.ready() == 1, "a reactor is initialised"
    assert library.say() == 0
    assert capfd.readouterr().out == "out"
    assert library.__name__ == "wasm_test_lib", "an export cannot take Python's own names"
    assert library.__file__ == str(folder / "wasm_test_lib.wasm")
    assert set(library.__all__) == {"memory", "version", "four_times", "ready", "say"}


def test_a_wasm_file_in_a_package_is_imported(folder: Path) -> None:
    (folder / "wasm_test_pkg").mkdir()
    (folder / "wasm_test_pkg" / "__init__.py").touch()
    (folder / "wasm_test_pkg" / "inner.wasm").write_bytes(
        wat('(module (func (export "one") (result i32) (i32.const 1)))')
    )
    assert importlib.import_module("wasm_test_pkg.inner").one() == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('(module (import "" "f" (func)))', ImportError),
        ('(module (import ".x" "f" (func)))', ImportError),
        ('(module (import "no_such_module" "f" (func)))', ImportError),
        ('(module (import "wasm_test_host" "f" (func)))', jitwasm.LinkError),
    ],
)
def test_imports_that_cannot_be_satisfied(folder: Path, text: str, error: type[Exception]) -> None:
    (folder / "wasm_test_bad.wasm").write_bytes(wat(text))
    with pytest.raises(error):
        importlib.import_module("wasm_test_bad")
    assert "wasm_test_bad" not in sys.modules


def test_a_module_that_is_not_there_is_not_found(folder: Path) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("wasm_test_none")


def test_installing_twice_installs_once() -> None:
    jitwasm.importer.install()
    found = [f for f in sys.meta_path if isinstance(f, jitwasm.importer.WasmFinder)]
    assert len(found) == 1


STUBBED = """
(module
  (memory (export "memory") 1) (table (export "table") 1 funcref)
  (global (export "g") (mut f64) (f64.const 0))
  (func (export "add") (param i32 i64) (result i64) local.get 1)
  (func (export "two") (param f32 v128 externref) (result i32 f64) i32.const 0 f64.const 0)
  (func (export "none"))
  (func (export "float") (param f32))
  (func (export "Any")) (func (export "jitwasm"))
  (func (export "not a name")) (func (export "class")) (func (export "a\\0ab: int")))
"""

USER = """
import wasm_test_stubbed as m

total: int = m.add(1, 2)
pair: tuple[int, float] = m.two(1.0, b"", object())
m.none()
m.float(1.5)
size: int = m.memory.size
m.add("one", 2)
wrong: str = m.add(1, 2)
"""


def test_stubs_satisfy_a_type_checker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mypy", reason="needs mypy (extra: test)")
    path = tmp_path / "wasm_test_stubbed.wasm"
    path.write_bytes(wat(STUBBED))
    assert main(["stubs", str(path)]) == 0
    (tmp_path / "user.py").write_text(USER)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "user.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(Path(jitwasm.__file__).parents[1]), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert [line.split(": ")[0] for line in done.stdout.splitlines()[:-1]] == [
        "user.py:9",
        "user.py:10",
    ], done.stdout + done.stderr


def test_stubs_of_names_that_python_lacks_are_comments() -> None:
    text = stub_of(jitwasm.Module(wat(STUBBED), jitwasm.Config(opt_level=0)))
    assert "# def 'not a name'() -> None: ..." in text
    assert "# def 'a\\nb: int'() -> None: ..." in text
    assert "def two(a0: _float, a1: bytes, a2: _Any, /) -> tuple[int, _float]: ..." in text
    compile(text, "stub", "exec")
