"""The IR of each instruction family, before any optimisation, as it was looked at and approved.

Each `.wat` file ends with the expected IR in `;; ` comments; `pytest --bless` rewrites it. A first
line `;;! bounds=explicit strict=true` sets fields of the configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jitwasm.config import Config
from tests.support.irtext import translate_text

FOLDER = Path(__file__).parent
CASES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.wat"))
_VALUES: dict[str, Any] = {"true": True, "false": False, "0": 0, "2": 2}


def _config(text: str) -> Config:
    first = text.partition("\n")[0]
    if not first.startswith(";;!"):
        return Config()
    options = dict(word.split("=") for word in first.removeprefix(";;!").split())
    return Config(**{name: _VALUES.get(value, value) for name, value in options.items()})


def _expected(source: str, config: Config) -> str:
    """The comment block: declarations, then functions."""
    functions = translate_text(source, config)
    declares = sorted(frozenset().union(*(function.declares for function in functions)))
    blocks = ["\n".join(declares)] if declares else []
    blocks += [function.text for function in functions]
    lines = "\n\n".join(blocks).splitlines()
    return "".join(f";; {line}".rstrip() + "\n" for line in lines)


@pytest.mark.parametrize("case", CASES)
def test_ir_is_as_approved(case: str, bless: bool) -> None:
    path = FOLDER / case
    text = path.read_text(encoding="utf-8")
    source, _, approved = text.partition("\n\n;; ")
    expected = _expected(source, _config(text))
    if bless:
        path.write_text(f"{source.rstrip()}\n\n{expected}", encoding="utf-8")
    else:
        assert ";; " + approved == expected, "run pytest --bless and look at the difference"


def test_there_is_a_case_for_every_family() -> None:
    folders = {case.partition("/")[0] for case in CASES}
    assert folders == {
        "call",
        "control",
        "convert",
        "memory",
        "numeric",
        "reference",
        "simd",
        "table",
        "tailcall",
        "variable",
    }
