"""Calls across the border between C and WebAssembly, in LLVM IR."""

from __future__ import annotations

from jitwasm.abi import ENV, OVERFLOW_SLOT, CallConv
from jitwasm.aot.capi import CResult
from jitwasm.aot.irfunction import IRFunction
from jitwasm.aot.targets import Target
from jitwasm.frontend.emit import universal
from jitwasm.types import FuncType, ValType

__all__ = [
    "VM",
    "c_signature",
    "call_c",
    "call_wasm",
    "pack",
    "return_c",
    "typed_entry",
    "zero",
]

VM = "%vm"


def zero(type_: ValType) -> str:
    """The operand for a type's default value."""
    if type_.is_ref:
        return "null"
    return "zeroinitializer" if type_.ir.startswith("<") else "0.0" if type_.is_float else "0"


def c_signature(
    symbol: str, type_: FuncType, result: CResult, target: Target, named: bool = False
) -> str:
    """The LLVM signature of a C function: environment first, then the parameters."""
    names = [f" %a{i}" for i in range(len(type_.params))] if named else [""] * len(type_.params)
    params = [
        f"{target.argument(t.ir, after=True)}{name}"
        for t, name in zip(type_.params, names, strict=True)
    ]
    first = [f"ptr {VM}" if named else "ptr"]
    if result.hidden:
        hidden = f"ptr sret([{result.size} x i8])"
        first.insert(0, f"{hidden} %results" if named else hidden)
    return f"{result.ir} {symbol}({', '.join(first + params)})"


def call_wasm(f: IRFunction, code: str, env: str, conv: CallConv, args: list[str]) -> list[str]:
    """Call a wasm function by its convention; gives its results."""
    area = ""
    if conv.overflow_params or conv.overflow_results:
        area = f.load("ptr", env, ENV.offset["overflow"])
    operands = [f"ptr {env}"]
    for loc, arg in zip(conv.params, args, strict=True):
        if loc.slot is None:
            operands.append(f"{loc.type.ir} {arg}")
        else:
            f.store(loc.type.ir, arg, area, OVERFLOW_SLOT * loc.slot)
    call = f"call {conv.ret_ir} {code}({', '.join(operands)})"
    if not conv.results:
        f.line(call)
        return []
    value = f.op(call)
    registers = _unpack(f, conv.ret_ir, len(conv.ret_types), value)
    vals = []
    for loc in conv.results:
        if loc.slot is None:
            vals.append(registers.pop(0))
        else:
            vals.append(f.load(loc.type.ir, area, OVERFLOW_SLOT * loc.slot))
    return vals


def _unpack(f: IRFunction, ir: str, count: int, value: str) -> list[str]:
    if count == 1:
        return [value]
    return [f.op(f"extractvalue {ir} {value}, {i}") for i in range(count)]


def pack(f: IRFunction, ir: str, types: list[ValType], vals: list[str]) -> str:
    if not vals:
        return ""
    if len(vals) == 1:
        return vals[0]
    value = "poison"
    for i, (type_, val) in enumerate(zip(types, vals, strict=True)):
        value = f.op(f"insertvalue {ir} {value}, {type_.ir} {val}, {i}")
    return value


def return_c(f: IRFunction, type_: FuncType, result: CResult, vals: list[str]) -> None:
    """Return results the way C does."""
    if len(vals) < 2:
        ir = type_.results[0].ir if vals else "void"
        f.line(f"ret {ir} {vals[0] if vals else ''}".rstrip())
        return
    place = "%results" if result.hidden else f.op(f"alloca [{result.size} x i8], align 16")
    for value, val, offset in zip(type_.results, vals, result.fields, strict=True):
        f.store(value.ir, val, place, offset)
    if result.hidden:
        f.line("ret void")
    else:
        f.line(f"ret {result.ir} {f.load(result.ir, place)}")


def call_c(
    f: IRFunction,
    code: str,
    host: str,
    type_: FuncType,
    result: CResult,
    args: list[str],
    target: Target,
) -> list[str]:
    """Call a C function; gives the results."""
    operands = [f"ptr {host}"]
    operands += [
        f"{target.argument(t.ir, after=True)} {arg}"
        for t, arg in zip(type_.params, args, strict=True)
    ]
    several = len(type_.results) > 1
    place = f.op(f"alloca [{result.size} x i8], align 16") if several else ""
    if result.hidden:
        operands.insert(0, f"ptr sret([{result.size} x i8]) {place}")
    call = f"call {result.ir} {code}({', '.join(operands)})"
    if result.ir == "void":
        f.line(call)
    else:
        value = f.op(call)
        if not several:
            return [value]
        f.store(result.ir, value, place)
    return [
        f.load(t.ir, place, offset) for t, offset in zip(type_.results, result.fields, strict=True)
    ]


def typed_entry(funcidx: int, conv: CallConv) -> str:
    """`@f<idx>` for a function that is defined with the universal prototype as `@u<idx>`."""
    params = "".join(f", {ir} %a{i}" for i, ir in enumerate(conv.param_ir))
    f = IRFunction(f"internal {conv.ret_ir} @f{funcidx}(ptr {VM}{params})")
    packed = universal.pack(f.op, conv, [f"%a{i}" for i in range(len(conv.param_ir))])
    call = f"call {conv.ret_ir} @u{funcidx}(ptr {VM}{packed})"
    if conv.ret_ir == "void":
        f.line(call)
        f.line("ret void")
    else:
        f.line(f"ret {conv.ret_ir} {f.op(call)}")
    return f.text
