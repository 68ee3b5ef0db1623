"""Machines to compile for, and what LLVM knows of their processors.

The runtime is written for x86-64 Linux. Objects for other targets leave it out: whoever links them
supplies the functions that `--list-undefined` shows.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from jitwasm.backend import llvm
from jitwasm.backend.codegen import TargetSpec, compile_assembly, host_target

__all__ = ["HOST", "TARGETS", "Target", "find_target", "processor_help", "target_spec"]


@dataclass(frozen=True)
class Target:
    """One machine.

    Attributes:
        name: its architecture.
        triple, abi: what LLVM calls it.
        cpu, features: the baseline, which every such machine running Linux has.
        machine: its number in ELF headers.
        extends: whether C extends 32-bit integers to registers.
        tail_calls: whether LLVM can compile ours: all of their arguments must be in registers, and
            eight of them are vectors.
        required: features that cannot be switched off.
    """

    name: str
    triple: str
    cpu: str
    features: str
    machine: int
    abi: str = ""
    extends: bool = False
    tail_calls: bool = True
    required: tuple[str, ...] = ()

    @property
    def is_host(self) -> bool:
        """Whether it is the machine that the runtime is written for."""
        return self.triple == llvm.TRIPLE

    def argument(self, ir: str, after: bool = False) -> str:
        """The LLVM type of a C parameter (`after`) or result, with its attribute if any."""
        if not self.extends or ir != "i32":
            return ir
        return "i32 signext" if after else "signext i32"


_ALWAYS = ("64bit", "sse", "sse2", "x87")
HOST = Target("x86_64", llvm.TRIPLE, "x86-64", "", 62, required=_ALWAYS)
_LINUX = "unknown-linux-gnu"
TARGETS = {
    target.name: target
    for target in (
        HOST,
        Target("aarch64", f"aarch64-{_LINUX}", "generic", "", 183),
        Target(
            "riscv64",
            f"riscv64-{_LINUX}",
            "generic-rv64",
            "+m,+a,+f,+d,+c",
            243,
            "lp64d",
            extends=True,
            tail_calls=False,
        ),
        Target(
            "loongarch64",
            f"loongarch64-{_LINUX}",
            "generic-la64",
            "+d",
            258,
            "lp64d",
            extends=True,
            tail_calls=False,
        ),
        Target("powerpc64le", f"powerpc64le-{_LINUX}", "ppc64le", "", 21, "elfv2", True),
    )
}
_ALIASES = {"amd64": "x86_64", "x86-64": "x86_64", "arm64": "aarch64", "ppc64le": "powerpc64le"}


def find_target(text: str) -> Target:
    """A target by its architecture, or by a triple for Linux.

    Raises:
        ValueError: it is none of those we know; the message lists them.
    """
    head, _, rest = text.partition("-")
    if text == "x86-64":
        head, rest = text, ""
    target = TARGETS.get(_ALIASES.get(head, head))
    if target is None or (rest and "linux" not in rest):
        raise ValueError(f"no target {text!r}; there is {', '.join(TARGETS)}, all for Linux")
    return target


def target_spec(target: Target, cpu: str | None, features: str | None, level: int) -> TargetSpec:
    """What LLVM is told.

    Raises:
        ValueError: LLVM does not know the processor or a feature.
    """
    if cpu == "native":
        if not target.is_host:
            raise ValueError(f"this machine's processor is no {target.name}")
        native = host_target(level)
        cpu, base = native.cpu, native.features
    else:
        base = target.features
    if cpu not in (None, "native", target.cpu) or features:
        _check(target, cpu, features)
    avoided = ",".join(f"-{name}" for name in llvm.MISCOMPILED) if target is HOST else ""
    joined = ",".join(text for text in (base, features, avoided) if text)
    return TargetSpec(cpu or target.cpu, joined, level, target.triple, target.abi)


def _check(target: Target, cpu: str | None, features: str | None) -> None:
    cpus, known = _names(target.triple)
    if cpu is not None and cpu not in cpus and cpu != llvm.host_cpu()[0]:
        raise ValueError(f"LLVM knows no processor {cpu!r} of {target.name}; see --cpu help")
    for feature in (features or "").split(","):
        if feature and (feature[0] not in "+-" or feature[1:] not in known):
            raise ValueError(
                f"{feature!r} is no feature of {target.name}; write +name or -name, "
                "see --features help"
            )
        if feature[:1] == "-" and feature[1:] in target.required:
            raise ValueError(f"{target.name} cannot do without {feature[1:]!r}")


@functools.cache
def _names(triple: str) -> tuple[frozenset[str], frozenset[str]]:
    """The processors and the features LLVM knows of a target."""
    cpus, _, features = _listing(triple).partition("Available features")
    row = re.compile(r"^  (\S+) +- ", re.M)
    return frozenset(row.findall(cpus)), frozenset(row.findall(features))


@functools.cache
def _listing(triple: str) -> str:
    """What LLVM prints about a target: it writes to standard error, and once in each process."""
    package = str(Path(__file__).parents[2])
    paths = [package, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    done = subprocess.run(
        [sys.executable, "-m", __name__, triple],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stderr


def processor_help(target: Target) -> str:
    """The processors and features of a target, as LLVM lists them; this machine's are marked."""
    text = _listing(target.triple)
    text = text[: text.rfind("Use +feature")].rstrip() + "\n"
    if target.is_host:
        cpu, features = llvm.host_cpu()
        has = {cpu, *(name[1:] for name in features.split(",") if name.startswith("+"))}
        text = re.sub(r"^  (\S+)", lambda m: f"{' *'[m[1] in has]} {m[1]}", text, flags=re.M)
        text += f"\n* is this machine's (--cpu native: {cpu}).\n"
    return text


@functools.cache
def has_shuffle_bytes(spec: TargetSpec) -> bool:
    """Whether it is an x86 processor with SSSE3, what the frontend's own intrinsics need."""
    if spec.triple != llvm.TRIPLE:
        return False
    # pabsd came with pshufb: what LLVM makes of this says whether the processor has both.
    probe = "declare <4 x i32> @llvm.abs.v4i32(<4 x i32>, i1)\n"
    probe += "define <4 x i32> @probe(<4 x i32> %a) {\n"
    probe += "  %r = call <4 x i32> @llvm.abs.v4i32(<4 x i32> %a, i1 false)\n  ret <4 x i32> %r\n}"
    return "pabsd" in compile_assembly(probe, spec)


def _print_listing(triple: str) -> None:
    llvm.TargetMachine("help", "", 0, triple)


if __name__ == "__main__":
    _print_listing(sys.argv[1])
