"""Handwritten "wasm" functions: LLVM IR as the frontend would emit it, loaded and called.

A `Machine` is what an instance is to the native layer: code, an environment with a store, a memory
and import slots. Its functions are IR texts with the ABI's structures in them (`irtext.expand`);
`%vm` is the environment:

    Env | memory base | memory record | import slots {code, env} …
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Callable, Iterator
from typing import Any

from jitwasm import abi
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.loader import FrameInfo
from jitwasm.backend.memmap import Reservation
from jitwasm.backend.native import HostFunction, native
from jitwasm.errors import Trap
from jitwasm.libcalls import LIBCALLS, declaration
from jitwasm.trapcodes import TrapCode
from jitwasm.types import F32, F64, FUNCREF, I32, I64, V128, FuncType, ValType, func_type

PAGE = 65536
BASE, RECORD, IMPORTS = abi.ENV.size, abi.ENV.size + 8, abi.ENV.size + 16
_TYPES = {"i32": I32, "i64": I64, "f32": F32, "f64": F64, "v128": V128, "funcref": FUNCREF}


def signature(text: str) -> FuncType:
    """A function type: "i32 f64 -> i32"."""
    params, _, results = text.partition("->")

    def types(names: str) -> list[ValType]:
        return [_TYPES[name] for name in names.split()]

    return func_type(types(params), types(results))


@contextlib.contextmanager
def entries(way: str) -> Iterator[None]:
    """Functions made here keep to the generic ways ("generic"), or have adapters of their types."""
    adapters = native()._adapters
    before, adapters.made = adapters.made, "never" if way == "generic" else "always"
    try:
        yield
    finally:
        adapters.made = before


def word(address: int) -> ctypes.c_uint64:
    return ctypes.c_uint64.from_address(address)


class Store:
    """A StoreState with its overflow area."""

    def __init__(self) -> None:
        self.state = abi.STORE_STATE.ctype()
        self.area = (ctypes.c_uint8 * (abi.OVERFLOW_SLOT * abi.OVERFLOW_SLOTS + 16))()

    @property
    def address(self) -> int:
        return ctypes.addressof(self.state)

    @property
    def overflow(self) -> int:
        return -(-ctypes.addressof(self.area) // 16) * 16


class Machine:
    """Functions in IR, their environment and memory."""

    def __init__(
        self, text: str, pages: int = 1, maximum: int = 16, store: Store | None = None, opt: int = 1
    ) -> None:
        self.store = store or Store()
        self.memory = Reservation((8 << 30) + PAGE)
        self.memory.commit(0, pages * PAGE)
        self.record = abi.MEMORY_RECORD.ctype(
            self.memory.base, pages * PAGE, maximum * PAGE, self.memory.reserved, 16
        )
        self.vm = (ctypes.c_uint64 * 64)()
        self.vm[0], self.vm[1] = self.store.overflow, self.store.address
        self.vm[BASE // 8] = self.memory.base
        self.vm[RECORD // 8] = ctypes.addressof(self.record)
        declares = "\n".join(declaration(name) for name in LIBCALLS if f"@{name}(" in text)
        self.image = native().load(
            [compile_unit(expand_functions(text) + declares, host_target(opt), verify=True)],
            self.describe,
        )
        self.keep: list[Any] = []

    def describe(self, symbol: str) -> FrameInfo:
        return FrameInfo(int(symbol.encode().hex(), 16) % 1000, symbol, "test")

    @property
    def env(self) -> int:
        return ctypes.addressof(self.vm)

    def funcref(self, code: int, env: int) -> int:
        ref = abi.FUNCREF.ctype(code, env)
        self.keep.append(ref)
        return ctypes.addressof(ref)

    def function(self, name: str, type_: str = "", **options: Any) -> Callable[..., Any]:
        """A builtin for one of the functions; `TYPES` has the types of those in this file."""
        ref = self.funcref(self.image.symbols[name], self.env)
        type_ = type_ or TYPES[name]
        return native().function(signature(type_), ref, name, f"{name} of a test", self, **options)

    def bind(self, slot: int, host: HostFunction) -> None:
        """Fill an import slot."""
        self.keep.append(host)
        self.vm[IMPORTS // 8 + 2 * slot] = host.code
        self.vm[IMPORTS // 8 + 2 * slot + 1] = host.env

    def c(self, slot: int, type_: str, pointer: Any) -> None:
        """Fill an import slot with a ctypes function pointer."""
        address = ctypes.cast(pointer, ctypes.c_void_p).value or 0
        state, overflow = self.store.address, self.store.overflow
        made = native().c_function(signature(type_), address, pointer, state, overflow)
        self.bind(slot, made)

    def host(self, slot: int, type_: str, target: Callable[..., Any], calls: str = "fast") -> None:
        """Fill an import slot with a Python function."""
        self.bind(
            slot,
            native().host_function(
                signature(type_), target, self.store.address, self.store.overflow, host_calls=calls
            ),
        )


def expand_functions(text: str) -> str:
    """Expand `[%r = ]call_import N <ret> (<args>)`, and give functions what the frontend does."""
    count = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        at = IMPORTS + 16 * int(match["slot"])
        arguments = f", {match['args']}" if match["args"] else ""
        return (
            f"  %c{count}.p = getelementptr i8, ptr %vm, i64 {at}\n"
            f"  %c{count} = load ptr, ptr %c{count}.p\n"
            f"  %e{count}.p = getelementptr i8, ptr %vm, i64 {at + 8}\n"
            f"  %e{count} = load ptr, ptr %e{count}.p\n"
            f"  {match['result'] or ''}call {match['type']} %c{count}(ptr %e{count}{arguments})"
        )

    pattern = re.compile(
        r"^ *(?P<result>%\w+ = )?call_import (?P<slot>\d+) (?P<type>.+?) \((?P<args>.*)\)$", re.M
    )
    text = pattern.sub(replace, text)
    return re.sub(
        r"^(define .*) \{$", r'\1 uwtable noinline "probe-stack"="inline-asm" {', text, flags=re.M
    )


LOAD = """
define i32 @load(ptr %vm, i32 %a) {
  %base.p = getelementptr i8, ptr %vm, i64 16
  %base = load ptr, ptr %base.p
  %i = zext i32 %a to i64
  %p = getelementptr i8, ptr %base, i64 %i
  %r = load volatile i32, ptr %p, align 1
  ret i32 %r
}
"""
"""i32 -> i32: a load from linear memory, which may trap."""

DIVIDE = """
define i32 @divide(ptr %vm, i32 %a, i32 %b) {
  %zero = icmp eq i32 %b, 0
  br i1 %zero, label %trap, label %go
trap:
  call void @jw_trap(i32 2)
  unreachable
go:
  %r = sdiv i32 %a, %b
  ret i32 %r
}
"""
"""i32 i32 -> i32: an explicit trap."""

RECURSE = """
define i32 @recurse(ptr %vm, i32 %n) {
  %last = icmp eq i32 %n, 0
  br i1 %last, label %end, label %deeper
deeper:
  %less = sub i32 %n, 1
  %r = call i32 @recurse(ptr %vm, i32 %less)
  %s = add i32 %r, 1
  call void asm sideeffect "", "~{memory}"()
  ret i32 %s
end:
  ret i32 0
}
"""
"""i32 -> i32: n calls deep; -1 is as good as endless."""

SPIN = """
define i32 @spin(ptr %vm, i32 %n) {
entry:
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  %x = phi i32 [ 1, %entry ], [ %y, %loop ]
  %next = add i32 %i, 1
  %m = mul i32 %x, 1664525
  %y = add i32 %m, 1013904223
  %more = icmp ult i32 %next, %n
  br i1 %more, label %loop, label %end
end:
  call void asm sideeffect "", "r,~{memory}"(i32 %y)
  ret i32 %y
}
define void @forever(ptr %vm) {
entry:
  br label %loop
loop:
  call void asm sideeffect "", ""()
  br label %loop
}
"""
"""i32 -> i32: n steps of some work, about a nanosecond each; and no end at all."""

HOST = """
define i32 @host(ptr %vm, i32 %a) {
  %r = call_import 0 i32 (i32 %a)
  ret i32 %r
}
"""
"""i32 -> i32: a call of import 0."""

TYPES = {
    "load": "i32 -> i32",
    "divide": "i32 i32 -> i32",
    "recurse": "i32 -> i32",
    "spin": "i32 -> i32",
    "forever": "->",
    "host": "i32 -> i32",
}


def trap_code(function: Callable[..., Any], *arguments: object) -> TrapCode | None:
    """Which trap a call ends with, if it does."""
    try:
        function(*arguments)
    except Trap as trap:
        return trap.code
    return None
