"""LLVM, as far as jitwasm needs it: the only module that knows llvmlite.

llvmlite's own wrappers take one process-wide lock around every call, so two threads compile no
faster than one. We call the same shared library (`LLVMPY_*`, the functions llvmlite's wrappers
call) through a handle of our own. That is safe because nothing is shared: each `Context` and
`TargetMachine` is used by one thread at a time, and ctypes releases the GIL during each call.
What does touch LLVM's global tables, registering the target, is done once, under llvmlite's lock
if llvmlite's binding is in use. llvmlite's binding itself is never imported: it costs five times
what loading the library does.

The signatures below are those of llvmlite 0.50; pyproject.toml pins the range they hold for.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import sys
from collections.abc import Sequence
from ctypes import c_bool, c_char_p, c_int, c_size_t, c_uint, c_void_p
from types import TracebackType
from typing import Any, NamedTuple

__all__ = [
    "TRIPLE",
    "Context",
    "LLVMError",
    "Module",
    "TargetMachine",
    "Tuning",
    "host_cpu",
    "version",
]

TRIPLE = "x86_64-unknown-linux-gnu"

_OUT = ctypes.POINTER(c_void_p)

# Calls that take long: the GIL is released while they run.
_LONG: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "LLVMPY_ParseAssembly": (c_void_p, (c_void_p, c_char_p, _OUT)),
    "LLVMPY_RunNewModulePassManager": (None, (c_void_p, c_void_p, c_void_p)),
    "LLVMPY_TargetMachineEmitToMemory": (c_void_p, (c_void_p, c_void_p, c_int, _OUT)),
    "LLVMPY_VerifyModule": (c_bool, (c_void_p, _OUT)),
}

# Calls of microseconds: the GIL is kept, because a thread that has released it waits up to a
# switch interval (5 ms) to get it back from a thread that is busy translating.
_SHORT: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "LLVMPY_GetVersionInfo": (c_uint, ()),
    "LLVMPY_InitializeNativeTarget": (None, ()),
    "LLVMPY_InitializeNativeAsmPrinter": (None, ()),
    "LLVMPY_InitializeNativeAsmParser": (None, ()),
    "LLVMPY_InitializeAllTargetInfos": (None, ()),
    "LLVMPY_InitializeAllTargets": (None, ()),
    "LLVMPY_InitializeAllTargetMCs": (None, ()),
    "LLVMPY_InitializeAllAsmPrinters": (None, ()),
    "LLVMPY_GetHostCPUName": (None, (_OUT,)),
    "LLVMPY_GetHostCPUFeatures": (c_int, (_OUT,)),
    "LLVMPY_DisposeString": (None, (c_void_p,)),
    "LLVMPY_ContextCreate": (c_void_p, ()),
    "LLVMPY_ContextDispose": (None, (c_void_p,)),
    "LLVMPY_PrintModuleToString": (None, (c_void_p, _OUT)),
    "LLVMPY_GetTargetFromTriple": (c_void_p, (c_char_p, _OUT)),
    "LLVMPY_CreateTargetMachine": (
        c_void_p,
        #          triple    cpu       features  level  reloc     code model print  jit    ABI
        (c_void_p, c_char_p, c_char_p, c_char_p, c_int, c_char_p, c_char_p, c_int, c_int, c_char_p),
    ),
    "LLVMPY_DisposeTargetMachine": (None, (c_void_p,)),
    "LLVMPY_CreateTargetMachineData": (c_void_p, (c_void_p,)),
    "LLVMPY_CopyStringRepOfTargetData": (None, (c_void_p, _OUT)),
    "LLVMPY_DisposeTargetData": (None, (c_void_p,)),
    "LLVMPY_GetBufferStart": (c_void_p, (c_void_p,)),
    "LLVMPY_GetBufferSize": (c_size_t, (c_void_p,)),
    "LLVMPY_DisposeMemoryBuffer": (None, (c_void_p,)),
    "LLVMPY_CreatePipelineTuningOptions": (c_void_p, ()),
    "LLVMPY_PTOSetLoopVectorization": (None, (c_void_p, c_bool)),
    "LLVMPY_PTOSetSLPVectorization": (None, (c_void_p, c_bool)),
    "LLVMPY_PTOSetLoopUnrolling": (None, (c_void_p, c_bool)),
    "LLVMPY_PTOSetInlinerThreshold": (None, (c_void_p, c_int)),
    "LLVMPY_DisposePipelineTuningOptions": (None, (c_void_p,)),
    "LLVMPY_CreatePassBuilder": (c_void_p, (c_void_p, c_void_p)),
    "LLVMPY_DisposePassBuilder": (None, (c_void_p,)),
    "LLVMPY_buildPerModuleDefaultPipeline": (c_void_p, (c_void_p, c_int)),
    "LLVMPY_CreateNewModulePassManager": (c_void_p, ()),
    "LLVMPY_DisposeNewModulePassManger": (None, (c_void_p,)),
}


class LLVMError(RuntimeError):
    """LLVM refused what jitwasm generated: a defect of jitwasm, never of the module compiled."""


class _Library:
    """The functions of libllvmlite, by name."""

    def __init__(self) -> None:
        # Imported at first use: a process that compiles nothing with LLVM never loads it.
        package = importlib.import_module("llvmlite")
        self.version: str = package.__version__
        folder = os.path.dirname(package.__file__ or "")
        path = os.path.join(folder, "binding", "libllvmlite.so")
        self._releasing, self._keeping = ctypes.CDLL(path), ctypes.PyDLL(path)
        for handle, rows in ((self._releasing, _LONG), (self._keeping, _SHORT)):
            for name, (result, parameters) in rows.items():
                function = getattr(handle, name)
                function.restype, function.argtypes = result, parameters
                setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("LLVMPY_module_Add"):
            raise AttributeError(name)
        function = getattr(self._keeping, name)
        function.restype, function.argtypes = None, (c_void_p,)
        return function


@functools.cache
def _library() -> _Library:
    library = _Library()
    binding = sys.modules.get("llvmlite.binding.ffi")
    with binding.lib._lock if binding else contextlib.nullcontext():
        library.LLVMPY_InitializeNativeTarget()
        library.LLVMPY_InitializeNativeAsmPrinter()
        library.LLVMPY_InitializeNativeAsmParser()
    return library


@functools.cache
def _register_all_targets() -> None:
    """Make every target known that the library was built with, not only this machine's."""
    library = _library()
    binding = sys.modules.get("llvmlite.binding.ffi")
    with binding.lib._lock if binding else contextlib.nullcontext():
        library.LLVMPY_InitializeAllTargetInfos()
        library.LLVMPY_InitializeAllTargets()
        library.LLVMPY_InitializeAllTargetMCs()
        library.LLVMPY_InitializeAllAsmPrinters()


