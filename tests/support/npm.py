"""Modules that npm packages ship: downloaded once, checked by their hash, never committed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

__all__ = ["npm_module"]

_KEPT = Path(__file__).resolve().parents[2] / "build" / "npm"


def npm_module(package: str, member: str, sha256: str) -> bytes:
    """A file of an npm package, `name@version`. Skips where npm or its registry is not there."""
    kept = _KEPT / f"{sha256[:24]}.wasm"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("needs npm, for a module that only npm has")
        data = _download(npm, package, member)
        assert hashlib.sha256(data).hexdigest() == sha256, f"{package} has changed"
        _KEPT.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_bytes(data)
        partial.rename(kept)
    return kept.read_bytes()


def _download(npm: str, package: str, member: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", package]
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            pytest.skip(f"npm cannot download {package}")
        with tarfile.open(archives[0]) as archive:
            file = archive.extractfile(member)
            assert file is not None
            return file.read()
