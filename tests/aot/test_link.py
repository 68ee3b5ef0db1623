"""Objects that link: a C program that uses everything, linked in every way."""

from __future__ import annotations

from pathlib import Path

import pytest

from jitwasm.aot.emit import AotOptions, compile_module
from tests.aot.support import HERE, cc, needs_cc, run
from tests.support.wat import wat

pytestmark = needs_cc


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
    if mode == "-shared":
        cc(tmp_path, "-fPIC", "-shared", "-o", "libdemo.so", main, "demo.o")
        loader = "import ctypes, sys; sys.exit(ctypes.CDLL('./libdemo.so').main())"
        assert run(tmp_path, "python3", "-c", loader).endswith("0 failures\n")
        return
    cc(tmp_path, mode, "-o", "demo", main, "demo.o")
    assert run(tmp_path, "./demo") == "0 failures\n"


def test_object_needs_nothing_but_the_imports(demo: bytes) -> None:
    undefined = set(compile_module(demo, AotOptions("demo")).undefined())
    assert undefined == {
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
    cc(tmp_path, "-o", "main", "main.c", "loops.o")
    run(tmp_path, "./main")


def test_output_is_reproducible(demo: bytes) -> None:
    options = AotOptions("demo", loadable=True)
    first, second = (compile_module(demo, options) for _ in range(2))
    assert first.object() == second.object()
    assert first.header() == second.header()
    assert first.archive() == second.archive()


def test_archive_links(demo: bytes, tmp_path: Path) -> None:
    compiled = compile_module(demo, AotOptions("demo"))
    (tmp_path / "libdemo.a").write_bytes(compiled.archive())
    (tmp_path / "demo.h").write_text(compiled.header())
    cc(tmp_path, "-o", "demo", str(HERE / "c" / "demo.c"), "libdemo.a")
    assert run(tmp_path, "./demo") == "0 failures\n"


@pytest.mark.parametrize("jobs", [2, 5])
def test_program_of_several_parts_is_the_same_program(
    demo: bytes, tmp_path: Path, jobs: int
) -> None:
    compiled = compile_module(demo, AotOptions("demo"), jobs=jobs)
    (tmp_path / "demo.o").write_bytes(compiled.object())
    (tmp_path / "demo.h").write_text(compiled.header())
    cc(tmp_path, "-o", "demo", str(HERE / "c" / "demo.c"), "demo.o")
    assert run(tmp_path, "./demo") == "0 failures\n"
    again = compile_module(demo, AotOptions("demo"), jobs=jobs)
    assert again.object() == compiled.object()


def test_two_programs_of_several_parts_link_together(tmp_path: Path) -> None:
    source = wat("""(module (memory 1) (func $f (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "get") (param i32) (result i32) (call $f (local.get 0)))
        (func (export "div") (param i32) (result i32)
          (i32.div_u (i32.const 1) (local.get 0))))""")
    for name in ("one", "two"):
        compiled = compile_module(source, AotOptions(name), jobs=3)
        (tmp_path / f"{name}.o").write_bytes(compiled.object())
        (tmp_path / f"{name}.h").write_text(compiled.header())
    (tmp_path / "main.c").write_text(
        '#include "one.h"\n#include "two.h"\n'
        "int main(void) { one_instance *one = one_instantiate(0, 0, 0);\n"
        "two_instance *two = two_instantiate(0, 0, 0);\n"
        "one__div(one, 0); if (one_trap(one) != 2) return one_trap(one);\n"
        "two__get(two, -1); if (two_trap(two) != 5) return 20;\n"
        "return two__div(two, 1) - 1; }\n"
    )
    cc(tmp_path, "-o", "main", "main.c", "one.o", "two.o")
    run(tmp_path, "./main")


LARGE = 5_000


def test_large_tables_and_segments_make_small_code(tmp_path: Path) -> None:
    functions = "".join(f'(func (export "f{i}") (result i32) (i32.const {i}))' for i in range(200))
    items = " ".join(str(i % 200) for i in range(LARGE))
    source = wat(
        f"""(module (table {LARGE} funcref) (memory 10) {functions}
        (elem (i32.const 0) func {items})
        (data (i32.const 0) "{"x" * 500_000}")
        (func (export "at") (param i32) (result i32)
          (call_indirect (result i32) (local.get 0))))"""
    )
    compiled = compile_module(source, AotOptions("large"))
    assert compiled.assembly().count("\n") < 2 * LARGE + 20_000
    (tmp_path / "large.o").write_bytes(compiled.object())
    (tmp_path / "large.h").write_text(compiled.header())
    (tmp_path / "main.c").write_text(
        '#include "large.h"\nint main(void) { large_instance *l = large_instantiate(0, 0, 0);\n'
        f"return large__at(l, {LARGE - 1}) != 199 || large__at(l, 7) != 7; }}\n"
    )
    cc(tmp_path, "-o", "main", "main.c", "large.o")
    run(tmp_path, "./main")
