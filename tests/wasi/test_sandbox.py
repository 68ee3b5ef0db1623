"""Attempts to leave the folder that was given, each refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import jitwasm
from jitwasm.wasi.abi import FdFlags, OFlags, Rights, WasiError
from jitwasm.wasi.hostfs import HostDirectory
from jitwasm.wasi.paths import resolve
from tests.support.guests import wasi_program
from tests.wasi.machine import RESULT, ours

GUESTS = Path(__file__).parent / "guests"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with links that lead outside, beside a folder with a secret."""
    work, outside = tmp_path / "work", tmp_path / "outside"
    (work / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (work / "inside").write_text("inside")
    (work / "link_file").symlink_to("../outside/secret")
    (work / "link_absolute").symlink_to(outside / "secret")
    (work / "link_folder").symlink_to("../outside")
    (work / "link_chain").symlink_to("link_file")
    (work / "sub" / "link_up").symlink_to("..")
    return work


def test_program_cannot_leave_its_folder(folder: Path) -> None:
    result = jitwasm.run_wasi(wasi_program(GUESTS / "escape.c"), dirs={"/work": folder})
    assert result.stdout == b"0 escapes\n"
    assert result.returncode == 0
    outside = folder.parent / "outside"
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret"


@pytest.mark.parametrize(
    ("path", "errno"),
    [
        ("..", "PERM"),
        ("../outside/secret", "PERM"),
        ("sub/../../outside/secret", "PERM"),
        ("/etc/passwd", "PERM"),
        ("link_file", "PERM"),
        ("link_absolute", "PERM"),
        ("link_folder/secret", "PERM"),
        ("link_chain", "PERM"),
        ("sub/link_up/../outside/secret", "PERM"),
        ("", "NOENT"),
        ("no/such", "NOENT"),
        ("inside/below", "NOTDIR"),
    ],
)
def test_path_that_leads_outside_is_refused(folder: Path, path: str, errno: str) -> None:
    root = HostDirectory.at(folder, writable=True)
    with pytest.raises(WasiError, match=f"^{errno}$"):
        resolve(root, path, follow=True).close()
    root.close()


def test_link_is_not_followed_by_the_operation_itself(folder: Path) -> None:
    """Even if a link takes a file's place between the walk and the operation."""
    root = HostDirectory.at(folder, writable=True)
    place = resolve(root, "inside", follow=True)
    (folder / "inside").unlink()
    (folder / "inside").symlink_to("../outside/secret")
    with pytest.raises(OSError, match="symbolic links"):
        place.directory.open("inside", OFlags(0), Rights.FD_READ, FdFlags(0))
    place.close()
    root.close()


def test_folder_moved_outside_during_a_walk_does_not_lead_outside(folder: Path) -> None:
    root = HostDirectory.at(folder, writable=True)
    deep = folder / "sub" / "deep"
    deep.mkdir()
    place = resolve(root, "sub/deep/x", follow=False)
    deep.rename(folder.parent / "outside" / "deep")
    with pytest.raises(WasiError, match="PERM"):
        resolve(place.directory, "../secret", follow=True)
    place.close()
    root.close()


def test_read_only_folder_cannot_be_changed(folder: Path) -> None:
    before = sorted(os.listdir(folder))
    result = jitwasm.run_wasi(
        wasi_program(GUESTS / "files.c"), dirs={"/work": jitwasm.ReadOnly(folder)}
    )
    assert "open a.txt: error 69" in result.stdout.decode()
    assert sorted(os.listdir(folder)) == before


def test_program_without_folders_reaches_no_file() -> None:
    result = jitwasm.run_wasi(wasi_program(GUESTS / "escape.c"))
    assert result.returncode == 99


def test_a_link_swapped_in_during_the_run_never_leads_outside(folder: Path) -> None:
    """A thread exchanges a file with a link to the secret while the program opens it."""
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (folder / "other").symlink_to("../outside/secret")
            os.replace(folder / "other", folder / "inside")
            (folder / "other").write_text("inside")
            os.replace(folder / "other", folder / "inside")

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        machine = ours(jitwasm.Wasi(stdout=None, dirs={"/work": folder}))
        for _ in range(300):
            everything = (1 << 29) - 1
            code = machine.call("path_open", 3, 1, "inside", 0, everything, everything, 0, RESULT)
            if code == "SUCCESS":
                fd = machine.u32()
                assert machine.get(fd, 20) in (b"inside", b"")
                assert machine.call("fd_close", fd) == "SUCCESS"
            else:
                assert code in ("PERM", "LOOP", "NOENT")
    finally:
        stop.set()
        attacker.join()


def test_a_fifo_of_the_host_does_not_hold_the_program_up(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    machine = ours(jitwasm.Wasi(stdout=None, dirs={"/work": folder}))
    rights = int(Rights.FD_WRITE)
    assert machine.call("path_open", 3, 0, "fifo", 0, rights, 0, 0, RESULT) == "NXIO"
    assert machine.open("fifo", rights=int(Rights.FD_READ)) == 4


def test_names_that_are_not_utf8_do_no_harm(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff")).touch()
    (folder / "odd").symlink_to(os.fsdecode(b"\xfe"))
    machine = ours(jitwasm.Wasi(stdout=None, dirs={"/work": folder}))
    assert machine.call("fd_readdir", 3, 4096, 4096, 0, RESULT) == "SUCCESS"
    assert b"\xff" in machine.read(4096, machine.u32())
    assert machine.call("path_readlink", 3, "odd", 512, 10, RESULT) == "SUCCESS"
    assert machine.read(512, machine.u32()) == b"\xfe"
    assert machine.call("path_filestat_get", 3, 1, "odd", 512) == "NOENT"


EVERYTHING = (1 << 29) - 1
CREATE, TRUNCATE = 1, 8
OUT = "../outside"
ATTEMPTS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "make a file": ("path_open", (3, 1, f"{OUT}/new", CREATE, EVERYTHING, 0, 0, RESULT)),
    "make a file by a link": ("path_open", (3, 1, "link_new", CREATE, EVERYTHING, 0, 0, RESULT)),
    "empty a file": ("path_open", (3, 1, f"{OUT}/secret", TRUNCATE, EVERYTHING, 0, 0, RESULT)),
    "empty a file by a link": (
        "path_open",
        (3, 1, "link_file", TRUNCATE, EVERYTHING, 0, 0, RESULT),
    ),
    "open the folder": ("path_open", (3, 1, OUT, 2, EVERYTHING, EVERYTHING, 0, RESULT)),
    "open the folder by a link": (
        "path_open",
        (3, 1, "link_folder", 2, EVERYTHING, EVERYTHING, 0, RESULT),
    ),
    "make a folder": ("path_create_directory", (3, f"{OUT}/folder")),
    "make a folder by a link": ("path_create_directory", (3, "link_folder/folder")),
    "remove a folder": ("path_remove_directory", (3, f"{OUT}/empty")),
    "remove a folder by a link": ("path_remove_directory", (3, "link_folder/empty")),
    "remove a file": ("path_unlink_file", (3, f"{OUT}/secret")),
    "remove a file by a link": ("path_unlink_file", (3, "link_folder/secret")),
    "move a file out": ("path_rename", (3, "inside", 3, f"{OUT}/moved")),
    "move a file out by a link": ("path_rename", (3, "inside", 3, "link_folder/moved")),
    "move a file in": ("path_rename", (3, f"{OUT}/secret", 3, "stolen")),
    "move a file in by a link": ("path_rename", (3, "link_folder/secret", 3, "stolen")),
    "link a file in": ("path_link", (3, 0, f"{OUT}/secret", 3, "hard")),
    "link a file in by a link": ("path_link", (3, 1, "link_file", 3, "hard")),
    "link a file out": ("path_link", (3, 0, "inside", 3, f"{OUT}/hard")),
    "make a link outside": ("path_symlink", ("inside", 3, f"{OUT}/link")),
    "make an absolute link": ("path_symlink", ("/etc/passwd", 3, "absolute")),
    "set times": ("path_filestat_set_times", (3, 0, f"{OUT}/secret", 7, 8, 1 | 4)),
    "set times by a link": ("path_filestat_set_times", (3, 1, "link_file", 7, 8, 1 | 4)),
    "look at a file": ("path_filestat_get", (3, 0, f"{OUT}/secret", 512)),
    "look at a file by a link": ("path_filestat_get", (3, 1, "link_file", 512)),
    "read a link": ("path_readlink", (3, f"{OUT}/pointer", 512, 64, RESULT)),
    "read a link by a link": ("path_readlink", (3, "link_folder/pointer", 512, 64, RESULT)),
}


def everything_in(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What can be told of a folder and of what is in it, but for when somebody looked."""
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_to_escape_is_refused(folder: Path, attempt: str) -> None:
    outside = folder.parent / "outside"
    (outside / "empty").mkdir()
    (outside / "pointer").symlink_to("secret")
    (folder / "link_new").symlink_to("../outside/new")
    before = everything_in(outside)
    name, arguments = ATTEMPTS[attempt]
    machine = ours(jitwasm.Wasi(stdout=None, dirs={"/work": folder}))
    # Links are never made to what a link leads to, wherever that is.
    wanted = "INVAL" if attempt == "link a file in by a link" else "PERM"
    assert machine.call(name, *arguments) == wanted
    assert everything_in(outside) == before
    assert (folder / "inside").read_text() == "inside"
    assert not (folder / "stolen").exists() and not (folder / "hard").exists()


def test_an_opened_folder_gives_no_way_up(folder: Path) -> None:
    machine = ours(jitwasm.Wasi(stdout=None, dirs={"/work": folder}))
    assert machine.call("path_open", 3, 0, "sub", 2, EVERYTHING, EVERYTHING, 0, RESULT) == "SUCCESS"
    sub = machine.u32()
    for path in ("..", "../inside", "link_up/../outside/secret", "link_up"):
        assert machine.call("path_filestat_get", sub, 1, path, 512) == "PERM"
