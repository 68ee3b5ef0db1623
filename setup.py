"""The build steps that pyproject.toml cannot state.

The native runtime is compiled: `pip install .`, `pip install -e .` and building a wheel do it.
`python -m jitwasm.backend.runtime.prebuilt` does the same for a source tree that is used where it
lies.

With `JITWASM_MYPYC=1` in the environment the one-pass compiler and the validator are compiled by
mypyc as well, from the same sources, for which a C compiler must be there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import ClassVar

from setuptools import Command, setup
from setuptools.command.build import build

_ROOT = Path(__file__).parent
_FOLDER = Path("jitwasm/backend/runtime")


class BuildRuntime(Command):
    """Compiles the native runtime's objects (jitwasm/backend/runtime/prebuilt.py)."""

    description = "compile the native runtime"
    user_options: ClassVar[list[tuple[str, str, str]]] = []

    def initialize_options(self) -> None:
        self.build_lib: str | None = None  # filled in from build_py
        self.editable_mode = False

    def finalize_options(self) -> None:
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        folder = _folder(self)
        folder.mkdir(parents=True, exist_ok=True)
        for path in _prebuilt().build(folder):
            print(f"compiled {path}")

    def get_source_files(self) -> list[str]:
        return []

    def get_outputs(self) -> list[str]:
        prebuilt = _prebuilt()
        return [str(_folder(self) / prebuilt.file_name(name)) for name in prebuilt.OBJECTS]

    def get_output_mapping(self) -> dict[str, str]:
        return {}


def _folder(command: BuildRuntime) -> Path:
    return _ROOT / _FOLDER if command.editable_mode else Path(command.build_lib or "") / _FOLDER


def _prebuilt():  # type: ignore[no-untyped-def]
    # From this tree, not from what may be installed: the objects carry a digest of its sources.
    sys.path.insert(0, str(_ROOT))
    try:
        from jitwasm.backend.runtime import prebuilt
    finally:
        sys.path.remove(str(_ROOT))
    return prebuilt


def _compiled_modules() -> list[str]:
    """What mypyc compiles: where the time goes, and what only its own kind subclasses."""
    baseline = (_ROOT / "jitwasm/backend/baseline").glob("[!_]*.py")
    left = ("encodings.py", "entrymark.py", "objectfile.py", "stubs.py")
    modules = [path for path in baseline if path.name not in left]
    modules += [_ROOT / "jitwasm/frontend" / name for name in ("checker.py", "leb128.py")]
    return sorted(str(path.relative_to(_ROOT)) for path in modules)


def _extensions():  # type: ignore[no-untyped-def]
    if os.environ.get("JITWASM_MYPYC") != "1":
        return []
    from mypyc.build import mypycify

    flags = ["--follow-imports=silent", "--ignore-missing-imports"]
    level = os.environ.get("JITWASM_MYPYC_OPT", "3")
    return mypycify(
        [*flags, *_compiled_modules()], opt_level=level, debug_level="0", group_name="jitwasm"
    )


build.sub_commands.append(("build_runtime", None))
setup(
    cmdclass={"build_runtime": BuildRuntime},
    ext_modules=_extensions(),
    setup_requires=["mypy[mypyc]>=1.18"] if os.environ.get("JITWASM_MYPYC") == "1" else [],
)
