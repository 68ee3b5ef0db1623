"""From bytes that arrive to a module: decode, translate and compile, all at once.

`CompileSession` does no I/O: bytes are pushed in, cut in any way. Functions are translated in the
calling thread as soon as their bodies are complete, batched into units, and compiled in the
background; `feed` blocks while too many units wait, which is what holds back a fast source.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from jitwasm.codecache import CodeRecord, ModuleCache, module_cache
from jitwasm.config import Config, default_config, trusts_pickled_code
from jitwasm.errors import CompileError
from jitwasm.frontend.events import CodeStart, Event, FunctionBody, ModuleEnd
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.module import CompiledModule, ModuleParts
from jitwasm.records import record, replace
from jitwasm.storedcode import StoredCode
from jitwasm.tierchoice import Way, baseline_fingerprint, way_of
from jitwasm.tierup import live_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor
    from typing import Any

    from jitwasm.aot.emit import Compiled
    from jitwasm.compilation import CodeCompiler

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


@record(frozen=True)
class Progress:
    """How far a compilation is.

    Attributes:
        bytes_received: of the module.
        bytes_total: its size, if the source tells.
        functions_translated: validated and on their way through LLVM.
        functions_compiled: done, or checked and left to be compiled when they are first called.
        functions_total: how many there are, known once the code section begins.
    """

    bytes_received: int = 0
    bytes_total: int | None = None
    functions_translated: int = 0
    functions_compiled: int = 0
    functions_total: int | None = None


class _KnownCode:
    """In place of a compiler: code from the cache, for the module that this one seems to be.

    Attributes:
        key: of the entry.
        stored: what it holds.
        certain: whether the module's bytes have been seen, or only what stands before its code.
        bodies: the functions seen so far, kept as long as it is not certain.
    """

    def __init__(self, start: CodeStart, key: str, stored: StoredCode, certain: bool) -> None:
        self.functions_total = start.count
        self.functions_translated = self.functions_compiled = 0
        self.key = key
        self.stored = stored
        self.certain = certain
        self.bodies: list[FunctionBody] = []

    def add(self, body: FunctionBody) -> None:
        self.functions_translated += 1
        self.functions_compiled += 1
        if not self.certain:
            self.bodies.append(body)

    def cancel(self) -> None:
        """Nothing runs in the background."""


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
            self._config = replace(self._config, executor=executor)
        self._parser = StreamParser(self._config.features, self._config.limits)
        self._cache = module_cache(self._config)
        self._chunks: list[bytes] = []
        self._start: CodeStart | None = None
        self._way: Way = "optimized"
        self._code: CodeCompiler | _KnownCode | None = None
        self._places: dict[int, tuple[int, int]] = {}  # of bodies
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
                self._handle(self._parse(view[start : start + FEED_BYTES]))
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
            info = self._handle(self._parse(None))
            assert info is not None
            data = b"".join(self._chunks)
            self._chunks.clear()
            stored, key = self._stored_code(data)
        except BaseException:
            self.cancel()
            raise
        lazy = None
        if self._config.tier == "auto" and self._way != "optimized":
            record = CodeRecord(stored, self._cache, key)
            lazy = live_code(data, info, self._config, self._places, record)
        return Module._from_parts(
            ModuleParts(data, info, stored.objects, stored.fingerprint, self._config, lazy)
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

    def _parse(self, data: memoryview | None) -> Sequence[Event]:
        """The events of the next bytes, or of the end."""
        try:
            return self._parser.finish() if data is None else self._parser.feed(data)
        except CompileError:
            if isinstance(self._code, _KnownCode) and not self._code.certain:
                self._compile_after_all(self._code)  # an error in one of them comes first
            raise

    def _handle(self, events: Sequence[Event]) -> ModuleInfo | None:
        for event in events:
            if self._cancelled:
                raise _cancelled()
            if isinstance(event, FunctionBody):
                assert self._code is not None
                if self._way != "optimized":
                    self._places[event.funcidx] = event.offset, len(event.body)
                self._code.add(event)
            elif isinstance(event, CodeStart):
                self._start = event
                self._way = way_of(event, self._config)
                self._code = self._look_up(event) or self._start_code(event)
            elif isinstance(event, ModuleEnd):
                return event.info
        return None

    def _start_code(self, start: CodeStart) -> CodeCompiler:
        compiler: CodeCompiler = _compilers().start_code(self._way, start, self._config)
        return compiler

    def _look_up(self, start: CodeStart) -> _KnownCode | None:
        """The module's code in the cache, as far as can be told when its code begins."""
        if self._cache is None:
            return None
        received, end = b"".join(self._chunks), start.offset + start.size
        certain = len(received) >= end
        if certain:
            key: str | None = self._cache.key(received[:end])
        else:
            key = self._cache.follow(_pointer(self._cache, received, start))
        stored = None if key is None else self._cache.load(key)
        if key is None or stored is None or stored.way != self._way:
            return None
        return _KnownCode(start, key, stored, certain)

    def _stored_code(self, data: bytes) -> tuple[StoredCode, str]:
        """The code of the complete module, from the cache or for it, and its key there."""
        start, code = self._start, self._code
        if start is None or code is None:
            return StoredCode("optimized"), ""
        key = "" if self._cache is None else self._cache.key(data[: start.offset + start.size])
        if isinstance(code, _KnownCode):
            if code.key == key:
                return code.stored, key
            code = self._compile_after_all(code)
        stored = StoredCode(self._way, code.fingerprint, tuple(code.finish(data)))
        if self._cache is not None and code.is_as_wanted:
            if self._way != "lazy":  # else it is stored when there is any
                self._cache.save(key, stored)
            self._cache.point(_pointer(self._cache, data, start), key)
        return stored, key

    def _compile_after_all(self, known: _KnownCode) -> CodeCompiler:
        """What seemed to be in the cache is not what this module is."""
        assert self._start is not None
        self._code = compiler = self._start_code(self._start)
        for body in known.bodies:
            compiler.add(body)
        return compiler


