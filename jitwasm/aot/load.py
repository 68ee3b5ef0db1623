"""`jitwasm.load`: a module from an object or a library, without compiling it again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from jitwasm.aot.stored import find_section, unpack_module
from jitwasm.errors import CompileError, LoadError
from jitwasm.module import ModuleParts
from jitwasm.pipeline import Module, buffer_bytes, decode, machine_fingerprint

__all__ = ["load"]


def load(source: str | os.PathLike[str] | Any) -> Module:
    """The module that `jitwasm compile` or `Module.emit_object` made an object of.

    Like any machine code, load only what you trust: damage is detected, malice is not.

    Args:
        source: the path of an object, a shared library or a program that it was linked into, or
            the contents of such a file.

    Raises:
        LoadError: the file holds no module, is damaged, or was made for another version of
            jitwasm or another processor.
        OSError: it cannot be read.

    Example:
        >>> module = jitwasm.load("filter.o")
        >>> instance = jitwasm.Instance(module)
    """
    if isinstance(source, (str, os.PathLike)):
        sys.audit("jitwasm.load", os.fspath(source))
        data = Path(source).read_bytes()
    else:
        data = buffer_bytes(source, "load()")
        sys.audit("jitwasm.load", data)
    module, objects, config = unpack_module(find_section(data))
    try:
        info = decode(module, config)
    except CompileError as error:
        raise LoadError(f"the file is damaged: {error}") from None
    return Module._from_parts(ModuleParts(module, info, objects, machine_fingerprint(), config))
