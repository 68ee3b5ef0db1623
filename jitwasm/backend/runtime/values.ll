; Values of any function type, by the description of its Signature: between Python objects, an array
; of values (16 bytes each) and the places where the calling convention wants them. thunks.py and
; trampolines.py emit the same for one type.

; Convert an object; whether that failed, with an exception set.
define i1 @jw_unbox_value(ptr %obj, ptr %place, ptr %context, i64 %index, ptr %env, ptr %out) {
entry:
  %kind = get %place ValuePlace.kind
  switch i64 %kind, label %reference [
    i64 <Kind.i32>, label %i32
    i64 <Kind.i64>, label %i64
    i64 <Kind.f32>, label %f32
    i64 <Kind.f64>, label %f64
    i64 <Kind.v128>, label %v128
  ]
i32:
  %i32.word = call i64 @jw_unbox_i32(ptr %obj, ptr %context, i64 %index)
  br label %done
i64:
  %i64.word = call i64 @jw_unbox_i64(ptr %obj, ptr %context, i64 %index)
  br label %done
f64:
  %f64.word = call i64 @jw_unbox_float(ptr %obj, ptr %context, i64 %index, ptr @jw_name_f64)
  br label %done
reference:
  %type = get %place ValuePlace.type
  %reference.word = call i64 @jw_unbox_ref(ptr %obj, ptr %type, ptr %env)
  br label %done
f32:
  %f32.word = call i64 @jw_unbox_float(ptr %obj, ptr %context, i64 %index, ptr @jw_name_f32)
  %f32.failed = call i1 @jw_is_error(i64 %f32.word)
  br i1 %f32.failed, label %fail, label %narrow
narrow:
  %double = bitcast i64 %f32.word to double
  %is_nan = fcmp uno double %double, %double
  br i1 %is_nan, label %nan, label %number
nan:
  %special = call float @jw_narrow_nan(i64 %f32.word)
  store float %special, ptr %out
  ret i1 false
number:
  %single = fptrunc double %double to float
  store float %single, ptr %out
  ret i1 false
v128:
  %good = call i1 @jw_unbox_v128(ptr %obj, ptr %context, i64 %index, ptr %out)
  %bad = xor i1 %good, true
  ret i1 %bad
done:
  %word = phi i64 [ %i32.word, %i32 ], [ %i64.word, %i64 ], [ %f64.word, %f64 ],
                  [ %reference.word, %reference ]
  store i64 %word, ptr %out
  %failed = call i1 @jw_is_error(i64 %word)
  ret i1 %failed
fail:
  ret i1 true
}

; Whether what jw_unbox_* returned says that it failed.
define i1 @jw_is_error(i64 %word) {
entry:
  %suspect = icmp eq i64 %word, <ERROR>
  br i1 %suspect, label %ask, label %no
ask:
  %exception = call ptr @PyErr_Occurred()
  %is = icmp ne ptr %exception, null
  ret i1 %is
no:
  ret i1 false
}

; Make an object of a value; null with an exception set if that fails.
define ptr @jw_box_value(ptr %value, ptr %place) {
entry:
  %kind = get %place ValuePlace.kind
  switch i64 %kind, label %reference [
    i64 <Kind.i32>, label %i32
    i64 <Kind.i64>, label %i64
    i64 <Kind.f32>, label %f32
    i64 <Kind.f64>, label %f64
    i64 <Kind.v128>, label %v128
  ]
i32:
  %i32.word = load i32, ptr %value
  %i32.long = sext i32 %i32.word to i64
  %i32.obj = call ptr @PyLong_FromLongLong(i64 %i32.long)
  ret ptr %i32.obj
i64:
  %i64.word = load i64, ptr %value
  %i64.obj = call ptr @PyLong_FromLongLong(i64 %i64.word)
  ret ptr %i64.obj
f32:
  %single = load float, ptr %value
  %is_nan = fcmp uno float %single, %single
  br i1 %is_nan, label %nan, label %number
nan:
  %bits = load i32, ptr %value
  %special = call double @jw_widen_nan(i32 %bits)
  br label %float
number:
  %plain = fpext float %single to double
  br label %float
f64:
  %double.0 = load double, ptr %value
  br label %float
float:
  %double = phi double [ %special, %nan ], [ %plain, %number ], [ %double.0, %f64 ]
  %float.obj = call ptr @PyFloat_FromDouble(double %double)
  ret ptr %float.obj
v128:
  %bytes = call ptr @PyBytes_FromStringAndSize(ptr %value, i64 16)
  ret ptr %bytes
reference:
  %word = load ptr, ptr %value
  %type = get %place ValuePlace.type
  %reference.obj = call ptr @jw_box_ref(ptr %word, ptr %type)
  ret ptr %reference.obj
}

