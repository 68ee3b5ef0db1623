"""Objects that link: a C program that uses everything, linked in every way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from jitwasm.aot.emit import AotOptions, compile_module
from tests.support.wat import wat

HERE = Path(__file__).parent
CC = shutil.which("gcc") or shutil.which("cc")

pytestmark = pytest.mark.skipif(CC is None, reason="needs a C compiler")


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def demo() -> bytes:
    return wat((HERE / "demo.wat").read_text())


@pytest.mark.parametrize("opt_level", [0, 2])
@pytest.mark.parametrize("bounds", ["guard", "explicit"])
@pytest.mark.parametrize("mode", ["-pie", "-no-pie", "-static", "-shared"])
def test_c_program_uses_a_compiled_module(
    demo: bytes, tmp_path: Path, opt_level: int, bounds: str, mode: str
) -> None:
    compiled = compile_module(demo, AotOptions("demo", opt_level=opt_level, bounds=bounds))
    (tmp_path / "demo.o").write_bytes(compiled.object())
    (tmp_path / "demo.h").write_text(compiled.header())
    main = str(HERE / "c" / "demo.c")
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-I."]
    if mode == "-shared":
        run(tmp_path, CC, *flags, "-fPIC", "-shared", "-o", "libdemo.so", main, "demo.o")
        loader = "import ctypes, sys; sys.exit(ctypes.CDLL('./libdemo.so').main())"
        assert run(tmp_path, "python3", "-c", loader).endswith("0 failures\n")
        return
    run(tmp_path, CC, *flags, mode, "-o", "demo", main, "demo.o")
    assert run(tmp_path, "./demo") == "0 failures\n"


def test_object_needs_nothing_but_memory_functions_and_the_imports(demo: bytes) -> None:
    undefined = set(compile_module(demo, AotOptions("demo")).undefined())
    allowed = {"memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_", "jw_trap_hook"}
    sections = {"__start_jwtext", "__stop_jwtext"}
    assert undefined - allowed - sections == {
        "demo__env__log",
        "demo__env__wide",
        "demo__env__pair",
    }


def test_output_is_reproducible(demo: bytes) -> None:
    first, second = (compile_module(demo, AotOptions("demo")) for _ in range(2))
    assert first.object() == second.object()
    assert first.header() == second.header()
    assert first.archive() == second.archive()


def test_archive_links(demo: bytes, tmp_path: Path) -> None:
    compiled = compile_module(demo, AotOptions("demo"))
    (tmp_path / "libdemo.a").write_bytes(compiled.archive())
    (tmp_path / "demo.h").write_text(compiled.header())
    run(tmp_path, CC, "-I.", "-o", "demo", str(HERE / "c" / "demo.c"), "libdemo.a")
    assert run(tmp_path, "./demo") == "0 failures\n"
