"""Between Python objects and wasm values, in emitted code (design: "Values" of architecture.md).

Thunks and trampolines read small ints and floats inline and call the runtime's `jw_unbox_*` for
everything else; results are made by the C API. What a conversion is done for, its context, is a
PyObject and an index: argument `index` of a function (its builtin's self), or result `-1 - index`
of a host function (the callable). Only error messages need it.

* i32, i64: ints, bools and whatever has `__index__`, in the range [-2^(N-1), 2^N).
* f32, f64: floats, ints and whatever has `__float__` or `__index__`. NaNs keep their payload.
* v128: bytes of length 16.
* references: through the hooks of the runtime objects; null is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from jitwasm.backend.cpython import COMPACT_INT, layout
from jitwasm.backend.irtext import constant_bytes
from jitwasm.types import F32, F64, I32, I64, V128, RefType, ValType

__all__ = ["DECLARATIONS", "ERROR", "FunctionText", "ir", "reference_symbol", "type_at"]

ERROR = -0x7FFF_5AFE_DEAD_0001
"""What jw_unbox_* return on failure. As an i64, f64 or reference it may also be a value: then
PyErr_Occurred decides."""

DECLARATIONS = """\
@jw_name_f32 = external dso_local global i8
@jw_name_f64 = external dso_local global i8
declare i64 @jw_unbox_i32(ptr, ptr, i64)
declare i64 @jw_unbox_i64(ptr, ptr, i64)
declare i64 @jw_unbox_float(ptr, ptr, i64, ptr)
declare i1 @jw_unbox_v128(ptr, ptr, i64, ptr)
declare i64 @jw_unbox_ref(ptr, ptr, ptr)
declare ptr @jw_box_ref(ptr, ptr)
declare float @jw_narrow_nan(i64)
declare double @jw_widen_nan(i32)
declare void @jw_drop(ptr)
"""
"""What the text of a FunctionText refers to, besides the C API."""


def reference_symbol(number: int) -> str:
    """Symbol of the n-th reference type that a piece of emitted code refers to."""
    return f"jw_reftype_{number}"


class FunctionText:
    """The IR of one function that converts values, as it is being written.

    Attributes:
        fail: the block to go to when a conversion failed; the exception is set.
        references: reference types in use; `reference_symbol(i)` is the address of the i-th.
    """

    def __init__(self, fail: str) -> None:
        self.fail = fail
        self.references: list[RefType] = []
        self.allocas: list[str] = []
        self.lines: list[str] = []
        self._numbers = count()

    def name(self) -> str:
        """A fresh name, without sigil."""
        return f"v{next(self._numbers)}"

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def op(self, text: str) -> str:
        """An instruction with a result; returns its name."""
        name = f"%{self.name()}"
        self.line(f"{name} = {text}")
        return name

    def stack_slot(self, ir_type: str, align: int = 16) -> str:
        """Memory in the function's frame."""
        name = f"%{self.name()}"
        self.allocas.append(f"  {name} = alloca {ir_type}, align {align}")
        return name

    def offset(self, base: str, offset: int) -> str:
        """`base + offset` bytes."""
        return self.op(f"getelementptr i8, ptr {base}, i64 {offset}") if offset else base

    def reference(self, type_: RefType) -> str:
        """An operand: the PyObject of a reference type."""
        if type_ not in self.references:
            self.references.append(type_)
        return f"@{reference_symbol(self.references.index(type_))}"

    # -- Python to wasm -------------------------------------------------------------------------

    def unbox(self, obj: str, type_: ValType, context: str, index: int, env: str) -> str:
        """Convert an object; returns the operand of type `type_.ir`."""
        if type_ is I32 or type_ is I64:
            word = self._unbox_int(obj, type_, context, index)
            return self.op(f"trunc i64 {word} to i32") if type_ is I32 else word
        if type_ is F32 or type_ is F64:
            return self._unbox_float(obj, type_, context, index)
        if type_ is V128:
            return self._unbox_vector(obj, context, index)
        assert isinstance(type_, RefType)
        arguments = f"ptr {obj}, ptr {self.reference(type_)}, ptr {env}"
        return self.op(f"inttoptr i64 {self._slow(f'@jw_unbox_ref({arguments})', False)} to ptr")

    def _unbox_int(self, obj: str, type_: ValType, context: str, index: int) -> str:
        call = f"@jw_unbox_{type_.name}(ptr {obj}, ptr {context}, i64 {index})"
        if not layout().ints:
            return self._slow(call, type_ is I32)
        n = self.name()
        self._exact_type(obj, n, "PyLong_Type", f"{n}.int")
        self.label(f"{n}.int")
        self.line(f"%{n}.size = getelementptr i8, ptr {obj}, i64 16")
        self.lines.append(COMPACT_INT.format(n=n, obj=obj).rstrip())
        return self._join(n, call, "i64", type_ is I32)

    def _unbox_float(self, obj: str, type_: ValType, context: str, index: int) -> str:
        arguments = f"ptr {obj}, ptr {context}, i64 {index}, ptr @jw_name_{type_.name}"
        call = f"@jw_unbox_float({arguments})"
        if layout().floats:
            n = self.name()
            self._exact_type(obj, n, "PyFloat_Type", f"{n}.read")
            self.label(f"{n}.read")
            self.line(f"%{n}.p = getelementptr i8, ptr {obj}, i64 16")
            self.line(f"%{n}.value = load i64, ptr %{n}.p")
            bits = self._join(n, call, "i64", False)
        else:
            bits = self._slow(call, False)
        value = self.op(f"bitcast i64 {bits} to double")
        if type_ is F64:
            return value
        return self._nan_aside(value, "double", "float", "fptrunc", f"@jw_narrow_nan(i64 {bits})")

    def _unbox_vector(self, obj: str, context: str, index: int) -> str:
        slot = self.stack_slot("<2 x i64>")
        call = f"call i1 @jw_unbox_v128(ptr {obj}, ptr {context}, i64 {index}, ptr {slot})"
        ok, n = self.op(call), self.name()
        self.line(f"br i1 {ok}, label %{n}.done, label %{self.fail}, !prof !0")
        self.label(f"{n}.done")
        return self.op(f"load <2 x i64>, ptr {slot}")

    def _exact_type(self, obj: str, n: str, type_: str, then: str) -> None:
        """Branch to `then` if the object's type is exactly this one, else to `{n}.slow`."""
        self.line(f"%{n}.type.p = getelementptr i8, ptr {obj}, i64 8")
        self.line(f"%{n}.type = load ptr, ptr %{n}.type.p")
        self.line(f"%{n}.exact = icmp eq ptr %{n}.type, @{type_}")
        self.line(f"br i1 %{n}.exact, label %{then}, label %{n}.slow, !prof !0")

    def _join(self, n: str, call: str, ir_type: str, sure: bool) -> str:
        """After `{n}.read` has `%{n}.value`: the slow way in `{n}.slow`, and both together."""
        self.line(f"br label %{n}.join")
        self.label(f"{n}.slow")
        slow = self._slow(call, sure)
        self.line(f"br label %{n}.last")
        self.label(f"{n}.last")
        self.line(f"br label %{n}.join")
        self.label(f"{n}.join")
        return self.op(f"phi {ir_type} [ %{n}.value, %{n}.read ], [ {slow}, %{n}.last ]")

    def _slow(self, call: str, sure: bool) -> str:
        """Call jw_unbox_*; `sure`: no value of the type looks like ERROR."""
        n = self.name()
        word = self.op(f"call i64 {call}")
        self.line(f"%{n}.error = icmp eq i64 {word}, {ERROR}")
        if sure:
            self.line(f"br i1 %{n}.error, label %{self.fail}, label %{n}.ok, !prof !1")
        else:
            self.line(f"br i1 %{n}.error, label %{n}.check, label %{n}.ok, !prof !1")
            self.label(f"{n}.check")
            self.line(f"%{n}.exception = call ptr @PyErr_Occurred()")
            self.line(f"%{n}.none = icmp eq ptr %{n}.exception, null")
            self.line(f"br i1 %{n}.none, label %{n}.ok, label %{self.fail}")
        self.label(f"{n}.ok")
        return word

    def _nan_aside(self, value: str, source: str, target: str, convert: str, nan_call: str) -> str:
        """Convert between f32 and f64; NaNs by bits, since the instructions would quiet them."""
        n = self.name()
        self.line(f"%{n}.nan = fcmp uno {source} {value}, {value}")
        self.line(f"br i1 %{n}.nan, label %{n}.bits, label %{n}.number, !prof !1")
        self.label(f"{n}.bits")
        self.line(f"%{n}.special = call {target} {nan_call}")
        self.line(f"br label %{n}.join")
        self.label(f"{n}.number")
        self.line(f"%{n}.plain = {convert} {source} {value} to {target}")
        self.line(f"br label %{n}.join")
        self.label(f"{n}.join")
        return self.op(f"phi {target} [ %{n}.special, %{n}.bits ], [ %{n}.plain, %{n}.number ]")

    # -- wasm to Python -------------------------------------------------------------------------

    def box(self, value: str, type_: ValType) -> str:
        """Make an object; the operand may be null, with an exception set."""
        if type_ is I32:
            value = self.op(f"sext i32 {value} to i64")
        if type_ is I32 or type_ is I64:
            return self.op(f"call ptr @PyLong_FromLongLong(i64 {value})")
        if type_ is F32:
            bits = self.op(f"bitcast float {value} to i32")
            call = f"@jw_widen_nan(i32 {bits})"
            value = self._nan_aside(value, "float", "double", "fpext", call)
        if type_ is F32 or type_ is F64:
            return self.op(f"call ptr @PyFloat_FromDouble(double {value})")
        if type_ is V128:
            slot = self.stack_slot("<2 x i64>")
            self.line(f"store <2 x i64> {value}, ptr {slot}")
            return self.op(f"call ptr @PyBytes_FromStringAndSize(ptr {slot}, i64 16)")
        assert isinstance(type_, RefType)
        return self.op(f"call ptr @jw_box_ref(ptr {value}, ptr {self.reference(type_)})")

    def tuple_of(self, values: list[str], types: Sequence[ValType]) -> str:
        """Make a tuple of several values; may be null, with an exception set."""
        items = [self.box(value, type_) for value, type_ in zip(values, types, strict=True)]
        made = self.op(f"call ptr @PyTuple_New(i64 {len(items)})")
        # One test for all: with an item missing, what was made is dropped in the cold path.
        some = made
        for item in items:
            missing = self.op(f"icmp eq ptr {item}, null")
            some = self.op(f"select i1 {missing}, ptr null, ptr {some}")
        n = self.name()
        self.line(f"%{n}.none = icmp eq ptr {some}, null")
        self.line(f"br i1 %{n}.none, label %{n}.drop, label %{n}.fill, !prof !1")
        self.label(f"{n}.drop")
        for owned in (made, *items):
            self.line(f"call void @jw_drop(ptr {owned})")
        self.line(f"br label %{self.fail}")
        self.label(f"{n}.fill")
        for index, item in enumerate(items):
            # PyTuple_SET_ITEM: the items lie behind the head (the macro is API since 1.5).
            self.line(f"store ptr {item}, ptr {self.offset(made, tuple.__basicsize__ + 8 * index)}")
        return made


