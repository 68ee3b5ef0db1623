"""The workloads: one row each. What a workload stresses is said at the head of its source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["KERNEL_FAMILIES", "SUPPORT", "WORKLOADS", "Workload"]

ROOT = Path(__file__).parent / "workloads"
SUPPORT = ROOT / "support"


@dataclass(frozen=True)
class Workload:
    """One program.

    Attributes:
        name: its folder and file.
        family: heading in the report.
        result: type of its checksum, "i64" or "f64".
        n: size for which one native run takes 5 to 50 ms.
        quick: size for smoke tests.
    """

    name: str
    family: str
    result: str
    n: int
    quick: int

    @property
    def source(self) -> Path:
        return ROOT / self.name / f"{self.name}.c"

    @property
    def is_kernel(self) -> bool:
        """Whether it is a numerical kernel in the manner of PolyBench."""
        return self.family in KERNEL_FAMILIES

    def description(self) -> str:
        """The comment at the head of the source, as one line."""
        lines = []
        for line in self.source.read_text().splitlines()[1:]:
            if not line.startswith("// "):
                break
            lines.append(line[3:])
        return " ".join(lines)


KERNEL_FAMILIES = ("linear algebra", "stencil", "data mining", "dynamic programming")

_ROWS = {
    "linear algebra": (
        ("gemm", "f64", 380, 40),
        ("2mm", "f64", 180, 32),
        ("3mm", "f64", 236, 32),
        ("atax", "f64", 390, 60),
        ("bicg", "f64", 390, 60),
        ("mvt", "f64", 390, 60),
        ("gesummv", "f64", 390, 60),
        ("gemver", "f64", 390, 60),
        ("syrk", "f64", 280, 40),
        ("syr2k", "f64", 200, 40),
        ("trmm", "f64", 400, 40),
        ("symm", "f64", 350, 40),
        ("doitgen", "f64", 90, 16),
        ("cholesky", "f64", 380, 60),
        ("lu", "f64", 380, 60),
        ("ludcmp", "f64", 300, 60),
        ("durbin", "f64", 1200, 100),
        ("trisolv", "f64", 390, 60),
        ("gramschmidt", "f64", 180, 40),
    ),
    "stencil": (
        ("jacobi-1d", "f64", 4000, 200),
        ("jacobi-2d", "f64", 250, 40),
        ("seidel-2d", "f64", 190, 30),
        ("heat-3d", "f64", 60, 12),
        ("fdtd-2d", "f64", 250, 40),
        ("adi", "f64", 190, 30),
    ),
    "data mining": (
        ("correlation", "f64", 250, 40),
        ("covariance", "f64", 440, 40),
    ),
    "dynamic programming": (
        ("floyd-warshall", "i64", 280, 40),
        ("nussinov", "i64", 390, 60),
        ("deriche", "f64", 880, 60),
        ("editdistance", "i64", 3000, 200),
    ),
    "hashing and ciphers": (
        ("sha256", "i64", 3072, 8),
        ("crc32", "i64", 3072, 8),
        ("xxhash64", "i64", 1000, 8),
        ("chacha20", "i64", 4000, 8),
    ),
    "compression and coding": (
        ("lz-compress", "i64", 2000, 16),
        ("lz-decompress", "i64", 500, 16),
        ("huffman", "i64", 600, 16),
        ("base64", "i64", 1500, 16),
    ),
    "sorting": (
        ("quicksort", "i64", 150000, 2000),
        ("mergesort-indirect", "i64", 50000, 1000),
        ("radixsort", "i64", 1500000, 2000),
    ),
    "text": (
        ("strsearch", "i64", 1000, 16),
        ("utf8", "i64", 2000, 16),
        ("json", "i64", 700, 16),
    ),
    "simulation": (
        ("nbody", "f64", 100000, 100),
        ("spectralnorm", "f64", 700, 40),
        ("fft", "f64", 15, 8),
        ("mandelbrot", "f64", 420, 30),
        ("raytrace", "f64", 290, 16),
    ),
    "image": (
        ("tonemap", "f64", 680, 20),
        ("sobel", "i64", 900, 40),
    ),
    "search": (
        ("nqueens", "i64", 12, 6),
        ("sudoku", "i64", 4, 1),
        ("othello", "i64", 9, 3),
        ("fannkuch", "i64", 9, 5),
    ),
    "data structures": (
        ("bst", "i64", 60000, 500),
        ("binarytrees", "i64", 16, 6),
        ("hashmap", "i64", 500, 8),
    ),
    "control": (
        ("interp", "i64", 60000, 500),
        ("coremix", "i64", 120, 1),
        ("virtualcalls", "f64", 20000, 100),
        ("fib", "i64", 32, 12),
        ("sieve", "i64", 4000000, 2000),
        ("bignum", "i64", 800, 40),
    ),
}

WORKLOADS: dict[str, Workload] = {
    row[0]: Workload(row[0], family, *row[1:]) for family, rows in _ROWS.items() for row in rows
}
