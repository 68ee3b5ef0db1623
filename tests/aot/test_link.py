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


def test_object_needs_nothing_but_the_imports(demo: bytes) -> None:
    undefined = set(compile_module(demo, AotOptions("demo")).undefined())
    allowed = {"_GLOBAL_OFFSET_TABLE_", "jw_trap_hook"}  # the linker's, and a weak one
    sections = {"__start_jwtext", "__stop_jwtext"}
    assert undefined - allowed - sections == {
        "demo__env__log",
        "demo__env__wide",
        "demo__env__pair",
    }


LOOPS = """
(module (memory 1 1)
  (func (export "copy") (param $to i32) (param $from i32) (param $n i32)
    (loop $next
      (i32.store8 (local.get $to) (i32.load8_u (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "clear") (param $to i32) (param $n i32)
    (loop $next
      (i32.store8 (local.get $to) (i32.const 0))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
"""


def test_loop_that_llvm_makes_a_memory_function_of_still_traps(tmp_path: Path) -> None:
    compiled = compile_module(wat(LOOPS), AotOptions("loops"))
    (tmp_path / "loops.o").write_bytes(compiled.object())
    (tmp_path / "loops.h").write_text(compiled.header())
    (tmp_path / "main.c").write_text(
        '#include "loops.h"\n'
        "int main(void) { loops_instance *i = loops_instantiate(0, 0, 0);\n"
        "loops__copy(i, 0, 100, 1000); if (loops_trap(i)) return 1;\n"
        "loops__copy(i, 0, 60000, 70000); if (loops_trap(i) != 5) return 2;\n"
        "loops__clear(i, 60000, 70000); if (loops_trap(i) != 5) return 3;\n"
        "return 0; }\n"
    )
    run(tmp_path, CC, "-I.", "-o", "main", "main.c", "loops.o")
    run(tmp_path, "./main")


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
