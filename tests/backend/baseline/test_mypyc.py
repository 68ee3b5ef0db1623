"""The modules that mypyc compiles behave as they do as plain Python, byte for byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", reason="what builds the package (test extra)")
pytest.importorskip("mypyc", reason="mypy, with its compiler (test extra)")
pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")

ROOT = Path(__file__).resolve().parents[3]


# Stands in for mypyc.build: two extensions, of which the second is not C.
TRANSLATOR = """
from setuptools import Extension

def mypycify(paths, **options):
    assert "jitwasm/frontend/checker.py" in paths and "jitwasm/frontend/checkloop.py" in paths
    with open("good.c", "w") as good, open("bad.c", "w") as bad:
        good.write("int nothing;")
        bad.write("not C")
    parts = {"jitwasm.frontend.checker": "good.c", "jitwasm__mypyc": "bad.c"}
    return [Extension(name, [source]) for name, source in parts.items()]
"""


def run(arguments: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


def lines(tree: Path) -> list[str]:
    """What compiled.py prints with the package of this tree."""
    path = os.pathsep.join([str(tree), str(ROOT)])
    return run(["-m", "tests.backend.baseline.compiled"], tree, PYTHONPATH=path).splitlines()


def copy_sources(folder: Path) -> None:
    shutil.copytree(ROOT / "jitwasm", folder / "jitwasm")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)


@pytest.mark.parametrize("compiler", ["false", "gcc"])
def test_wheel_is_plain_where_compiling_fails(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    copy_sources(tmp_path)
    (tmp_path / "stand-in/mypyc").mkdir(parents=True)
    (tmp_path / "stand-in/mypyc/__init__.py").touch()
    (tmp_path / "stand-in/mypyc/build.py").write_text(TRANSLATOR)
    path = os.pathsep.join([str(tmp_path / "stand-in"), str(tmp_path)])
    command = ["setup.py", "-q", "bdist_wheel", "-d", "wheels"]
    run(command, tmp_path, PYTHONPATH=path, JITWASM_MYPYC="", CC=compiler)
    [wheel] = (tmp_path / "wheels").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "jitwasm/frontend/checker.py" in names
    assert not [name for name in names if name.endswith(".so")]


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_compiled_modules_give_the_same_code_and_errors(tmp_path: Path) -> None:
    copy_sources(tmp_path)
    run(
        ["setup.py", "-q", "build_ext", "--inplace"],
        tmp_path,
        PYTHONPATH=str(tmp_path),
        JITWASM_MYPYC="1",
        JITWASM_MYPYC_OPT="0",
        CFLAGS="-g0",
        CC="gcc",
    )
    plain, compiled = lines(ROOT), lines(tmp_path)
    assert plain[0] == "compiled False False"
    assert compiled[0] == "compiled True True"
    assert compiled[1:] == plain[1:]
    assert len(plain) > 10
