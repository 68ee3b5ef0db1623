"""The system's linkers, for what an object alone is not: shared libraries, and objects of parts."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["LinkerError", "merge", "shared_library"]


class LinkerError(Exception):
    """There is no linker, or it failed; the message says which and why."""


def _shared_commands() -> list[list[str]]:
    """What may link a shared library here, best first."""
    commands = []
    for name, options in (("cc", ["-shared", "-nostdlib"]), ("ld", ["-shared"])):
        found = shutil.which(name)
        if found:
            commands.append([found, *options])
    return [*commands, *_zig("ld.lld", "-shared")]


def _merge_commands() -> list[list[str]]:
    found = shutil.which("ld")
    return [*([[found, "-r"]] if found else []), *_zig("ld.lld", "-r")]


def _zig(*arguments: str) -> list[list[str]]:
    if importlib.util.find_spec("ziglang") is None:
        return []
    return [[sys.executable, "-m", "ziglang", *arguments]]


def shared_library(
    objects: Sequence[bytes], notice: Callable[[str], object] | None = None
) -> bytes:
    """Link objects to a shared library.

    Args:
        objects: what to link.
        notice: is told which linker does it.

    Raises:
        LinkerError: there is none, or it failed.
    """
    return _link(_shared_commands(), objects, "a shared library", notice)


def merge(objects: Sequence[bytes]) -> bytes:
    """Link objects to one relocatable object (`ld -r`).

    Raises:
        LinkerError: as above.
    """
    return _link(_merge_commands(), objects, "an object of several parts", None)


def _link(
    commands: list[list[str]],
    objects: Sequence[bytes],
    what: str,
    notice: Callable[[str], object] | None,
) -> bytes:
    if not commands:
        raise LinkerError(
            f"{what} needs a linker: cc, ld or the Python package ziglang; none is installed"
        )
    command = commands[0]
    if notice is not None:
        notice(" ".join(command))
    with tempfile.TemporaryDirectory() as folder:
        # Names without the folder's, in it: so nothing of this machine gets into the output.
        names = [f"part{i}.o" for i in range(len(objects))]
        for name, data in zip(names, objects, strict=True):
            Path(folder, name).write_bytes(data)
        done = subprocess.run(
            [*command, "-o", "linked", *names], cwd=folder, capture_output=True, text=True
        )
        if done.returncode:
            raise LinkerError(f"{' '.join(command)} failed: {done.stderr.strip()}")
        return Path(folder, "linked").read_bytes()
