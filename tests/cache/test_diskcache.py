"""The cache's folder of blobs: what is in it is right or absent, whatever happens around it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitwasm.config import Config, cache_folder, cache_limit
from jitwasm.diskcache import DiskCache, cache_key, cache_of

KEY, OTHER = cache_key("one"), cache_key("two")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(str(tmp_path / "cache"), 1 << 20)


def _file(cache: DiskCache, key: str = KEY) -> Path:
    return Path(cache.folder, key + ".blob")


def _run(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], stdout=subprocess.PIPE
    )


def test_what_is_stored_is_found_and_nothing_else(cache: DiskCache) -> None:
    assert cache.get(KEY) is None
    assert cache.put(KEY, b"data")
    assert cache.get(KEY) == b"data"
    assert cache.get(OTHER) is None


def test_storing_again_replaces(cache: DiskCache) -> None:
    cache.put(KEY, b"old")
    cache.put(KEY, memoryview(b"new"))
    assert cache.get(KEY) == b"new"
    assert [blob.key for blob in cache.usage().blobs] == [KEY]


def test_an_empty_blob_is_not_an_absent_one(cache: DiskCache) -> None:
    cache.put(KEY, b"")
    assert cache.get(KEY) == b""


def test_keys_depend_on_where_parts_end() -> None:
    assert cache_key("ab", "c") != cache_key("a", "bc") != cache_key("abc")
    assert cache_key("a") == cache_key(b"a")


def test_remove_and_clear(cache: DiskCache) -> None:
    cache.remove(KEY)
    for key in (KEY, OTHER):
        cache.put(key, b"data")
    cache.remove(KEY)
    assert cache.get(KEY) is None
    assert cache.get(OTHER) == b"data"
    assert cache.clear() == 1
    assert cache.get(OTHER) is None
    assert cache.usage().blobs == ()


def test_only_the_user_can_read_what_is_made(cache: DiskCache) -> None:
    cache.put(KEY, b"data")
    assert os.stat(cache.folder).st_mode & 0o777 == 0o700
    assert _file(cache).stat().st_mode & 0o777 == 0o600


def test_the_folder_is_tagged_as_a_cache(cache: DiskCache) -> None:
    cache.put(KEY, b"data")
    tag = Path(cache.folder, "CACHEDIR.TAG").read_bytes()
    assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55")


# Damage.

DATA = bytes(range(256)) * 3


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_is_found_and_repaired(cache: DiskCache, data: st.DataObject) -> None:
    assert cache.put(KEY, DATA)
    whole = _file(cache).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    damage = data.draw(st.sampled_from(("flip", "cut", "insert", "zero the rest")))
    if damage == "flip":
        bit = 1 << data.draw(st.integers(0, 7))
        broken = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
    elif damage == "cut":
        broken = whole[:at]
    elif damage == "insert":
        broken = whole[:at] + data.draw(st.binary(min_size=1, max_size=20)) + whole[at:]
    else:
        broken = whole[:at] + bytes(len(whole) - at)
    _file(cache).write_bytes(broken)
    assert cache.get(KEY) in (None, DATA if broken == whole else None)
    assert cache.put(KEY, DATA)
    assert cache.get(KEY) == DATA


def test_a_blob_under_another_name_is_not_taken(cache: DiskCache) -> None:
    cache.put(KEY, b"data")
    _file(cache).rename(_file(cache, OTHER))
    assert cache.get(OTHER) is None


@pytest.mark.parametrize("kind", ["folder", "symlink", "fifo"])
def test_what_is_no_plain_file_is_ignored(cache: DiskCache, kind: str, tmp_path: Path) -> None:
    cache.put(OTHER, b"data")
    if kind == "folder":
        _file(cache).mkdir()
    elif kind == "symlink":
        _file(cache).symlink_to(_file(cache, OTHER))
    else:
        os.mkfifo(_file(cache))  # opening it must not wait for a writer either
    assert cache.get(KEY) is None
    assert cache.put(KEY, b"data") == (kind != "folder")


# Who may write.


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o722])
def test_a_folder_that_others_can_write_is_not_used(cache: DiskCache, mode: int) -> None:
    cache.put(KEY, b"data")
    os.chmod(cache.folder, mode)
    assert cache.get(KEY) is None
    assert not cache.put(OTHER, b"data")
    assert "others can write" in (cache.usage().problem or "")


@pytest.mark.parametrize("mode", [0o660, 0o602, 0o666])
def test_a_file_that_others_can_write_is_replaced(cache: DiskCache, mode: int) -> None:
    cache.put(KEY, b"data")
    _file(cache).chmod(mode)
    assert cache.get(KEY) is None
    assert cache.put(KEY, b"data")
    assert cache.get(KEY) == b"data"


def test_a_way_that_others_can_write_is_not_taken(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path / "parent" / "cache"), 1 << 20)
    cache.put(KEY, b"data")
    (tmp_path / "parent").chmod(0o777)
    assert cache.get(KEY) is None
    assert not cache.put(KEY, b"data")
    (tmp_path / "parent").chmod(0o1777)  # as /tmp is: others cannot replace the folder
    assert cache.get(KEY) == b"data"


def test_a_symlink_to_a_safe_folder_is_followed(cache: DiskCache, tmp_path: Path) -> None:
    cache.put(KEY, b"data")
    (tmp_path / "link").symlink_to(cache.folder)
    assert DiskCache(str(tmp_path / "link"), 1 << 20).get(KEY) == b"data"
    os.chmod(cache.folder, 0o777)
    assert DiskCache(str(tmp_path / "link"), 1 << 20).get(KEY) is None


@AS_ROOT
def test_files_and_folders_of_others_are_not_used(cache: DiskCache, tmp_path: Path) -> None:
    cache.put(KEY, b"data")
    os.chown(_file(cache), 12345, -1)
    assert cache.get(KEY) is None
    cache.put(KEY, b"data")
    assert cache.get(KEY) == b"data"
    os.chown(cache.folder, 12345, -1)
    assert cache.get(KEY) is None
    assert not cache.put(KEY, b"data")
    os.chown(cache.folder, 0, -1)
    os.chown(tmp_path, 12345, -1)
    assert cache.get(KEY) is None
    os.chown(tmp_path, 0, -1)


# What may go wrong with the disk.


def _refuse(code: int) -> Callable[..., object]:
    def refuse(*arguments: object, **options: object) -> object:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("call", ["open", "rename", "mkdir", "scandir"])
def test_no_error_of_the_file_system_gets_out(
    cache: DiskCache, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, _refuse(code))
        cache.put(KEY, b"data")
        assert cache.get(KEY) in (None, b"data")
        cache.usage()
        cache.clear()
    assert cache.put(KEY, b"data")
    assert cache.get(KEY) == b"data"
    assert not list(Path(cache.folder).glob("*.partial"))


def test_a_disk_that_fills_up_amid_a_blob_leaves_nothing_behind(cache: DiskCache) -> None:
    # The kernel writes a part of it, and refuses the rest.
    code = """
        import resource, sys
        from jitwasm.diskcache import DiskCache
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        cache = DiskCache(sys.argv[1], 1 << 20)
        print(cache.put(sys.argv[2], bytes(100_000)), cache.put(sys.argv[3], b"small"))
    """
    with _run(code, cache.folder, KEY, OTHER) as process:
        assert process.communicate()[0] == b"False True\n"
    assert cache.get(KEY) is None
    assert cache.get(OTHER) == b"small"
    assert not list(Path(cache.folder).glob("*.partial"))


@AS_ROOT
def test_a_folder_that_cannot_be_written_is_read() -> None:
    code = """
        import os, sys
        from jitwasm.diskcache import DiskCache
        cache = DiskCache(sys.argv[1], 1 << 20)
        os.seteuid(12345)
        print(cache.get(sys.argv[2]), cache.put(sys.argv[3], b"data"))
    """
    with tempfile.TemporaryDirectory() as parent:  # pytest's own is closed to others
        os.chmod(parent, 0o755)
        cache = DiskCache(os.path.join(parent, "cache"), 1 << 20)
        cache.put(KEY, b"data")
        os.chown(_file(cache), 12345, -1)
        os.chown(cache.folder, 12345, -1)
        os.chmod(cache.folder, 0o500)
        with _run(code, cache.folder, KEY, OTHER) as process:
            assert process.communicate()[0] == b"b'data' False\n"


def test_a_home_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(str(tmp_path / "file" / "cache"), 1 << 20)
    assert cache.get(KEY) is None
    assert not cache.put(KEY, b"data")
    assert cache.usage().blobs == ()


# Size.


def _blobs(cache: DiskCache, count: int, size: int) -> list[str]:
    keys = [cache_key(str(number)) for number in range(count)]
    for number, key in enumerate(keys):
        cache.put(key, os.urandom(size))
        os.utime(_file(cache, key), (number, number))
    return keys


def test_what_was_used_least_recently_goes_first(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path / "cache"), 10 * 8192)
    keys = _blobs(cache, 8, 8000)
    assert cache.get(keys[0])  # which makes it the most recently used
    more = [cache_key(f"more {number}") for number in range(4)]
    for key in more:
        cache.put(key, os.urandom(8000))
    assert cache.get(keys[0])
    assert all(map(cache.get, more[-2:]))
    assert cache.get(keys[1]) is None
    assert cache.usage().size <= cache.limit


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 60_000), max_size=30))
def test_the_bound_is_kept(tmp_path: Path, sizes: list[int]) -> None:
    cache = DiskCache(str(tmp_path / "cache"), 100_000)
    for number, size in enumerate(sizes):
        cache.put(cache_key(str(number)), os.urandom(size))
        assert cache.usage().size <= cache.limit * 1.03 + 60_000


def test_what_is_larger_than_the_bound_is_not_stored(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path / "cache"), 10_000)
    cache.put(KEY, bytes(1000))
    assert not cache.put(OTHER, bytes(10_000))
    assert cache.get(KEY) == bytes(1000)


def test_what_killed_writers_left_goes_in_time(cache: DiskCache) -> None:
    cache.put(KEY, b"data")
    fresh, stale = (Path(cache.folder, f"{name}.partial") for name in ("fresh", "stale"))
    fresh.write_bytes(b"in the making")
    stale.write_bytes(b"abandoned")
    os.utime(stale, (0, 0))
    cache.usage()
    assert fresh.exists() and not stale.exists()
    cache.clear()
    assert not fresh.exists()


# Many at once.

WRITER = """
    import os, sys
    from jitwasm.diskcache import DiskCache
    cache = DiskCache(sys.argv[1], 1 << 20)
    while True:
        for number in range(4):
            cache.put(sys.argv[2 + number], bytes([os.getpid() & 255]) * (5000 + number * 50_000))
            if number == 0:
                print(flush=True)
