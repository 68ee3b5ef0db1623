"""Options, parameters and fixtures of the benchmarks (see bench/README.md)."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.build import SUITE, WASM_VARIANTS, build, compiler_version
from bench.catalog import WORKLOADS, Workload
from bench.engines import DEFAULT_ENGINES, ENGINES, Engine
from bench.meter import InsideClock, Meter
from jitwasm.benchmark.noise import NoiseProbe

NOISE = pytest.StashKey[NoiseProbe]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("jitwasm benchmarks")
    group.addoption(
        "--quick",
        action="store_true",
        default=os.environ.get("JITWASM_BENCH_QUICK") == "1",
        help="smallest sizes, one round: checks every benchmark in seconds (JITWASM_BENCH_QUICK=1)",
    )
    group.addoption("--engines", default="", help="comma-separated rows, or 'all'")
    group.addoption("--workloads", default="", help="comma-separated workloads; default: all")
    group.addoption("--variants", default="mvp", help="of wasm: mvp, simd or both; default: mvp")
    group.addoption("--budget", type=float, default=0.5, help="seconds for each measurement")
    group.addoption(
        "--passes",
        type=int,
        default=1,
        help="how often to go through the workloads; the report takes the pass in the middle",
    )
    group.addoption(
        "--wasm", action="append", default=[], help="a module for the phases up to instantiation"
    )
    group.addoption(
        "--modules",
        action="append",
        default=[],
        metavar="FOLDER",
        help="where the third-party modules of test_start.py are (JITWASM_BENCH_MODULES)",
    )


@dataclass(frozen=True)
class Case:
    """One cell of the execution table: a workload, as built for an engine."""

    workload: Workload
    variant: str
    engine: Engine

    @property
    def id(self) -> str:
        variant = "" if self.engine.is_native else f"-{self.variant}"
        return f"{self.workload.name}-{self.engine.name}{variant}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    if "case" in metafunc.fixturenames:
        cases = _cases(config) * config.getoption("--passes")
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])
    if "peer" in metafunc.fixturenames:
        peers = [engine for engine in _engines(config) if not engine.is_native]
        metafunc.parametrize("peer", peers, ids=[peer.name for peer in peers])
    if "wasm_file" in metafunc.fixturenames:
        files = ["json", SUITE, *config.getoption("--wasm")]
        metafunc.parametrize("wasm_file", files, ids=[Path(file).stem for file in files])


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _known(names: list[str], table: dict[str, Any], what: str) -> list[str]:
    for name in names:
        if name not in table:
            raise pytest.UsageError(f"no {what} {name!r}; there are: {', '.join(table)}")
    return names


def _engines(config: pytest.Config) -> list[Engine]:
    text = config.getoption("--engines")
    names = list(ENGINES) if text == "all" else _split(text) or list(DEFAULT_ENGINES)
    return [ENGINES[name] for name in _known(names, ENGINES, "engine")]


def _cases(config: pytest.Config) -> list[Case]:
    names = _split(config.getoption("--workloads")) or list(WORKLOADS)
    variants = _known(_split(config.getoption("--variants")), dict(WASM_VARIANTS), "variant")
    return [
        Case(WORKLOADS[name], engine.name if engine.is_native else variant, engine)
        for name in _known(names, WORKLOADS, "workload")
        for engine in _engines(config)
        for variant in (variants if not engine.is_native else variants[:1])
    ]


@pytest.fixture(autouse=True)
def _available(request: pytest.FixtureRequest) -> None:
    """Skips rows whose engine is missing."""
    for name in ("case", "peer"):
        if name in request.fixturenames:
            value = request.getfixturevalue(name)
            reason = (value.engine if isinstance(value, Case) else value).unavailable()
            if reason:
                pytest.skip(reason)


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--quick"))


@pytest.fixture
def meter(request: pytest.FixtureRequest, quick: bool) -> Meter:
    """pytest-benchmark, fed with samples that an engine took itself."""
    clock = InsideClock()
    request.node.add_marker(pytest.mark.benchmark(timer=clock))
    budget = request.config.getoption("--budget")
    return Meter(lambda: request.getfixturevalue("benchmark"), clock, budget, quick)


@pytest.fixture
def wasm_path(wasm_file: str) -> Path:
    """A module to decode, compile or instantiate: a small one, all workloads in one, and those
    given by --wasm."""
    if wasm_file == SUITE or wasm_file in WORKLOADS:
        return build(wasm_file, "mvp")
    return Path(wasm_file)


@pytest.fixture
def module_folders(request: pytest.FixtureRequest) -> list[str]:
    """Where third-party modules are looked for."""
    named = os.environ.get("JITWASM_BENCH_MODULES")
    return [*request.config.getoption("--modules"), *([named] if named else [])]


@cache
def _expected(workload: Workload, n: int) -> int | float:
    program = ENGINES["native-ieee"].load(workload, "native-ieee")
    program.round(n)
    return program.checksum()


@pytest.fixture
def expected(case: Case, quick: bool) -> int | float:
    """The checksum that native code without fused operations computes."""
    return _expected(case.workload, case.workload.quick if quick else case.workload.n)


# --- results -------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    # What is on disk from the last time is not what is measured.
    os.environ["JITWASM_CACHE"] = "0"
    config.stash[NOISE] = NoiseProbe()


@pytest.fixture(scope="module", autouse=True)
def _noise(request: pytest.FixtureRequest) -> Iterator[None]:
    """Looks at the machine's quietness before and after each file."""
    probe = request.config.stash[NOISE]
    probe.sample()
    yield
    probe.sample()


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: Any) -> None:
    machine_info["engines"] = {
        engine.name: engine.version() for engine in _engines(config) if not engine.unavailable()
    }
    machine_info["compiler"] = compiler_version()
    machine_info["python_full"] = f"{platform.python_implementation()} {platform.python_version()}"


def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]
) -> None:
    output_json["noise"] = config.stash[NOISE].summary()
    output_json["noise"]["warnings"] = config.stash[NOISE].warnings()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for warning in config.stash[NOISE].warnings():
        terminalreporter.write_line(f"noisy machine: {warning}", yellow=True, bold=True)
