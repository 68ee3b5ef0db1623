"""From bytes that arrive to a module: decode, translate and compile, all at once.

`CompileSession` does no I/O: bytes are pushed in, cut in any way. Functions are translated in the
calling thread as soon as their bodies are complete, batched into units, and compiled in the
background; `feed` blocks while too many units wait, which is what holds back a fast source.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import sys
from collections.abc import Sequence
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jitwasm.abi import ABI_VERSION
from jitwasm.backend import llvm
from jitwasm.backend.codegen import host_target
from jitwasm.backend.executors import scheduler_of
from jitwasm.backend.units import CompileUnit, UnitBuilder
from jitwasm.config import Config, default_config
from jitwasm.errors import CompileError
from jitwasm.frontend.events import CodeStart, Event, FunctionBody, ModuleEnd
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from jitwasm.module import CompiledModule, ModuleParts
from jitwasm.recovery import Recovery
from jitwasm.tiers import BaselineCode, baseline_fingerprint, is_available
from jitwasm.tierup import live_code
from jitwasm.version import __version__

if TYPE_CHECKING:
    from jitwasm.aot.emit import Compiled

__all__ = [
    "CompileSession",
    "Module",
    "Progress",
    "buffer_bytes",
    "check",
    "decode",
    "is_valid",
    "machine_fingerprint",
]

FEED_BYTES = 1 << 16
"""Bytes decoded at a time: compilation starts after the first of them, however much is fed."""

OPTIMIZED_CODE_BYTES = 20_000
"""Code sections up to this size are optimised at once where the tier is "auto": LLVM takes about a
second for them."""

OPTIMIZED_FUNCTION_BYTES = 64_000
"""As above, of a single function: LLVM's optimisers take more than linear time."""


@dataclass(frozen=True)
class Progress:
    """How far a compilation is.

    Attributes:
        bytes_received: of the module.
        bytes_total: its size, if the source tells.
        functions_translated: validated and on their way through LLVM.
        functions_compiled: done.
        functions_total: how many there are, known once the code section begins.
    """

    bytes_received: int = 0
    bytes_total: int | None = None
    functions_translated: int = 0
    functions_compiled: int = 0
    functions_total: int | None = None


class _CodeCompiler:
    """What follows the start of the code section: functions in, objects out."""

    def __init__(self, start: CodeStart, config: Config) -> None:
        level, max_optimized = config.opt_level, None
        if level is None:
            level = 2
            max_optimized = OPTIMIZED_FUNCTION_BYTES
        self.functions_total = start.count
        self.functions_translated = 0
        self.fingerprint = machine_fingerprint()
        self._translator = Translator(start.info, config)
        self._units = UnitBuilder(start.info.layout, level, max_optimized)
        self.scheduler = scheduler_of(config, host_target(level))
        self._recovery = Recovery(start.info, config)

    def add(self, body: FunctionBody) -> None:
        self._recovery.note(body)
        self._submit(self._units.add(self._translator.translate(body)))
        self.functions_translated += 1

    def finish(self, data: bytes) -> list[bytes]:
        self._submit(self._units.flush())
        return self.scheduler.results(functools.partial(self._recovery.compile, data))

    def cancel(self) -> None:
        self.scheduler.cancel()

    @property
    def functions_compiled(self) -> int:
        return self.scheduler.functions_compiled

    def _submit(self, units: Sequence[CompileUnit]) -> None:
        for unit in units:
            self.scheduler.submit(unit)


