"""Builds the workloads' C sources with one compiler: clang, from the PyPI package `ziglang`.

Outputs go to bench/build, named by a hash of everything they depend on, so a second build is a
look-up. `python -m bench.build [NAME…]` builds all variants and prints their paths.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from bench.catalog import SUPPORT, WORKLOADS, Workload

__all__ = [
    "NATIVE_VARIANTS",
    "SUITE",
    "WASM_VARIANTS",
    "BuildError",
    "build",
    "build_library",
    "compiler_version",
    "time_native",
]

OUTPUT = Path(__file__).parent / "build"
SUITE = "suite"
"""Name of the module in which all workloads are linked together: for compile-time benchmarks."""

_COMMON = ("-std=c11", "-O3", "-g0", "-Wall", "-Wextra", "-Werror", "-fno-math-errno")
_WASM = (
    *("-target", "wasm32-freestanding", "-nostdlib", "-fno-sanitize=all"),
    *("-Wl,--no-entry", "-Wl,-z,stack-size=262144"),
)
# -fno-plt and hidden visibility: the library's own functions and data are reached directly, as they
# would be in an executable.
_NATIVE = (
    *("-march=native", "-shared", "-fPIC", "-fvisibility=hidden", "-fno-plt"),
    *("-fno-sanitize=all", "-fno-stack-protector"),
)
WASM_VARIANTS = {
    "mvp": (*_WASM, "-mcpu=mvp"),
    "simd": (*_WASM, "-mcpu=generic+simd128"),
}
NATIVE_VARIANTS = {
    "native": _NATIVE,
    # Wasm may not fuse a multiplication and an addition. This variant does not either, so its
    # results are wasm's, bit by bit: the reference every engine is checked against.
    "native-ieee": (*_NATIVE, "-ffp-contract=off"),
}
_VARIANTS = {**WASM_VARIANTS, **NATIVE_VARIANTS}


class BuildError(Exception):
    """The compiler is missing or rejected a source."""


def build(workload: Workload | str, variant: str) -> Path:
    """The path of a workload built as `variant`, compiling it if it is not there yet.

    `workload` may be `SUITE` for the variants of wasm.
    """
    names = sorted(WORKLOADS) if workload == SUITE else [_name(workload)]
    name = SUITE if workload == SUITE else names[0]
    flags = (*_COMMON, *_VARIANTS[variant])
    suffix = ".wasm" if variant in WASM_VARIANTS else ".so"
    target = OUTPUT / f"{name}-{variant}-{_digest(names, flags, variant)}{suffix}"
    if not target.exists():
        OUTPUT.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=OUTPUT) as scratch:
            result = Path(scratch) / target.name
            if workload == SUITE:
                _link_suite(names, flags, Path(scratch), result)
            else:
                _compile([_source(names[0]), *_runtime(variant)], flags, result)
            os.replace(result, target)
    return target


def build_library(name: str, source: str) -> Path:
    """A native shared library of some C text."""
    flags = (*_COMMON, *_NATIVE)
    target = OUTPUT / f"{name}-{_digest([], (*flags, source), 'native')}.so"
    if not target.exists():
        OUTPUT.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=OUTPUT) as scratch:
            text, result = Path(scratch) / f"{name}.c", Path(scratch) / target.name
            text.write_text(source)
            _compile([text], flags, result)
            os.replace(result, target)
    return target


def time_native(workload: str) -> tuple[float, float]:
    """Wall-clock and CPU seconds the compiler takes for native code of a workload, or of `SUITE`.

    Nothing is linked, and the compiler's own cache starts empty.
    """
    names = sorted(WORKLOADS) if workload == SUITE else [workload]
    flags = [*_COMMON, *(flag for flag in _NATIVE if flag != "-shared"), "-c"]
    OUTPUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUTPUT) as scratch:
        result = Path(scratch) / "out.o"
        # The driver's start is not the compiler's work: an empty source costs as much. The same
        # source again would come from the cache, so its text differs.
        empty = Path(scratch) / "empty.c"
        empty.write_text("")

        def compile_(source: Path) -> tuple[float, float]:
            return _children_time(lambda: _compile([source], flags, result, scratch))

        compile_(empty)
        empty.write_text("// again\n")
        start = compile_(empty)
        took = [compile_(_source(name)) for name in names]
    wall = sum(seconds for seconds, _ in took) - len(names) * start[0]
    cpu = sum(seconds for _, seconds in took) - len(names) * start[1]
    return max(wall, 0.0), max(cpu, 0.0)


def _children_time(work: Callable[[], None]) -> tuple[float, float]:
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compiler_version() -> str:
    """Names the compiler in reports."""
    first = _run(["--version"]).splitlines()[0]
    return f"{first} (ziglang {_package_version()})"


def _name(workload: Workload | str) -> str:
    return workload if isinstance(workload, str) else workload.name


def _source(name: str) -> Path:
    return WORKLOADS[name].source


def _runtime(variant: str) -> list[Path]:
    return [SUPPORT / "mem.c"] if variant in WASM_VARIANTS else []


def _link_suite(names: Sequence[str], flags: Sequence[str], scratch: Path, result: Path) -> None:
    """One module of all workloads, their entry points told apart by a prefix."""
    objects = []
    compile_flags = [flag for flag in flags if not flag.startswith("-Wl,")]
    for name in names:
        prefix = "".join(c if c.isalnum() else "_" for c in f"w_{name}_")
        objects.append(scratch / f"{name}.o")
        _compile([_source(name)], [*compile_flags, "-c", f"-DBENCH_PREFIX={prefix}"], objects[-1])
    _compile([*objects, SUPPORT / "mem.c"], flags, result)


def _compile(
    inputs: Sequence[Path], flags: Sequence[str], output: Path, cache: str | None = None
) -> None:
    """`cache` is a folder for what the compiler keeps; None leaves it where it is."""
    _run([*flags, "-I", str(SUPPORT), *map(str, inputs), "-o", str(output)], cache)


def _run(arguments: Sequence[str], cache: str | None = None) -> str:
    command = [sys.executable, "-m", "ziglang", "cc", *arguments]
    folders = {"ZIG_LOCAL_CACHE_DIR": cache, "ZIG_GLOBAL_CACHE_DIR": cache} if cache else {}
    environment = {**os.environ, **folders}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


@lru_cache(maxsize=1)
def _package_version() -> str:
    try:
        return importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        raise BuildError("the package ziglang is not installed (extra: bench)") from None


@lru_cache(maxsize=1)
def _host() -> str:
    """What -march=native depends on."""
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return platform.processor()
    return "".join(
        line for line in cpuinfo.splitlines() if line.startswith(("model", "flags", "cpu family"))
    )


def _digest(names: Sequence[str], flags: Sequence[str], variant: str) -> str:
    parts = [_package_version().encode(), *(flag.encode() for flag in flags)]
    parts += [path.read_bytes() for path in sorted(SUPPORT.iterdir())]
    parts += [_source(name).read_bytes() for name in names]
    if variant in NATIVE_VARIANTS:
        parts.append(_host().encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.build", description=__doc__)
    parser.add_argument("names", nargs="*", help="workloads, or 'suite'; default: all")
    parser.add_argument("--variant", action="append", choices=sorted(_VARIANTS))
    options = parser.parse_args(arguments)
    for name in options.names or [*WORKLOADS, SUITE]:
        for variant in options.variant or _VARIANTS:
            if name != SUITE or variant in WASM_VARIANTS:
                print(build(name, variant))


if __name__ == "__main__":
    main()
