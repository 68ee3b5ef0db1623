"""The runtime's objects, compiled when the package is built.

They are for any x86-64 processor and any version of Python: what depends on either is found when
they are loaded. Their names carry a digest of all they are made from, so that an object of other
sources is never used. A source tree that was not built compiles them when they are first needed,
as fast as LLVM can; `python -m jitwasm.backend.runtime.prebuilt` builds them in place.
"""

from __future__ import annotations

import functools
import importlib
import os

from jitwasm.backend.runtime.layout import OBJECTS
from jitwasm.digests import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OBJECTS", "build", "compile_object", "file_name", "prebuilt_object", "source_digest"]

_BUILD_LEVEL, _FIRST_USE_LEVEL = 2, 0
_PROGRAMS = ("assemble.py", "layout.py", "prebuilt.py")
_FOLDER = os.path.dirname(__file__)
_BACKEND = os.path.dirname(_FOLDER)
_PACKAGE = os.path.dirname(_BACKEND)


@functools.cache
def source_digest() -> str:
    """Identifies all that the runtime's objects are made from, the compiler's version aside."""
    names = sorted(name for name in os.listdir(_FOLDER) if name.endswith((".ll", ".s")))
    sources = [os.path.join(_FOLDER, name) for name in (*names, *_PROGRAMS)]
    sources.append(os.path.join(_BACKEND, "irtext.py"))
    sources += [os.path.join(_PACKAGE, name) for name in ("abi.py", "trapcodes.py")]
    digest = blake2b(digest_size=12)
    for path in sources:
        data = _read(path)
        digest.update(f"{os.path.basename(path)} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def file_name(name: str) -> str:
    """The file that holds one of `OBJECTS`, built from these sources."""
    return f"{name}-{source_digest()}.o"


def prebuilt_object(name: str) -> bytes | None:
    """One of `OBJECTS`, if it was built from these sources."""
    try:
        return _read(os.path.join(_FOLDER, file_name(name)))
    except OSError:
        return None


def compile_object(name: str, level: int = _FIRST_USE_LEVEL) -> bytes:
    """Compile one of `OBJECTS` now."""
    # Imported when they are needed: where the package was built, they never are.
    assemble = importlib.import_module("jitwasm.backend.runtime.assemble")
    codegen = importlib.import_module("jitwasm.backend.codegen")
    target = codegen.TargetSpec("x86-64", "", level)
    made: bytes = codegen.compile_unit(assemble.part_text(*OBJECTS[name]), target)
    return made


def build(folder: Path) -> list[Path]:
    """Compile all objects into a folder, instead of those that are there; returns their paths."""
    for old in folder.glob("*.o"):
        old.unlink()
    made = []
    for name in OBJECTS:
        path = folder / file_name(name)
        path.write_bytes(compile_object(name, _BUILD_LEVEL))
        made.append(path)
    return made


if __name__ == "__main__":
    import pathlib

    build(pathlib.Path(_FOLDER))
