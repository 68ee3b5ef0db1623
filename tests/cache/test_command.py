"""`jitwasm cache`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jitwasm.cli.main import main
from jitwasm.diskcache import DiskCache, cache_key


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JITWASM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_shows_where_and_how_much(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    assert "entries: 0\n" in capsys.readouterr().out
    DiskCache(str(folder), 1 << 20).put(cache_key("one"), bytes(2 << 19))
    DiskCache(str(folder), 1 << 22).put(cache_key("two"), bytes(1 << 20))
    assert main(["cache"]) == 0
    out = capsys.readouterr().out
    assert f"folder:  {folder}\n" in out
    assert "entries: 1\n" in out
    assert "size:    1.0 MiB of at most 1024.0 MiB\n" in out


def test_it_clears(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = DiskCache(str(folder), 1 << 20)
    cache.put(cache_key("one"), b"data")
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"1 entries removed from {folder}\n"
    assert cache.get(cache_key("one")) is None
    assert main(["cache", "--clear"]) == 0


def test_it_says_why_a_folder_is_not_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DiskCache(str(folder), 1 << 20).put(cache_key("one"), b"data")
    os.chmod(folder, 0o777)
    assert main(["cache"]) == 1
    assert "others can write" in capsys.readouterr().err


def test_it_says_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JITWASM_CACHE", "0")
    assert main(["cache"]) == 0
    assert "turned off" in capsys.readouterr().out


def test_a_wrong_size_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JITWASM_CACHE_SIZE", "huge")
    assert main(["cache"]) == 1
    err = capsys.readouterr().err
    assert "JITWASM_CACHE_SIZE" in err and err.count("\n") == 1
