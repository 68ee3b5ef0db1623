"""The Python packages that are measured, each of which may be missing (then it is None)."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["cffi", "jitwasm", "jitwasm_missing", "wasm3", "wasmtime"]


def _import(name: str, attribute: str | None = None) -> tuple[Any, str | None]:
    try:
        module = importlib.import_module(name)
        if attribute:
            getattr(module, attribute)
    except (ImportError, OSError) as error:
        return None, f"import {name}: {error}"
    return module, None


cffi, _ = _import("cffi")
wasm3, _ = _import("wasm3")
wasmtime, _ = _import("wasmtime")
# jitwasm imports its parts when they are first used; Module is the part that needs llvmlite.
jitwasm, jitwasm_missing = _import("jitwasm", "Module")
