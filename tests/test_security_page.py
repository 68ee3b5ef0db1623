"""Each statement of docs/security.md has its test: the names on the page exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "security.md"
LINKS = sorted(set(re.findall(r"\[`(test_\w+)`\]\((\S+?)\)", PAGE.read_text())))


def test_the_page_names_tests_for_its_statements() -> None:
    assert len(LINKS) > 40
    # No test is named without a link to where it is.
    assert len(re.findall(r"`test_\w+`", PAGE.read_text())) == len(
        re.findall(r"\[`test_\w+`\]\(", PAGE.read_text())
    )


@pytest.mark.parametrize(("name", "path"), LINKS)
def test_the_test_exists(name: str, path: str) -> None:
    tree = ast.parse((PAGE.parent / path).read_text())
    assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
