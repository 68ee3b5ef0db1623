"""The texts of the runtime's parts, complete with declarations, as LLVM modules."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from jitwasm.backend.irtext import expand

__all__ = [
    "ERROR",
    "HOST_FRAME",
    "REGISTERS",
    "SIGNALS",
    "TRAP_STACK",
    "WASM_PART",
    "complete",
    "part_of",
    "part_text",
]

_PARTS = {
    "core": (
        "state.ll",
        "threads.ll",
        "stores.ll",
        "traps.ll",
        "signals.ll",
        "ticks.ll",
        "entry.s",
    ),
    "conversions": ("conversions.ll",),
    "hostcalls": ("hostcalls.ll", "hostcalls.s"),
    "libcalls": ("libcalls.ll",),
    "wasm": ("wasm.s",),
}
WASM_PART = "wasm"
"""The part that is loaded among wasm code."""

ERROR = -0x7FFF_5AFE_DEAD_0001
"""What jw_unbox_* return on failure. As an i64, f64 or reference it may also be a value: then
PyErr_Occurred decides."""

RED_ZONE = 256 * 1024
"""Stack that must be left where wasm code leaves for host code."""

TRAP_STACK = 64 * 1024
"""Bytes of the stack kept for the backtrace of a trap."""

REGISTERS = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp", "rip")
"""What an activation and a trap's record hold, in this order."""

HOST_FRAME = {"env": 0, "ints": 8, "floats": 48, "size": 184}
"""What `jw_host_base` makes on the stack: the argument registers, where results go too."""

SIGNALS = {"SIGILL": 4, "SIGBUS": 7, "SIGFPE": 8, "SIGSEGV": 11, "SIGURG": 23}

# ucontext_t on x86-64: the general registers begin at offset 40, in the order of <sys/ucontext.h>.
_CONTEXT = "r8 r9 r10 r11 r12 r13 r14 r15 rdi rsi rbp rbx rdx rax rcx rsp rip eflags".split()
_SA_SIGINFO, _SA_ONSTACK, _SA_RESTART, _SA_NODEFER = 4, 0x08000000, 0x10000000, 0x40000000
_PAGE = 4096

_CONSTANTS = {
    **SIGNALS,
    **{f"context.{name}": 40 + 8 * i for i, name in enumerate(_CONTEXT)},
    **{f"registers.{name}": 8 * i for i, name in enumerate(REGISTERS)},
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
    r"^define (?P<result>[^@\n]*)@(?P<name>[\w.]+)\((?P<params>.*)\)(?P<rest>[^{\n]*)\{$", re.M
)
_VARIABLE = re.compile(r"^@(?P<name>\w+) = (?:global (?P<type>\[[^\n]*\]|\w+)|text)", re.M)
_EXTERNAL = re.compile(
    r"^(?:declare [^@\n]*@(?P<function>[\w.]+)\(|@(?P<variable>\w+) = external).*$", re.M
)
_LABEL = re.compile(r"^function (\w+)$", re.M)


@functools.cache
def _source(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


@functools.cache
def _declarations() -> dict[str, str]:
    """For each symbol there is, the line that declares it."""
    found = {m["function"] or m["variable"]: m[0] for m in _EXTERNAL.finditer(_source("capi.ll"))}
    for names in _PARTS.values():
        for name in names:
            if name.endswith(".ll"):
                text = _source(name)
                for m in _DEFINE.finditer(text):
                    params = re.sub(r" %[\w.]+", "", m["params"])
                    line = f"declare {m['result']}@{m['name']}({params}){m['rest']}"
                    found[m["name"]] = line.rstrip()
                for m in _VARIABLE.finditer(text):
                    kind = m["type"] or "i8"
                    found[m["name"]] = f"@{m['name']} = external dso_local global {kind}"
    return found


@functools.cache
def _owners() -> dict[str, str]:
    """For each symbol of the runtime, its part."""
    return {
        symbol: part
        for part, names in _PARTS.items()
        for name in names
        for pattern in (_DEFINE, _VARIABLE, _LABEL)
        for symbol in (
            m["name"] if pattern is not _LABEL else m[1] for m in pattern.finditer(_source(name))
        )
    }


def part_of(symbol: str) -> str | None:
    """The part that defines a symbol."""
    return _owners().get(symbol)


@functools.cache
def part_text(part: str) -> str:
    """A part as an LLVM module."""
    names = _PARTS[part]
    ir = "\n".join(_source(name) for name in names if name.endswith(".ll"))
    assembly = [_module_asm(_source(name)) for name in names if name.endswith(".s")]
    # Backtraces lead through the libcalls, so they need tables for unwinding.
    ir = re.sub(r"^(define .*) \{$", r"\1 uwtable {", ir, flags=re.M)
    return "\n".join([*assembly, complete(ir)])


def complete(text: str) -> str:
    """Expand the macros in IR text and add the declarations it needs."""
    text = expand(text, _CONSTANTS)
    defined = {m["name"] for m in _DEFINE.finditer(text)}
    defined |= set(re.findall(r"^@(\w+) = ", text, re.M))
    declarations = _declarations()
    used = sorted(set(re.findall(r"@([\w.]+)", text)) - defined)
    return "\n".join([text, *(declarations[name] for name in used if name in declarations)])


def _module_asm(text: str) -> str:
    """Assembly as part of an LLVM module."""
    text = expand(text, _CONSTANTS).replace("\\", "\\5C")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return "\n".join(f'module asm "{line}"' for line in lines if line)
