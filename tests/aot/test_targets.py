"""Objects for other machines, and for other processors of this one."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from jitwasm.aot.emit import AotOptions, compile_module
from jitwasm.aot.targets import TARGETS, find_target, has_shuffle_bytes, processor_help
from tests.aot.support import HERE
from tests.support.wat import wat

VECTORS = """
(module (memory 1)
  (func (export "swizzle") (param v128 v128) (result v128)
    (i8x16.swizzle (local.get 0) (local.get 1)))
  (func (export "abs") (param v128) (result v128) (i32x4.abs (local.get 0))))
"""


ADD = """(module (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))"""


@pytest.fixture(scope="module")
def demo() -> bytes:
    return wat((HERE / "demo.wat").read_text())


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_object_is_for_the_target(name: str, tmp_path: Path) -> None:
    text = (HERE / "demo.wat").read_text()
    if not TARGETS[name].tail_calls:
        with pytest.raises(ValueError, match="tail calls cannot be compiled"):
            compile_module(wat(text), AotOptions("demo", target=name))
        text = text[: text.index("  (func $loop")] + text[text.index('  (func (export "vector")') :]
    compiled = compile_module(wat(text), AotOptions("demo", target=name))
    data = compiled.object()
    kind, machine = struct.unpack_from("<HH", data, 16)
    assert data[:6] == b"\x7fELF\2\1"
    assert (kind, machine) == (1, TARGETS[name].machine)
    undefined = set(compiled.undefined())
    assert {"demo__env__log", "demo__env__wide", "demo__env__pair"} <= undefined
    # The runtime is written for one machine; elsewhere whoever links supplies it.
    assert ("jw_trap" in undefined) == (name != "x86_64")
    (tmp_path / "demo.o").write_bytes(data)
    objdump = shutil.which("objdump")
    if objdump:
        done = subprocess.run(
            [objdump, "-t", tmp_path / "demo.o"], capture_output=True, text=True, timeout=60
        )
        assert re.search(r" F jwtext\s.* demo__add$", done.stdout, re.M)


def test_results_are_padded_where_small_structures_have_rules_of_their_own(demo: bytes) -> None:
    here = compile_module(demo, AotOptions("demo")).header()
    there = compile_module(demo, AotOptions("demo", target="aarch64")).header()
    assert "{ int32_t r0; float r1; } demo_i32_f32;" in here
    assert "{ int32_t r0; float r1; char padding[17]; } demo_i32_f32;" in there


def test_small_integers_are_extended_where_the_convention_wants_it(demo: bytes) -> None:
    text = compile_module(wat(ADD), AotOptions("demo", target="riscv64")).ir
    assert "define signext i32 @demo__add(ptr %vm, i32 signext %a0, i32 signext %a1)" in text


@pytest.mark.parametrize(
    ("cpu", "features", "wanted"),
    [
        (None, None, False),
        ("nocona", None, False),
        ("core2", None, True),
        ("x86-64-v2", None, True),
        ("x86-64-v3", "-ssse3", False),
        (None, "+ssse3", True),
        ("native", None, None),
    ],
)
def test_vector_code_fits_the_processor(
    cpu: str | None, features: str | None, wanted: bool | None
) -> None:
    options = AotOptions("v", cpu=cpu, features=features)
    if wanted is not None:
        assert has_shuffle_bytes(options.spec) == wanted
    text = compile_module(wat(VECTORS), options).assembly()
    if wanted is not None:
        assert ("pshufb" in text) == wanted


def test_names_are_checked() -> None:
    assert find_target("arm64").name == "aarch64"
    assert find_target("x86-64").is_host
    assert find_target("riscv64-linux-musl").name == "riscv64"
    for name in ("z80", "x86_64-pc-windows-msvc", "", "aarch64-apple-darwin"):
        with pytest.raises(ValueError, match="no target"):
            find_target(name)
    for wrong in (
        {"cpu": "z80"},
        {"features": "+warp"},
        {"features": "avx2"},
        {"features": "-sse2"},
    ):
        with pytest.raises(ValueError, match=r"LLVM knows no|is no feature|cannot do without"):
            AotOptions("x", **wrong)
    with pytest.raises(ValueError, match="this machine's processor is no aarch64"):
        AotOptions("x", target="aarch64", cpu="native")


def test_help_lists_what_llvm_knows() -> None:
    text = processor_help(find_target("x86_64"))
    assert "x86-64-v3 " in text and "avx2 " in text
    assert "--cpu native" in text
    assert "cortex-a72 " in processor_help(find_target("aarch64"))
