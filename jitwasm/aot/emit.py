"""From a module to what other programs link: IR, assembly, object, header, archive, library."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from jitwasm.abi import call_conv
from jitwasm.aot import linking
from jitwasm.aot.archive import archive
from jitwasm.aot.calls import typed_entry
from jitwasm.aot.debuginfo import add_debug_info
from jitwasm.aot.glue import Glue
from jitwasm.aot.header import header
from jitwasm.aot.options import AotOptions
from jitwasm.aot.rttypes import rtt_definitions, rtt_symbol
from jitwasm.aot.runtime import (
    DECLARATIONS,
    SECTION,
    libcalls_ir,
    memory_functions,
    runtime_ir,
)
from jitwasm.aot.stored import add_section, pack_module
from jitwasm.aot.targets import has_shuffle_bytes
from jitwasm.backend.codegen import TargetSpec, compile_assembly, compile_unit
from jitwasm.backend.elf import ObjectFile
from jitwasm.backend.units import UnitBuilder
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody, ModuleEnd
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from jitwasm.ir import FUNCTION_ATTRIBUTES, PREAMBLE, FunctionIR
from jitwasm.libcalls import LIBCALLS, declaration

__all__ = ["AotOptions", "Compiled", "compile_module", "emit"]

Progress = Callable[[int, int], object]
"""Is told how many functions have been translated, and of how many."""

Notice = Callable[[str], object]
"""Is told which linker is used."""

_SUPPLIED = ("_GLOBAL_OFFSET_TABLE_", "__start_jwtext", "__stop_jwtext", "jw_trap_hook")
"""Undefined symbols that every linker supplies; the last is weak, so it may stay undefined."""

_FEED_BYTES = 1 << 16


@dataclass(frozen=True)
class Compiled:
    """One module, translated; every output derives from it, and equal inputs give equal outputs.

    Attributes:
        data: the bytes of the module.
        info: what they describe.
        functions: the functions it defines.
        options: how it is compiled.
        config: how it was translated.
        jobs: how many LLVM modules it is split into, to be compiled side by side. The whole
            program is optimised together only if there is one.
        executor: where they are compiled; None makes threads.
    """

    data: bytes
    info: ModuleInfo
    functions: tuple[FunctionIR, ...]
    options: AotOptions
    config: Config
    jobs: int = 1
    executor: Executor | None = None

    @cached_property
    def ir(self) -> str:
        """The whole program as one LLVM module."""
        return module_ir(self.info, self.functions, self.options)

    def assembly(self) -> str:
        """What the machine will run, for reading."""
        return compile_assembly(self.ir, self.options.spec)

    def header(self) -> str:
        """The C header."""
        options = self.options
        return header(self.info, options.prefix, options.import_table, options.machine)

    def object(self) -> bytes:
        """A relocatable, position-independent ELF object."""
        return self._object

    @cached_property
    def _object(self) -> bytes:
        if self.jobs > 1 and len(self.functions) > 1:
            texts = _parts(self.info, self.functions, self.options, self.jobs)
            result = linking.merge(self._compile_all(texts, self.options.spec))
        else:
            result = compile_unit(self.ir, self.options.spec)
        if not self.options.has_module:
            return result
        return add_section(result, self._stored())

    def _compile_all(self, texts: Sequence[str], spec: TargetSpec) -> list[bytes]:
        if self.executor is not None:
            return list(self.executor.map(compile_unit, texts, [spec] * len(texts)))
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(compile_unit, texts, [spec] * len(texts)))

    def _stored(self) -> bytes:
        """The section from which `jitwasm.load` makes a module."""
        builder = UnitBuilder(self.info.layout, self.options.opt_level)
        units = [unit for function in self.functions for unit in builder.add(function)]
        units += builder.flush()
        objects = self._compile_all([unit.text for unit in units], self.options.spec)
        return pack_module(self.data, objects, self.config, self.options.spec)

    def archive(self) -> bytes:
        """A static library with the one object."""
        return archive([(f"{self.options.prefix}.o", self.object())])

    def shared_library(self, notice: Notice | None = None) -> bytes:
        """A shared library, made by the system's linker; `notice` is told by which.

        Raises:
            LinkerError: there is none, or it failed.
        """
        if not self.options.machine.is_host:
            raise linking.LinkerError("shared libraries can be linked for x86_64 only")
        return linking.shared_library([self.object()], notice)

    def undefined(self) -> list[str]:
        """Symbols the object expects others to define."""
        symbols = ObjectFile(self.object(), self.options.machine.machine).symbols
        return sorted(
            s.name
            for s in symbols
            if s.is_global and s.section is None and s.name and s.name not in _SUPPLIED
        )


def compile_module(
    data: bytes,
    options: AotOptions,
    config: Config | None = None,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Compiled:
    """Translate a module for linking.

    Raises:
        CompileError: it is not a valid module.
        ValueError: it has tail calls, and the target cannot have any; or `config` asks for fuel,
            or for limits on the time or stack of calls.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, not {jobs}")
    config = config or Config()
    if config.fuel is not None:
        raise ValueError("code for other programs cannot be charged for: compile it without fuel")
    if (config.limits.call_seconds, config.limits.stack_bytes) != (None, None):
        raise ValueError("code for other programs has no call_seconds and no stack_bytes")
    portable = config.portable_ir or not has_shuffle_bytes(options.spec)
    config = replace(config, bounds=options.bounds, portable_ir=portable)
    info, functions = _translate(data, config, options.debug, progress)
    if not options.machine.tail_calls and any(f.universal for f in functions):
        raise ValueError(f"tail calls cannot be compiled for {options.machine.name}")
    return Compiled(data, info, functions, options, config, jobs, executor)


