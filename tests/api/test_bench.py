"""`jitwasm bench`: the measurements are of the right things, and told as they are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jitwasm
from jitwasm.benchmark import measure as measuring
from jitwasm.benchmark.clock import Download
from jitwasm.benchmark.job import Invocation, Job, Outcome, texts
from jitwasm.benchmark.measure import Series, measure
from jitwasm.benchmark.repeat import repeat_module
from jitwasm.benchmark.tables import geometric_means, render, time_text
from jitwasm.cli.main import main
from jitwasm.pipeline import check
from jitwasm.types import EXTERNREF, F32, F64, FUNCREF, I32, I64, V128, func_type
from tests.support.wat import wat

PEERS = [
    "wasmtime",
    pytest.param("node", marks=pytest.mark.skipif(not shutil.which("node"), reason="no node")),
]

LIBRARY = wat("""
(module
  (import "env" "log" (func (param i32)))
  (import "env" "memory" (memory 1 2))
  (import "env" "table" (table 1 funcref))
  (import "env" "zero" (global (mut f32)))
  (func (export "add") (param i32 i64 f32 f64) (result f64)
    (f64.add (f64.convert_i32_s (local.get 0)) (f64.add (f64.convert_i64_s (local.get 1))
      (f64.add (f64.promote_f32 (local.get 2)) (local.get 3)))))
  (func (export "two") (param externref) (result i64 f32) i64.const -5 f32.const -0)
  (func (export "trap") unreachable))
""")

PROGRAM = wat("""
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\\10\\00\\00\\00\\06\\00\\00\\00hello\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
    (drop (call $sizes (i32.const 32) (i32.const 36)))
    (call $exit (i32.load (i32.const 32)))))
