"""Where the suite lies, and which commands of it are expected to fail."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["EXPECTED_FAILURES", "Expected", "find_suite", "folder_of", "read_expected", "scripts"]

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
    """The list of expected failures: `script: lines | reason`; lines are numbers and ranges.

    A range stands for the commands that begin on its first and last line and between: every
    command on them fails, so that one of them passing is noticed.
    """
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
