"""The runtime's objects, compiled when the package is built.

They are for any x86-64 processor and any version of Python: what depends on either is found when
they are loaded. Their names carry a digest of all they are made from, so that an object of other
sources is never used. A source tree that was not built compiles them when they are first needed,
as fast as LLVM can; `python -m jitwasm.backend.runtime.prebuilt` builds them in place.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from jitwasm.backend.codegen import TargetSpec, compile_unit
from jitwasm.backend.runtime.assemble import OBJECTS, part_text

__all__ = ["OBJECTS", "build", "compile_object", "file_name", "prebuilt_object", "source_digest"]

_BUILD_LEVEL, _FIRST_USE_LEVEL = 2, 0
_FOLDER = Path(__file__).parent
_BACKEND, _PACKAGE = _FOLDER.parent, _FOLDER.parent.parent


@functools.cache
def source_digest() -> str:
    """Identifies all that the runtime's objects are made from, the compiler's version aside."""
    sources = sorted(path for path in _FOLDER.iterdir() if path.suffix in (".ll", ".s"))
    sources += [_FOLDER / "assemble.py", Path(__file__), _BACKEND / "irtext.py"]
    sources += [_PACKAGE / "abi.py", _PACKAGE / "trapcodes.py"]
    digest = hashlib.blake2b(digest_size=12)
    for path in sources:
        data = path.read_bytes()
        digest.update(f"{path.name} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def file_name(name: str) -> str:
    """The file that holds one of `OBJECTS`, built from these sources."""
    return f"{name}-{source_digest()}.o"


def prebuilt_object(name: str) -> bytes | None:
    """One of `OBJECTS`, if it was built from these sources."""
    try:
        return (_FOLDER / file_name(name)).read_bytes()
    except OSError:
        return None


def compile_object(name: str, level: int = _FIRST_USE_LEVEL) -> bytes:
    """Compile one of `OBJECTS` now."""
    return compile_unit(part_text(*OBJECTS[name]), TargetSpec("x86-64", "", level))


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
    build(_FOLDER)