def type_at(addresses: Mapping[str, int], references: list[RefType], name: str) -> int | None:
    """Resolve a symbol of emitted code: a reference type, or one of the runtime's."""
    for number, type_ in enumerate(references):
        if name == reference_symbol(number):
            return id(type_)  # interned for ever
    return addresses.get(name)


def ir() -> str:
    """Definitions of jw_unbox_*, jw_box_ref and the conversions of NaNs."""
    return _HOOKS + _INTEGERS + _FLOATS + _OTHERS


_HOOKS = f"""
@jw_hook_refuse = global ptr null
@jw_hook_arity = global ptr null
{constant_bytes("jw_arity_format", b"OL")}
@jw_hook_to_ref = global ptr null
@jw_hook_from_ref = global ptr null
{constant_bytes("jw_refuse_format", b"OLOs")}
{constant_bytes("jw_to_ref_format", b"OOK")}
{constant_bytes("jw_from_ref_format", b"KO")}
@jw_name_i32 = constant [4 x i8] c"i32\\00"
@jw_name_i64 = constant [4 x i8] c"i64\\00"
@jw_name_f32 = constant [4 x i8] c"f32\\00"
@jw_name_f64 = constant [4 x i8] c"f64\\00"
@jw_name_v128 = constant [5 x i8] c"v128\\00"

define void @jw_drop(ptr %obj) {{
entry:
  %none = icmp eq ptr %obj, null
  br i1 %none, label %done, label %drop
drop:
  call void @Py_DecRef(ptr %obj)
  br label %done
done:
  ret void
}}

; Raise the exception that a hook made, if it did not raise itself.
define void @jw_set_exception(ptr %exception) {{
entry:
  %none = icmp eq ptr %exception, null
  br i1 %none, label %done, label %set
set:
  %class.p = getelementptr i8, ptr %exception, i64 8
  %class = load ptr, ptr %class.p
  call void @PyErr_SetObject(ptr %class, ptr %exception)
  call void @Py_DecRef(ptr %exception)
  br label %done
done:
  ret void
}}

; Raise the error for a wrong number of arguments.
define void @jw_arity(ptr %self, i64 %count) {{
  %hook = load ptr, ptr @jw_hook_arity
  %exception = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_arity_format, ptr %self, i64 %count)
  call void @jw_set_exception(ptr %exception)
  ret void
}}

; Raise the error for an object that does not fit.
define i64 @jw_refuse(ptr %context, i64 %index, ptr %obj, ptr %type) {{
  %hook = load ptr, ptr @jw_hook_refuse
  %exception = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_refuse_format, ptr %context, i64 %index, ptr %obj, ptr %type)
  call void @jw_set_exception(ptr %exception)
  ret i64 {ERROR}
}}
"""

