"""A JIT-compiling WebAssembly runtime: modules compile to native code while they arrive.

    import jitwasm

    module, instance = await jitwasm.instantiate_streaming(response, {"env": {"log": print}})
    instance.exports.add(2, 3)

    module = jitwasm.Module(data)
    instance = jitwasm.Instance(module, {"env": {"log": print}})

The JavaScript API of WebAssembly is the model, in Python's spelling. Everything public is here;
modules below this one are internal.
"""

from __future__ import annotations

import importlib
import os
import sys

from jitwasm.version import __version__

TYPE_CHECKING = False  # as type checkers know it; importing `typing` would take longer than this
if TYPE_CHECKING:
    from jitwasm.aot.load import load
    from jitwasm.asyncexport import promising
    from jitwasm.config import Config, Features, ImplementationLimits
    from jitwasm.deadlines import deadline
    from jitwasm.errors import (
        CompileError,
        ExitError,
        Frame,
        InvalidError,
        LinkError,
        LoadError,
        MalformedError,
        StackOverflow,
        Trap,
        WasmError,
    )
    from jitwasm.errors import Trap as RuntimeError  # noqa: F401 - an alias beside __all__
    from jitwasm.fetcher import Response, fetch
    from jitwasm.globals import Global
    from jitwasm.instance import Instance
    from jitwasm.memory import Memory
    from jitwasm.module import ExportDescriptor, ImportDescriptor
    from jitwasm.pipeline import CompileSession, Module, Progress
    from jitwasm.pool import InstancePool
    from jitwasm.promise import Promise
    from jitwasm.table import Table
    from jitwasm.tag import Tag
    from jitwasm.trapcodes import TrapCode
    from jitwasm.types import FuncType, GlobalType, Limits, MemoryType, TableType, TagType
    from jitwasm.wasi.memfs import MemoryDirectory
    from jitwasm.wasi.run import run_wasi
    from jitwasm.wasi.wasi import ReadOnly, Wasi
    from jitwasm.webassembly import (
        ResultObject,
        WebAssembly,
        compile,
        compile_streaming,
        instantiate,
        instantiate_streaming,
        validate,
    )

__all__ = [
    "CompileError",
    "CompileSession",
    "CompileWarning",
    "Config",
    "ExitError",
    "ExportDescriptor",
    "Features",
    "Frame",
    "FuncType",
    "Global",
    "GlobalType",
    "ImplementationLimits",
    "ImportDescriptor",
    "Instance",
    "InstancePool",
    "InvalidError",
    "Limits",
    "LinkError",
    "LoadError",
    "MalformedError",
    "Memory",
    "MemoryDirectory",
    "MemoryType",
    "Module",
    "Progress",
    "Promise",
    "ReadOnly",
    "Response",
    "ResultObject",
    "StackOverflow",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "Trap",
    "TrapCode",
    "Wasi",
    "WasmError",
    "WebAssembly",
    "__version__",
    "compile",
    "compile_streaming",
    "deadline",
    "fetch",
    "instantiate",
    "instantiate_streaming",
    "load",
    "promising",
    "run_wasi",
    "validate",
]

_HOMES = {
    "aot.load": ("load",),
    "config": ("Config", "Features", "ImplementationLimits"),
    "deadlines": ("deadline",),
    "errors": (
        "CompileError",
        "CompileWarning",
        "ExitError",
        "Frame",
        "InvalidError",
        "LinkError",
        "LoadError",
        "MalformedError",
        "StackOverflow",
        "Trap",
        "WasmError",
    ),
    "fetcher": ("Response", "fetch"),
    "globals": ("Global",),
    "instance": ("Instance",),
    "memory": ("Memory",),
    "pool": ("InstancePool",),
    "module": ("ExportDescriptor", "ImportDescriptor"),
    "pipeline": ("CompileSession", "Module", "Progress"),
    "promise": ("Promise",),
    "asyncexport": ("promising",),
    "table": ("Table",),
    "tag": ("Tag",),
    "trapcodes": ("TrapCode",),
    "types": ("FuncType", "GlobalType", "Limits", "MemoryType", "TableType", "TagType"),
    "wasi.memfs": ("MemoryDirectory",),
    "wasi.run": ("run_wasi",),
    "wasi.wasi": ("ReadOnly", "Wasi"),
    "webassembly": (
        "ResultObject",
        "WebAssembly",
        "compile",
        "compile_streaming",
        "instantiate",
        "instantiate_streaming",
        "validate",
    ),
}
"""Where each public name is defined."""


def _check_platform() -> None:
    def refuse(found: str) -> None:
        raise ImportError(
            f"jitwasm runs on CPython with the GIL, on Linux with glibc, on x86-64; this is {found}"
        )

    if sys.implementation.name != "cpython":
        refuse(sys.implementation.name)
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        refuse("a free-threaded CPython without the GIL")
    if sys.platform != "linux":
        refuse(sys.platform)
    if os.uname().machine != "x86_64" or sys.maxsize < 1 << 32:
        refuse(f"{os.uname().machine}, {sys.maxsize.bit_length() + 1} bits")
    try:
        os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        refuse("Linux with another C library")


def _load(name: str) -> object:
    # On first use, not on import: a program pays for what it uses, when it does.
    if name not in __all__ and name != "RuntimeError":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # `globals` itself is one of our modules, jitwasm.globals, and hides the builtin here.
    namespace = vars(sys.modules[__name__])
    wanted = "Trap" if name == "RuntimeError" else name
    home = next(home for home, names in _HOMES.items() if wanted in names)
    importlib.import_module(f"{__name__}.{home}")
    # Whatever that brought along is published too, so that its classes are known by one name.
    for home, names in _HOMES.items():
        module = sys.modules.get(f"{__name__}.{home}")
        for public in names if module else ():
            value = getattr(module, public)
            value.__module__ = __name__
            namespace[public] = value
    if "Trap" in namespace:
        namespace["RuntimeError"] = namespace["Trap"]
    return namespace[name]


def __dir__() -> list[str]:
    return __all__


_check_platform()
if not TYPE_CHECKING:  # hidden from type checkers, so that they find misspelt names
    __getattr__ = _load
