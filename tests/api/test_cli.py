"""The command line, as a shell sees it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jitwasm.cli.main import main
from tests.support.guests import wasi_program
from tests.support.wat import wat

TIMEOUT = 60
GUESTS = Path(__file__).parents[1] / "wasi" / "guests"

MODULE = """
(module $calc
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "neg") (param i64) (result i64) (i64.sub (i64.const 0) (local.get 0)))
  (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
  (func (export "two") (result i32 f32) i32.const 1 f32.const 1.5)
  (func (export "ref") (param externref) (result externref) local.get 0)
  (func (export "vec") (param v128) (result v128) local.get 0)
  (func (export "none"))
  (func (export "trap") unreachable)
  (func (export "exit") (call $exit (i32.const 9)))
  (data (i32.const 0) "abc"))
"""


@pytest.fixture(scope="module")
def calc(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("cli") / "calc.wasm"
    path.write_bytes(wat(MODULE))
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["add", "2", "3"], "5\n"),
        (["add", "0x10", "-1"], "15\n"),
        (["neg", "9223372036854775807"], "-9223372036854775807\n"),
        (["half", "3"], "1.5\n"),
        (["half", "-inf"], "-inf\n"),
        (["half", "0x1p4"], "8.0\n"),
        (["two"], "1\n1.5\n"),
        (["ref", "null"], "None\n"),
        (["vec", "000102030405060708090a0b0c0d0e0f"], "000102030405060708090a0b0c0d0e0f\n"),
        (["none"], ""),
    ],
    ids=" ".join,
)
def test_invoke_prints_the_results(
    calc: str, capsys: pytest.CaptureFixture[str], arguments: list[str], output: str
) -> None:
    assert main(["run", calc, "--invoke", *arguments]) == 0
    assert capsys.readouterr() == (output, "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "{calc}", "--invoke", "trap"], 134, "trap: unreachable"),
        (["run", "{calc}", "--invoke", "nothing"], 1, "no exported function 'nothing'"),
        (["run", "{calc}", "--invoke", "memory"], 1, "no exported function 'memory'"),
        (["run", "{calc}", "--invoke"], 1, "--invoke wants the name of an export"),
        (["run", "{calc}", "--invoke", "add", "1"], 1, "takes 2 arguments, not 1"),
        (["run", "{calc}", "--invoke", "add", "1", "x"], 1, "'x' is no i32"),
        (["run", "{calc}", "--invoke", "add", "1", "99999999999"], 1, "does not fit in i32"),
        (["run", "{calc}", "--invoke", "ref", "x"], 1, "only null can be given"),
        (["run", "{calc}"], 1, "exports no _start; --invoke calls one of add, neg, half, two,"),
        (["run", "missing.wasm"], 1, "No such file or directory"),
        (["inspect", "missing.wasm"], 1, "No such file or directory"),
        (["run", __file__], 1, "magic header not detected"),
        (["inspect", __file__], 1, "magic header not detected"),
        (["run", "--env", "NO_SUCH", "{calc}"], 1, "there is no such variable to pass on"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_line(
    calc: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    assert main([argument.format(calc=calc) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jitwasm: ") and message in err
    assert code == 134 or err.count("\n") == 1


def test_a_trap_shows_where_it_was(calc: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", calc, "--invoke", "trap"])
    assert "calc.trap (wasm-function[8]:0x" in capsys.readouterr().err


def test_the_exit_code_of_a_program_is_ours(calc: str) -> None:
    assert main(["run", calc, "--invoke", "exit"]) == 9


def test_wrong_usage_is_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["nonsense"], ["run"], ["run", "-O", "7", "x"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    assert "usage: jitwasm" in capsys.readouterr().err


def test_start_function_runs(tmp_path: Path) -> None:
    path = tmp_path / "start.wasm"
    path.write_bytes(wat("(module (start $f) (func $f unreachable))"))
    assert main(["run", str(path)]) == 134


def test_a_reactor_is_initialised_before_the_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "reactor.wasm"
    path.write_bytes(
        wat(
            "(module (global $g (mut i32) (i32.const 1))"
            ' (func (export "_initialize") (global.set $g (i32.const 2)))'
            ' (func (export "get") (result i32) (global.get $g)))'
        )
    )
    assert main(["run", str(path), "--invoke", "get"]) == 0
    assert capsys.readouterr().out == "2\n"


def test_a_missing_import_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "import.wasm"
    path.write_bytes(wat('(module (import "env" "log" (func)))'))
    assert main(["run", str(path)]) == 1
    assert "'env' 'log'" in capsys.readouterr().err


COMMAND = """
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "hello\\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $sizes (i32.const 32) (i32.const 36)))
    (call $exit (i32.load (i32.const 32)))))
