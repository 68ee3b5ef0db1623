"""From a module to what other programs link: IR, assembly, object, header, archive, library."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from jitwasm.abi import call_conv
from jitwasm.aot.archive import archive
from jitwasm.aot.glue import Glue, typed_entry
from jitwasm.aot.header import header
from jitwasm.aot.naming import check_prefix
from jitwasm.aot.runtime import (
    DECLARATIONS,
    SECTION,
    libcalls_ir,
    memory_functions,
    runtime_ir,
)
from jitwasm.backend.codegen import TargetSpec, compile_assembly, compile_unit, host_target
from jitwasm.backend.elf import ObjectFile
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody, ModuleEnd
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from jitwasm.ir import FUNCTION_ATTRIBUTES, PREAMBLE, FunctionIR
from jitwasm.libcalls import LIBCALLS, declaration
from jitwasm.types import ArrayType, DefType, FuncType, RefType, StructType, SubType, ValType

__all__ = ["AotOptions", "Compiled", "compile_module"]


@dataclass(frozen=True)
class AotOptions:
    """How to compile.

    Attributes:
        prefix: of all symbols.
        opt_level: 0 to 3.
        cpu, features: as LLVM writes them; None takes the baseline "x86-64", which runs anywhere.
        bounds: "guard" (guard pages, which need the signal handler) or "explicit" (comparisons).
        signals: let the runtime install a signal handler. Without it, a stack overflow ends the
            process, as in any C program.
        runtime: put the small runtime into the object.
        import_table: import functions through pointers given at instantiation.
    """

    prefix: str
    opt_level: int = 2
    cpu: str | None = None
    features: str | None = None
    bounds: str = "guard"
    signals: bool = True
    runtime: bool = True
    import_table: bool = False

    def __post_init__(self) -> None:
        check_prefix(self.prefix)
        if self.bounds == "guard" and not self.signals:
            raise ValueError("guard pages need the signal handler: take bounds='explicit'")


@dataclass(frozen=True)
class Compiled:
    """One module, translated and wrapped; every output derives from `ir`."""

    info: ModuleInfo
    ir: str
    options: AotOptions

    @property
    def target(self) -> TargetSpec:
        options = self.options
        if options.cpu == "native":
            return host_target(options.opt_level)
        return TargetSpec(options.cpu or "x86-64", options.features or "", options.opt_level)

    def object(self) -> bytes:
        """A relocatable, position-independent ELF object."""
        return compile_unit(self.ir, self.target)

    def assembly(self) -> str:
        return compile_assembly(self.ir, self.target)

    def header(self) -> str:
        return header(self.info, self.options.prefix, self.options.import_table)

    def archive(self) -> bytes:
        """A static library with the one object."""
        return archive([(f"{self.options.prefix}.o", self.object())])

    def shared_library(self) -> bytes:
        """A shared library, made by the system's C compiler or linker.

        Raises:
            FileNotFoundError: neither cc, ld nor lld is installed.
        """
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "module.o"), Path(folder, "module.so")
            source.write_bytes(self.object())
            subprocess.run([*linker(), "-o", target, source], check=True)
            return target.read_bytes()

    def undefined(self) -> list[str]:
        """Symbols the object expects others to define."""
        symbols = ObjectFile(self.object()).symbols
        return sorted(s.name for s in symbols if s.is_global and s.section is None and s.name)


def linker() -> list[str]:
    """The command that links a shared library on this machine."""
    for name, options in (("cc", ["-shared", "-nostdlib"]), ("ld", ["-shared"])):
        found = shutil.which(name)
        if found:
            return [found, *options]
    raise FileNotFoundError("a shared library needs a linker: neither cc nor ld is installed")


def compile_module(data: bytes, options: AotOptions, config: Config | None = None) -> Compiled:
    """Translate a module for linking.

    Raises:
        CompileError: it is not a valid module.
    """
    # The baseline processor has none of the instructions that portable IR does without (SSSE3).
    config = config or Config()
    portable = config.portable_ir or options.cpu is None
    config = replace(config, bounds=options.bounds, portable_ir=portable)
    info, functions = _translate(data, config)
    return Compiled(info, module_ir(info, functions, options), options)


def _translate(data: bytes, config: Config) -> tuple[ModuleInfo, list[FunctionIR]]:
    parser = StreamParser(config.features, config.limits)
    functions: list[FunctionIR] = []
    translator: Translator | None = None
    info: ModuleInfo | None = None
    for event in [*parser.feed(data), *parser.finish()]:
        if isinstance(event, CodeStart):
            translator = Translator(event.info, config)
        elif isinstance(event, FunctionBody):
            assert translator is not None
            functions.append(translator.translate(event))
        elif isinstance(event, ModuleEnd):
            info = event.info
    assert info is not None
    return info, functions


def module_ir(info: ModuleInfo, functions: Iterable[FunctionIR], options: AotOptions) -> str:
    """One LLVM module: the functions, the glue, and the runtime if asked for."""
    functions = list(functions)
    universal = [f for f in functions if f.universal]
    rtts = [rtt_symbol(t) for t in info.types]
    glue = Glue(
        info,
        options.prefix,
        options.import_table,
        options.bounds == "guard",
        rtts,
        bool(universal),
    )
    parts = [
        memory_functions(),
        glue.ir(),
        *(_internal(function.text) for function in functions),
        *(typed_entry(f.funcidx, call_conv(info.func_type(f.funcidx))) for f in universal),
        *_rtt_definitions(info),
        FUNCTION_ATTRIBUTES,
        PREAMBLE,
    ]
    declares = set().union(*(f.declares for f in functions)) if functions else set()
    declares.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    if options.runtime:
        parts += [runtime_ir(options.signals), libcalls_ir()]
        declares = {d for d in declares if not any(f"@{name}(" in d for name in LIBCALLS)}
    else:
        declares |= {declaration(name) for name in LIBCALLS}
        parts.append(DECLARATIONS)
    return "\n".join([*sorted(declares), *parts])


def _internal(text: str) -> str:
    """Let nothing outside see a function, and collect the functions' code in one section."""
    text = text.replace("define ", "define internal ", 1)
    return text.replace(" #0 {", f' #0 section "{SECTION}" {{', 1)


