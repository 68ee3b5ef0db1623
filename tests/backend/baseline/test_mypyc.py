"""The modules that mypyc compiles behave as they do as plain Python, byte for byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypyc", reason="mypy, with its compiler (test extra)")
pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")

ROOT = Path(__file__).resolve().parents[3]


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


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_compiled_modules_give_the_same_code_and_errors(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "jitwasm", tmp_path / "jitwasm")
    shutil.copy(ROOT / "setup.py", tmp_path)
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
