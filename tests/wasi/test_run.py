"""`run_wasi`: streams of every kind, exit codes, limits."""

from __future__ import annotations

import io
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

import jitwasm
from tests.support.guests import wasi_program
from tests.support.wat import wat

GUESTS = Path(__file__).parent / "guests"
CONFIG = jitwasm.Config(opt_level=0)


@pytest.fixture(scope="module")
def cat() -> jitwasm.Module:
    return jitwasm.Module(wasi_program(GUESTS / "cat.c"), CONFIG)


def wasi(body: str, *, memory: str = "1", config: jitwasm.Config = CONFIG) -> jitwasm.Module:
    """A command with the imports that these tests need."""
    return jitwasm.Module(
        wat(f"""
        (module
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (import "wasi_snapshot_preview1" "fd_read"
            (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "poll_oneoff"
            (func $poll (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") {memory})
          (data (i32.const 8) "\\10\\00\\00\\00\\03\\00\\00\\00abc")
          (data (i32.const 80) "\\10\\00\\00\\00\\00\\00\\01\\00")
          {body})"""),
        config,
    )


DATA = bytes(range(256)) * 1000


@pytest.mark.parametrize(
    "kind", ["bytes", "bytearray", "file", "raw", "pipe", "callable", "BytesIO"]
)
def test_standard_input(cat: jitwasm.Module, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(DATA)
    with open(path, "rb") as file, open(path, "rb", buffering=0) as raw:
        echo = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
        source: Any = {
            "bytes": DATA,
            "bytearray": bytearray(DATA),
            "file": file,
            "raw": raw,
            "pipe": echo.stdout,
            "callable": io.BytesIO(DATA).read,
            "BytesIO": io.BytesIO(DATA),
        }[kind]
        assert jitwasm.run_wasi(cat, stdin=source).stdout == DATA
        assert echo.stdout is not None
        echo.stdout.close()
        echo.wait(60)


@pytest.mark.parametrize("kind", ["file", "raw", "number", "callable", "BytesIO", "duck"])
def test_standard_output(cat: jitwasm.Module, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "output"
    pieces: list[bytes] = []
    memory = io.BytesIO()

    class Duck:
        def write(self, data: bytes) -> None:
            pieces.append(data)

    with open(path, "wb") as file, open(path, "ab", buffering=0) as raw:
        sinks: dict[str, Any] = {
            "file": file,
            "raw": raw,
            "number": raw.fileno(),
            "callable": pieces.append,
            "BytesIO": memory,
            "duck": Duck(),
        }
        result = jitwasm.run_wasi(cat, stdin=DATA, stdout=sinks[kind])
        assert result.stdout == b""
        assert path.read_bytes() + b"".join(pieces) + memory.getvalue() == DATA


def test_text_files_get_text(cat: jitwasm.Module) -> None:
    text = "pi is π, €uro\n" * 20_000
    out = io.StringIO()
    jitwasm.run_wasi(cat, stdin=io.StringIO(text), stdout=out)
    assert out.getvalue() == text


@pytest.mark.parametrize("wrong", ["nonsense", 1.5, object()])
def test_streams_of_the_wrong_kind_are_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="stdin must be"):
        jitwasm.Wasi(stdin=wrong)
    with pytest.raises(TypeError, match="an output must be"):
        jitwasm.Wasi(stdout=wrong)


def test_a_file_in_a_readable_folder(cat: jitwasm.Module, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    result = jitwasm.run_wasi(cat, ["/d/f"], dirs={"/d": jitwasm.ReadOnly(tmp_path)})
    assert result.stdout == DATA
    assert result.args == ["program", "/d/f"]


def test_a_program_can_be_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "hello.wasm"
    path.write_bytes(wat('(module (memory (export "memory") 1) (func (export "_start")))'))
    for source in (path, str(path)):
        result = jitwasm.run_wasi(source, config=CONFIG)
        assert (result.returncode, result.args) == (0, ["hello.wasm"])


def test_exit_code_and_check() -> None:
    program = wasi('(func (export "_start") (call $exit (i32.const 3)))')
    assert jitwasm.run_wasi(program).returncode == 3
    with pytest.raises(subprocess.CalledProcessError) as caught:
        jitwasm.run_wasi(program, check=True)
    assert caught.value.returncode == 3


def test_a_start_section_may_end_the_program() -> None:
    program = wasi('(func $s (call $exit (i32.const 4))) (start $s) (func (export "_start"))')
    assert jitwasm.run_wasi(program).returncode == 4


def test_a_reactor_is_initialised() -> None:
    program = wasi(
        '(func (export "_initialize") (drop (call $write (i32.const 1) (i32.const 8)'
        " (i32.const 1) (i32.const 0))))"
    )
    assert jitwasm.run_wasi(program).stdout == b"abc"


def test_what_is_no_program_is_a_link_error() -> None:
    for text in ("(module)", '(module (memory (export "_start") 1))'):
        with pytest.raises(jitwasm.LinkError, match="neither _start nor _initialize"):
            jitwasm.run_wasi(wat(text), config=CONFIG)


def test_a_program_without_memory_gets_an_error_of_ours() -> None:
    program = wat(
        '(module (import "wasi_snapshot_preview1" "random_get"'
        " (func $f (param i32 i32) (result i32)))"
        ' (func (export "_start") (drop (call $f (i32.const 0) (i32.const 1)))))'
    )
    with pytest.raises(jitwasm.LinkError, match="without memory"):
        jitwasm.run_wasi(program, config=CONFIG)


SAY = "(drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))"


def test_a_program_that_loops_runs_into_its_timeout() -> None:
    program = wasi(f'(func (export "_start") {SAY} (loop $l (br $l)))')
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        jitwasm.run_wasi(program, timeout=0.1)
    assert (caught.value.output, caught.value.timeout) == (b"abc", 0.1)


def test_a_program_that_sleeps_runs_into_its_timeout() -> None:
    # A subscription to the clock 1 for 2^62 ns.
    program = wasi(
        '(data (i32.const 144) "\\01") (data (i32.const 159) "\\40")'
        '(func (export "_start") (drop (call $poll (i32.const 128) (i32.const 256)'
        " (i32.const 1) (i32.const 0))))"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        jitwasm.run_wasi(program, timeout=0.1)


def test_a_program_that_waits_for_a_pipe_runs_into_its_timeout(cat: jitwasm.Module) -> None:
    read_end, write_end = os.pipe()
    with pytest.raises(subprocess.TimeoutExpired):
        jitwasm.run_wasi(cat, stdin=read_end, timeout=0.1)
    os.write(write_end, b"x")
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        jitwasm.run_wasi(cat, stdin=read_end, timeout=0.1)
    assert caught.value.output == b"x"
    # A full pipe that nobody reads.
    with pytest.raises(subprocess.TimeoutExpired):
        jitwasm.run_wasi(cat, stdin=DATA, stdout=write_end, timeout=0.1)
    os.close(read_end)
    os.close(write_end)


GROW = """(func (export "_start")
  (call $exit (i32.add (memory.grow (i32.const 3))
    (i32.mul (i32.const 10) (memory.grow (i32.const 1))))))"""


def test_memory_is_limited_by_the_configuration() -> None:
    def run(limit: int | None) -> int:
        limits = jitwasm.ImplementationLimits(memory_bytes=limit)
        config = jitwasm.Config(opt_level=0, limits=limits)
        return jitwasm.run_wasi(wasi(GROW, config=config)).returncode

    assert run(None) == 1 + 10 * 4
    assert run(4 << 16) == (1 - 10) & 0xFFFFFFFF
    assert run((4 << 16) - 1) == (-1 + 10 * 1) & 0xFFFFFFFF
    with pytest.raises(MemoryError, match="limit of 100 bytes"):
        run(100)


def test_the_limit_is_for_all_memories_of_an_instance() -> None:
    limits = jitwasm.ImplementationLimits(memory_bytes=10 << 16)
    module = jitwasm.Module(
        wat('(module (memory (export "a") 1) (memory (export "b") 1))'),
        jitwasm.Config(opt_level=0, limits=limits),
    )
    exports = jitwasm.Instance(module).exports
    for memory in (exports.a, exports.b):
        memory.grow(4)
        with pytest.raises(ValueError, match="cannot grow"):
            memory.grow(1)


@pytest.mark.parametrize(
    "folder",
    [{"a": b"", "a/b": b""}, {"a/b": b"", "a": b""}, {"": b""}, {"..": b""}, {"a/../b": b""}],
)
def test_folders_in_memory_have_names_that_make_sense(folder: dict[str, bytes]) -> None:
    with pytest.raises(ValueError):
        jitwasm.Wasi(dirs={"/": folder})


TERMINALS = """
(module
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  ;; 1 if the descriptor is one by which C libraries know a terminal.
  (func $terminal (param i32) (result i32)
    (drop (call $stat (local.get 0) (i32.const 0)))
    (i32.and (i32.eq (i32.load8_u (i32.const 0)) (i32.const 2))
      (i64.eqz (i64.and (i64.load (i32.const 8)) (i64.const 0x24)))))
  (func (export "_start")
    (call $exit (i32.or (call $terminal (i32.const 0))
      (i32.or (i32.shl (call $terminal (i32.const 1)) (i32.const 1))
        (i32.shl (call $terminal (i32.const 2)) (i32.const 2)))))))
"""


def test_only_a_terminal_is_one() -> None:
    program = wat(TERMINALS)
    streams = [(None, None), (b"data", io.BytesIO()), (lambda size: b"", lambda data: None)]
    for stdin, out in streams:
        assert jitwasm.run_wasi(program, stdin=stdin, stdout=out, stderr=out).returncode == 0
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    terminal, other_end = pty.openpty()
    try:
        done = jitwasm.run_wasi(program, stdin=reading, stdout=writing, stderr=null)
        assert done.returncode == 0
        done = jitwasm.run_wasi(program, stdin=other_end, stdout=other_end, stderr=null)
        assert done.returncode == 3
    finally:
        for fd in (reading, writing, null, terminal, other_end):
            os.close(fd)
