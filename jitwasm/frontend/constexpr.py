"""Constant expressions (specification: Validation, "Constant Expressions").

They are decoded and validated in one pass over the operand types, here, and evaluated at
instantiation from the `ConstExpr` this gives. There is no control flow, so no recursion.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from jitwasm.config import Features
from jitwasm.errors import InvalidError
from jitwasm.frontend.instruction import PREFIX_SHIFT, Op
from jitwasm.frontend.moduleinfo import ConstExpr, ModuleInfo
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.reader import Reader, read_heap_type, require_feature
from jitwasm.types import (
    EXTERNREF,
    F32,
    F64,
    I32,
    I64,
    V128,
    ArrayType,
    DefType,
    FieldType,
    FuncType,
    PackedType,
    RefType,
    StructType,
    ValType,
    matches,
    ref_type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ConstExpr", "is_defaultable", "read_const_expr"]

_END = 0x0B
_PREFIXES = (0xFB, 0xFC, 0xFD, 0xFE)
_SWITCHES = frozenset(Features.__annotations__)
_OPS = {op.code: op for op in OPCODES}


def read_const_expr(
    reader: Reader, info: ModuleInfo, features: Features, expected: ValType
) -> ConstExpr:
    """Read an expression up to its `end`; its value must be of type `expected`.

    What it may refer to is what `info` holds so far: that is the rule for globals. Functions it
    names become declared.
    """
    start = reader.offset
    checker = _Checker(reader, info, features)
    checker.run()
    stack = checker.stack
    if len(stack) != 1 or not matches(stack[0], expected):
        found = ", ".join(t.name for t in stack[:8])
        raise reader.invalid(f"type mismatch: expected [{expected}], found [{found}]", start)
    return ConstExpr(tuple(checker.ops), stack[0])


def is_defaultable(type_: ValType | PackedType) -> bool:
    """Whether the type has a default value (specification: "Defaultable Types")."""
    return not isinstance(type_, RefType) or type_.nullable


class _Checker:
    """Types of the operands so far, and the operations that gave them."""

    __slots__ = ("features", "info", "ops", "reader", "stack", "start")

    def __init__(self, reader: Reader, info: ModuleInfo, features: Features) -> None:
        self.reader = reader
        self.info = info
        self.features = features
        self.stack: list[ValType] = []
        self.ops: list[tuple[str, Any]] = []
        self.start = reader.offset

    def run(self) -> None:
        reader = self.reader
        while True:
            self.start = reader.offset
            code = reader.u8()
            if code == _END:
                return
            if code in _PREFIXES:
                code = self.prefixed(code)
            handler = _HANDLERS.get(code)
            if handler is None:
                raise self.not_constant(code)
            op = _OPS[code]
            if op.feature in _SWITCHES:
                require_feature(reader, self.features, op.feature, op.mnemonic)
            handler(self, op)

    def prefixed(self, prefix: int) -> int:
        sub = self.reader.u32()
        if sub >> PREFIX_SHIFT:
            raise self.reader.malformed(f"illegal opcode {prefix:02x} {sub:x}", self.start)
        return prefix << PREFIX_SHIFT | sub

    def not_constant(self, code: int) -> Exception:
        op = _OPS.get(code)
        if op is None:
            return self.reader.malformed(f"illegal opcode {code:02x}", self.start)
        return self.invalid(f"constant expression required, found {op.mnemonic}")

    def invalid(self, message: str) -> InvalidError:
        return self.reader.invalid(message, self.start)

    def push(self, op: Op, operand: Any, type_: ValType) -> None:
        self.ops.append((op.mnemonic, operand))
        self.stack.append(type_)

    def pop(self, expected: ValType) -> ValType:
        if not self.stack:
            raise self.invalid(f"type mismatch: expected {expected}, found nothing")
        found = self.stack.pop()
        if not matches(found, expected):
            raise self.invalid(f"type mismatch: expected {expected}, found {found}")
        return found

    def def_type(self) -> DefType:
        typeidx = self.reader.u32()
        if typeidx >= len(self.info.types):
            raise self.invalid(f"unknown type {typeidx}")
        return self.info.types[typeidx]

    def struct_type(self) -> tuple[DefType, StructType]:
        type_ = self.def_type()
        if not isinstance(type_.comp, StructType):
            raise self.invalid("type mismatch: a structure type is expected")
        return type_, type_.comp

    def array_type(self) -> tuple[DefType, FieldType]:
        type_ = self.def_type()
        if not isinstance(type_.comp, ArrayType):
            raise self.invalid("type mismatch: an array type is expected")
        return type_, type_.comp.field

    def require_default(self, type_: DefType) -> None:
        field = _without_default(type_)
        if field is not None:
            raise self.invalid(f"type mismatch: {field.storage} has no default value")


# Cached, because three bytes of code can ask it of a structure of thousands of fields.
@lru_cache(maxsize=256)
def _without_default(type_: DefType) -> FieldType | None:
    """The first field of a structure or array that has no default value."""
    comp = type_.comp
    assert not isinstance(comp, FuncType)
    fields = comp.fields if isinstance(comp, StructType) else (comp.field,)
    return next((field for field in fields if not is_defaultable(field.storage)), None)


def _unpacked(field: FieldType) -> ValType:
    return I32 if isinstance(field.storage, PackedType) else field.storage


def _i32_const(c: _Checker, op: Op) -> None:
    c.push(op, c.reader.s32(), I32)


def _i64_const(c: _Checker, op: Op) -> None:
    c.push(op, c.reader.s64(), I64)


def _f32_const(c: _Checker, op: Op) -> None:
    c.push(op, c.reader.f32_bits(), F32)


def _f64_const(c: _Checker, op: Op) -> None:
    c.push(op, c.reader.f64_bits(), F64)


def _v128_const(c: _Checker, op: Op) -> None:
    c.push(op, c.reader.take(16), V128)


def _i32_binary(c: _Checker, op: Op) -> None:
    c.pop(I32)
    c.pop(I32)
    c.push(op, None, I32)


def _i64_binary(c: _Checker, op: Op) -> None:
    c.pop(I64)
    c.pop(I64)
    c.push(op, None, I64)


def _global_get(c: _Checker, op: Op) -> None:
    globalidx = c.reader.u32()
    if globalidx >= len(c.info.globals):
        raise c.invalid(f"unknown global {globalidx}")
    type_ = c.info.globals[globalidx]
    if type_.mutable:
        raise c.invalid(f"constant expression required, global {globalidx} is mutable")
    c.push(op, globalidx, type_.value)


def _ref_null(c: _Checker, op: Op) -> None:
    heap = read_heap_type(c.reader, c.info.types, c.features)
    c.push(op, heap, ref_type(True, heap))


def _ref_func(c: _Checker, op: Op) -> None:
    funcidx = c.reader.u32()
    if funcidx >= len(c.info.functions):
        raise c.invalid(f"unknown function {funcidx}")
    c.info.declared_functions.add(funcidx)
    c.push(op, funcidx, ref_type(False, c.info.functions[funcidx]))


def _ref_i31(c: _Checker, op: Op) -> None:
    c.pop(I32)
    c.push(op, None, ref_type(False, "i31"))


def _struct_new(c: _Checker, op: Op) -> None:
    type_, comp = c.struct_type()
    for field in reversed(comp.fields):
        c.pop(_unpacked(field))
    c.push(op, type_, ref_type(False, type_))


def _struct_new_default(c: _Checker, op: Op) -> None:
    type_, _ = c.struct_type()
    c.require_default(type_)
    c.push(op, type_, ref_type(False, type_))


def _array_new(c: _Checker, op: Op) -> None:
    type_, field = c.array_type()
    c.pop(I32)
    c.pop(_unpacked(field))
    c.push(op, type_, ref_type(False, type_))


def _array_new_default(c: _Checker, op: Op) -> None:
    type_, _ = c.array_type()
    c.require_default(type_)
    c.pop(I32)
    c.push(op, type_, ref_type(False, type_))


def _array_new_fixed(c: _Checker, op: Op) -> None:
    type_, field = c.array_type()
    count = c.reader.u32()
    for _ in range(count):
        c.pop(_unpacked(field))
    c.push(op, (type_, count), ref_type(False, type_))


def _convert(c: _Checker, op: Op) -> None:
    source, target = (
        (EXTERNREF, "any")
        if op.mnemonic == "any.convert_extern"
        else (ref_type(True, "any"), "extern")
    )
    found = c.pop(source)
    assert isinstance(found, RefType)
    c.push(op, None, ref_type(found.nullable, target))


_CONSTANT: dict[str, Callable[[_Checker, Op], None]] = {
    "i32.const": _i32_const,
    "i64.const": _i64_const,
    "f32.const": _f32_const,
    "f64.const": _f64_const,
    "v128.const": _v128_const,
    "i32.add": _i32_binary,
    "i32.sub": _i32_binary,
    "i32.mul": _i32_binary,
    "i64.add": _i64_binary,
    "i64.sub": _i64_binary,
    "i64.mul": _i64_binary,
    "global.get": _global_get,
    "ref.null": _ref_null,
    "ref.func": _ref_func,
    "ref.i31": _ref_i31,
    "struct.new": _struct_new,
    "struct.new_default": _struct_new_default,
    "array.new": _array_new,
    "array.new_default": _array_new_default,
    "array.new_fixed": _array_new_fixed,
    "any.convert_extern": _convert,
    "extern.convert_any": _convert,
}
_HANDLERS = {op.code: _CONSTANT[op.mnemonic] for op in OPCODES if op.mnemonic in _CONSTANT}
assert len(_HANDLERS) == len(_CONSTANT)
