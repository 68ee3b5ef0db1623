"""Each function of the interface, called by hand; and calls that only an attacker makes."""

from __future__ import annotations

import io
import os
import socket
import struct
from pathlib import Path

import pytest

import jitwasm
from jitwasm.wasi.abi import FUNCTIONS, Rights
from tests.wasi.machine import DATA, RESULT, UNSTABLE, Machine, ours, theirs

CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
ALL = (1 << 29) - 1
READING = int(Rights.FD_READ | Rights.FD_SEEK | Rights.FD_FILESTAT_SET_TIMES)


def machine(**given: object) -> Machine:
    options: dict[str, object] = {"stdout": None, "stderr": None, "dirs": {"/work": {}}, **given}
    return ours(jitwasm.Wasi(**options))  # type: ignore[arg-type]


STEPS: list[tuple[str, tuple[int | str | bytes, ...]]] = [
    ("fd_prestat_get", (3, RESULT)),
    ("fd_prestat_dir_name", (3, 256, 5)),
    ("fd_prestat_dir_name", (3, 256, 1)),
    ("fd_prestat_get", (2, RESULT)),
    ("fd_prestat_get", (9, RESULT)),
    ("path_create_directory", (3, "sub")),
    ("path_create_directory", (3, "sub")),
    ("path_create_directory", (3, "../sub")),
    ("path_create_directory", (3, "a/b")),
    ("path_open", (3, 1, "f", CREAT | EXCL, ALL, ALL, 0, RESULT)),
    ("path_open", (3, 1, "f", CREAT | EXCL, ALL, ALL, 0, RESULT)),
    ("path_open", (3, 1, "f", DIRECTORY, ALL, ALL, 0, RESULT)),
    ("path_open", (3, 1, "g", 0, ALL, ALL, 0, RESULT)),
    ("path_open", (3, 1, "", 0, ALL, ALL, 0, RESULT)),
    ("path_open", (77, 1, "f", 0, ALL, ALL, 0, RESULT)),
    ("fd_allocate", (77, 0, 100)),
    ("fd_advise", (4, 0, 100, 1)),
    ("fd_filestat_set_size", (4, 77)),
    ("fd_seek", (4, 10, 0, RESULT)),
    ("fd_seek", (4, -11, 1, RESULT)),
    ("fd_seek", (4, 0, 3, RESULT)),
    ("fd_tell", (4, RESULT)),
    ("fd_sync", (4,)),
    ("fd_datasync", (4,)),
    ("fd_fdstat_set_flags", (4, 1)),
    ("fd_filestat_set_times", (4, 5, 6, 1 | 4)),
    ("fd_filestat_set_times", (4, 5, 6, 1 | 2)),
    ("path_filestat_set_times", (3, 0, "f", 7, 8, 1 | 4)),
    ("path_filestat_get", (3, 0, "f", 256)),
    ("path_filestat_get", (3, 0, "none", 256)),
    ("path_symlink", ("f", 3, "link")),
    ("path_symlink", ("f", 3, "link")),
    ("path_readlink", (3, "link", 512, 10, RESULT)),
    ("path_readlink", (3, "f", 512, 10, RESULT)),
    ("path_link", (3, 0, "f", 3, "hard")),
    ("path_link", (3, 0, "none", 3, "hard2")),
    ("path_rename", (3, "hard", 3, "sub/moved")),
    ("path_rename", (3, "none", 3, "sub/moved")),
    ("path_rename", (3, "sub", 3, "sub/below")),
    ("path_remove_directory", (3, "sub")),
    ("path_unlink_file", (3, "sub/moved")),
    ("path_unlink_file", (3, "none")),
    ("path_remove_directory", (3, "sub")),
    ("fd_readdir", (3, 2048, 4096, 0, RESULT)),
    ("fd_readdir", (4, 2048, 4096, 0, RESULT)),
    ("fd_close", (4,)),
    ("fd_close", (4,)),
    ("fd_close", (-1,)),
    ("clock_res_get", (0, RESULT)),
    ("clock_time_get", (1, 0, RESULT)),
    ("clock_time_get", (99, 0, RESULT)),
    ("random_get", (256, 16)),
    ("args_sizes_get", (RESULT, RESULT + 4)),
    ("environ_sizes_get", (RESULT, RESULT + 4)),
    ("environ_get", (256, 256)),
    ("poll_oneoff", (256, 512, 0, RESULT)),
    ("sched_yield", ()),
    ("sock_shutdown", (3, 1)),
]