def _pointer(cache: ModuleCache, data: bytes, start: CodeStart) -> str:
    return cache.pointer(data[: start.offset], start.size)


class Module(CompiledModule):
    """A compiled module: validated, and translated to machine code.

    It is immutable and stateless: instantiate it as often as you like, from any thread. It
    pickles; where it is unpickled on a machine like this one, it is not compiled again. Like any
    pickle, take only those you trust: this one holds machine code (docs/security.md).

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

    def checked(self) -> Module:
        parts = self._parts
        config = replace(parts.config, bounds="explicit")
        return self._from_parts(_compile_parts(parts.data, config))

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
    info: ModuleInfo = _compilers().check(data, config or default_config())
    return info


def is_valid(data: bytes, config: Config | None = None) -> bool:
    """Whether a module would compile."""
    try:
        check(data, config)
    except CompileError:
        return False
    return True


def machine_fingerprint() -> str:
    """Names everything on which it depends whether optimised code may run here."""
    return str(_compilers().machine_fingerprint())


def _cancelled() -> Exception:
    # Looked up when it is raised: importing it takes as long as compiling a small module.
    error: Exception = importlib.import_module("concurrent.futures").CancelledError()
    return error


def _compilers() -> Any:
    """The module that drives the compilers."""
    # Not at import: where all code comes from the cache, none is ever loaded.
    return importlib.import_module("jitwasm.compilation")


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
    use_code = objects and trusts_pickled_code() and _runs_here(fingerprint)
    sys.audit("jitwasm.unpickle" if use_code else "jitwasm.compile", data)
    if fingerprint and not use_code:
        return cls._from_parts(_compile_parts(data, config))
    info, bodies = _decode(data, config)
    lazy = None
    if live:
        stored = StoredCode("baseline", fingerprint, objects)
        lazy = live_code(data, info, config, bodies, CodeRecord(stored))
    return cls._from_parts(ModuleParts(data, info, objects, fingerprint, config, lazy))


def _runs_here(fingerprint: str) -> bool:
    return fingerprint == baseline_fingerprint() or fingerprint == machine_fingerprint()


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