class _OutString:
    """An out-parameter for a string that LLVM allocates and we free."""

    def __init__(self) -> None:
        self.pointer = c_void_p()

    def take(self) -> str:
        address = self.pointer.value
        if address is None:
            return ""
        self.pointer.value = None
        try:
            return ctypes.string_at(address).decode("utf-8", "replace")
        finally:
            _library().LLVMPY_DisposeString(address)


def is_loaded() -> bool:
    """Whether this process has loaded LLVM already."""
    return _library.cache_info().currsize > 0


def version() -> str:
    """Everything about LLVM that may change the code it generates."""
    library = _library()
    number = library.LLVMPY_GetVersionInfo()
    llvm = ".".join(str(number >> shift & 0xFF) for shift in (16, 8, 0))
    return f"llvmlite {library.version}, LLVM {llvm}"


@functools.cache
def host_cpu() -> tuple[str, str]:
    """Name and features of this machine's processor, as LLVM writes them."""
    library, out = _library(), _OutString()
    library.LLVMPY_GetHostCPUName(ctypes.byref(out.pointer))
    name = out.take()
    library.LLVMPY_GetHostCPUFeatures(ctypes.byref(out.pointer))
    # LLVM lists them in the order of a hash table.
    features = sorted(out.take().split(","), key=lambda feature: feature[1:])
    return name, ",".join(f"-{f[1:]}" if f[1:] in MISCOMPILED else f for f in features)


MISCOMPILED = ("gfni",)
"""LLVM 22 shifts bytes with a matrix (VGF2P8AFFINEQB) that is wrong for an arithmetic shift by 0,
which it can come to know late, when instructions are selected."""


class Context:
    """An LLVM context: what modules share. A context manager; disposing of it frees everything."""

    def __enter__(self) -> Context:
        self.handle = _library().LLVMPY_ContextCreate()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _library().LLVMPY_ContextDispose(self.handle)

    def parse(self, text: str) -> Module:
        """Parse a module's assembly text.

        Raises:
            LLVMError: with LLVM's message, if it does not parse.
        """
        out = _OutString()
        handle = _library().LLVMPY_ParseAssembly(
            self.handle, text.encode(), ctypes.byref(out.pointer)
        )
        if not handle:
            raise LLVMError(f"LLVM cannot parse the generated IR: {out.take()}")
        return Module(handle)