class CompileSession:
    """Compiles one module from bytes that are pushed in.

    One thread feeds it; any thread may read `progress` and call `cancel`.
    """

    def __init__(self, config: Config | None = None, executor: Executor | None = None) -> None:
        """Start a compilation.

        Args:
            config: how to compile; by default as `default_config` says.
            executor: in place of `config.executor`.
        """
        self._config = config or default_config()
        if executor is not None:
            self._config = dataclasses.replace(self._config, executor=executor)
        self._parser = StreamParser(self._config.features, self._config.limits)
        self._chunks: list[bytes] = []
        self._code: _CodeCompiler | BaselineCode | None = None
        self._cancelled = False

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the module.

        Raises:
            CompileError: they cannot be, or continue, a valid module.
            concurrent.futures.CancelledError: `cancel` has been called.
        """
        chunk = bytes(data)
        self._chunks.append(chunk)
        view = memoryview(chunk)
        try:
            for start in range(0, len(view), FEED_BYTES):
                self._handle(self._parser.feed(view[start : start + FEED_BYTES]))
        except BaseException:
            self.cancel()
            raise

    def finish(self) -> Module:
        """The module is complete: wait for its code.

        Raises:
            CompileError: it is not valid, or bytes are missing; or code got lost (see
                `Config.executor`) that the one-pass compiler does not cover.
            concurrent.futures.CancelledError: `cancel` has been called.
        """
        try:
            info = self._handle(self._parser.finish())
            assert info is not None
            data = b"".join(self._chunks)
            self._chunks.clear()
            objects = self._code.finish(data) if self._code else []
        except BaseException:
            self.cancel()
            raise
        fingerprint = self._code.fingerprint if self._code else ""
        lazy = None
        if isinstance(self._code, BaselineCode) and self._config.tier == "auto":
            lazy = live_code(data, info, self._config, self._code.bodies, objects)
        return Module._from_parts(
            ModuleParts(data, info, tuple(objects), fingerprint, self._config, lazy)
        )

    def cancel(self) -> None:
        """Stop: drop what is queued; `feed` and `finish` raise `CancelledError` from now on."""
        self._cancelled = True
        if self._code is not None:
            self._code.cancel()

    @property
    def progress(self) -> Progress:
        """How far it is; `bytes_total` is not known here."""
        code = self._code
        return Progress(
            bytes_received=self._parser.bytes_received,
            functions_translated=code.functions_translated if code else 0,
            functions_compiled=code.functions_compiled if code else 0,
            functions_total=code.functions_total if code else None,
        )

    def _start_code(self, start: CodeStart) -> _CodeCompiler | BaselineCode:
        if self._tier_of(start) == "baseline" and is_available():
            return BaselineCode(start, self._config, machine_fingerprint)
        return _CodeCompiler(start, self._config)

    def _tier_of(self, start: CodeStart) -> str:
        """What is small is worth LLVM's time at once; what is large, nobody waits for."""
        if self._config.tier != "auto":
            return self._config.tier
        if self._config.opt_level is not None:
            return "optimized"
        small = start.size <= OPTIMIZED_CODE_BYTES and self._config.tier_up != "early"
        return "optimized" if small else "baseline"

    def _handle(self, events: Sequence[Event]) -> ModuleInfo | None:
        for event in events:
            if self._cancelled:
                raise CancelledError
            if isinstance(event, FunctionBody):
                assert self._code is not None
                self._code.add(event)
            elif isinstance(event, CodeStart):
                self._code = self._start_code(event)
            elif isinstance(event, ModuleEnd):
                return event.info
        return None


class Module(CompiledModule):
    """A compiled module: validated, and translated to machine code.

    It is immutable and stateless: instantiate it as often as you like, from any thread. It
    pickles; where it is unpickled on a machine like this one, it is not compiled again.

    Example:
        >>> module = jitwasm.Module(Path("lib.wasm").read_bytes())
        >>> instance = jitwasm.Instance(module, {"env": {"log": print}})
    """

    __slots__ = ()

    def __init__(self, data: Any, config: Config | None = None) -> None:
        """Compile a module and wait for it (JavaScript API: `new WebAssembly.Module`).

        Args:
            data: the module in binary format: bytes, or any object with the buffer protocol.
            config: how to compile it.

        Raises:
            TypeError: `data` is no buffer.
            CompileError: it is no valid module.
        """
        data = buffer_bytes(data, "Module()")
        sys.audit("jitwasm.compile", data)
        super().__init__(_compile_parts(data, config))

    @classmethod
    def _from_parts(cls, parts: ModuleParts) -> Module:
        module = cls.__new__(cls)
        CompiledModule.__init__(module, parts)
        return module

    def emit(self, prefix: str = "module", **options: Any) -> Compiled:
        """Compile it for other programs to link, as `jitwasm compile` does.

        Args:
            prefix: of all symbols.
            options: the other fields of `AotOptions`, and `jobs` and `executor`.

        Returns:
            An object that gives each kind of output: `object()`, `header()`, `archive()`,
            `shared_library()`, `assembly()`, and the names `undefined()`.
        """
        # Looked up when it is needed: few programs do, and it would double the time of import.
        aot = importlib.import_module("jitwasm.aot.emit")
        compiled: Compiled = aot.emit(self._parts.data, self.config, prefix, **options)
        return compiled

    def emit_object(self, prefix: str = "module", **options: Any) -> bytes:
        """A relocatable ELF object for C programs, which `jitwasm.load` takes too.

        Args:
            prefix, options: as of `emit`.

        Example:
            >>> Path("lib.o").write_bytes(module.emit_object("lib", opt_level=3, cpu="native"))
            >>> Path("lib.h").write_text(module.emit("lib").header())
        """
        return self.emit(prefix, **{"loadable": True, **options}).object()

    def __reduce__(self) -> tuple[object, ...]:
        parts = self._parts
        live = parts.lazy is not None
        return _unpickle, (
            type(self),
            parts.data,
            parts.objects,
            parts.fingerprint,
            parts.config,
            live,
        )


