"""The benchmark workloads: sources and catalogue agree, and engines compute what native code does.

Three workloads stand for all; `pytest bench --quick` runs every one of them.
"""

from __future__ import annotations

import functools

import pytest

from bench.build import build
from bench.catalog import ROOT, SUPPORT, WORKLOADS
from bench.engines import ENGINES

SAMPLE = ("gemm", "lz-decompress", "virtualcalls")


@functools.cache
def native_checksum(name: str) -> int | float:
    workload = WORKLOADS[name]
    program = ENGINES["native-ieee"].load(workload, "native-ieee")
    program.round(workload.quick)
    return program.checksum()


def test_every_source_has_a_row_and_a_description() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {SUPPORT.name}
    assert folders == set(WORKLOADS)
    assert all(workload.description() for workload in WORKLOADS.values())


def test_catalogue_is_as_large_as_promised() -> None:
    kernels = [workload for workload in WORKLOADS.values() if workload.is_kernel]
    assert len(kernels) >= 20
    assert len(WORKLOADS) - len(kernels) >= 12


@pytest.mark.parametrize("engine", ["jitwasm", "jitwasm-O0", "jitwasm-strict", "wasmtime"])
@pytest.mark.parametrize("variant", ["mvp", "simd"])
@pytest.mark.parametrize("name", SAMPLE)
def test_engine_computes_what_native_code_computes(name: str, variant: str, engine: str) -> None:
    reason = ENGINES[engine].unavailable()
    if reason:
        pytest.skip(reason)
    workload = WORKLOADS[name]
    program = ENGINES[engine].load(workload, variant)
    program.round(workload.quick)
    assert program.checksum() == native_checksum(name)


def test_init_makes_rounds_repeatable() -> None:
    reason = ENGINES["native"].unavailable()
    if reason:
        pytest.skip(reason)
    workload = WORKLOADS["lz-decompress"]
    program = ENGINES["native"].load(workload, "native")
    program.round(workload.quick)
    first = program.checksum()
    program.round(workload.quick)
    assert program.checksum() == first


def test_second_build_is_a_look_up() -> None:
    reason = ENGINES["native"].unavailable()
    if reason:
        pytest.skip(reason)
    first = build("gemm", "mvp")
    written = first.stat().st_mtime_ns
    assert build("gemm", "mvp") == first
    assert first.stat().st_mtime_ns == written
