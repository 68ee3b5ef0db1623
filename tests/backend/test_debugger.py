"""Under a debugger: faults that are traps, ticks and deadlines go where they go without one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import threading
import jitwasm
from jitwasm import TrapCode
from tests.support.wat import wat

module = jitwasm.Module(wat('''(module (memory 1)
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "divide") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func (export "stop") unreachable)
  (func $deep (export "deep") (call $deep))
  (func (export "forever") (loop (br 0))))'''), jitwasm.Config(tier="TIER"))
exports = jitwasm.Instance(module).exports

def code(function, *arguments):
    try:
        function(*arguments)
    except jitwasm.Trap as trap:
        assert trap.frames
        return trap.code

assert code(exports.load, -1) is TrapCode.OUT_OF_BOUNDS_MEMORY
assert code(exports.divide, 0) is TrapCode.INTEGER_DIVIDE_BY_ZERO
assert code(exports.stop) is TrapCode.UNREACHABLE
assert code(exports.deep) is TrapCode.STACK_OVERFLOW
with jitwasm.deadline(0.1):
    assert code(exports.forever) is TrapCode.DEADLINE
other = threading.Thread(target=lambda: code(jitwasm.deadline(0.1)(exports.forever)))
other.start()
other.join()
raise SystemExit(7)
"""

COMMANDS = (
    "set pagination off",
    "set debuginfod enabled off",
    # As for every program that handles faults. Ticks are SIGURG, at which gdb does not stop.
    "handle SIGSEGV SIGBUS SIGILL SIGFPE nostop noprint pass",
    "run",
)


@pytest.mark.parametrize("tier", ["baseline", "optimized"])
def test_gdb_runs_a_program_through_its_traps(tier: str, tmp_path: Path) -> None:
    gdb = shutil.which("gdb")
    if gdb is None:
        pytest.skip("gdb is not installed")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.replace("TIER", tier))
    commands = [word for command in COMMANDS for word in ("-ex", command)]
    done = subprocess.run(
        [gdb, "-nx", "-batch", *commands, "--args", sys.executable, str(script)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "JITWASM_CACHE": "off"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "ptrace" in done.stderr and "not permitted" in done.stderr:
        pytest.skip("processes may not be traced here")
    assert "exited with code 07" in done.stdout, done.stdout + done.stderr
    assert "received signal" not in done.stdout