@pytest.mark.parametrize("where", ["real folder", "folder in memory"])
def test_each_call_fails_and_succeeds_as_under_wasmtime(where: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").mkdir()
    peer = theirs(tmp_path / "theirs")
    folder = tmp_path / "ours" if where == "real folder" else {}
    mine = machine(dirs={"/work": folder})
    found = [(name, args, mine.call(name, *args)) for name, args in STEPS]
    expected = [(name, args, peer.call(name, *args)) for name, args in STEPS]
    different = [(mine, peer) for mine, peer in zip(found, expected, strict=True) if mine != peer]
    # The kernel's answer to listing a file, where wasmtime has one for all wrong kinds.
    listing = ("fd_readdir", (4, 2048, 4096, 0, RESULT))
    assert different == [((*listing, "NOTDIR"), (*listing, "BADF"))]


def test_every_function_is_there_and_has_its_type() -> None:
    m = machine()
    covered = {name for name, _ in STEPS} | {
        *("args_get", "fd_fdstat_get", "fd_fdstat_set_rights", "fd_filestat_get", "fd_pread"),
        *("fd_pwrite", "fd_read", "fd_renumber", "fd_write", "proc_exit", "proc_raise"),
        *("sock_accept", "sock_recv", "sock_send"),
    }
    assert covered == set(FUNCTIONS) and len(FUNCTIONS) == 46
    assert m.call("args_get", RESULT, 256) == "SUCCESS"
    assert m.read(256, 8) == b"program\0"
    fd = m.open("f", CREAT)
    m.write(DATA, b"hello")
    assert m.call("fd_pwrite", fd, m.iovec(128, (DATA, 5)), 1, 3, RESULT) == "SUCCESS"
    assert m.call("fd_pread", fd, m.iovec(128, (DATA, 9)), 1, 1, RESULT) == "SUCCESS"
    assert (m.u32(), m.read(DATA, 7)) == (7, b"\0\0hello")
    assert m.call("fd_filestat_get", fd, 256) == "SUCCESS"
    assert m.u64(256 + 32) == 8
    assert m.call("fd_fdstat_get", fd, 256) == "SUCCESS"
    assert m.read(256, 1) == b"\4"
    assert m.call("fd_fdstat_set_rights", fd, int(Rights.FD_READ), 0) == "SUCCESS"
    assert m.call("fd_fdstat_set_rights", fd, int(Rights.FD_WRITE), 0) == "NOTCAPABLE"
    assert m.put(fd, b"x") == "NOTCAPABLE"
    assert m.call("fd_renumber", fd, 0) == "SUCCESS"
    assert m.get(0, 8) == b"\0\0\0hello"
    assert m.call("fd_renumber", 0, 77) == "BADF"
    assert m.call("proc_raise", 16) == "SUCCESS"  # a signal that is ignored
    for name, argument, code in (("proc_raise", 15, 143), ("proc_exit", 5, 5)):
        with pytest.raises(jitwasm.ExitError) as caught:
            m.call(name, argument)
        assert caught.value.code == code


# Attacks


def test_a_sparse_file_in_memory_does_not_take_the_hosts_memory() -> None:
    m = machine()
    fd = m.open("f", CREAT)
    for offset in (1 << 31, 1 << 40, (1 << 63) - 1, -1):
        m.write(DATA, b"x")
        assert m.call("fd_pwrite", fd, m.iovec(128, (DATA, 1)), 1, offset, RESULT) == "NOSPC"
        assert m.call("fd_filestat_set_size", fd, offset) == "NOSPC"
        assert m.call("fd_allocate", fd, 0, offset) == "NOSPC"


def test_files_and_folders_in_memory_are_counted_and_given_back() -> None:
    folder = jitwasm.MemoryDirectory(capacity=100_000)
    m = machine(dirs={"/work": folder})
    for _ in range(3):  # what is removed makes room again
        made = 0
        while (code := m.call("path_create_directory", 3, f"d{made}")) == "SUCCESS":
            made += 1
        assert code == "NOSPC" and 50 < made < 100
        for i in range(made):
            assert m.call("path_remove_directory", 3, f"d{i}") == "SUCCESS"
    fd = m.open("f", CREAT)
    assert m.call("fd_filestat_set_size", fd, 90_000) == "SUCCESS"
    assert m.call("path_unlink_file", 3, "f") == "SUCCESS"
    assert m.call("path_open", 3, 0, "g", CREAT, ALL, ALL, 0, RESULT) == "SUCCESS"
    assert m.call("fd_filestat_set_size", m.u32(), 90_000) == "NOSPC"
    assert m.call("fd_close", fd) == "SUCCESS"
    assert m.call("fd_filestat_set_size", fd + 1, 90_000) == "SUCCESS"


def test_folders_nested_without_end_can_be_read_afterwards() -> None:
    wasi = jitwasm.Wasi(stdout=None, dirs={"/work": {}})
    m = ours(wasi)
    fd = 3
    for _ in range(2000):
        assert m.call("path_create_directory", fd, "d") == "SUCCESS"
        below = m.open("d", DIRECTORY, fd=fd)
        if fd != 3:
            m.call("fd_close", fd)
        fd = below
    m.open("file", CREAT, fd=fd)
    assert list(wasi.files("/work")) == ["d/" * 2000 + "file"]


def test_overlapping_buffers_are_not_joined_into_gigabytes() -> None:
    pieces: list[int] = []
    m = machine(stdout=lambda data: pieces.append(len(data)))
    m.iovec(8192, *[(0, 4 << 16)] * 1024)
    assert m.call("fd_write", 1, 8192, 1024, RESULT) == "SUCCESS"
    assert m.u32() == sum(pieces) <= 1 << 20
    assert m.call("fd_write", 1, 8192, 1025, RESULT) == "INVAL"


def test_random_numbers_for_all_of_memory_come_in_pieces() -> None:
    asked: list[int] = []

    def source(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    m = ours(jitwasm.Wasi(random=source), pages=64)
    assert m.call("random_get", 0, 64 << 16) == "SUCCESS"
    assert asked == [1 << 20] * 4
    assert m.call("random_get", 0, -1) == "FAULT"
    assert m.call("random_get", 1 << 16, (64 << 16) - 1) == "FAULT"


def test_pointers_outside_memory_are_faults() -> None:
    m = machine()
    for name, args in (
        ("fd_write", (1, -8, 1, RESULT)),
        ("fd_prestat_get", (3, -1)),
        ("args_sizes_get", (-4, -1)),
        ("clock_time_get", (0, 0, 4 << 16)),
        ("poll_oneoff", (-16, 0, 1, RESULT)),
        ("path_open", (3, 0, -1, 5, CREAT, ALL, ALL, 0, RESULT)),
        ("fd_readdir", (3, 0, -1, 0, RESULT)),
    ):
        assert m.call(name, *args) == "FAULT", name
    before = m.call("path_open", 3, 0, "f", CREAT, ALL, ALL, 0, -1)
    assert before == "FAULT" and m.open("g", CREAT) == 4, "nothing was left open"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a\0b", b"x" * 5000, b"n" * 300, b"a/" * 2000])
def test_strange_paths_are_errors(data: bytes, tmp_path: Path) -> None:
    for folder in (tmp_path, {}):
        m = machine(dirs={"/work": folder})
        code = m.call("path_open", 3, 1, data, CREAT, ALL, ALL, 0, RESULT)
        assert code in ("ILSEQ", "INVAL", "NAMETOOLONG", "NOENT", "ISDIR")


def test_waiting_for_the_largest_time_is_no_error() -> None:
    m = machine()
    timer = struct.pack("<QB7xIxxxxQQH6x", 1, 0, 1, (1 << 64) - 1, 0, 0)
    ready = struct.pack("<QB7xI28x", 2, 1, 0)
    m.write(4096, timer + ready)
    assert m.call("poll_oneoff", 4096, 8192, 2, RESULT) == "SUCCESS"
    assert (m.u32(), m.u64(8192)) == (1, 2)


def test_a_program_cannot_take_all_descriptors_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    wasi = jitwasm.Wasi(stdout=None, dirs={"/work": tmp_path})
    wasi._shared.descriptors._most = 50
    m = ours(wasi)
    while (code := m.call("path_open", 3, 0, "f", 0, ALL, ALL, 0, RESULT)) == "SUCCESS":
        pass
    assert code == "MFILE"
    before = len(os.listdir("/proc/self/fd"))
    wasi.close()
    assert before - len(os.listdir("/proc/self/fd")) >= 46
    assert m.call("fd_close", 3) == "BADF"


@pytest.mark.parametrize("where", ["real folder", "dict", "folder shared with others"])
def test_times_in_a_read_only_folder_cannot_be_changed(where: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"data")
    os.utime(tmp_path / "f", (1, 1))
    shared = jitwasm.MemoryDirectory.of_tree({"f": b"data"})
    folder = {"real folder": tmp_path, "dict": {"f": b"data"}}.get(where, shared)
    m = machine(dirs={"/work": jitwasm.ReadOnly(folder)})
    fd = m.open("f", rights=READING)
    refused = ("ROFS", "NOTCAPABLE")
    assert m.call("fd_filestat_set_times", fd, 5, 6, 1 | 4) in refused
    assert m.call("path_filestat_set_times", 3, 0, "f", 5, 6, 1 | 4) in refused
    assert m.call("fd_filestat_set_times", 3, 5, 6, 1 | 4) in refused
    assert m.call("fd_filestat_set_size", fd, 0) != "SUCCESS"
    assert m.call("path_unlink_file", 3, "f") in refused
    assert m.call("path_rename", 3, "f", 3, "g") in refused
    assert m.call("path_open", 3, 0, "new", CREAT, ALL, ALL, 0, RESULT) in refused
    assert m.get(fd, 10) == b"data"
    assert os.stat(tmp_path / "f").st_mtime == 1


def test_a_program_cannot_change_the_flags_of_inherited_streams() -> None:
    read_end, write_end = os.pipe()
    m = machine(stdin=read_end)
    assert m.call("fd_fdstat_set_flags", 0, 4) == "SUCCESS"
    assert os.get_blocking(read_end), "the flags belong to all who share the pipe"
    assert m.call("fd_read", 0, m.iovec(128, (DATA, 5)), 1, RESULT) == "AGAIN"
    os.write(write_end, b"hello")
    assert m.get(0, 10) == b"hello"
    os.close(write_end)
    assert m.get(0, 10) == b""
    os.close(read_end)


def test_imports_keep_the_files_open() -> None:
    m = ours(jitwasm.Wasi(stdout=io.BytesIO(), dirs={"/work": {"f": b"1"}}))
    assert m.get(m.open("f"), 5) == b"1"  # the Wasi object itself is gone


@pytest.mark.parametrize("where", ["real folder", "folder in memory"])
def test_a_listing_is_complete_while_files_are_removed(where: str, tmp_path: Path) -> None:
    names = [f"file{i:03}" for i in range(100)]
    for name in names:
        (tmp_path / name).touch()
    m = machine(dirs={"/work": tmp_path if where == "real folder" else dict.fromkeys(names, b"")})
    found, cookie, size = [], 0, 256
    while size == 256:
        assert m.call("fd_readdir", 3, 4096, 256, cookie, RESULT) == "SUCCESS"
        size, at = m.u32(), 4096
        while at + 24 <= 4096 + size:
            after, _, length, _ = struct.unpack("<QQIB3x", m.read(at, 24))
            if at + 24 + length > 4096 + size:
                break
            found.append(m.read(at + 24, length).decode())
            at, cookie = at + 24 + length, after
        for name in found[-3:]:
            m.call("path_unlink_file", 3, name)
    assert sorted(found) == [".", "..", *names]


# Versions, clocks, sockets, pipes


def test_the_older_interface_has_its_own_layouts() -> None:
    m = ours(jitwasm.Wasi(stdout=None, dirs={"/work": {"f": b"12345678"}}), UNSTABLE)
    fd = m.open("f")
    assert m.call("fd_seek", fd, 3, 2, RESULT) == "SUCCESS"  # 2: from the start
    assert m.u64() == 3
    assert m.call("fd_seek", fd, 2, 0, RESULT) == "SUCCESS"  # 0: from the position
    assert m.u64() == 5
    assert m.call("fd_seek", fd, -1, 1, RESULT) == "SUCCESS"  # 1: from the end
    assert m.u64() == 7
    m.write(256, b"\xee" * 64)
    assert m.call("fd_filestat_get", fd, 256) == "SUCCESS"
    assert (m.u32(256 + 20), m.u64(256 + 24), m.read(256 + 56, 8)) == (1, 8, b"\xee" * 8)
    timer = struct.pack("<QB7xQIxxxxQQH6x", 9, 0, 0, 1, 1000, 0, 0)
    m.write(4096, timer)
    assert m.call("poll_oneoff", 4096, 8192, 1, RESULT) == "SUCCESS"
    assert (m.u32(), m.u64(8192)) == (1, 9)


def test_clocks_and_random_numbers_can_be_given() -> None:
    folder: dict[str, bytes] = {"f": b""}
    m = machine(clock=lambda clock: 1000 + clock, random=lambda n: b"r" * n, dirs={"/w": folder})
    for clock in range(4):
        assert m.call("clock_time_get", clock, 0, RESULT) == "SUCCESS"
        assert m.u64() == 1000 + clock
    assert m.call("random_get", 256, 4) == "SUCCESS"
    assert m.read(256, 5) == b"rrrr\0"
    assert m.call("path_filestat_get", 3, 0, "f", 256) == "SUCCESS"
    assert m.u64(256 + 48) == 1000, "files in memory go by the same clock"
    assert m.call("path_filestat_set_times", 3, 0, "f", 5, 5, 1 | 8) == "SUCCESS"
    assert m.call("path_filestat_get", 3, 0, "f", 256) == "SUCCESS"
    assert (m.u64(256 + 40), m.u64(256 + 48)) == (5, 1000)


def test_sockets_that_were_given_can_be_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        m = machine(sockets=[server], dirs={})
        with socket.create_connection(server.getsockname()) as client:
            assert m.call("sock_accept", 3, 0, RESULT) == "SUCCESS"
            fd = m.u32()
            client.sendall(b"ping")
            iovec = m.iovec(128, (DATA, 4))
            assert m.call("sock_recv", fd, iovec, 1, 1, RESULT, 72) == "SUCCESS"  # peek
            assert m.call("sock_recv", fd, iovec, 1, 2, RESULT, 72) == "SUCCESS"  # all
            assert (m.u32(), m.read(DATA, 4)) == (4, b"ping")
            m.write(DATA, b"pong")
            assert m.call("sock_send", fd, iovec, 1, 0, RESULT) == "SUCCESS"
            assert client.recv(10) == b"pong"
            assert m.call("sock_shutdown", fd, 2) == "SUCCESS"
            assert client.recv(10) == b""
            assert m.call("sock_send", fd, iovec, 1, 0, RESULT) == "PIPE"
            assert m.call("sock_recv", fd, iovec, 1, 4, RESULT, 72) == "INVAL"
            assert m.call("fd_fdstat_get", fd, 256) == "SUCCESS"
            assert m.read(256, 1) == b"\6"


def test_a_pipe_whose_reader_has_gone() -> None:
    read_end, write_end = os.pipe()
    m = machine(stdout=write_end)
    os.close(read_end)
    assert m.put(1, b"x") == "PIPE"
    row = struct.pack("<QB7xI28x", 2, 2, 1)
    m.write(4096, row)
    assert m.call("poll_oneoff", 4096, 8192, 1, RESULT) == "SUCCESS"
    os.close(write_end)
    assert m.put(1, b"x") == "BADF"
    assert m.call("poll_oneoff", 4096, 8192, 1, RESULT) == "SUCCESS"
    assert struct.unpack("<H", m.read(8192 + 8, 2)) == (8,), "BADF in the event"