""")


@pytest.fixture
def library(tmp_path: Path) -> str:
    path = tmp_path / "library.wasm"
    path.write_bytes(LIBRARY)
    return str(path)


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program.wasm"
    path.write_bytes(PROGRAM)
    return str(path)


def bench(*arguments: str) -> int:
    return main(["bench", "--seconds", "0.001", "--rate", "0", *arguments])


def phases(found: dict[str, Any], engine: str) -> dict[str, float]:
    (module,) = found["modules"]
    return {phase: rows[engine]["median"] for phase, rows in module["phases"].items()}


@pytest.mark.parametrize("peer", PEERS)
def test_an_export_is_measured_in_every_phase(
    library: str, capsys: pytest.CaptureFixture[str], peer: str
) -> None:
    code = bench(
        "--json", "--compare", peer, library, "--invoke", "add", "1", "2", "0.5", "--", "-inf"
    )
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    for engine in ("jitwasm", peer):
        assert found["engines"][engine]
        seconds = phases(found, engine)
        assert list(seconds) == ["validate", "compile", "stream", "instantiate", "call", "execute"]
        assert all(value > 0 for value in seconds.values())
        assert seconds["execute"] < seconds["call"] < 0.1
    assert found["modules"][0]["export"] == "add" and found["modules"][0]["differing"] == []
    assert found["ratios"]["call"] == {
        "jitwasm": 1.0,
        peer: pytest.approx(phases(found, peer)["call"] / phases(found, "jitwasm")["call"]),
    }


@pytest.mark.parametrize("peer", PEERS)
def test_a_program_is_measured_with_its_arguments(
    program: str, capsys: pytest.CaptureFixture[str], peer: str
) -> None:
    assert bench("--json", "--compare", peer, program, "--", "-v", "x") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert list(phases(found, peer)) == ["validate", "compile", "stream", "instantiate", "execute"]
    assert found["modules"][0]["exit_code"] == 3, "its name and two arguments"
    assert "hello" not in captured.out


def test_results_that_need_care_are_equal_in_all_engines(
    library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = "wasmtime,node" if shutil.which("node") else "wasmtime"
    assert bench("--compare", peers, library, "--invoke", "two", "null") == 0
    out = capsys.readouterr().out
    assert "differs" not in out and "measured: two(None)" in out


def test_the_table(library: str, program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--compare", "baseline,wasmtime", library, program) == 0
    out = capsys.readouterr().out
    assert re.search(r"library\.wasm: \d+ bytes, 3 functions of \d+ bytes\n", out)
    assert re.search(r"\n {18,}jitwasm +baseline +wasmtime\n", out)
    assert re.search(r"\n  compile +[\d.]+ [mµ]?s +[\d.]+ [mµ]?s \([\d.]+\) +", out)
    assert "Not a WASI program: --invoke NAME measures calls of an export." in out
    assert "measured: the program's main\n" in out
    assert "geometric means over 2 modules, as multiples of jitwasm" in out


def test_an_export_that_traps_has_no_times(
    library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(library, "--invoke", "trap") == 1
    out, err = capsys.readouterr()
    assert re.search(r"\n  execute +–\n", out)
    assert f"jitwasm: {library}: unreachable\n" in err


def test_an_engine_that_is_missing_is_named(
    library: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JITWASM_BENCH_NODE", raising=False)
    assert bench("--compare", "node", library) == 0
    assert "jitwasm: no column for node: it is not installed\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compare", "spidermonkey", "{}"], "no engine 'spidermonkey'; there are: jitwasm,"),
        (["--rate", "fast", "{}"], "'fast' is no number of bytes"),
        (["--invoke", "add"], "required: FILE"),
    ],
)
def test_wrong_usage(
    library: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        bench(*(argument.format(library) for argument in arguments))
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_files_that_are_no_modules(
    library: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.wasm").write_bytes(b"bad")
    for arguments, message in (
        ([library, str(tmp_path / "bad.wasm")], "bad.wasm: "),
        ([str(tmp_path / "none.wasm")], "none.wasm: No such file or directory"),
        ([library, "--invoke", "sub"], "no exported function 'sub'"),
    ):
        assert bench(*arguments) == 1
        out, err = capsys.readouterr()
        assert out == "" and message in err and err.count("\n") == 1


class Fake:
    """An engine that says what it is told to."""

    def __init__(self, name: str, seconds: float, result: str, log: list[str]) -> None:
        self.name, self._seconds, self._result, self._log = name, seconds, result, log

    def version(self) -> str:
        return "1"

    def _take(self, *arguments: object) -> float:
        self._log.append(self.name)
        return self._seconds

    validate = compile = stream = instantiate = call = execute = _take

    def load(self, job: Job) -> Fake:
        return self

    def outcome(self) -> Outcome:
        return Outcome(0, (self._result,))

    def close(self) -> None:
        self._log.append(f"{self.name} closed")


def job() -> Job:
    return Job("x.wasm", LIBRARY, check(LIBRARY), Invocation("f", func_type((), (I32,)), ()))


def test_engines_take_turns_and_who_computes_something_else_is_out() -> None:
    log: list[str] = []
    engines = [Fake("a", 2.0, "7", log), Fake("b", 3.0, "7", log), Fake("c", 1.0, "8", log)]
    found = measure(job(), engines, 1.0, lambda text: None)
    warm, turns = log[:3], log[3 : 3 + 9]
    assert warm == ["a", "b", "c"] and turns == ["a", "b", "c"] * 3
    assert found.differing == ["c"]
    assert found.phases["call"]["c"].missing == "its result differs"
    assert found.phases["call"]["b"].ratio(found.phases["call"]["a"]) == 1.5
    assert geometric_means([found], ["a", "b", "c"])["call"] == {
        "a": pytest.approx(1.0),
        "b": pytest.approx(1.5),
    }
    assert log[-3:] == ["a closed", "b closed", "c closed"]
    assert "c: its result differs" in render([found], ["a", "b", "c"])


def test_short_work_is_repeated_until_a_sample_is_long_enough() -> None:
    row = Series()
    measuring._start(row, lambda count: 1e-6, repeated=True)
    assert row.count * 1e-6 >= measuring.LEAST_SECONDS > row.count / 4 * 1e-6
    once = Series()
    measuring._start(once, lambda count: 1e-6, repeated=False)
    assert once.count == 1


def test_a_failure_in_the_middle_takes_nothing_but_its_row() -> None:
    def fail(count: int) -> float:
        raise RuntimeError("first line\nsecond")

    takes: dict[str, Callable[[int], float]] = {"good": lambda count: 1.0, "bad": fail}
    found = measuring._series(takes, 0.01, repeated=False)
    assert found["bad"].missing == "first line"
    assert len(found["good"].samples) >= 3


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_call_is_repeated_within_wasm(count: int) -> None:
    calls: list[tuple[object, ...]] = []
    type_ = func_type((I32, I64, F32, F64, V128, EXTERNREF, FUNCREF), (I32, F64))
    arguments = (-7, 1 << 63, 0.5, -1.5, bytes(range(16)), None, None)

    def f(*given: object) -> tuple[int, float]:
        calls.append(given)
        return 1, 2.0

    module = jitwasm.Module(repeat_module(type_, arguments))
    jitwasm.Instance(module, {"": {"f": f}}).exports.repeat(count)
    expected = (-7, -1 << 63, 0.5, -1.5, bytes(range(16)), None, None)
    assert calls == [expected] * count


def test_results_compare_equal_between_engines() -> None:
    assert texts(None, ()) == ()
    assert texts(-1, (I32,)) == ("-1",)
    assert texts([5, float("nan")], (I64, F32)) == ("5", "nan")
    assert texts(0.0, (F64,)) != texts(-0.0, (F64,))


def test_a_download_keeps_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("jitwasm.benchmark.clock.time.sleep", sleep)
    monkeypatch.setattr("jitwasm.benchmark.clock.time.perf_counter", lambda: now[0])
    download = Download(bytes(10_000), 1000)
    assert b"".join(download) == bytes(10_000)
    assert sum(slept) == pytest.approx(10.0) and download.last == pytest.approx(110.0)
    assert max(slept) == pytest.approx(4.096)
    at_once = Download(bytes(10_000), 0)
    for _ in at_once:
        now[0] += 1
    assert at_once.last == pytest.approx(110.0), "all was there at the beginning"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12.345, "12.3 s"), (1.0, "1.00 s"), (0.9999, "1.00 s"), (0.0123, "12.3 ms"),
        (4.5e-6, "4.50 µs"), (321e-9, "321 ns"), (0.4e-9, "0.40 ns"),
    ],
)  # fmt: skip
def test_times_have_three_digits(seconds: float, text: str) -> None:
    assert time_text(seconds) == text