def emit(
    data: bytes,
    config: Config,
    prefix: str,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    **options: Any,
) -> Compiled:
    """`Module.emit`."""
    return compile_module(data, AotOptions(prefix, **options), config, jobs=jobs, executor=executor)


def _translate(
    data: bytes, config: Config, debug: bool, progress: Progress | None
) -> tuple[ModuleInfo, tuple[FunctionIR, ...]]:
    parser = StreamParser(config.features, config.limits)
    functions: list[FunctionIR] = []
    translator: Translator | None = None
    total = 0
    view = memoryview(data)
    for start in range(0, len(view), _FEED_BYTES):
        for event in parser.feed(view[start : start + _FEED_BYTES]):
            if isinstance(event, CodeStart):
                translator = Translator(event.info, config, mark_offsets=debug)
                total = event.count
            elif isinstance(event, FunctionBody):
                assert translator is not None
                functions.append(translator.translate(event))
        if progress is not None and total:
            progress(len(functions), total)
    end = parser.finish()[-1]
    assert isinstance(end, ModuleEnd)
    return end.info, tuple(functions)


def module_ir(info: ModuleInfo, functions: Sequence[FunctionIR], options: AotOptions) -> str:
    """One LLVM module: the functions, the glue, and the runtime if asked for."""
    universal = any(f.universal for f in functions)
    text = "\n".join(
        [
            *_declarations(functions, options),
            *_surroundings(info, options, universal),
            *_definitions(info, functions, "internal"),
            FUNCTION_ATTRIBUTES,
            PREAMBLE,
        ]
    )
    return add_debug_info(text, info, options.prefix) if options.debug else text


def _surroundings(info: ModuleInfo, options: AotOptions, tail_calls: bool) -> list[str]:
    """Everything but the functions."""
    rtts = [rtt_symbol(t) for t in info.types]
    glue = Glue(
        info,
        options.prefix,
        options.import_table,
        options.bounds == "guard",
        rtts,
        tail_calls,
        options.machine,
    )
    parts = [*_memory_functions(options), glue.ir(), *rtt_definitions(info)]
    if options.has_runtime:
        return [*parts, runtime_ir(options.signals), libcalls_ir()]
    return [*parts, DECLARATIONS]


def _memory_functions(options: AotOptions) -> list[str]:
    return [memory_functions()] if options.machine.is_host else []


def _declarations(functions: Iterable[FunctionIR], options: AotOptions) -> list[str]:
    declares = {"declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"}
    declares.update(*(f.declares for f in functions))
    if options.has_runtime:
        declares = {d for d in declares if not any(f"@{name}(" in d for name in LIBCALLS)}
    else:
        declares |= {declaration(name) for name in LIBCALLS}
    return sorted(declares)


def _definitions(info: ModuleInfo, functions: Iterable[FunctionIR], linkage: str) -> Iterable[str]:
    for f in functions:
        # Let nothing outside see it, and collect the functions' code in one section.
        text = f.text.replace("define ", f"define {linkage} ", 1)
        yield text.replace(" #0 {", f' #0 section "{SECTION}" {{', 1)
        if f.universal:
            entry = typed_entry(f.funcidx, call_conv(info.func_type(f.funcidx)))
            yield entry.replace("internal", linkage, 1)


# Parts: what one part defines is a hidden symbol for the others, with the prefix before its name.

_FUNCTION_NAME = re.compile(r"@([fu]\d+)\b")


def _parts(
    info: ModuleInfo, functions: Sequence[FunctionIR], options: AotOptions, count: int
) -> list[str]:
    """The program as several LLVM modules of about equal size; the first has all the rest."""
    universal = any(f.universal for f in functions)
    texts = []
    for place, share in enumerate(_shares(functions, count)):
        body = list(_definitions(info, share, "hidden"))
        if place == 0:
            surroundings = "\n".join(_surroundings(info, options, universal))
            # The runtime stays, whether or not this part calls it.
            surroundings = surroundings.replace("linkonce_odr hidden", "weak_odr hidden")
            # Imports are called from all parts.
            surroundings = re.sub(
                r"^(define) internal (.*@f\d+\()", r"\1 hidden \2", surroundings, flags=re.M
            )
            body.insert(0, surroundings)
            wanted = {i: call_conv(info.func_type(i)).fn_ir for i in range(len(info.functions))}
            defined = {f.funcidx for f in share} | set(range(info.imported_functions))
            declares = _declarations(share, options)
        else:
            wanted = {i: ir for f in share for i, ir in f.calls.items()}
            defined = {f.funcidx for f in share}
            body[:0] = _memory_functions(options)
            declares = sorted(set().union(*(f.declares for f in share)))
        outside = sorted(wanted.items() - {(i, wanted[i]) for i in defined if i in wanted})
        text = "\n".join(
            [
                *declares,
                *(_declare(i, ir) for i, ir in outside),
                *body,
                FUNCTION_ATTRIBUTES,
                PREAMBLE,
            ]
        )
        if options.debug:
            text = add_debug_info(text, info, options.prefix)
        texts.append(_FUNCTION_NAME.sub(rf"@{options.prefix}.\1", text))
    return texts


def _declare(funcidx: int, fn_ir: str) -> str:
    result, _, parameters = fn_ir.rpartition(" (")
    return f"declare hidden {result} @f{funcidx}({parameters}"


def _shares(functions: Sequence[FunctionIR], count: int) -> list[list[FunctionIR]]:
    """Neighbours stay together, as they often call each other."""
    total = sum(len(f.text) for f in functions)
    shares: list[list[FunctionIR]] = [[]]
    done = 0
    for f in functions:
        if done * count >= total * len(shares) and shares[-1]:
            shares.append([])
        shares[-1].append(f)
        done += len(f.text)
    return shares
