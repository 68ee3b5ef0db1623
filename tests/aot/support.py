"""What the tests of compiled objects share."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CC = shutil.which("gcc") or shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="needs a C compiler")
FLAGS = ("-O1", "-Wall", "-Wextra", "-Werror", "-I.")


def run(folder: Path, *command: str) -> str:
    """Run a command in a folder; what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def cc(folder: Path, *arguments: str) -> str:
    """Run the C compiler in a folder."""
    assert CC is not None
    return run(folder, CC, *FLAGS, *arguments)