_INTEGERS = f"""
define i64 @jw_unbox_i32(ptr %obj, ptr %context, i64 %index) {{
entry:
  %overflow = alloca i32
  %value = call i64 @PyLong_AsLongLongAndOverflow(ptr %obj, ptr %overflow)
  %minus = icmp eq i64 %value, -1
  br i1 %minus, label %suspect, label %range
suspect:
  %over = load i32, ptr %overflow
  %outside = icmp ne i32 %over, 0
  br i1 %outside, label %refuse, label %error
error:
  %exception = call ptr @PyErr_Occurred()
  %none = icmp eq ptr %exception, null
  br i1 %none, label %range, label %failed
failed:
  %keep = call i1 @jw_keep_error(ptr %obj)
  br i1 %keep, label %done, label %refuse
range:
  %shifted = add i64 %value, 2147483648
  %fits = icmp ult i64 %shifted, {2**31 + 2**32}
  br i1 %fits, label %good, label %refuse
good:
  ret i64 %value
refuse:
  %refused = call i64 @jw_refuse(ptr %context, i64 %index, ptr %obj, ptr @jw_name_i32)
  br label %done
done:
  ret i64 {ERROR}
}}

define i64 @jw_unbox_i64(ptr %obj, ptr %context, i64 %index) {{
entry:
  %overflow = alloca i32
  %value = call i64 @PyLong_AsLongLongAndOverflow(ptr %obj, ptr %overflow)
  %minus = icmp eq i64 %value, -1
  br i1 %minus, label %suspect, label %good
suspect:
  %over = load i32, ptr %overflow
  switch i32 %over, label %refuse [
    i32 0, label %error
    i32 1, label %large
  ]
error:
  %exception = call ptr @PyErr_Occurred()
  %none = icmp eq ptr %exception, null
  br i1 %none, label %good, label %failed
failed:
  %keep = call i1 @jw_keep_error(ptr %obj)
  br i1 %keep, label %out, label %refuse
large:
  %number = call ptr @PyNumber_Index(ptr %obj)
  %no_number = icmp eq ptr %number, null
  br i1 %no_number, label %out, label %unsigned
unsigned:
  %word = call i64 @PyLong_AsUnsignedLongLong(ptr %number)
  call void @Py_DecRef(ptr %number)
  %exception.2 = call ptr @PyErr_Occurred()
  %none.2 = icmp eq ptr %exception.2, null
  br i1 %none.2, label %good, label %too_large
too_large:
  call void @PyErr_Clear()
  br label %refuse
good:
  %result = phi i64 [ %value, %entry ], [ %value, %error ], [ %word, %unsigned ]
  ret i64 %result
refuse:
  %refused = call i64 @jw_refuse(ptr %context, i64 %index, ptr %obj, ptr @jw_name_i64)
  br label %out
out:
  ret i64 {ERROR}
}}

; An exception is set. One that `__index__` raised stays; the interpreter's own, for an object
; without it, gives way to one that names the function.
define i1 @jw_keep_error(ptr %obj) {{
entry:
  %check = call i32 @PyIndex_Check(ptr %obj)
  %has = icmp ne i32 %check, 0
  br i1 %has, label %keep, label %clear
clear:
  call void @PyErr_Clear()
  ret i1 false
keep:
  ret i1 true
}}
"""

