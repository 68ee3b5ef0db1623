"""Modules as commands read them: from a file or standard input, with a sign of life."""

from __future__ import annotations

import sys
from concurrent.futures import wait
from pathlib import Path
from typing import Any

from jitwasm.config import Config
from jitwasm.pipeline import Module, Progress
from jitwasm.webassembly import compile_streaming

__all__ = ["TerminalLine", "compile_file", "read_file"]


def read_file(file: str) -> bytes:
    """The bytes of a file; "-" is standard input."""
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


class TerminalLine:
    """One line that says what is going on, on a terminal only; it is gone at the end."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Replace what the line says."""
        if self._is_terminal:
            self._shown = True
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> TerminalLine:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def compile_file(file: str, config: Config) -> Module:
    """Compile a file while it is read, with its progress once it has been worth the wait."""
    source: Any = sys.stdin.buffer if file == "-" else Path(file)
    promise = compile_streaming(source, config)
    delay = 0.5 if sys.stderr.isatty() else None
    try:
        with TerminalLine() as line:
            while not wait([promise], delay).done:
                delay = 0.1
                line.show(_text(promise.progress))
        return promise.result()
    finally:
        promise.cancel()


def _text(progress: Progress) -> str:
    size = f"{progress.bytes_received / 1e6:.1f}"
    if progress.bytes_total is not None:
        size += f" of {progress.bytes_total / 1e6:.1f}"
    done, total = progress.functions_compiled, progress.functions_total
    return f"compiling: {size} MB, " + (f"{done} of {total} functions" if total else "…")
