"""A real program over and over in one process: how its time falls while tiers progress.

`measure` runs this file as a program. It compiles a module and then does the same job with a new
instance again and again, for some seconds, and prints a row for each as JSON: when it ended
(seconds after the module's bytes were there), how long it took, and what share of the functions'
code that takes time is optimised by then.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.starts import JOBS, Job, Missing, job_folder, run_in_wasmtime

__all__ = ["PROGRAMS", "ROWS", "Round", "measure", "steady_seconds"]

PROGRAMS = ("quickjs, busy", "boolector")
"""Those of `starts.JOBS` that compute."""

ROWS = ("jitwasm", "jitwasm, never optimised", "wasmtime")
"""Engines; all caches are off."""

_MODES = {"jitwasm": "background", "jitwasm, never optimised": "never"}


@dataclass(frozen=True)
class Round:
    """One time through the job.

    Attributes:
        end: seconds since the module's bytes were there.
        seconds: how long it took.
        cpu: CPU time of all threads since the bytes were there.
        optimized: functions that have been optimised; -1 where the engine does not tell.
    """

    end: float
    seconds: float
    cpu: float
    optimized: int


def measure(name: str, path: Path, row: str, seconds: float) -> list[Round]:
    """Do a job over and over for so long, in a process of its own.

    Raises:
        Missing: the engine is not installed.
    """
    engine = row.partition(",")[0]
    if importlib.util.find_spec(engine) is None:
        raise Missing(f"{engine} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "bench.steady", name, str(path), row, str(seconds)],
        env={**os.environ, "JITWASM_CACHE": "0"},
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Round(*line) for line in json.loads(done.stdout)]


def steady_seconds(rounds: Sequence[Round]) -> float:
    """The median of the last quarter, but at least one round."""
    last = sorted(row.seconds for row in rounds[-max(1, len(rounds) // 4) :])
    return last[len(last) // 2]


# --- the program ---------------------------------------------------------------------------------

Run = Callable[[], bytes]


def _jitwasm(job: Job, data: bytes, folder: str, row: str) -> tuple[Run, Callable[[], int]]:
    import jitwasm

    module = jitwasm.Module(data, jitwasm.Config(tier_up=_MODES[row]))

    def run() -> bytes:
        out = io.BytesIO()
        with jitwasm.Wasi(args=list(job.args), dirs={"/in": folder}, stdout=out) as wasi:
            instance = jitwasm.Instance(module, wasi.imports)
            with contextlib.suppress(jitwasm.ExitError):
                instance.exports["_start"]()
        return out.getvalue()

    return run, lambda: module.tiers.optimized


def _wasmtime(job: Job, data: bytes, folder: str, row: str) -> tuple[Run, Callable[[], int]]:
    import wasmtime

    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, data)
    return lambda: run_in_wasmtime(wasmtime, job, engine, module, folder), lambda: -1


def main(name: str, path: str, row: str, seconds: str) -> None:
    job, data = JOBS[name], Path(path).read_bytes()
    rounds: list[tuple[float, float, float, int]] = []
    with job_folder(job) as folder:
        begin, cpu = time.perf_counter(), time.process_time()
        engine = _wasmtime if row == "wasmtime" else _jitwasm
        run, optimized = engine(job, data, folder, row)
        while not rounds or rounds[-1][0] < float(seconds):
            start = time.perf_counter()
            result = run()
            end = time.perf_counter()
            assert result.startswith(job.result), result[:100]
            rounds.append((end - begin, end - start, time.process_time() - cpu, optimized()))
    json.dump(rounds, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
