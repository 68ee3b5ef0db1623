"""What the runtime's native code and Python agree on, besides the ABI."""

from __future__ import annotations

__all__ = [
    "ERROR",
    "HOST_FRAME",
    "HOT",
    "KINDS",
    "OBJECTS",
    "RED_ZONE",
    "REGISTERS",
    "SIGNALS",
    "TRAP_STACK",
]

OBJECTS = {"runtime": ("core", "conversions", "calls", "memories", "libcalls"), "wasm": ("wasm",)}
"""The objects of the runtime and the parts of each; `wasm` is loaded among wasm code."""

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
"""The argument registers in memory, where results go too: what host calls make on the stack, and
what `jw_enter_frame` takes."""

KINDS = {name: number for number, name in enumerate(("i32", "i64", "f32", "f64", "v128", "ref"))}
"""Of values, in a ValuePlace."""

HOT = 1024
"""A power of two: after so many calls of one function its adapter is reported, and again after as
many more."""

SIGNALS = {"SIGILL": 4, "SIGBUS": 7, "SIGFPE": 8, "SIGSEGV": 11, "SIGURG": 23}
