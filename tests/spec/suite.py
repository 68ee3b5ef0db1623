"""Where the suite lies, and which commands of it are expected to fail."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "EXPECTED_FAILURES",
    "Expected",
    "find_suite",
    "folder_of",
    "read_expected",
    "scripts",
    "write_expected",
]

REPOSITORY = Path(__file__).resolve().parents[2]
EXPECTED_FAILURES = Path(__file__).with_name("expected_failures.txt")


def find_suite() -> Path | None:
    """The folder of the scripts: JITWASM_SPEC_SUITE, else ../shared/spec/core, if it exists."""
    chosen = os.environ.get("JITWASM_SPEC_SUITE")
    folder = Path(chosen) if chosen else REPOSITORY.parent / "shared" / "spec" / "core"
    return folder if folder.is_dir() else None


def scripts(folder: Path) -> list[str]:
    """All scripts under `folder`, as relative names with slashes, in a fixed order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.wast"))


def folder_of(script: str) -> str:
    """The row of the table that a script belongs to."""
    return script.rpartition("/")[0] or "core"


@dataclass(frozen=True)
class Expected:
    """Lines of one script whose commands may fail, each with the reason."""

    lines: Mapping[int, str]

    def unexpected(self, failures: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
        """The failures that are not expected."""
        return [(line, text) for line, text in failures if line not in self.lines]

    def passed(self, failures: Iterable[tuple[int, str]]) -> list[int]:
        """The lines that were expected to fail and did not."""
        return sorted(self.lines.keys() - {line for line, _ in failures})


def read_expected(path: Path = EXPECTED_FAILURES) -> dict[str, Expected]:
    """The list of expected failures: rows of `script: line, line, … | reason`."""
    found: dict[str, dict[int, str]] = {}
    for number, row in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = row.partition("#")[0].strip()
        if not text:
            continue
        place, bar, reason = text.partition("|")
        script, colon, lines = place.partition(":")
        if not (bar and colon and reason.strip()):
            raise ValueError(f"{path.name}:{number}: not `script: lines | reason`")
        expected = found.setdefault(script.strip(), {})
        for line in lines.replace(",", " ").split():
            expected[int(line)] = reason.strip()
    return {script: Expected(lines) for script, lines in found.items()}


def write_expected(
    failures: Mapping[str, Iterable[tuple[int, str]]], path: Path = EXPECTED_FAILURES
) -> list[tuple[str, int, str]]:
    """List the failures that are due to a feature jitwasm does not have yet; return the others.

    A command that fails because its module did has the module's reason.
    """
    rows = []
    unexplained = []
    for script, failed in sorted(failures.items()):
        reason = ""
        by_reason: dict[str, list[int]] = {}
        for line, text in failed:
            named = _FEATURE.search(text)
            if named:
                reason = f"needs {named[1]}"
            elif "its module failed" not in text or not reason:
                unexplained.append((script, line, text))
                continue
            by_reason.setdefault(reason, []).append(line)
        for reason, lines in by_reason.items():
            numbers = sorted(set(lines))
            for i in range(0, len(numbers), NUMBERS_IN_A_ROW):
                part = ", ".join(map(str, numbers[i : i + NUMBERS_IN_A_ROW]))
                rows.append(f"{script}: {part} | {reason}\n")
    path.write_text(_HEADER + "".join(rows), encoding="utf-8")
    return unexplained


_FEATURE = re.compile(r"the feature '(\w+)'")
NUMBERS_IN_A_ROW = 12
_HEADER = """\
# Commands of the official suite that may fail, each row `script: lines | reason`; a line is that
# of the command. One that passes although it is listed fails the run. The list holds what needs a
# feature that jitwasm does not have yet and nothing else. To write it anew:
#
#     python -m tests.spec --update-expected
#
"""
