"""Programs and libraries in C that the tests run as WebAssembly: built by clang from `ziglang`.

What is built is kept by the hash of its source and options, so each is compiled once.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

_BUILD = Path(__file__).resolve().parents[2] / "build" / "guests"
_WASI = ("-target", "wasm32-wasi", "-O2", "-s")
_LIBRARY = ("-target", "wasm32-freestanding", "-O2", "-nostdlib", "-s")


def _compile(source: Path, options: tuple[str, ...]) -> bytes:
    if find_spec("ziglang") is None:
        pytest.skip("needs the package ziglang (extra: test)")
    key = hashlib.sha256(repr(options).encode() + source.read_bytes()).hexdigest()[:24]
    built = _BUILD / f"{source.stem}-{key}.wasm"
    if not built.exists():
        _BUILD.mkdir(parents=True, exist_ok=True)
        partial = built.with_suffix(f".{os.getpid()}.tmp")
        subprocess.run(
            [sys.executable, "-m", "ziglang", "cc", *options, "-o", partial, source],
            check=True,
            timeout=300,
        )
        partial.rename(built)
    return built.read_bytes()


def wasi_program(source: Path, *options: str) -> bytes:
    """A WASI command built from one C file with its libc."""
    return _compile(source, (*_WASI, *options))


def library(source: Path, *options: str) -> bytes:
    """A freestanding module from one C file; functions are exported by attribute."""
    return _compile(source, (*_LIBRARY, "-Wl,--no-entry", *options))