"""


def run(*arguments: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "jitwasm", *arguments],
        input=input,
        capture_output=True,
        timeout=TIMEOUT,
    )


def test_a_wasi_command_runs(tmp_path: Path) -> None:
    path = tmp_path / "hello.wasm"
    path.write_bytes(wat(COMMAND))
    done = run("run", str(path), "one", "--two")
    assert (done.stdout, done.stderr, done.returncode) == (b"hello\n", b"", 3)


def test_a_module_from_standard_input(calc: str) -> None:
    done = run("run", "-", "--invoke", "add", "1", "2", input=Path(calc).read_bytes())
    assert (done.stdout, done.stderr, done.returncode) == (b"3\n", b"", 0)


def test_inspect_lists_everything(calc: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", calc]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"module 'calc', {len(wat(MODULE))} bytes\n")
    for line in (
        "custom 'name'",
        "function (i32) -> () 'wasi_snapshot_preview1' 'proc_exit'",
        "function (i32, i32) -> (i32) 'add'",
        "memory i32 1 'memory'",
        "10  functions, 1 imported",
        "1  data segments",
    ):
        assert line in out
    assert [word for word in ("type", "import", "code", "data") if f"  {word}\n" in out] == [
        "type", "import", "code", "data",
    ]  # fmt: skip


def test_inspect_says_what_is_wrong(
    broken: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.wasm"
    path.write_bytes(broken)
    assert main(["inspect", str(path)]) == 1
    assert "in function 0 (at offset 0x" in capsys.readouterr().err


def ended_by_a_reader_that_goes_away(arguments: list[str]) -> tuple[int, bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "jitwasm", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process.stderr as errors:
        return process.wait(TIMEOUT), errors.read()


def test_a_reader_that_goes_away_ends_a_command_as_a_native_one(calc: str) -> None:
    assert ended_by_a_reader_that_goes_away(["inspect", calc]) == (-signal.SIGPIPE, b"")


def test_a_reader_that_goes_away_ends_a_program_as_a_native_one(tmp_path: Path) -> None:
    path = tmp_path / "hello.wasm"
    path.write_bytes(wat(COMMAND))
    assert ended_by_a_reader_that_goes_away(["run", str(path)]) == (-signal.SIGPIPE, b"")


def test_a_long_compilation_shows_its_progress(tmp_path: Path) -> None:
    fifo = tmp_path / "slow.wasm"
    os.mkfifo(fifo)
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "jitwasm", "run", str(fifo)],
        stdout=subprocess.DEVNULL,
        stderr=other_end,
    )
    os.close(other_end)
    data = wat('(module (func (export "_start")))')
    shown = b""
    with open(fifo, "wb", buffering=0) as sink:
        sink.write(data[:8])
        while b"compiling" not in shown:
            shown += os.read(terminal, 1000)
        sink.write(data[8:])
    assert process.wait(TIMEOUT) == 0
    os.close(terminal)
    assert b"compiling: 0.0 MB" in shown


def test_options_of_a_run(tmp_path: Path) -> None:
    """Folders, environment, limits: all of them, on a program in C."""
    binary = tmp_path / "program.wasm"
    binary.write_bytes(wasi_program(GUESTS / "echo.c"))
    done = run(
        *("run", "-O", "0", "--env", "A=1=2", "--env", "HOME", "--timeout", "60"),
        *("--max-memory", "64M", str(binary), "--env", "-x"),
        input=b"line\n",
    )
    lines = done.stdout.decode().splitlines()
    assert lines[1:] == [
        *("arg 1: --env", "arg 2: -x", "env: A=1=2", f"env: HOME={os.environ['HOME']}"),
        "in: line",
    ]
    assert (done.returncode, done.stderr) == (7, b"to stderr\n")


def test_folders_of_a_run(tmp_path: Path) -> None:
    binary = tmp_path / "cat.wasm"
    binary.write_bytes(wasi_program(GUESTS / "cat.c"))
    (tmp_path / "f").write_bytes(b"data")
    for option in ("--dir", "--read-only"):
        done = run("run", option, f"{tmp_path}::/d", str(binary), "/d/f")
        assert (done.stdout, done.stderr, done.returncode) == (b"data", b"", 0)
    done = run("run", "--dir", str(tmp_path), str(binary), f"{tmp_path}/f")
    assert done.stdout == b"data"
    done = run("run", str(binary), f"{tmp_path}/f")
    assert done.returncode == 1 and done.stderr, "it was given no folder"
    done = run("run", "--dir", f"{tmp_path}/none", str(binary))
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert f"{tmp_path}/none: No such file".encode() in done.stderr


def test_a_program_that_takes_too_long_is_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "loop.wasm"
    path.write_bytes(wat('(module (func (export "_start") (loop $l (br $l))))'))
    assert main(["run", "--timeout", "0.1", str(path)]) == 124
    assert capsys.readouterr().err.endswith("loop.wasm: stopped after 0.1 s\n")


def test_memory_of_a_run_is_limited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "grow.wasm"
    path.write_bytes(
        wat(
            '(module (memory 1) (func (export "grow") (param i32) (result i32)'
            " (memory.grow (local.get 0))))"
        )
    )
    for size, pages, printed in (("128K", "1", "1"), ("128k", "2", "-1"), ("65536", "1", "-1")):
        assert main(["run", "--max-memory", size, "--invoke", "grow", str(path), pages]) == 0
        assert capsys.readouterr().out == printed + "\n"
    assert main(["run", "--max-memory", "1000", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "option", [("--timeout", "0"), ("--timeout", "x"), ("--max-memory", "1X"), ("--max-memory", "")]
)
def test_limits_that_make_no_sense_are_wrong_usage(calc: str, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", *option, calc])
    assert caught.value.code == 2


def test_an_interrupt_ends_the_process_as_a_native_one(tmp_path: Path) -> None:
    path = tmp_path / "loop.wasm"
    path.write_bytes(
        wat(
            '(module (import "wasi_snapshot_preview1" "fd_write"'
            " (func $write (param i32 i32 i32 i32) (result i32)))"
            ' (memory (export "memory") 1) (data (i32.const 8) "\\10\\00\\00\\00\\01\\00\\00\\00x")'
            ' (func (export "_start") (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1)'
            " (i32.const 0))) (loop $l (br $l))))"
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "jitwasm", "run", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.read(1) == b"x"
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT) == -signal.SIGINT
    assert process.stderr.read() == b""
    process.stdout.close()
    process.stderr.close()


def test_validate(calc: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", calc, calc]) == 0
    assert capsys.readouterr() == ("", "")
    bad = tmp_path / "bad.wasm"
    bad.write_bytes(wat("(module (func))")[:-1])
    assert main(["validate", calc, str(bad), str(tmp_path / "none")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines] == [str(bad), str(tmp_path / "none")]


def test_stubs_are_written_where_they_are_wanted(
    calc: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stubs", calc, "-o", "-"]) == 0
    text = capsys.readouterr().out
    assert "def add(a0: int, a1: int, /) -> int: ..." in text
    assert main(["stubs", calc, "-o", str(tmp_path / "x.pyi")]) == 0
    assert (tmp_path / "x.pyi").read_text() == text
    assert main(["stubs", calc]) == 0
    assert Path(calc).with_suffix(".pyi").read_text() == text


@pytest.mark.parametrize(
    "command", [[], ["run"], ["inspect"], ["validate"], ["compile"], ["bench"], ["stubs"]]
)
def test_help_explains(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "usage: jitwasm" in out
    if command in ([], ["run"]):
        assert "examples:\n  jitwasm run program.wasm one two" in out
