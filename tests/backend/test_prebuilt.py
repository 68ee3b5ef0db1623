"""The runtime's objects, compiled when the package is built."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jitwasm.backend import cpython, libc
from jitwasm.backend.elf import ObjectFile
from jitwasm.backend.runtime import prebuilt

ROOT = Path(__file__).parents[2]


def test_objects_are_the_same_whenever_they_are_built(tmp_path: Path) -> None:
    (tmp_path / "runtime-of-older-sources.o").write_bytes(b"stale")
    first = {path.name: path.read_bytes() for path in prebuilt.build(tmp_path)}
    again = {path.name: path.read_bytes() for path in prebuilt.build(tmp_path)}
    assert first == again
    assert set(first) == {prebuilt.file_name(name) for name in prebuilt.OBJECTS}
    assert {path.name for path in tmp_path.iterdir()} == set(first)


def test_objects_name_nothing_that_only_some_pythons_have() -> None:
    """They are built by one Python and used by all."""
    symbols = ObjectFile(prebuilt.compile_object("runtime")).symbols
    outside = {s.name for s in symbols if s.section is None and s.name} - {"<string>"}
    assert "PyLong_FromLongLong" in outside
    assert {name for name in outside if name.startswith("_Py")} == {"_Py_NoneStruct"}
    for name in outside:
        assert libc.function_address(cpython.ALIASES.get(name, name)), name


def test_object_of_other_sources_is_not_used(tmp_path: Path) -> None:
    """A change of any source gives another digest, and so another file name."""
    package = tmp_path / "jitwasm"
    shutil.copytree(ROOT / "jitwasm", package, ignore=shutil.ignore_patterns("__pycache__", "*.o"))
    code = (
        "from jitwasm.backend.runtime import prebuilt as p\n"
        "from pathlib import Path\n"
        "import sys\n"
        "if 'build' in sys.argv: p.build(Path(p.__file__).parent)\n"
        "print(p.source_digest(), p.prebuilt_object('runtime') is not None)\n"
    )

    def run(*arguments: str) -> list[str]:
        command = [sys.executable, "-c", code, *arguments]
        environment = {"PYTHONPATH": str(tmp_path), "PATH": ""}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.split()

    digest, found = run()
    assert found == "False"
    assert run("build") == [digest, "True"] == run()
    for name in ("backend/runtime/ticks.ll", "backend/runtime/assemble.py", "abi.py"):
        source = package / name
        source.write_bytes(source.read_bytes() + b"\n")
        changed, found = run()
        assert changed != digest and found == "False"
        digest = changed


def test_build_command_puts_them_beside_the_sources(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="the build command is setuptools'")
    tree = tmp_path / "tree"
    ignore = shutil.ignore_patterns("__pycache__", "*.o")
    shutil.copytree(ROOT / "jitwasm", tree / "jitwasm", ignore=ignore)
    # Without pyproject.toml, which versions of setuptools that may be installed cannot read.
    shutil.copy(ROOT / "setup.py", tree)
    subprocess.run(
        [sys.executable, "-W", "ignore", "setup.py", "-q", "build", "--build-lib", "out"],
        cwd=tree,
        check=True,
        capture_output=True,
        timeout=120,
    )
    built = tree / "out" / "jitwasm" / "backend" / "runtime"
    assert {path.name for path in built.glob("*.o")} == {
        prebuilt.file_name(name) for name in prebuilt.OBJECTS
    }
    assert not list((tree / "jitwasm").rglob("*.o"))