def buffer_bytes(source: Any, api: str) -> bytes:
    """A copy of what an object with the buffer protocol holds.

    Raises:
        TypeError: it has no buffer; the message names `api`.
    """
    if isinstance(source, bytes):
        return source
    try:
        with memoryview(source) as view:
            return view.tobytes()
    except TypeError:
        hint = "; of a file, pass Path(...).read_bytes()" if isinstance(source, str) else ""
        raise TypeError(
            f"{api} takes the bytes of a module, not {type(source).__name__}{hint}"
        ) from None


def check(data: bytes, config: Config | None = None) -> ModuleInfo:
    """Decode and validate a module without compiling it.

    Raises:
        CompileError: it is not valid.
    """
    config = config or default_config()
    parser = StreamParser(config.features, config.limits)
    translator: Translator | None = None
    view = memoryview(data)
    for start in range(0, len(view), FEED_BYTES):
        for event in parser.feed(view[start : start + FEED_BYTES]):
            if isinstance(event, FunctionBody):
                assert translator is not None
                translator.translate(event)
            elif isinstance(event, CodeStart):
                translator = Translator(event.info, config)
    end = parser.finish()[-1]
    assert isinstance(end, ModuleEnd)
    return end.info


def is_valid(data: bytes, config: Config | None = None) -> bool:
    """Whether a module would compile."""
    try:
        check(data, config)
    except CompileError:
        return False
    return True


@functools.cache
def machine_fingerprint() -> str:
    """Names everything on which it depends whether compiled code may run here."""
    cpu, features = llvm.host_cpu()
    return "\n".join(
        [f"jitwasm {__version__}, ABI {ABI_VERSION}", llvm.version(), llvm.TRIPLE, cpu, features]
    )


def _compile_parts(data: bytes, config: Config | None) -> ModuleParts:
    session = CompileSession(config)
    session.feed(data)
    return session.finish()._parts


def _unpickle(
    cls: type[Module],
    data: bytes,
    objects: tuple[bytes, ...],
    fingerprint: str,
    config: Config,
    live: bool,
) -> Module:
    sys.audit("jitwasm.compile", data)
    if fingerprint and (not objects or not _runs_here(fingerprint)):
        return cls._from_parts(_compile_parts(data, config))
    info, bodies = _decode(data, config)
    lazy = None
    if live:
        lazy = live_code(data, info, config, bodies, objects)
    return cls._from_parts(ModuleParts(data, info, objects, fingerprint, config, lazy))


def _runs_here(fingerprint: str) -> bool:
    return fingerprint in (baseline_fingerprint(), machine_fingerprint())


def decode(data: bytes, config: Config) -> ModuleInfo:
    """What the bytes of a module that is known to be valid describe."""
    return _decode(data, config)[0]


def _decode(data: bytes, config: Config) -> tuple[ModuleInfo, dict[int, tuple[int, int]]]:
    """The same, and where the functions' bodies are: funcidx -> (offset, size)."""
    parser = StreamParser(config.features, config.limits)
    bodies = {
        event.funcidx: (event.offset, len(event.body))
        for event in parser.feed(data)
        if isinstance(event, FunctionBody)
    }
    end = parser.finish()[-1]
    assert isinstance(end, ModuleEnd)
    return end.info, bodies
