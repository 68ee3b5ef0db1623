"""The functions of the JavaScript API's `WebAssembly` namespace, and that namespace itself.

JavaScript API: "The WebAssembly Namespace"; Web API: "Streaming Module Compilation and
Instantiation". What returns a `Promise` never raises: every failure arrives through it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, overload

from jitwasm.config import Config
from jitwasm.errors import CompileError, LinkError, Trap
from jitwasm.globals import Global
from jitwasm.instance import Instance
from jitwasm.memory import Memory
from jitwasm.pipeline import Module, buffer_bytes, is_valid
from jitwasm.promise import Promise
from jitwasm.streaming import compile_source
from jitwasm.table import Table
from jitwasm.tag import Tag

__all__ = [
    "ResultObject",
    "WebAssembly",
    "compile",
    "compile_streaming",
    "instantiate",
    "instantiate_streaming",
    "validate",
]


class ResultObject(NamedTuple):
    """A module and its first instance (JavaScript API: `WebAssemblyInstantiatedSource`)."""

    module: Module
    instance: Instance


Buffer = bytes | bytearray | memoryview


def validate(data: Buffer, config: Config | None = None) -> bool:
    """Whether the bytes are a valid module (JavaScript API: `WebAssembly.validate`).

    Args:
        data: the module in binary format: bytes, or any object with the buffer protocol.
        config: says which features are accepted.

    Raises:
        TypeError: `data` is no buffer.
    """
    return is_valid(buffer_bytes(data, "validate()"), config)


def compile(data: Buffer, config: Config | None = None) -> Promise[Module]:
    """Compile a module in the background (JavaScript API: `WebAssembly.compile`).

    Args:
        data: the module in binary format; it is copied before this returns.
        config: how to compile it.

    Returns:
        A promise of the `Module`. It fails with `TypeError` if `data` is no buffer, and with
        `CompileError` if it is no valid module.
    """
    return compile_source(data, "compile()", config, _same, buffer_only=True)


@overload
def instantiate(
    source: Module, imports: object = None, config: Config | None = None
) -> Promise[Instance]: ...
@overload
def instantiate(
    source: Buffer, imports: object = None, config: Config | None = None
) -> Promise[ResultObject]: ...
def instantiate(
    source: Module | Buffer, imports: object = None, config: Config | None = None
) -> Promise[Instance] | Promise[ResultObject]:
    """Instantiate a module (JavaScript API: `WebAssembly.instantiate`).

    Args:
        source: a `Module`, or the bytes of one, which are then compiled in the background.
        imports: see `Instance`. With a `Module` they are read, and the start function is run,
            before this returns.
        config: how to compile, if there is something to compile.

    Returns:
        For a `Module`, a promise of an `Instance`; for bytes, of a `ResultObject`.
    """
    if isinstance(source, Module):
        promise: Promise[Instance] = Promise()
        try:
            promise._resolve(Instance(source, imports))
        except Exception as error:
            promise._reject(error)
        return promise
    return compile_source(
        source,
        "instantiate()",
        config,
        lambda module: ResultObject(module, Instance(module, imports)),
        buffer_only=True,
    )


def compile_streaming(source: Any, config: Config | None = None) -> Promise[Module]:
    """Compile a module while it arrives (Web API: `WebAssembly.compileStreaming`).

    Args:
        source: an HTTP response (urllib, requests, httpx, aiohttp, `jitwasm.fetch`), a path, a
            binary file, bytes, an iterable or async iterable of bytes, or an awaitable or future
            of any of these. Of a response, the MIME type must be `application/wasm`, the status
            200 to 299, and the body unused.
        config: how to compile it.

    Returns:
        A promise of the `Module`. It fails with `TypeError` if the source is of the wrong kind or
        a response is refused, with `CompileError` if it is no valid module, and with whatever
        exception the source raises.

    Example:
        >>> module = jitwasm.compile_streaming(urllib.request.urlopen(url)).result()
    """
    return compile_source(source, "compile_streaming()", config, _same)


def instantiate_streaming(
    source: Any, imports: object = None, config: Config | None = None
) -> Promise[ResultObject]:
    """Compile a module while it arrives, then instantiate it.

    Web API: `WebAssembly.instantiateStreaming`. The start function runs in a background thread; to
    choose the thread, use `compile_streaming` and `Instance`.

    Args:
        source: as for `compile_streaming`.
        imports: see `Instance`; read when the module is compiled.
        config: how to compile it.

    Returns:
        A promise of `ResultObject(module, instance)`. It fails as that of `compile_streaming`
        does, and as `Instance` does.

    Example:
        >>> module, instance = await jitwasm.instantiate_streaming(response, imports)
    """
    return compile_source(
        source,
        "instantiate_streaming()",
        config,
        lambda module: ResultObject(module, Instance(module, imports)),
    )


def _same(module: Module) -> Module:
    return module


class WebAssembly:
    """The JavaScript namespace, in its spelling: plain aliases of what jitwasm offers.

    Example:
        >>> from jitwasm import WebAssembly, fetch
        >>> result = await WebAssembly.instantiateStreaming(fetch("simple.wasm"), import_object)
        >>> result.instance.exports.exported_func()
    """

    def __new__(cls) -> WebAssembly:
        """Raises TypeError: it is a namespace."""
        raise TypeError("WebAssembly is a namespace: it is neither called nor instantiated")

    Module = Module
    Instance = Instance
    Memory = Memory
    Table = Table
    Global = Global
    Tag = Tag
    CompileError = CompileError
    LinkError = LinkError
    RuntimeError = Trap
    validate = staticmethod(validate)
    compile = staticmethod(compile)
    instantiate = staticmethod(instantiate)
    compileStreaming = staticmethod(compile_streaming)
    instantiateStreaming = staticmethod(instantiate_streaming)