_FLOATS = f"""
define i64 @jw_unbox_float(ptr %obj, ptr %context, i64 %index, ptr %type) {{
entry:
  %value = call double @PyFloat_AsDouble(ptr %obj)
  %minus = fcmp oeq double %value, -1.0
  br i1 %minus, label %suspect, label %good
suspect:
  %exception = call ptr @PyErr_Occurred()
  %none = icmp eq ptr %exception, null
  br i1 %none, label %good, label %failed
failed:
  %is_int = call i32 @PyObject_IsInstance(ptr %obj, ptr @PyLong_Type)
  %is_large = icmp ne i32 %is_int, 0
  br i1 %is_large, label %refuse, label %kind
kind:
  %check = call i32 @PyNumber_Check(ptr %obj)
  %is_number = icmp ne i32 %check, 0
  br i1 %is_number, label %out, label %refuse
refuse:
  call void @PyErr_Clear()
  %refused = call i64 @jw_refuse(ptr %context, i64 %index, ptr %obj, ptr %type)
  br label %out
out:
  ret i64 {ERROR}
good:
  %bits = bitcast double %value to i64
  ret i64 %bits
}}

; f64 NaN to f32 and back: sign, and the payload's upper bits. A payload that would vanish, which
; would mean infinity, becomes the canonical one.
define float @jw_narrow_nan(i64 %bits) {{
  %sign.64 = lshr i64 %bits, 32
  %sign = and i64 %sign.64, 2147483648
  %shifted = lshr i64 %bits, 29
  %payload.0 = and i64 %shifted, 8388607
  %vanished = icmp eq i64 %payload.0, 0
  %payload = select i1 %vanished, i64 4194304, i64 %payload.0
  %upper = or i64 %sign, 2139095040
  %all = or i64 %upper, %payload
  %word = trunc i64 %all to i32
  %value = bitcast i32 %word to float
  ret float %value
}}

define double @jw_widen_nan(i32 %bits) {{
  %word = zext i32 %bits to i64
  %sign.32 = and i64 %word, 2147483648
  %sign = shl i64 %sign.32, 32
  %payload.32 = and i64 %word, 8388607
  %payload = shl i64 %payload.32, 29
  %upper = or i64 %sign, 9218868437227405312
  %all = or i64 %upper, %payload
  %value = bitcast i64 %all to double
  ret double %value
}}
"""

