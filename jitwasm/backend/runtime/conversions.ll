; Conversions between Python objects and wasm values: what emitted code does not do inline.
;
; jw_unbox_* return <ERROR> on failure, with an exception set. %context and %index say what the value
; is, for the error: argument %index of a function, or result -1 - %index of a host function.

@jw_arity_format = text "OL"
@jw_hot_format = text "O"
@jw_refuse_format = text "OLOs"
@jw_to_ref_format = text "OOK"
@jw_from_ref_format = text "KO"
@jw_name_i32 = text "i32"
@jw_name_i64 = text "i64"
@jw_name_f32 = text "f32"
@jw_name_f64 = text "f64"
@jw_name_v128 = text "v128"

; Raise the error for a wrong number of arguments.
define void @jw_arity(ptr %self, i64 %count) {
  %hook = load ptr, ptr @jw_hook_arity
  %exception = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_arity_format, ptr %self, i64 %count)
  call void @jw_set_exception(ptr %exception)
  ret void
}

; A function has been called often; whether that raised an exception.
define i1 @jw_hot(ptr %self) {
entry:
  %hook = load ptr, ptr @jw_hook_hot
  %result = call ptr (ptr, ptr, ...) @PyObject_CallFunction(ptr %hook, ptr @jw_hot_format, ptr %self)
  %failed = icmp eq ptr %result, null
  br i1 %failed, label %done, label %drop
drop:
  call void @Py_DecRef(ptr %result)
  br label %done
done:
  ret i1 %failed
}

; Raise the error for an object that does not fit.
define i64 @jw_refuse(ptr %context, i64 %index, ptr %obj, ptr %type) {
  %hook = load ptr, ptr @jw_hook_refuse
  %exception = call ptr (ptr, ptr, ...) @PyObject_CallFunction(
      ptr %hook, ptr @jw_refuse_format, ptr %context, i64 %index, ptr %obj, ptr %type)
  call void @jw_set_exception(ptr %exception)
  ret i64 <ERROR>
}

define i64 @jw_unbox_i32(ptr %obj, ptr %context, i64 %index) {
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
  %fits = icmp ult i64 %shifted, 6442450944
  br i1 %fits, label %good, label %refuse
good:
  ret i64 %value
refuse:
  %refused = call i64 @jw_refuse(ptr %context, i64 %index, ptr %obj, ptr @jw_name_i32)
  br label %done
done:
  ret i64 <ERROR>
}

define i64 @jw_unbox_i64(ptr %obj, ptr %context, i64 %index) {
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
  ret i64 <ERROR>
}

; An exception is set. One that `__index__` raised stays; the interpreter's own, for an object
; without it, gives way to one that names the function.
define i1 @jw_keep_error(ptr %obj) {
entry:
  %check = call i32 @PyIndex_Check(ptr %obj)
  %has = icmp ne i32 %check, 0
  br i1 %has, label %keep, label %clear
clear:
  call void @PyErr_Clear()
  ret i1 false
keep:
  ret i1 true
}

define i64 @jw_unbox_float(ptr %obj, ptr %context, i64 %index, ptr %type) {
entry:
  %value = call double @PyFloat_AsDouble(ptr %obj)
  %minus = fcmp oeq double %value, -1.0
  br i1 %minus, label %suspect, label %good
suspect:
  %exception = call ptr @PyErr_Occurred()
  %none = icmp eq ptr %exception, null
  br i1 %none, label %good, label %failed
failed:
  ; Nothing may be called that looks up attributes: an exception is set.
  %class = call ptr @PyObject_Type(ptr %obj)
  %flags = call i64 @PyType_GetFlags(ptr %class)
  call void @Py_DecRef(ptr %class)
  %is_int = and i64 %flags, 16777216
  %is_large = icmp ne i64 %is_int, 0
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
  ret i64 <ERROR>
good:
  %bits = bitcast double %value to i64
  ret i64 %bits
}

; f64 NaN to f32 and back: sign, and the payload's upper bits. A payload that would vanish, which
; would mean infinity, becomes the canonical one.
define float @jw_narrow_nan(i64 %bits) {
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
}

define double @jw_widen_nan(i32 %bits) {
  %word = zext i32 %bits to i64
  %sign.32 = and i64 %word, 2147483648
  %sign = shl i64 %sign.32, 32
  %payload.32 = and i64 %word, 8388607
  %payload = shl i64 %payload.32, 29
  %upper = or i64 %sign, 9218868437227405312
  %all = or i64 %upper, %payload
  %value = bitcast i64 %all to double
  ret double %value
}

; Any contiguous buffer of 16 bytes.
define i1 @jw_unbox_v128(ptr %obj, ptr %context, i64 %index, ptr %out) {
entry:
  %view = alloca [128 x i8], align 16
  %check = call i32 @PyObject_CheckBuffer(ptr %obj)
  %is_buffer = icmp ne i32 %check, 0
  br i1 %is_buffer, label %open, label %refuse
open:
  %rc = call i32 @PyObject_GetBuffer(ptr %obj, ptr %view, i32 0)
  %failed = icmp ne i32 %rc, 0
  br i1 %failed, label %out_of_it, label %measure
measure:
  %length.p = getelementptr i8, ptr %view, i64 16
  %length = load i64, ptr %length.p
  %fits = icmp eq i64 %length, 16
  br i1 %fits, label %copy, label %close
copy:
  %from = load ptr, ptr %view
  %vector = load <2 x i64>, ptr %from, align 1
  store <2 x i64> %vector, ptr %out
  call void @PyBuffer_Release(ptr %view)
  ret i1 true
close:
  call void @PyBuffer_Release(ptr %view)
  br label %refuse
refuse:
  %refused = call i64 @jw_refuse(ptr %context, i64 %index, ptr %obj, ptr @jw_name_v128)
  br label %out_of_it
out_of_it:
  ret i1 false
}

define i64 @jw_unbox_ref(ptr %obj, ptr %type, ptr %env) {
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
  ret i64 <ERROR>
}

define ptr @jw_box_ref(ptr %word, ptr %type) {
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
}
