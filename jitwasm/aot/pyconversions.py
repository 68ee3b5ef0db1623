"""Python objects as wasm values and back, in LLVM IR, with CPython's stable ABI only."""

from __future__ import annotations

from jitwasm.aot.irfunction import IRFunction
from jitwasm.types import F32, F64, I32, I64, ValType

__all__ = ["CONVERSIONS", "box", "text_constants", "unbox"]


def box(f: IRFunction, type_: ValType, val: str) -> str:
    """A new reference to a value's object; null with an exception set if there is no memory."""
    if type_ is I32:
        return f.op(f"call ptr @PyLong_FromLong(i64 {f.op(f'sext i32 {val} to i64')})")
    if type_ is I64:
        return f.op(f"call ptr @PyLong_FromLongLong(i64 {val})")
    if type_ is F32:
        return f.op(f"call ptr @PyFloat_FromDouble(double {f.op(f'fpext float {val} to double')})")
    if type_ is F64:
        return f.op(f"call ptr @PyFloat_FromDouble(double {val})")
    place = f.op("alloca <2 x i64>")
    f.store("<2 x i64>", val, place)
    return f.op(f"call ptr @PyBytes_FromStringAndSize(ptr {place}, i64 16)")


def unbox(f: IRFunction, type_: ValType, obj: str, name: str, index: int, failed: str) -> str:
    """The value of an object; goes to `failed`, with an exception set, if it has none.

    Args:
        f: the function being written.
        type_: what is wanted.
        obj: the object, borrowed.
        name: symbol of the function's name, for the error.
        index: of an argument; -1 - index of a result.
        failed: label.
    """
    if type_.ir.startswith("<"):
        place = f.op("alloca <2 x i64>")
        good = f.op(f"call i1 @py_v128(ptr {obj}, ptr {name}, i32 {index}, ptr {place})")
        _branch(f, good, failed)
        return f.load("<2 x i64>", place)
    helper = "int" if not type_.is_float else "float"
    ir = "double" if type_.is_float else "i64"
    bits = 32 if type_ in (I32, F32) else 64
    pair = f.op(f"call {{ {ir}, i1 }} @py_{helper}(ptr {obj}, ptr {name}, i32 {index}, i32 {bits})")
    _branch(f, f.op(f"extractvalue {{ {ir}, i1 }} {pair}, 1"), failed)
    value = f.op(f"extractvalue {{ {ir}, i1 }} {pair}, 0")
    if type_ is I32:
        return f.op(f"trunc i64 {value} to i32")
    return f.op(f"fptrunc double {value} to float") if type_ is F32 else value


def _branch(f: IRFunction, good: str, failed: str) -> None:
    label = f"good{good[1:]}"
    f.line(f"br i1 {good}, label %{label}, label %{failed}, !prof !90000")
    f.label(label)


def text_constants(texts: list[str]) -> str:
    """C strings, by their places in the list."""
    return "\n".join(_constant(f"py.text{i}", text) for i, text in enumerate(texts)) + "\n"


def _constant(name: str, text: str) -> str:
    data = text.encode("utf-8", "surrogatepass") + b"\0"
    escaped = "".join(f"\\{byte:02X}" for byte in data)
    return f'@{name} = private constant [{len(data)} x i8] c"{escaped}"'


