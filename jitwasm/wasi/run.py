"""`run_wasi`: a WASI program run in one line, the way `subprocess.run` runs a native one."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from socket import socket
from subprocess import CalledProcessError, CompletedProcess, TimeoutExpired

from jitwasm.config import Config
from jitwasm.deadlines import deadline
from jitwasm.errors import ExitError, LinkError, Trap
from jitwasm.instance import Instance
from jitwasm.pipeline import Module
from jitwasm.trapcodes import TrapCode
from jitwasm.wasi.streams import Sink, Source
from jitwasm.wasi.wasi import Folder, Wasi

__all__ = ["run_wasi", "start"]

ProgramSource = Module | bytes | bytearray | memoryview | str | os.PathLike[str]


def start(module: Module, wasi: Wasi, imports: Mapping[str, Mapping[str, object]] = {}) -> int:
    """Instantiate a WASI module and run it; returns its exit code.

    A command's `_start` is called; a reactor, which has none, gets its `_initialize` called.
    """
    merged: dict[str, Mapping[str, object]] = {**wasi.imports, **imports}
    functions = {row.name for row in module.exports() if row.kind == "function"}
    name = "_start" if "_start" in functions else "_initialize"
    if name not in functions:
        raise LinkError("not a WASI program: it exports neither _start nor _initialize")
    try:
        Instance(module, merged).exports[name]()
    except ExitError as exit_:
        return exit_.code
    return 0


def run_wasi(
    source: ProgramSource,
    args: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    stdin: Source = None,
    stdout: Sink = None,
    stderr: Sink = None,
    dirs: Mapping[str, Folder] | None = None,
    sockets: Iterable[socket] = (),
    clock: Callable[[int], int] | None = None,
    random: Callable[[int], bytes] | None = None,
    timeout: float | None = None,
    check: bool = False,
    config: Config | None = None,
) -> CompletedProcess[bytes]:
    """Run a WASI command to its end.

    Args:
        source: the program: a Module, its bytes, or its path.
        args: its arguments, after the program's name.
        stdin, env, dirs, sockets, clock, random: as for `Wasi`.
        stdout, stderr: as for `Wasi`; None captures them in the result.
        timeout: seconds after which it is stopped, also while it waits for a pipe, a socket or a
            clock; only a Python callable or file object that waits is not interrupted.
        check: raise CalledProcessError when the exit code is not 0.

    Raises:
        subprocess.TimeoutExpired: it ran longer than `timeout`.
        Trap: it trapped.
        CompileError, LinkError: it is not a program that can run.
    """
    module = source if isinstance(source, Module) else Module(_data(source), config)
    name = "program"
    if isinstance(source, (str, os.PathLike)):
        name = os.path.basename(os.fspath(source))
    captured = (io.BytesIO(), io.BytesIO())
    argv = [name, *args]
    wasi = Wasi(
        args=argv,
        env=env,
        stdin=stdin,
        stdout=captured[0] if stdout is None else stdout,
        stderr=captured[1] if stderr is None else stderr,
        dirs=dirs,
        sockets=sockets,
        clock=clock,
        random=random,
    )
    with wasi:
        try:
            with deadline(timeout):
                code = start(module, wasi)
        except Trap as trap:
            if timeout is not None and trap.code is TrapCode.DEADLINE:
                out, err = (stream.getvalue() for stream in captured)
                raise TimeoutExpired(argv, timeout, out, err) from trap
            raise
    out, err = (stream.getvalue() for stream in captured)
    if check and code:
        raise CalledProcessError(code, argv, out, err)
    return CompletedProcess(argv, code, out, err)


def _data(source: bytes | bytearray | memoryview | str | os.PathLike[str]) -> bytes:
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            return file.read()
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    raise TypeError(f"a program is a Module, bytes or a path, not {type(source).__name__}")
