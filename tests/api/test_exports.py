"""The package's public face."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import jitwasm

TIMEOUT = 60


def test_public_names_are_sorted_and_exist() -> None:
    assert sorted(jitwasm.__all__) == jitwasm.__all__
    for name in jitwasm.__all__:
        assert hasattr(jitwasm, name)


@pytest.mark.parametrize("name", sorted(set(jitwasm.__all__) - {"__version__"}))
def test_public_things_say_that_they_are_jitwasms(name: str) -> None:
    value = getattr(jitwasm, name)
    assert value.__module__ == "jitwasm"
    assert value.__doc__
    assert value.__qualname__ == name


@pytest.mark.parametrize("name", sorted(set(jitwasm.__all__) - {"__version__"}))
def test_public_methods_are_documented(name: str) -> None:
    value = getattr(jitwasm, name)
    if not inspect.isclass(value) or name == "MemoryDirectory":  # it has the methods of a Directory
        return
    for member, found in vars(value).items():
        if member.startswith("_") or not (inspect.isfunction(found) or isinstance(found, property)):
            continue
        described = inspect.getdoc(getattr(value, member)) or f"{member}" in (value.__doc__ or "")
        assert described, f"{name}.{member}"


def test_every_public_name_has_one_home() -> None:
    homes = [name for names in jitwasm._HOMES.values() for name in names]
    assert sorted([*homes, "__version__"]) == jitwasm.__all__


def test_no_module_has_the_name_of_a_public_thing() -> None:
    # Importing a submodule sets an attribute of the package, whatever was there.
    folder = Path(jitwasm.__file__).parent
    assert not {path.stem for path in folder.iterdir()} & set(jitwasm.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        jitwasm.nonsense  # noqa: B018


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT
    )


def test_import_loads_neither_llvm_nor_asyncio() -> None:
    done = python(
        "import sys, jitwasm\n"
        "heavy = {'llvmlite', 'asyncio', 'ctypes', 'urllib.request'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    assert done.returncode == 0, done.stderr


def test_llvm_is_not_loaded_before_something_is_compiled() -> None:
    done = python(
        "import jitwasm\n"
        "jitwasm.Module, jitwasm.Instance, jitwasm.Memory\n"
        "jitwasm.validate(b'')\n"
        "assert 'libllvmlite' not in open('/proc/self/maps').read()\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("sys.platform = 'darwin'", "darwin"),
        ("sys.implementation.name = 'pypy'", "pypy"),
        ("os.uname = lambda: types.SimpleNamespace(machine='aarch64')", "aarch64"),
        ("sys._is_gil_enabled = lambda: False", "free-threaded"),
        ("os.confstr = lambda name: (_ for _ in ()).throw(ValueError)", "another C library"),
    ],
)
def test_another_platform_is_refused_at_import(change: str, found: str) -> None:
    done = python(f"import os, sys, types\n{change}\nimport jitwasm\n")
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: jitwasm runs on CPython") and found in last