_FUNCTIONS = r"""
; Raise a TypeError for an object of the wrong type, unless another error came up.
define internal void @py_refuse(ptr %obj, ptr %name, i32 %index, ptr %wanted) cold noinline {
entry:
  %type.error = load ptr, ptr @PyExc_TypeError
  %set = call ptr @PyErr_Occurred()
  %none = icmp eq ptr %set, null
  br i1 %none, label %raise, label %look
look:
  %is = call i32 @PyErr_ExceptionMatches(ptr %type.error)
  %replace = icmp ne i32 %is, 0
  br i1 %replace, label %clear, label %done
clear:
  call void @PyErr_Clear()
  br label %raise
raise:
  %class = call ptr @PyObject_Type(ptr %obj)
  %label = call ptr @PyObject_GetAttrString(ptr %class, ptr @py.name)
  call void @Py_DecRef(ptr %class)
  %nameless = icmp eq ptr %label, null
  br i1 %nameless, label %done, label %say
say:
  %result = icmp slt i32 %index, 0
  %format = select i1 %result, ptr @py.result, ptr @py.argument
  %number.result = sub i32 0, %index
  %number.argument = add i32 %index, 1
  %number = select i1 %result, i32 %number.result, i32 %number.argument
  %ignored = call ptr (ptr, ptr, ...) @PyErr_Format(
      ptr %type.error, ptr %format, ptr %name, i32 %number, ptr %wanted, ptr %label)
  call void @Py_DecRef(ptr %label)
  br label %done
done:
  ret void
}

define internal void @py_too_large(ptr %name, i32 %index, i32 %bits) cold noinline {
  call void @PyErr_Clear()
  %error = load ptr, ptr @PyExc_OverflowError
  %result = icmp slt i32 %index, 0
  %format = select i1 %result, ptr @py.result.large, ptr @py.argument.large
  %number.result = sub i32 0, %index
  %number.argument = add i32 %index, 1
  %number = select i1 %result, i32 %number.result, i32 %number.argument
  %ignored = call ptr (ptr, ptr, ...) @PyErr_Format(
      ptr %error, ptr %format, ptr %name, i32 %number, i32 %bits)
  ret void
}

define internal void @py_arity(ptr %name, i64 %wanted, i64 %given) cold noinline {
  %error = load ptr, ptr @PyExc_TypeError
  %ignored = call ptr (ptr, ptr, ...) @PyErr_Format(
      ptr %error, ptr @py.arity, ptr %name, i64 %wanted, i64 %given)
  ret void
}

; An int, or what has __index__. Negative and unsigned ones are both taken.
define internal { i64, i1 } @py_int(ptr %obj, ptr %name, i32 %index, i32 %bits) {
entry:
  %overflow = alloca i32
  %value = call i64 @PyLong_AsLongLongAndOverflow(ptr %obj, ptr %overflow)
  %minus = icmp eq i64 %value, -1
  br i1 %minus, label %suspect, label %range
suspect:
  %over = load i32, ptr %overflow
  switch i32 %over, label %large [
    i32 0, label %occurred
    i32 1, label %positive
  ]
occurred:
  %exception = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %exception, null
  br i1 %fine, label %range, label %refuse
positive:
  %wide = icmp eq i32 %bits, 64
  br i1 %wide, label %unsigned, label %large
unsigned:
  %number = call ptr @PyNumber_Index(ptr %obj)
  %no.number = icmp eq ptr %number, null
  br i1 %no.number, label %failed, label %read
read:
  %word = call i64 @PyLong_AsUnsignedLongLong(ptr %number)
  call void @Py_DecRef(ptr %number)
  %exception.2 = call ptr @PyErr_Occurred()
  %fine.2 = icmp eq ptr %exception.2, null
  br i1 %fine.2, label %good, label %large
range:
  %any = icmp eq i32 %bits, 64
  %shifted = add i64 %value, 2147483648
  %in = icmp ult i64 %shifted, 6442450944
  %fits = or i1 %any, %in
  br i1 %fits, label %good, label %large
good:
  %result = phi i64 [ %value, %range ], [ %word, %read ]
  %pair.0 = insertvalue { i64, i1 } poison, i64 %result, 0
  %pair = insertvalue { i64, i1 } %pair.0, i1 true, 1
  ret { i64, i1 } %pair
refuse:
  call void @py_refuse(ptr %obj, ptr %name, i32 %index, ptr @py.int)
  br label %failed
large:
  call void @py_too_large(ptr %name, i32 %index, i32 %bits)
  br label %failed
failed:
  ret { i64, i1 } zeroinitializer
}

define internal { double, i1 } @py_float(ptr %obj, ptr %name, i32 %index, i32 %bits) {
entry:
  %value = call double @PyFloat_AsDouble(ptr %obj)
  %minus = fcmp oeq double %value, -1.0
  br i1 %minus, label %occurred, label %good
occurred:
  %exception = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %exception, null
  br i1 %fine, label %good, label %refuse
good:
  %pair.0 = insertvalue { double, i1 } poison, double %value, 0
  %pair = insertvalue { double, i1 } %pair.0, i1 true, 1
  ret { double, i1 } %pair
refuse:
  call void @py_refuse(ptr %obj, ptr %name, i32 %index, ptr @py.number)
  ret { double, i1 } zeroinitializer
}

define internal i1 @py_v128(ptr %obj, ptr %name, i32 %index, ptr %out) {
entry:
  %data = alloca ptr
  %size = alloca i64
  %rc = call i32 @PyBytes_AsStringAndSize(ptr %obj, ptr %data, ptr %size)
  %bad = icmp ne i32 %rc, 0
  br i1 %bad, label %refuse, label %measure
measure:
  %length = load i64, ptr %size
  %fits = icmp eq i64 %length, 16
  br i1 %fits, label %good, label %refuse
good:
  %from = load ptr, ptr %data
  %vector = load <2 x i64>, ptr %from, align 1
  store <2 x i64> %vector, ptr %out
  ret i1 true
refuse:
  call void @py_refuse(ptr %obj, ptr %name, i32 %index, ptr @py.bytes)
  ret i1 false
}

@_Py_NoneStruct = external global i8
@PyExc_AttributeError = external global ptr
@PyExc_MemoryError = external global ptr
@PyExc_OverflowError = external global ptr
@PyExc_RecursionError = external global ptr
@PyExc_RuntimeError = external global ptr
@PyExc_TypeError = external global ptr
declare i32 @strcmp(ptr, ptr)
declare ptr @PyBytes_FromStringAndSize(ptr, i64)
declare i32 @PyBytes_AsStringAndSize(ptr, ptr, ptr)
declare void @PyErr_Clear()
declare i32 @PyErr_ExceptionMatches(ptr)
declare ptr @PyErr_Format(ptr, ptr, ...)
declare ptr @PyErr_Occurred()
declare void @PyErr_SetString(ptr, ptr)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyImport_ImportModule(ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare i64 @PyLong_AsUnsignedLongLong(ptr)
declare ptr @PyLong_FromLong(i64)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyMemoryView_FromMemory(ptr, i64, i32)
declare ptr @PyModuleDef_Init(ptr)
declare ptr @PyModule_GetState(ptr)
declare ptr @PyNumber_Index(ptr)
declare ptr @PyObject_CallObject(ptr, ptr)
declare ptr @PyObject_GetAttrString(ptr, ptr)
declare ptr @PyObject_Type(ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare i64 @PyTuple_Size(ptr)
declare ptr @PyUnicode_AsUTF8AndSize(ptr, ptr)
declare void @Py_DecRef(ptr)
declare void @Py_IncRef(ptr)
"""

_TEXTS = {
    "py.name": "__name__",
    "py.int": "an int",
    "py.number": "a number",
    "py.bytes": "bytes of length 16",
    "py.argument": "%s() argument %d must be %s, not %S",
    "py.result": "result of %s() number %d must be %s, not %S",
    "py.argument.large": "%s() argument %d does not fit in i%d",
    "py.result.large": "result of %s() number %d does not fit in i%d",
    "py.arity": "%s() takes %zd positional arguments but %zd were given",
}

CONVERSIONS = _FUNCTIONS + "\n".join(_constant(name, text) for name, text in _TEXTS.items())
"""What the texts made by `box` and `unbox` call, with CPython's declarations."""
