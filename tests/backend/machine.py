"""Handwritten "wasm" functions: LLVM IR as the frontend would emit it, loaded and called.

A `Machine` is what an instance is to the native layer: code, an environment with a store, a memory
and import slots. Its functions are IR texts with the ABI's structures in them (`irtext.expand`);
`%vm` is the environment:

    Env | memory base | memory record | import slots {code, env} …
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from jitwasm import abi
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.loader import FrameInfo
from jitwasm.backend.memmap import Reservation
from jitwasm.backend.native import HostFunction, native
from jitwasm.libcalls import LIBCALLS, declaration
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
        self, text: str, pages: int = 1, maximum: int = 16, store: Store | None = None, opt: int = 2
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
        self.keep: list[object] = []

    def describe(self, symbol: str) -> FrameInfo:
        return FrameInfo(0, symbol, "test")

    @property
    def env(self) -> int:
        return ctypes.addressof(self.vm)

    def funcref(self, code: int, env: int) -> int:
        ref = abi.FUNCREF.ctype(code, env)
        self.keep.append(ref)
        return ctypes.addressof(ref)

    def function(self, name: str, type_: str, **options: Any) -> Callable[..., Any]:
        """A builtin for one of the functions."""
        ref = self.funcref(self.image.symbols[name], self.env)
        return native().function(signature(type_), ref, name, f"{name} of a test", self, **options)

    def bind(self, slot: int, host: HostFunction) -> None:
        """Fill an import slot."""
        self.keep.append(host)
        self.vm[IMPORTS // 8 + 2 * slot] = host.code
        self.vm[IMPORTS // 8 + 2 * slot + 1] = host.env

    def host(self, slot: int, type_: str, target: Callable[..., Any], calls: str = "fast") -> None:
        """Fill an import slot with a Python function."""
        self.bind(
            slot,
            native().host_function(
                signature(type_), target, self.store.address, self.store.overflow, host_calls=calls
            ),
        )


def expand_functions(text: str) -> str:
    """IR with `call_import N <ret> (<args>)` in place of a call through an import slot."""
    import re

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
