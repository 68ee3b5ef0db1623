"""What `-g` tells debuggers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jitwasm.aot.emit import AotOptions, compile_module
from tests.aot.support import HERE, cc, needs_cc, run
from tests.support.wat import wat

DIVIDE, LOAD = 0x6D, 0x28


@pytest.fixture(scope="module")
def demo() -> bytes:
    return wat((HERE / "demo.wat").read_text())


def dump(path: Path, what: str) -> str:
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("needs objdump")
    command = [objdump, f"--dwarf={what}", path]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(("opt_level", "jobs"), [(0, 1), (2, 1), (1, 2)])
def test_lines_are_offsets_of_instructions(
    demo: bytes, tmp_path: Path, opt_level: int, jobs: int
) -> None:
    options = AotOptions("demo", opt_level=opt_level, debug=True)
    path = tmp_path / "demo.o"
    path.write_bytes(compile_module(demo, options, jobs=jobs).object())
    table = dump(path, "decodedline")
    offsets = {int(line) for line in re.findall(r"^demo\.wasm +(\d+) +", table, re.M)}
    assert {demo[offset] for offset in offsets if offset} >= {DIVIDE, LOAD}
    names = set(re.findall(r"DW_AT_name +:.*: (\S+)$", dump(path, "info"), re.M))
    assert {"demo.wasm", "divide", "deep", "loop"} <= names


@needs_cc
def test_program_with_debug_information_runs(demo: bytes, tmp_path: Path) -> None:
    compiled = compile_module(demo, AotOptions("demo", debug=True))
    (tmp_path / "demo.o").write_bytes(compiled.object())
    (tmp_path / "demo.h").write_text(compiled.header())
    cc(tmp_path, "-g", "-o", "demo", str(HERE / "c" / "demo.c"), "demo.o")
    assert run(tmp_path, "./demo") == "0 failures\n"


def test_names_of_any_characters_are_taken() -> None:
    text = '(module (func (export "say \\"\\\\\\n\\u{e9}\\00") (result i32) (i32.const 1)))'
    assert compile_module(wat(text), AotOptions("odd", debug=True)).object()