"""


def test_processes_and_threads_see_whole_blobs_while_others_write_and_die(
    cache: DiskCache,
) -> None:
    keys = [cache_key(str(number)) for number in range(4)]
    writers = [_run(WRITER, cache.folder, *keys) for _ in range(3)]

    def look(_: int) -> set[int]:
        lengths = set()
        for number, key in enumerate(keys):
            data = cache.get(key)
            if data is not None:
                assert data == data[:1] * (5000 + number * 50_000)
                lengths.add(number)
        return lengths

    try:
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        with ThreadPoolExecutor(4) as pool:
            seen = set().union(*pool.map(look, range(200)))
        assert 0 in seen
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)  # amid a write, most likely
            writer.communicate()
    look(0)
    for key in keys:
        assert cache.put(key, b"still good")
        assert cache.get(key) == b"still good"


def test_evicting_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    code = """
        import os, sys
        from jitwasm.diskcache import DiskCache, cache_key
        cache = DiskCache(sys.argv[1], 200_000)
        for number in range(100):
            assert cache.put(cache_key(sys.argv[2], str(number)), os.urandom(10_000))
    """
    folder = str(tmp_path / "cache")
    processes = [_run(code, folder, str(number)) for number in range(3)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    cache = DiskCache(folder, 200_000)
    cache.put(KEY, b"data")
    assert cache.usage().size <= 200_000


# Where it is.


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("JITWASM_CACHE")
    assert cache_folder(Config()) == str(tmp_path / "xdg" / "jitwasm")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder(Config()) == str(tmp_path / ".cache" / "jitwasm")
    monkeypatch.setenv("JITWASM_CACHE", str(tmp_path / "here"))
    assert cache_folder(Config()) == str(tmp_path / "here")
    assert cache_folder(Config(cache=tmp_path / "there")) == str(tmp_path / "there")
    assert cache_folder(Config(cache=False)) is None
    for word in ("0", "off", "No", "FALSE"):
        monkeypatch.setenv("JITWASM_CACHE", word)
        assert cache_folder(Config()) is None
        assert cache_of(Config()) is None
        assert cache_folder(Config(cache=tmp_path)) == str(tmp_path)


def test_the_environment_says_how_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JITWASM_CACHE_SIZE", raising=False)
    assert cache_limit(Config()) == 1 << 30
    for text, size in (("4096", 4096), ("2k", 2048), ("500M", 500 << 20), ("2G", 2 << 30)):
        monkeypatch.setenv("JITWASM_CACHE_SIZE", text)
        assert cache_limit(Config()) == size
    assert cache_limit(Config(cache_size=5)) == 5
    monkeypatch.setenv("JITWASM_CACHE_SIZE", "large")
    with pytest.raises(ValueError, match="JITWASM_CACHE_SIZE"):
        cache_limit(Config())


def test_a_config_with_a_path_is_plain_data(tmp_path: Path) -> None:
    assert Config(cache=tmp_path) == Config(cache=str(tmp_path))
    assert hash(Config(cache=tmp_path)) == hash(Config(cache=str(tmp_path)))