class Module:
    """A parsed module; its context owns it."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __str__(self) -> str:
        out = _OutString()
        _library().LLVMPY_PrintModuleToString(self.handle, ctypes.byref(out.pointer))
        return out.take()

    def verify(self) -> None:
        """Raise `LLVMError` if the module breaks a rule of LLVM IR."""
        out = _OutString()
        if _library().LLVMPY_VerifyModule(self.handle, ctypes.byref(out.pointer)):
            raise LLVMError(f"LLVM's verifier rejects the generated IR: {out.take()}")


class Tuning(NamedTuple):
    """What a default pipeline shall do.

    Attributes:
        vectorize_loops, vectorize_lines: vectorise loops, straight-line code.
        unroll: unroll loops.
        inline: the cost up to which functions are inlined; None leaves it to the level.
    """

    vectorize_loops: bool = True
    vectorize_lines: bool = True
    unroll: bool = True
    inline: int | None = None


class TargetMachine:
    """LLVM's code generator for one processor at one level. One thread at a time may use it.

    Code is position-independent in the small code model, so that an object may be loaded anywhere
    within 2 GiB of what it refers to.

    Attributes:
        data_layout: what `target datalayout` must say in modules compiled with it.
    """

    def __init__(
        self, cpu: str, features: str, codegen_level: int, triple: str = TRIPLE, abi: str = ""
    ) -> None:
        library, out = _library(), _OutString()
        if triple != TRIPLE:
            _register_all_targets()
        target = library.LLVMPY_GetTargetFromTriple(triple.encode(), ctypes.byref(out.pointer))
        if not target:
            raise LLVMError(out.take())
        self._dispose = library.LLVMPY_DisposeTargetMachine
        self.handle = library.LLVMPY_CreateTargetMachine(
            target,
            triple.encode(),
            cpu.encode(),
            features.encode(),
            codegen_level,
            b"pic",
            b"small",
            0,
            0,
            abi.encode(),
        )
        if not self.handle:
            raise LLVMError(f"LLVM has no target machine for {triple}")
        layout = library.LLVMPY_CreateTargetMachineData(self.handle)
        library.LLVMPY_CopyStringRepOfTargetData(layout, ctypes.byref(out.pointer))
        library.LLVMPY_DisposeTargetData(layout)
        self.data_layout = out.take()

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._dispose(self.handle)

    def run_default_pipeline(self, module: Module, level: int, tuning: Tuning) -> None:
        """Run LLVM's `default<O{level}>` pipeline."""
        self._run_passes(module, level, tuning, ())

    def run_passes(self, module: Module, passes: Sequence[str]) -> None:
        """Run single passes over the module, by their LLVM class names."""
        self._run_passes(module, None, Tuning(), passes)

    def _run_passes(
        self, module: Module, level: int | None, tuning: Tuning, passes: Sequence[str]
    ) -> None:
        library = _library()
        options = library.LLVMPY_CreatePipelineTuningOptions()
        library.LLVMPY_PTOSetLoopVectorization(options, tuning.vectorize_loops)
        library.LLVMPY_PTOSetSLPVectorization(options, tuning.vectorize_lines)
        library.LLVMPY_PTOSetLoopUnrolling(options, tuning.unroll)
        if tuning.inline is not None:
            library.LLVMPY_PTOSetInlinerThreshold(options, tuning.inline)
        # A builder serves one run only: llvmlite registers callbacks in it that refer to the
        # stack frame of that run. A default pipeline also serves only once: its inliner moves
        # its passes out when it runs.
        builder = library.LLVMPY_CreatePassBuilder(self.handle, options)
        if level is None:
            manager = library.LLVMPY_CreateNewModulePassManager()
            for name in passes:
                getattr(library, f"LLVMPY_module_Add{name}")(manager)
        else:
            manager = library.LLVMPY_buildPerModuleDefaultPipeline(builder, level)
        library.LLVMPY_RunNewModulePassManager(manager, module.handle, builder)
        library.LLVMPY_DisposeNewModulePassManger(manager)
        library.LLVMPY_DisposePassBuilder(builder)
        library.LLVMPY_DisposePipelineTuningOptions(options)

    def emit(self, module: Module, assembly: bool = False) -> bytes:
        """The module as an ELF object, or as assembly text."""
        library, out = _library(), _OutString()
        buffer = library.LLVMPY_TargetMachineEmitToMemory(
            self.handle, module.handle, int(not assembly), ctypes.byref(out.pointer)
        )
        if not buffer:
            raise LLVMError(f"LLVM cannot generate code: {out.take()}")
        try:
            start = library.LLVMPY_GetBufferStart(buffer)
            return ctypes.string_at(start, library.LLVMPY_GetBufferSize(buffer))
        finally:
            library.LLVMPY_DisposeMemoryBuffer(buffer)