; One object for the results of a function: None, the object, or a tuple; null with an exception set.
define ptr @jw_box_results(ptr %places, i64 %count, ptr %values) {
entry:
  switch i64 %count, label %several [
    i64 0, label %none
    i64 1, label %one
  ]
none:
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
one:
  %only = call ptr @jw_box_value(ptr %values, ptr %places)
  ret ptr %only
several:
  %tuple = call ptr @PyTuple_New(i64 %count)
  %no_tuple = icmp eq ptr %tuple, null
  br i1 %no_tuple, label %fail, label %next
next:
  %i = phi i64 [ 0, %several ], [ %more, %set ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %make
make:
  %place.at = mul i64 %i, <ValuePlace.size>
  %place = getelementptr i8, ptr %places, i64 %place.at
  %value.at = mul i64 %i, 16
  %value = getelementptr i8, ptr %values, i64 %value.at
  %item = call ptr @jw_box_value(ptr %value, ptr %place)
  %no_item = icmp eq ptr %item, null
  br i1 %no_item, label %drop, label %set
set:
  ; Owned by the tuple from now on.
  %rc = call i32 @PyTuple_SetItem(ptr %tuple, i64 %i, ptr %item)
  %more = add i64 %i, 1
  br label %next
drop:
  call void @Py_DecRef(ptr %tuple)
  br label %fail
fail:
  ret ptr null
done:
  ret ptr %tuple
}

; Put values where the callee expects them: in a frame of registers, or in the overflow area.
define void @jw_place_values(ptr %places, i64 %count, ptr %values, ptr %frame, ptr %area) {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %copied ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %copy
copy:
  %place.at = mul i64 %i, <ValuePlace.size>
  %place = getelementptr i8, ptr %places, i64 %place.at
  %value.at = mul i64 %i, 16
  %value = getelementptr i8, ptr %values, i64 %value.at
  %there = call ptr @jw_at_place(ptr %place, ptr %frame, ptr %area)
  call void @jw_copy_value(ptr %place, ptr %there, ptr %value)
  br label %copied
copied:
  %more = add i64 %i, 1
  br label %next
done:
  ret void
}

; The other way round.
define void @jw_take_values(ptr %places, i64 %count, ptr %values, ptr %frame, ptr %area) {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %copied ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %copy
copy:
  %place.at = mul i64 %i, <ValuePlace.size>
  %place = getelementptr i8, ptr %places, i64 %place.at
  %value.at = mul i64 %i, 16
  %value = getelementptr i8, ptr %values, i64 %value.at
  %there = call ptr @jw_at_place(ptr %place, ptr %frame, ptr %area)
  call void @jw_copy_value(ptr %place, ptr %value, ptr %there)
  br label %copied
copied:
  %more = add i64 %i, 1
  br label %next
done:
  ret void
}

define ptr @jw_at_place(ptr %place, ptr %frame, ptr %area) {
  %offset = get %place ValuePlace.offset
  %far = get %place ValuePlace.far
  %is_far = icmp ne i64 %far, 0
  %base = select i1 %is_far, ptr %area, ptr %frame
  %there = getelementptr i8, ptr %base, i64 %offset
  ret ptr %there
}

; Integer registers lie 8 bytes apart in a frame: only a vector has more.
define void @jw_copy_value(ptr %place, ptr %to, ptr %from) {
entry:
  %low = load i64, ptr %from
  store i64 %low, ptr %to
  %kind = get %place ValuePlace.kind
  %wide = icmp eq i64 %kind, <Kind.v128>
  br i1 %wide, label %more, label %done
more:
  %from.high = getelementptr i8, ptr %from, i64 8
  %to.high = getelementptr i8, ptr %to, i64 8
  %high = load i64, ptr %from.high
  store i64 %high, ptr %to.high
  br label %done
done:
  ret void
}
