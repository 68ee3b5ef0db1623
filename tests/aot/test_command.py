"""`jitwasm compile`, as a shell sees it."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import jitwasm
from jitwasm.aot import linking
from jitwasm.cli.main import main
from tests.support.wat import wat

SOURCE = """
(module (import "env" "log" (func $log (param i32)))
  (func (export "add") (param i32 i32) (result i32)
    (call $log (local.get 0)) (i32.add (local.get 0) (local.get 1))))
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("my-calc.wasm").write_bytes(wat(SOURCE))
    return "my-calc.wasm"


def files() -> set[str]:
    return {path.name for path in Path().iterdir()} - {"my-calc.wasm"}


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["compile", *arguments]) == 1
    out, err = capsys.readouterr()
    assert not out and err.startswith("jitwasm: ") and err.count("\n") == 1
    return err


def test_object_and_header_are_made_by_default(source: str) -> None:
    assert main(["compile", source]) == 0
    assert files() == {"my-calc.o", "my-calc.h"}
    assert "my_calc__add" in Path("my-calc.h").read_text()
    assert isinstance(jitwasm.load("my-calc.o"), jitwasm.Module)


def test_suffix_says_what_is_made(source: str) -> None:
    for name, magic in {"x.ll": b"declare", "y.s": b"\t.", "z.h": b"/*"}.items():
        assert main(["compile", source, "-o", name]) == 0
        assert Path(name).read_bytes().startswith(magic)
    assert files() == {"x.ll", "y.s", "z.h"}
    assert main(["compile", source, "-o", "l.a", "--no-loadable"]) == 0
    assert files() == {"x.ll", "y.s", "z.h", "l.a", "l.h"}


def test_several_kinds_at_once(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = "o,h,ll,s,a"
    assert main(["compile", source, "-o", "out.o", "--emit", kinds, "--emit", "o"]) == 0
    assert files() == {f"out.{kind}" for kind in kinds.split(",")}
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not linking._shared_commands(), reason="needs a linker")
def test_linker_is_named(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", source, "--emit=so", "--no-loadable"]) == 0
    assert "note: linking with " in capsys.readouterr().err
    assert main(["compile", source, "--emit=so", "-q", "--no-loadable"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["compile", source, "-o", "fast.abi3.so"]) == 0
    assert files() == {"my-calc.so", "fast.abi3.so"}
    arguments = ["-o", "both.abi3.so", "--emit=so,pyext", "--no-loadable"]
    assert main(["compile", source, *arguments]) == 0
    assert files() == {"my-calc.so", "fast.abi3.so", "both.so", "both.abi3.so"}


def test_undefined_symbols_are_listed(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", source, "--list-undefined", "--prefix=calc"]) == 0
    assert capsys.readouterr().out == "calc__env__log\n"
    options = ["--no-runtime", "--bounds=explicit"]
    assert main(["compile", source, "--list-undefined", "--prefix=calc", *options]) == 0
    assert {"calc__env__log", "jw_rt_alloc"} <= set(capsys.readouterr().out.split())


def test_options_reach_the_compiler(source: str) -> None:
    every = (
        ["-O0"],
        ["-O3"],
        ["--cpu=x86-64-v3"],
        ["--features=+avx2"],
        ["--bounds=explicit", "--no-signals"],
        ["--import-table"],
    )
    for place, options in enumerate(every):
        assert main(["compile", source, "--emit=s", "-o", f"{place}.s", *options]) == 0
    texts = {path.read_text() for path in Path().glob("?.s")}
    assert len(texts) >= 3


def test_standard_streams(
    source: str, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    data = io.TextIOWrapper(io.BytesIO(Path(source).read_bytes()))
    monkeypatch.setattr(sys, "stdin", data)
    assert main(["compile", "-", "-o", "-", "--emit=h"]) == 0
    assert b"module__add" in capfdbinary.readouterr().out


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "--target=help"]) == 0
    assert "riscv64" in capsys.readouterr().out
    assert main(["compile", "--cpu=help"]) == 0
    assert "x86-64-v3" in capsys.readouterr().out
    assert main(["compile", "--target=aarch64", "--features=help"]) == 0
    assert "sve2" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_:
        main(["compile", "--help"])
    assert exit_.value.code == 0
    assert "--list-undefined" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--emit=exe"], "no output of kind 'exe'"),
        (["-o", "x.exe"], "no output of kind 'exe'"),
        (["-o", "-"], "-o - wants --emit"),
        (["--prefix=a__b"], "cannot be a prefix"),
        (["--target=z80"], "no target 'z80'; there is x86_64"),
        (["--cpu=z80"], "LLVM knows no processor 'z80'"),
        (["--features=avx2"], "write +name or -name"),
        (["--no-signals"], "guard pages need the signal handler"),
        (["-j", "0"], "jobs must be at least 1"),
        (["--target=aarch64", "--emit=so"], "for x86_64 only"),
        (["-o", "no/such/folder/x.o"], "No such file or directory"),
        (["--emit=pyext", "-o", "not-a-name.so"], "cannot be the name of a Python module"),
    ],
)
def test_errors_are_one_line(
    source: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in failure(capsys, source, "-q", *arguments)
    assert not files()


def test_module_that_cannot_be_compiled(capsys: pytest.CaptureFixture[str], source: str) -> None:
    assert "No such file" in failure(capsys, "none.wasm")
    assert "wants the file" in failure(capsys)
    Path("bad.wasm").write_bytes(Path(source).read_bytes()[:-3])
    assert "bad.wasm: " in failure(capsys, "bad.wasm")
    assert files() == {"bad.wasm"}


def test_old_file_survives_an_error(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out.o").write_text("precious")
    Path("bad.wasm").write_bytes(b"\0asm\1\0\0\0\x7f")
    failure(capsys, "bad.wasm", "-o", "out.o")
    assert Path("out.o").read_text() == "precious"


def test_output_does_not_depend_on_where_it_is_made(source: str, tmp_path: Path) -> None:
    assert main(["compile", source, "-o", "a.o"]) == 0
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    root = str(Path(jitwasm.__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
    (tmp_path / "other").mkdir()
    subprocess.run(
        [sys.executable, "-m", "jitwasm", "compile", f"../{source}", "-o", "b.o"],
        cwd=tmp_path / "other",
        env=environment,
        check=True,
        timeout=120,
    )
    assert Path("a.o").read_bytes() == Path("other/b.o").read_bytes()


def test_progress_is_shown_on_a_terminal_and_wiped(source: str) -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(jitwasm.__file__).parents[1])}
    command = [sys.executable, "-m", "jitwasm", "compile", source, "--no-loadable"]
    with subprocess.Popen(command, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                chunk = os.read(leader, 4096)
            except OSError:
                break
            if not chunk:
                break
            shown += chunk
        assert process.wait(60) == 0
    os.close(leader)
    assert "writing relocatable object …".encode() in shown
    assert shown.endswith(b"\r\x1b[K")
