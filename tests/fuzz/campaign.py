"""Many modules, one after the other, in worker processes; findings are kept in a folder."""

from __future__ import annotations

import base64
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.check import Finding
from tests.fuzz.modules import Generated, generate

__all__ = ["Answer", "Campaign", "Worker"]

SILENCE = 120.0
"""Seconds without a word from a worker that mean a hang: everything it does ends within its own
deadlines and takes far less, even on a loaded machine."""

MODULES_OF_A_WORKER = 400
MEMORY_OF_A_WORKER = 3 << 20  # KiB


@dataclass(frozen=True)
class Answer:
    """What became of a request; `origin` is None where there was no module."""

    origin: str | None
    findings: list[Finding]


class Worker:
    """A worker process, started when it is needed and again after it died."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: Any = None
        self._served = 0

    def ask(self, request: Mapping[str, Any]) -> Answer:
        """What the worker finds; that it died, or hangs, is a finding too."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        doing = "start"
        while True:
            row = self._line()
            if row is None:
                return Answer("?", [self._death(doing)])
            if "done" not in row:
                doing = row.get("doing", doing)
                continue
            self._served += 1
            if self._served >= MODULES_OF_A_WORKER or row.get("rss", 0) > MEMORY_OF_A_WORKER:
                self.stop()
            return Answer(row["done"], [Finding(*parts) for parts in row.get("findings", ())])

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
            self._errors.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long-lived as the process
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                env=self._environment,
            )
            self._served = 0
            self._rest = b""
            row = self._line()
            if row is None:
                raise RuntimeError(f"the worker does not start: {self._death('start').text}")
        return self._process

    def _line(self) -> dict[str, Any] | None:
        """The next row; None if the worker died or is silent for too long."""
        assert self._process is not None and self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        until = time.monotonic() + SILENCE
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(until - time.monotonic()):
                    return None
                data = os.read(pipe, 1 << 16)
                if not data:
                    return None
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        row: dict[str, Any] = json.loads(line)
        return row

    def _death(self, doing: str) -> Finding:
        assert self._process is not None
        try:
            code = self._process.wait(timeout=5)
            kind, text = "crash", f"exit status {code}"
        except subprocess.TimeoutExpired:
            kind, text = "hang", f"silent for {SILENCE:.0f} s"
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()[-1500:]
        self.stop()
        return Finding(kind, doing, f"{text}\n{said}".strip())


@dataclass
class Campaign:
    """Seeds from where the last run in this folder stopped.

    Attributes:
        folder: takes `state.json` and a folder `seed-N` for each finding.
    """

    folder: Path

    def run(self, first: int | None, count: int | None) -> int:
        """Check `count` seeds (without end if None); returns how many had findings."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # The tools' seeds take long to collect, and every worker needs them.
        os.environ.setdefault("JITWASM_FUZZ_SEEDS", str(self.folder / "seeds.pickle"))
        state = self._load()
        seed = state["next"] if first is None else first
        end = None if count is None else seed + count
        worker, found, start = Worker(), 0, time.monotonic()
        try:
            while end is None or seed < end:
                answer = worker.ask({"seed": str(seed)})
                kind = (answer.origin or "none").partition(" ")[0].rstrip(",")
                state["modules"][kind] = state["modules"].get(kind, 0) + 1
                if answer.findings:
                    found += 1
                    state["findings"].append(seed)
                    self._keep(seed, answer)
                seed += 1
                state["next"] = seed
                if seed % 50 == 0:
                    self._save(state)
                    rate = (time.monotonic() - start) / 50
                    start = time.monotonic()
                    print(f"{seed}: {state['modules']}, {found} found, {rate:.2f} s", flush=True)
        finally:
            self._save(state)
            worker.stop()
        return found

    def _load(self) -> dict[str, Any]:
        path = self.folder / "state.json"
        if path.exists():
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return state
        return {"next": 0, "modules": {}, "findings": []}

    def _save(self, state: dict[str, Any]) -> None:
        (self.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")

    def _keep(self, seed: int, answer: Answer) -> None:
        place = self.folder / f"seed-{seed}"
        place.mkdir(exist_ok=True)
        module = generate(seed)
        text = "\n".join(map(str, answer.findings))
        if module is not None:
            (place / "module.wasm").write_bytes(module.binary)
            text = f"{module.origin}\n{text}"
        (place / "report.txt").write_text(text + "\n", encoding="utf-8")
        print(f"seed {seed}: {text[:600]}", flush=True)


def request_of(module: Generated, seed: str, tiers: list[str] | None = None) -> dict[str, Any]:
    """A request to check this very module."""
    return {
        "seed": seed,
        "binary": base64.b64encode(module.binary).decode(),
        "canonical": module.canonical,
        "tiers": tiers,
    }
