"""The build steps that pyproject.toml cannot state.

The native runtime is compiled: `pip install .`, `pip install -e .` and building a wheel do it.
`python -m jitwasm.backend.runtime.prebuilt` does the same for a source tree that is used where it
lies.

A wheel, which is also what `pip install .` makes, contains the one-pass compiler and the validator
compiled by mypyc, if there is a C compiler that works; else they stay plain Python, as they do in
an editable install. `JITWASM_MYPYC=0` leaves them plain. `JITWASM_MYPYC=1` compiles them for
whatever command is given, and fails where that fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Distribution, Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

_ROOT = Path(__file__).parent
_FOLDER = Path("jitwasm/backend/runtime")
_CHOICE = os.environ.get("JITWASM_MYPYC")
_ORDERED = _CHOICE == "1"
_VALIDATION = ("checker.py", "checkloop.py", "checkrules.py", "leb128.py")


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
    left = ("declarations.py", "encodings.py", "entrymark.py", "objectfile.py", "stubs.py")
    modules = [path for path in baseline if path.name not in left]
    modules += [_ROOT / "jitwasm/frontend" / name for name in _VALIDATION]
    return sorted(str(path.relative_to(_ROOT)) for path in modules)


class BuildCompiled(build_ext):
    """Builds all that mypyc makes, or nothing."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            if _ORDERED:
                raise
            # Its parts import each other: what is there without the rest would not be importable.
            for output in self.get_outputs():
                Path(output).unlink(missing_ok=True)
            self.extensions = []
            self.distribution.ext_modules = []
            self.get_finalized_command("bdist_wheel").root_is_pure = True  # type: ignore[attr-defined]
            _say_plain(error)


def _extensions() -> list[Extension]:
    if not (_ORDERED or (_CHOICE != "0" and "bdist_wheel" in sys.argv)):
        return []
    try:
        _try_compiler()
        return _translated()
    except (Exception, SystemExit) as error:  # mypyc exits where it finds errors
        if _ORDERED:
            raise
        _say_plain(error)
        return []


def _try_compiler() -> None:
    """Raises what setuptools raises where no extension can be built."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "trial.c")
        source.write_text("#include <Python.h>\nPyMODINIT_FUNC PyInit_trial(void) { return 0; }\n")
        trial = Distribution({"ext_modules": [Extension("trial", [str(source)])]})
        command = trial.get_command_obj("build_ext")
        command.build_lib = command.build_temp = folder
        command.ensure_finalized()
        command.run()


def _translated() -> list[Extension]:
    from mypyc.build import mypycify

    flags = ["--follow-imports=silent", "--ignore-missing-imports"]
    level = os.environ.get("JITWASM_MYPYC_OPT", "3")
    return mypycify(
        [*flags, *_compiled_modules()], opt_level=level, debug_level="0", group_name="jitwasm"
    )


def _say_plain(error: BaseException) -> None:
    print(f"warning: the compiler stays plain Python: {error!r}", file=sys.stderr)


build.sub_commands.append(("build_runtime", None))
setup(
    cmdclass={"build_runtime": BuildRuntime, "build_ext": BuildCompiled},
    ext_modules=_extensions(),
)
