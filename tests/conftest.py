"""Options of the whole test suite."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bless", action="store_true", help="rewrite the expected IR in tests/golden/**/*.wat"
    )
    parser.addoption(
        "--lifetimes",
        type=int,
        default=0,
        help="instances and moves in the random tests of lifetimes, beyond a few hundred",
    )


@pytest.fixture(scope="session")
def lifetimes(request: pytest.FixtureRequest) -> int:
    """How long tests of lifetimes are to be, 0 for short."""
    return int(request.config.getoption("--lifetimes"))


@pytest.fixture(scope="session")
def bless(request: pytest.FixtureRequest) -> bool:
    """Whether expected outputs are to be rewritten instead of compared."""
    return bool(request.config.getoption("--bless"))


_folder = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    # A shell lets what it runs in the background ignore Ctrl-C, and so would the processes that
    # tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Tests neither see the user's cache nor leave anything there, nor do processes they start. This
    # is done before test modules are imported, and once for all workers.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.stash[_folder] = tempfile.TemporaryDirectory(
            ignore_cleanup_errors=True  # code is still being saved, maybe
        )
        os.environ["JITWASM_CACHE"] = os.path.join(config.stash[_folder].name, "cache")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _folder in config.stash:
        os.environ.pop("JITWASM_CACHE", None)  # a session within the session is first
        config.stash[_folder].cleanup()


_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _cache_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what another one compiled."""
    folder = os.path.dirname(os.environ["JITWASM_CACHE"])
    monkeypatch.setenv("JITWASM_CACHE", os.path.join(folder, f"{os.getpid()}-{next(_numbers)}"))
