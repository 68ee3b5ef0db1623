"""Every subtest is accounted for, and docs/js-api-tests.md says how."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.jsapi.accounting import DEVIATIONS, NOT_APPLICABLE, REASONS, SUBTESTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "js-api-tests.md"
HERE = Path(__file__).parent


class Collector:
    """Counts the counterparts that pytest collects."""

    def __init__(self) -> None:
        self.alike: Counter[str] = Counter()
        self.deviating: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for mark in item.iter_markers("jsapi"):
                file, deviation, covers = (
                    mark.kwargs[name] for name in ("file", "deviation", "covers")
                )
                (self.deviating if deviation else self.alike)[file] += covers
                if deviation:
                    self.reasons[deviation] += covers


@pytest.fixture(scope="module")
def found() -> Collector:
    collector = Collector()
    # The files one by one: this one must not be collected within itself.
    files = [
        str(path) for path in sorted(HERE.glob("test_*.py")) if path.name != "test_accounting.py"
    ]
    arguments = ["--collect-only", "-qq", "--no-header", *files]
    # Not faulthandler either: at its end pytest puts that on top of everybody's signal handlers,
    # and it does not let those below have what is theirs.
    for plugin in ("cacheprovider", "xdist", "faulthandler"):
        arguments += ["-p", f"no:{plugin}"]
    assert pytest.main(arguments, [collector]) == 0
    return collector


def not_applicable(file: str) -> int:
    return sum(NOT_APPLICABLE.get(file, {}).values())


def table(found: Collector) -> list[str]:
    """The rows of the page's table."""
    rows = [
        (file, total, found.alike[file], found.deviating[file], not_applicable(file))
        for file, total in SUBTESTS.items()
    ]
    sums = [sum(row[column] for row in rows) for column in range(1, 5)]  # type: ignore[misc]
    rows.append((f"**{len(SUBTESTS)} files**", *sums))  # type: ignore[arg-type]
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows]


@pytest.mark.parametrize("file", SUBTESTS)
def test_every_subtest_is_accounted_for(file: str, found: Collector) -> None:
    assert found.alike[file] + found.deviating[file] + not_applicable(file) == SUBTESTS[file]


def test_the_page_has_the_numbers(found: Collector) -> None:
    wanted = table(found)
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [
        line for line in lines if re.match(r"\| (\*\*)?[a-z0-9]\S*.* \| \d+ \|", line)
    ] == wanted, "docs/js-api-tests.md wants these rows:\n" + "\n".join(wanted)


def test_the_page_gives_every_reason(found: Collector) -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for word, reason in DEVIATIONS.items():
        assert f"**{word}** ({found.reasons[word]}): {reason}" in text
    for word, reason in REASONS.items():
        count = sum(rows.get(word, 0) for rows in NOT_APPLICABLE.values())
        assert f"**{word}** ({count}): {reason}" in text
