"""Data through a WASI program: a file of 100 MB through `cat`, ours and wasmtime-py's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import jitwasm
from tests.support.guests import wasi_program

wasmtime = pytest.importorskip("wasmtime")

CAT = Path(__file__).resolve().parents[1] / "tests" / "wasi" / "guests" / "cat.c"
MEGABYTES = 100


def _ours(binary: bytes, folder: Path) -> Callable[[], object]:
    module = jitwasm.Module(binary)

    def run() -> None:
        with open(os.devnull, "wb") as sink:
            result = jitwasm.run_wasi(
                module, ["/work/data"], stdout=sink.fileno(), dirs={"/work": folder}
            )
        assert result.returncode == 0

    return run


def _ours_captured(binary: bytes, folder: Path) -> Callable[[], object]:
    module = jitwasm.Module(binary)
    size = (folder / "data").stat().st_size

    def run() -> None:
        result = jitwasm.run_wasi(module, ["/work/data"], dirs={"/work": folder})
        assert len(result.stdout) == size

    return run


def _wasmtime(binary: bytes, folder: Path) -> Callable[[], object]:
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, binary)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()

    def run() -> None:
        store = wasmtime.Store(engine)
        config = wasmtime.WasiConfig()
        config.argv = ["cat", "/work/data"]
        config.preopen_dir(str(folder), "/work")
        config.stdout_file = os.devnull
        store.set_wasi(config)
        try:
            linker.instantiate(store, module).exports(store)["_start"](store)
        except wasmtime.ExitTrap as exit_:
            assert exit_.code == 0

    return run


ROWS = {"jitwasm": _ours, "jitwasm, captured": _ours_captured, "wasmtime": _wasmtime}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    path = tmp_path_factory.mktemp("wasi")
    quick = bool(request.config.getoption("--quick"))
    piece = os.urandom(1 << 20)
    with open(path / "data", "wb") as file:
        for _ in range(1 if quick else MEGABYTES):
            file.write(piece)
    return path


@pytest.mark.parametrize("row", ROWS)
def test_cat(row: str, folder: Path, benchmark: pytest.FixtureRequest, quick: bool) -> None:
    run = ROWS[row](wasi_program(CAT), folder)
    benchmark.group = "wasi: cat of a file"  # type: ignore[attr-defined]
    benchmark.pedantic(run, rounds=1 if quick else 7, warmup_rounds=1)  # type: ignore[attr-defined]
