"""Text modules for tests, encoded by wasmtime's assembler (test extra)."""

from __future__ import annotations

from functools import lru_cache

import wasmtime


@lru_cache(maxsize=512)
def wat(text: str) -> bytes:
    """The binary of a module in the text format."""
    return bytes(wasmtime.wat2wasm(text))