def _rtt_definitions(info: ModuleInfo) -> list[str]:
    """Run-time types: equal types of different objects become one when they are linked."""
    found: dict[str, DefType] = {}
    for type_ in info.types:
        ancestor: DefType | None = type_
        while ancestor is not None:
            found[rtt_symbol(ancestor)] = ancestor
            ancestor = ancestor.supertype
    return [_rtt(name, type_) for name, type_ in sorted(found.items())]


_KINDS = {FuncType: 0, StructType: 1, ArrayType: 2}
_DISPLAY = 8


def _rtt(name: str, type_: DefType) -> str:
    chain = [type_]
    while chain[0].supertype is not None:
        chain.insert(0, chain[0].supertype)
    width = max(_DISPLAY, len(chain))
    display = [f"ptr @{rtt_symbol(t)}" for t in chain] + ["ptr null"] * (width - len(chain))
    shape = f"{{ i32, i32, ptr, [{width} x ptr] }}"
    kind = _KINDS[type(type_.comp)]
    return (
        f"${name} = comdat any\n@{name} = linkonce_odr constant {shape} {{ i32 {kind}, "
        f"i32 {type_.depth}, ptr null, [{width} x ptr] [{', '.join(display)}] }}, comdat"
    )


def rtt_symbol(type_: DefType) -> str:
    return f"jw_rtt_{structure_digest(type_)}"


def structure_digest(type_: DefType) -> str:
    """A name for a type's structure: equal for equal types, in whatever module."""
    text = f"{[_sub(s) for s in type_.group]}#{type_.index}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _sub(sub: SubType) -> str:
    parent = sub.supertype
    above = structure_digest(parent) if isinstance(parent, DefType) else str(parent)
    comp = sub.comp
    if isinstance(comp, FuncType):
        shape = f"func {[_val(t) for t in comp.params]} {[_val(t) for t in comp.results]}"
    elif isinstance(comp, StructType):
        shape = f"struct {[(_val(f.storage), f.mutable) for f in comp.fields]}"
    else:
        assert isinstance(comp, ArrayType)
        shape = f"array {_val(comp.field.storage)} {comp.field.mutable}"
    return f"{sub.final} {above} {shape}"


def _val(type_: object) -> str:
    if isinstance(type_, RefType) and isinstance(type_.heap, DefType):
        return f"ref {type_.nullable} {structure_digest(type_.heap)}"
    return type_.name if isinstance(type_, ValType) else str(type_)
