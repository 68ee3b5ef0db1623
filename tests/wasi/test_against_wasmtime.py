"""The same programs under jitwasm and under wasmtime: equal output, files and exit codes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import wasmtime

import jitwasm
from tests.support.guests import wasi_program

GUESTS = Path(__file__).parent / "guests"
ENV = {"HOME": "/work", "LANG": "C"}
STDIN = b"first line\nsecond line\n"


def run_peer(binary: bytes, name: str, tmp_path: Path, folder: Path) -> tuple[int, bytes, bytes]:
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, binary)
    linker = wasmtime.Linker(store.engine)
    linker.define_wasi()
    config = wasmtime.WasiConfig()
    config.argv = [name, "argument"]
    config.env = list(ENV.items())
    (tmp_path / "stdin").write_bytes(STDIN)
    config.stdin_file = str(tmp_path / "stdin")
    config.stdout_file = str(tmp_path / "stdout")
    config.stderr_file = str(tmp_path / "stderr")
    config.preopen_dir(str(folder), "/work")
    store.set_wasi(config)
    code = 0
    try:
        linker.instantiate(store, module).exports(store)["_start"](store)
    except wasmtime.ExitTrap as exit_:
        code = exit_.code
    return code, (tmp_path / "stdout").read_bytes(), (tmp_path / "stderr").read_bytes()


def tree(folder: Path) -> dict[str, bytes | str]:
    """Files by their paths with their contents; links with their targets."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


@pytest.mark.parametrize("name", ["files", "details", "echo", "poll", "cat"])
@pytest.mark.parametrize("where", ["real folder", "folder in memory"])
def test_program_behaves_as_under_wasmtime(name: str, where: str, tmp_path: Path) -> None:
    binary = wasi_program(GUESTS / f"{name}.c")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for folder in (theirs, ours):
        folder.mkdir()
        (folder / "argument").write_bytes(b"contents\n" * 100_000)
    expected = run_peer(binary, "program", tmp_path, theirs)
    in_memory = jitwasm.MemoryDirectory.of_tree({"argument": b"contents\n" * 100_000})
    result = jitwasm.run_wasi(
        binary,
        ["argument"],
        env=ENV,
        stdin=STDIN,
        dirs={"/work": ours if where == "real folder" else in_memory},
    )
    assert result.stdout.decode() == expected[1].decode()
    assert (result.returncode, result.stderr) == (expected[0], expected[2])
    if where == "real folder":
        assert tree(ours) == tree(theirs)
    else:
        files = {name: data for name, data in tree(theirs).items() if isinstance(data, bytes)}
        assert in_memory.to_dict() == files


@pytest.mark.parametrize("where", ["real folder", "folder in memory"])
def test_many_files_renames_and_sparse_files(where: str, tmp_path: Path) -> None:
    sparse = ["-DSPARSE"] if where == "real folder" else []  # memory would have to hold it
    binary = wasi_program(GUESTS / "tree.c", *sparse)
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    expected = run_peer(binary, "program", tmp_path, theirs)
    folder = ours if where == "real folder" else jitwasm.MemoryDirectory()
    result = jitwasm.run_wasi(
        binary, env=ENV, dirs={"/work": folder}, config=jitwasm.Config(opt_level=0)
    )
    assert result.stdout.decode() == expected[1].decode()
    assert result.returncode == expected[0]
    if isinstance(folder, Path):
        assert tree(ours) == tree(theirs)
    else:
        assert folder.to_dict().keys() == {k for k, v in tree(theirs).items() if v is not None}
