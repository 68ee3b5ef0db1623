"""One test for each script, and the table of commands at the end of the run."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from tests.spec.suite import find_suite, folder_of, scripts

_COLUMNS = ("commands", "passed", "expected", "failed", "text")
_KEY = "spec_counts"


def pytest_configure(config: pytest.Config) -> None:
    # Known also where pytest-timeout is not installed.
    config.addinivalue_line("markers", "timeout(seconds): limit of one test (pytest-timeout)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "script" not in metafunc.fixturenames:
        return
    suite = find_suite()
    if suite is None:
        reason = "the official suite was not found: set JITWASM_SPEC_SUITE to its folder"
        metafunc.parametrize("script", [pytest.param("", marks=pytest.mark.skip(reason=reason))])
        return
    metafunc.parametrize("script", scripts(suite))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    # The counts travel in the test reports, so they arrive from pytest-xdist's workers too.
    totals: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for key, counts in report.user_properties:
                if key == _KEY:
                    for folder in (folder_of(counts["script"]), "total"):
                        row = f"{counts['tier']} {folder}"
                        totals[row]["seconds"] += report.duration
                        totals[row]["scripts"] += 1
                        for column in _COLUMNS:
                            totals[row][column] += counts[column]
    if not totals:
        return
    terminalreporter.section("WebAssembly core suite: commands per folder")
    columns = ("scripts", *_COLUMNS, "seconds")
    terminalreporter.write_line(f"{'tier, folder':24}" + "".join(f"{name:>10}" for name in columns))
    for folder in sorted(totals, key=lambda name: (name.endswith("total"), name)):
        cells = "".join(f"{totals[folder][name]:10.0f}" for name in columns)
        terminalreporter.write_line(f"{folder:24}{cells}")
    terminalreporter.write_line(
        "expected: on tests/spec/expected_failures.txt; text: malformed text, which only the"
        " assembler sees, not counted as commands"
    )
