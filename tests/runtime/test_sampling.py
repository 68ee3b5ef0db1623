"""Where wasm code spends its time, as the ticks see it."""

from __future__ import annotations

import subprocess
import sys

PRELUDE = """
import time
from jitwasm.backend.native import native
from tests.backend.machine import SPIN, Machine
machine = Machine(SPIN)
spin = machine.function("spin")
sampler = native().sampler
"""


def run(script: str) -> None:
    """Run in a process of its own: there is one sampler, and modules of other tests may use it."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr


def test_samples_lie_in_the_code_that_runs() -> None:
    run("""
found = []
sampler.run(500_000)
end = time.monotonic() + 60
while len(found) < 20:
    assert time.monotonic() < end
    spin(5_000_000)
    found += sampler.take()
sampler.run(0)
inside = [pc for pc in found if (machine.image.function_at(pc) or ("",))[0] == "spin"]
assert len(inside) > len(found) // 2, (inside, found)
""")


def test_nothing_is_noted_while_nobody_samples() -> None:
    run("""
for _ in range(5):
    spin(5_000_000)
assert sampler.take() == []
sampler.run(500_000)
end = time.monotonic() + 60
while not sampler.take():
    assert time.monotonic() < end
    spin(5_000_000)
sampler.run(0)
spin(5_000_000)  # the tick that notices
sampler.take()
for _ in range(5):
    spin(5_000_000)
assert sampler.take() == []
""")


def test_waiting_for_samples_ends_by_a_wake_up_or_in_time() -> None:
    run("""
sampler.wake()
sampler.wait(60)
sampler.wait(0.001)
""")
