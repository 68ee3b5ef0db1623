"""Modules as commands read them: from a file or standard input, with a sign of life."""

from __future__ import annotations

import sys
from concurrent.futures import wait
from pathlib import Path
from typing import Any

from jitwasm.config import Config
from jitwasm.pipeline import Module, Progress
from jitwasm.promise import Promise
from jitwasm.webassembly import compile_streaming

__all__ = ["compile_file", "read_file"]


def read_file(file: str) -> bytes:
    """The bytes of a file; "-" is standard input."""
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def compile_file(file: str, config: Config) -> Module:
    """Compile a file while it is read, with its progress on a terminal."""
    source: Any = sys.stdin.buffer if file == "-" else Path(file)
    promise = compile_streaming(source, config)
    bar = _ProgressBar(promise) if sys.stderr.isatty() else None
    try:
        return bar.wait() if bar else promise.result()
    finally:
        promise.cancel()


class _ProgressBar:
    """One line on the terminal, once it has been worth the wait."""

    def __init__(self, promise: Promise[Module]) -> None:
        self._promise = promise
        self._shown = False

    def wait(self) -> Module:
        delay = 0.5
        try:
            while not wait([self._promise], delay).done:
                delay = 0.1
                self._show(self._promise.progress)
        finally:
            if self._shown:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        return self._promise.result()

    def _show(self, progress: Progress) -> None:
        self._shown = True
        total = progress.functions_total
        done = f"{progress.functions_compiled} of {total} functions" if total else "…"
        received = f"{progress.bytes_received / 1e6:.1f} MB"
        print(f"\r\x1b[Kcompiling: {received}, {done}", end="", file=sys.stderr, flush=True)