_OTHERS = f"""
define i1 @jw_unbox_v128(ptr %obj, ptr %context, i64 %index, ptr %out) {{
entry:
  %data = alloca ptr
  %size = alloca i64
  %check = call i32 @PyObject_IsInstance(ptr %obj, ptr @PyBytes_Type)
  %is_bytes = icmp eq i32 %check, 1
  br i1 %is_bytes, label %bytes, label %refuse
bytes:
  %rc = call i32 @PyBytes_AsStringAndSize(ptr %obj, ptr %data, ptr %size)
  %length = load i64, ptr %size
  %fits = icmp eq i64 %length, 16
  br i1 %fits, label %copy, label %refuse
copy:
  %from = load ptr, ptr %data
  %vector = load <2 x i64>, ptr %from, align 1
  store <2 x i64> %vector, ptr %out
  ret i1 true
refuse:
  %refused = call i64 @jw_refuse(ptr %context, i64 %index, ptr %obj, ptr @jw_name_v128)
  ret i1 false
}}

define i64 @jw_unbox_ref(ptr %obj, ptr %type, ptr %env) {{
entry:
  %hook = load ptr, ptr @jw_hook_to_ref
  %number = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_to_ref_format, ptr %obj, ptr %type, ptr %env)
  %failed = icmp eq ptr %number, null
  br i1 %failed, label %out, label %read
read:
  %word = call i64 @PyLong_AsUnsignedLongLong(ptr %number)
  call void @Py_DecRef(ptr %number)
  ret i64 %word
out:
  ret i64 {ERROR}
}}

define ptr @jw_box_ref(ptr %word, ptr %type) {{
entry:
  %null = icmp eq ptr %word, null
  br i1 %null, label %none, label %call
none:
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
call:
  %hook = load ptr, ptr @jw_hook_from_ref
  %obj = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_from_ref_format, ptr %word, ptr %type)
  ret ptr %obj
}}
"""
