"""`import jitwasm.importer`, and `import mylib` finds `mylib.wasm` on `sys.path`.

The module gets the exports as attributes. What the file imports is taken from Python modules of
the same names, so it is trusted as Python code is; WASI is given with the process's own standard
streams and nothing else.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from jitwasm.instance import Instance
from jitwasm.pipeline import Module
from jitwasm.wasi.wasi import Wasi

__all__ = ["WasmFinder", "install"]

_WASI = ("wasi_snapshot_preview1", "wasi_unstable")


class WasmFinder(MetaPathFinder):
    """Finds `NAME.wasm` in the folders of the path, after all other finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = f"{fullname.rpartition('.')[2]}.wasm"
        for folder in sys.path if path is None else path:
            candidate = Path(folder or ".", file)
            if os.path.isfile(candidate):  # unlike is_file, False for what may not be looked at
                return spec_from_file_location(fullname, candidate, loader=_WasmLoader(candidate))
        return None


class _WasmLoader(Loader):
    def __init__(self, path: Path) -> None:
        self._path = path

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        compiled = Module(self._path.read_bytes())
        wanted = {row.module for row in compiled.imports()}
        imports: dict[str, object] = {}
        if wanted.intersection(_WASI):
            imports.update(Wasi(args=[str(self._path)], stdin="inherit").imports)
        for name in sorted(wanted.difference(imports)):
            if not name or name.startswith("."):
                raise ImportError(f"{self._path} imports from {name!r}, which is no module")
            imports[name] = importlib.import_module(name)
        instance = Instance(compiled, imports)
        if "_initialize" in instance.exports:
            instance.exports["_initialize"]()
        # What Python itself keeps in a module is not for the file to set.
        exports = {
            name: value
            for name, value in instance.exports.items()
            if not (name.startswith("__") and name.endswith("__"))
        }
        module.__dict__.update(exports)
        module.__dict__["__all__"] = [name for name in exports if not name.startswith("_")]
        module.__dict__["__wasm__"] = instance


def install() -> None:
    """Put the finder at the end of `sys.meta_path`, once."""
    if not any(isinstance(finder, WasmFinder) for finder in sys.meta_path):
        sys.meta_path.append(WasmFinder())


install()
