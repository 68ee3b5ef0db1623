"""Where the time goes, in machine code: `python -m bench.hot WORKLOAD [--variant simd] [--opt 3]`.

Runs a workload in jitwasm, or natively with --native, under Linux's `perf`, and prints the
instructions that took the most samples with their surroundings. For finding out what separates a
workload from native code; needs `perf` and `objdump`.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.build import build
from bench.catalog import WORKLOADS
from bench.engines import ENGINES, JitwasmEngine
from bench.peers import jitwasm

_SECONDS = 2.0
_SHARE = 0.005
"""Samples of an instruction, of all, from which it is shown."""
_AROUND = 4


def _run_native(name: str) -> None:
    program = ENGINES["native"].load(WORKLOADS[name], "native")
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        program.round(WORKLOADS[name].n)


def _run_jitwasm(name: str, variant: str, config: dict[str, object], code: Path) -> None:
    """Runs the workload and leaves its machine code in `code`, preceded by its address."""
    engine = JitwasmEngine("profiled", **config)
    module = jitwasm.Module(build(name, variant).read_bytes(), engine.config)
    image = module.image()
    text = ctypes.string_at(image.lo, image.hi - image.lo)
    code.write_bytes(image.lo.to_bytes(8, "little") + text)
    exports = jitwasm.Instance(module).exports
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        exports["init"](WORKLOADS[name].n)
        exports["run"](WORKLOADS[name].n)


def _samples(data: Path) -> Counter[int]:
    script = ["perf", "script", "-i", str(data), "-F", "ip"]
    output = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    return Counter(int(line, 16) for line in output.split())


def _disassembly(code: bytes, address: int) -> Iterator[tuple[int, str]]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        command = ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn"]
        command += [f"--adjust-vma={address}", file.name]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in output.splitlines():
        where, colon, text = line.partition(":\t")
        if colon:
            yield int(where, 16), text


def _print_hot(code: bytes, address: int, samples: Counter[int]) -> None:
    rows = list(_disassembly(code, address))
    total = sum(samples[where] for where, _ in rows) or 1
    hot = [i for i, (where, _) in enumerate(rows) if samples[where] >= _SHARE * total]
    shown = sorted({k for i in hot for k in range(i - _AROUND, i + _AROUND + 1)})
    previous = -1
    for i in shown:
        if not 0 <= i < len(rows):
            continue
        if i != previous + 1:
            print("   ...")
        where, text = rows[i]
        print(f"{samples[where] / total:7.1%}  {where - address:6x}  {text}")
        previous = i


def _profile(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, code = Path(folder) / "perf.data", Path(folder) / "code"
        child = [sys.executable, "-m", "bench.hot", options.workload, "--inside", str(code)]
        child += ["--variant", options.variant, "--opt", str(options.opt)]
        child += [flag for flag in ("--strict", "--native") if getattr(options, flag[2:])]
        record = ["perf", "record", "-q", "-F", "5000", "-o", str(data), *child]
        subprocess.run(record, check=True, env=os.environ)
        if options.native:
            subprocess.run(["perf", "annotate", "-i", str(data), "--stdio"], check=True)
            return
        text = code.read_bytes()
        _print_hot(text[8:], int.from_bytes(text[:8], "little"), _samples(data))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hot", description=__doc__)
    parser.add_argument("workload", choices=sorted(WORKLOADS))
    parser.add_argument("--variant", default="mvp")
    parser.add_argument("--opt", type=int, default=2)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--native", action="store_true", help="annotate the native library")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside is None:
        for tool in ("perf", "objdump"):
            if shutil.which(tool) is None:
                parser.error(f"this needs {tool}")
        _profile(options)
    elif options.native:
        _run_native(options.workload)
    else:
        config = {"opt_level": options.opt, "strict": options.strict}
        _run_jitwasm(options.workload, options.variant, config, options.inside)


if __name__ == "__main__":
    main()
