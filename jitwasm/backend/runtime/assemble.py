"""The texts of the runtime, complete with declarations, as LLVM modules."""

from __future__ import annotations

import functools
import os
import re

from jitwasm.backend.irtext import expand
from jitwasm.backend.runtime.layout import (
    ERROR,
    HOST_FRAME,
    HOT,
    KINDS,
    RED_ZONE,
    REGISTERS,
    SIGNALS,
    TRAP_STACK,
)

__all__ = ["complete", "part_text"]

_PARTS = {
    "core": (
        "state.ll",
        "threads.ll",
        "stores.ll",
        "traps.ll",
        "signals.ll",
        "sampling.ll",
        "parking.ll",
        "ticks.ll",
        "instances.ll",
        "reservations.ll",
        "entry.s",
    ),
    "conversions": ("conversions.ll", "values.ll"),
    "calls": ("calls.ll", "limits.ll", "hostcalls.ll", "hostcalls.s"),
    "memories": ("memories.ll",),
    "libcalls": ("libcalls.ll",),
    "wasm": ("wasm.s",),
}

# ucontext_t on x86-64: the general registers begin at offset 40, in the order of <sys/ucontext.h>.
_CONTEXT = "r8 r9 r10 r11 r12 r13 r14 r15 rdi rsi rbp rbx rdx rax rcx rsp rip eflags".split()
_SA_SIGINFO, _SA_ONSTACK, _SA_RESTART, _SA_NODEFER = 4, 0x08000000, 0x10000000, 0x40000000
_PAGE = 4096

_CONSTANTS = {
    **SIGNALS,
    **{f"context.{name}": 40 + 8 * i for i, name in enumerate(_CONTEXT)},
    **{f"registers.{name}": 8 * i for i, name in enumerate(REGISTERS)},
    **{f"Kind.{name}": number for name, number in KINDS.items()},
    "HOT_MASK": HOT - 1,
    **{f"frame.{name}": offset for name, offset in HOST_FRAME.items()},
    "ERROR": ERROR,
    "RED_ZONE": RED_ZONE,
    "TRAP_STACK": TRAP_STACK,
    "BELOW_RECORD": _PAGE + TRAP_STACK,  # in a thread's mapping, besides the signal stack
    "MAP_EXTRA": _PAGE + TRAP_STACK + _PAGE,
    "UNBLOCK": sum(1 << (number - 1) for number in SIGNALS.values()),
    "TICK_MASK": 1 << (SIGNALS["SIGURG"] - 1),
    "FAULT_FLAGS": _SA_SIGINFO | _SA_ONSTACK | _SA_NODEFER,
    "TICK_FLAGS": _SA_SIGINFO | _SA_ONSTACK | _SA_RESTART,
}

_DEFINE = re.compile(
    r"define (?P<result>[^@]*)@(?P<name>[\w.]+)\((?P<params>.*)\)(?P<rest>[^{]*)\{"
)
_VARIABLE = re.compile(r"@(?P<name>\w+) = (?:global (?P<type>\[.*\]|\w+)|text)")
_DECLARE = re.compile(r"(?:declare [^@]*)?@(?P<name>[\w.]+)")


@functools.cache
def _source(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()


@functools.cache
def _declarations() -> dict[str, str]:
    """The line that declares each name that IR may refer to."""
    found: dict[str, str] = {}
    for line in _source("capi.ll").split("\n"):
        if match := _DECLARE.match(line):
            found[match["name"]] = line
    for name in (name for names in _PARTS.values() for name in names):
        for line in _source(name).split("\n"):
            if line.startswith("define ") and (match := _DEFINE.match(line)):
                params = re.sub(r" %[\w.]+", "", match["params"])
                text = f"declare {match['result']}@{match['name']}({params}){match['rest']}"
                found[match["name"]] = text.rstrip()
            elif line.startswith("@") and (match := _VARIABLE.match(line)):
                kind = match["type"] or "i8"
                found[match["name"]] = f"@{match['name']} = external dso_local global {kind}"
    return found


@functools.cache
def part_text(*parts: str) -> str:
    """Parts of the runtime as one LLVM module."""
    names = [name for part in parts for name in _PARTS[part]]
    ir = "\n".join(_source(name) for name in names if name.endswith(".ll"))
    assembly = [_module_asm(_source(name)) for name in names if name.endswith(".s")]
    if assembly:
        assembly.insert(0, _module_asm(_source("macros.s")))
    # Backtraces lead through the libcalls, so they need tables for unwinding.
    ir = re.sub(r"^(define .*) \{$", r"\1 uwtable {", ir, flags=re.M)
    return "\n".join([*assembly, complete(ir)])


def complete(text: str) -> str:
    """Expand the macros in IR text and add the declarations it needs."""
    text = expand(text, _CONSTANTS)
    declarations = _declarations()
    defined = set(re.findall(r"^(?:define [^@]*)?@([\w.]+)", text, re.M))
    used = sorted(set(re.findall(r"@([\w.]+)", text)) - defined)
    return "\n".join([text, *(declarations[name] for name in used if name in declarations)])


def _module_asm(text: str) -> str:
    """Assembly as part of an LLVM module."""
    text = expand(text, _CONSTANTS).replace("\\", "\\5C")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return "\n".join(f'module asm "{line}"' for line in lines if line)
