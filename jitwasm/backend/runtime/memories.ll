; Reading and writing linear memory from Python: methods of the class Memory (memory.py). Each does the
; ordinary case itself and leaves everything else, errors too, to the method written in Python.
;
; Addresses and sizes are exact ints here: nothing but the allocation of the result runs Python code,
; and memories never move or shrink.

; The record of a memory, or null where it cannot be told: its address is an int in one of the
; object's slots.
define ptr @jw_record_of(ptr %self) {
entry:
  %offset = load i64, ptr @jw_record_slot
  %p = getelementptr i8, ptr %self, i64 %offset
  %number = load ptr, ptr %p
  %unset = icmp eq ptr %number, null
  br i1 %unset, label %none, label %read
read:
  %record = call ptr @PyLong_AsVoidPtr(ptr %number)
  ret ptr %record
none:
  ret ptr null
}

; An exact int that is not negative and fits, or -1.
define i64 @jw_exact_index(ptr %obj) {
entry:
  %overflow = alloca i32
  %type.p = getelementptr i8, ptr %obj, i64 8
  %type = load ptr, ptr %type.p
  %exact = icmp eq ptr %type, @PyLong_Type
  br i1 %exact, label %read, label %other
read:
  %value = call i64 @PyLong_AsLongLongAndOverflow(ptr %obj, ptr %overflow)
  %negative = icmp slt i64 %value, 0
  %result = select i1 %negative, i64 -1, i64 %value
  ret i64 %result
other:
  ret i64 -1
}

; The address of [%start, %start + %length), or null if it is not within the memory.
define ptr @jw_range_in(ptr %record, i64 %start, i64 %length) {
entry:
  %bytes = get %record MemoryRecord.bytes
  %long = icmp ugt i64 %length, %bytes
  br i1 %long, label %out, label %place
place:
  %last = sub i64 %bytes, %length
  %past = icmp ugt i64 %start, %last
  br i1 %past, label %out, label %in
in:
  %base = get %record MemoryRecord.base
  %p = getelementptr i8, ptr %base, i64 %start
  ret ptr %p
out:
  ret ptr null
}

; Memory.read(address, size)
define ptr @jw_memory_read(ptr %self, ptr %args, i64 %count, ptr %names) {
entry:
  %two = icmp eq i64 %count, 2
  %plain = icmp eq ptr %names, null
  %usual = and i1 %two, %plain
  br i1 %usual, label %arguments, label %slow
arguments:
  %address.o = load ptr, ptr %args
  %address = call i64 @jw_exact_index(ptr %address.o)
  %size.p = getelementptr i8, ptr %args, i64 8
  %size.o = load ptr, ptr %size.p
  %size = call i64 @jw_exact_index(ptr %size.o)
  %either = or i64 %address, %size
  %unusual = icmp slt i64 %either, 0
  br i1 %unusual, label %slow, label %look
look:
  %record = call ptr @jw_record_of(ptr %self)
  %unknown = icmp eq ptr %record, null
  br i1 %unknown, label %slow, label %bounds
bounds:
  %from = call ptr @jw_range_in(ptr %record, i64 %address, i64 %size)
  %out = icmp eq ptr %from, null
  br i1 %out, label %slow, label %copy
copy:
  %bytes = call ptr @PyBytes_FromStringAndSize(ptr %from, i64 %size)
  ret ptr %bytes
slow:
  %method = load ptr, ptr @jw_hook_memory_read
  %result = call ptr @jw_call_method(ptr %method, ptr %self, ptr %args, i64 %count, ptr %names)
  ret ptr %result
}

; Memory.write(address, data)
define ptr @jw_memory_write(ptr %self, ptr %args, i64 %count, ptr %names) {
entry:
  %two = icmp eq i64 %count, 2
  %plain = icmp eq ptr %names, null
  %usual = and i1 %two, %plain
  br i1 %usual, label %arguments, label %slow
arguments:
  %address.o = load ptr, ptr %args
  %address = call i64 @jw_exact_index(ptr %address.o)
  %unusual = icmp slt i64 %address, 0
  br i1 %unusual, label %slow, label %store
store:
  %data.p = getelementptr i8, ptr %args, i64 8
  %data = load ptr, ptr %data.p
  %stored = call i1 @jw_store_buffer(ptr %self, i64 %address, i64 -1, ptr %data)
  br i1 %stored, label %done, label %slow
done:
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
slow:
  %method = load ptr, ptr @jw_hook_memory_write
  %result = call ptr @jw_call_method(ptr %method, ptr %self, ptr %args, i64 %count, ptr %names)
  ret ptr %result
}

; Copy what a contiguous buffer holds to %start; whether that was possible. %length is what it must
; have, or -1 for any. Overlapping is allowed.
define i1 @jw_store_buffer(ptr %self, i64 %start, i64 %length, ptr %data) {
entry:
  %view = alloca [128 x i8], align 16
  %check = call i32 @PyObject_CheckBuffer(ptr %data)
  %is_buffer = icmp ne i32 %check, 0
  br i1 %is_buffer, label %open, label %no
open:
  %rc = call i32 @PyObject_GetBuffer(ptr %data, ptr %view, i32 0)
  %failed = icmp ne i32 %rc, 0
  br i1 %failed, label %clear, label %measure
clear:
  call void @PyErr_Clear()
  br label %no
measure:
  %size.p = getelementptr i8, ptr %view, i64 16
  %size = load i64, ptr %size.p
  %any = icmp eq i64 %length, -1
  %same = icmp eq i64 %length, %size
  %fits = or i1 %any, %same
  br i1 %fits, label %look, label %close
look:
  %record = call ptr @jw_record_of(ptr %self)
  %unknown = icmp eq ptr %record, null
  br i1 %unknown, label %close, label %bounds
bounds:
  %to = call ptr @jw_range_in(ptr %record, i64 %start, i64 %size)
  %out = icmp eq ptr %to, null
  br i1 %out, label %close, label %copy
copy:
  %from = load ptr, ptr %view
  %ignored = call ptr @memmove(ptr %to, ptr %from, i64 %size)
  call void @PyBuffer_Release(ptr %view)
  ret i1 true
close:
  call void @PyBuffer_Release(ptr %view)
  br label %no
no:
  ret i1 false
}

; Memory.__getitem__(key)
define ptr @jw_memory_get(ptr %self, ptr %key) {
entry:
  %args = alloca ptr
  %range = alloca [2 x i64]
  %record = call ptr @jw_record_of(ptr %self)
  %unknown = icmp eq ptr %record, null
  br i1 %unknown, label %slow, label %kind
kind:
  %type.p = getelementptr i8, ptr %key, i64 8
  %type = load ptr, ptr %type.p
  %is_slice = icmp eq ptr %type, @PySlice_Type
  br i1 %is_slice, label %slice, label %item
item:
  %index = call i64 @jw_exact_index(ptr %key)
  %unusual = icmp slt i64 %index, 0
  br i1 %unusual, label %slow, label %bounds
bounds:
  %p = call ptr @jw_range_in(ptr %record, i64 %index, i64 1)
  %out = icmp eq ptr %p, null
  br i1 %out, label %slow, label %read
read:
  %byte = load i8, ptr %p
  %word = zext i8 %byte to i64
  %number = call ptr @PyLong_FromLongLong(i64 %word)
  ret ptr %number
slice:
  %simple = call i1 @jw_simple_slice(ptr %record, ptr %key, ptr %range)
  br i1 %simple, label %view, label %slow
view:
  %buffer = call ptr @jw_buffer_of(ptr %self, ptr %record)
  %none = icmp eq ptr %buffer, null
  br i1 %none, label %slow, label %part
part:
  %result = call ptr @PyObject_GetItem(ptr %buffer, ptr %key)
  call void @Py_DecRef(ptr %buffer)
  ret ptr %result
slow:
  store ptr %key, ptr %args
  %method = load ptr, ptr @jw_hook_memory_get
  %other = call ptr @jw_call_method(ptr %method, ptr %self, ptr %args, i64 1, ptr null)
  ret ptr %other
}

; Memory.__setitem__(key, value)
define ptr @jw_memory_set(ptr %self, ptr %args, i64 %count) {
entry:
  %range = alloca [2 x i64]
  %two = icmp eq i64 %count, 2
  br i1 %two, label %look, label %slow
look:
  %record = call ptr @jw_record_of(ptr %self)
  %unknown = icmp eq ptr %record, null
  br i1 %unknown, label %slow, label %kind
kind:
  %key = load ptr, ptr %args
  %value.p = getelementptr i8, ptr %args, i64 8
  %value = load ptr, ptr %value.p
  %type.p = getelementptr i8, ptr %key, i64 8
  %type = load ptr, ptr %type.p
  %is_slice = icmp eq ptr %type, @PySlice_Type
  br i1 %is_slice, label %slice, label %item
item:
  %index = call i64 @jw_exact_index(ptr %key)
  %byte = call i64 @jw_exact_index(ptr %value)
  %either = or i64 %index, %byte
  %unusual = icmp slt i64 %either, 0
  %large = icmp sgt i64 %byte, 255
  %wrong = or i1 %unusual, %large
  br i1 %wrong, label %slow, label %bounds
bounds:
  %p = call ptr @jw_range_in(ptr %record, i64 %index, i64 1)
  %out = icmp eq ptr %p, null
  br i1 %out, label %slow, label %write
write:
  %byte.8 = trunc i64 %byte to i8
  store i8 %byte.8, ptr %p
  br label %done
slice:
  %simple = call i1 @jw_simple_slice(ptr %record, ptr %key, ptr %range)
  br i1 %simple, label %store, label %slow
store:
  %start = load i64, ptr %range
  %length.p = getelementptr i8, ptr %range, i64 8
  %length = load i64, ptr %length.p
  %stored = call i1 @jw_store_buffer(ptr %self, i64 %start, i64 %length, ptr %value)
  br i1 %stored, label %done, label %slow
done:
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
slow:
  %method = load ptr, ptr @jw_hook_memory_set
  %other = call ptr @jw_call_method(ptr %method, ptr %self, ptr %args, i64 %count, ptr null)
  ret ptr %other
}

; Whether a slice is a range within the memory, with a step of 1: its start and length go to %range.
; The parts of a slice object are its members of that name; where they are not exact ints or None it
; is not simple.
define i1 @jw_simple_slice(ptr %record, ptr %slice, ptr %range) {
entry:
  %start.p = getelementptr i8, ptr %slice, i64 16
  %start.o = load ptr, ptr %start.p
  %stop.p = getelementptr i8, ptr %slice, i64 24
  %stop.o = load ptr, ptr %stop.p
  %step.p = getelementptr i8, ptr %slice, i64 32
  %step.o = load ptr, ptr %step.p
  %plain = icmp eq ptr %step.o, @_Py_NoneStruct
  br i1 %plain, label %read, label %no
read:
  %from_start = icmp eq ptr %start.o, @_Py_NoneStruct
  br i1 %from_start, label %begun, label %start
start:
  %start.value = call i64 @jw_exact_index(ptr %start.o)
  br label %begun
begun:
  %start.now = phi i64 [ 0, %read ], [ %start.value, %start ]
  %to_end = icmp eq ptr %stop.o, @_Py_NoneStruct
  br i1 %to_end, label %end, label %stop
end:
  %bytes = get %record MemoryRecord.bytes
  br label %ended
stop:
  %stop.value = call i64 @jw_exact_index(ptr %stop.o)
  br label %ended
ended:
  %stop.now = phi i64 [ %bytes, %end ], [ %stop.value, %stop ]
  %either = or i64 %start.now, %stop.now
  %unusual = icmp slt i64 %either, 0
  %length = sub i64 %stop.now, %start.now
  %backwards = icmp slt i64 %length, 0
  %wrong = or i1 %unusual, %backwards
  br i1 %wrong, label %no, label %bounds
bounds:
  %p = call ptr @jw_range_in(ptr %record, i64 %start.now, i64 %length)
  %out = icmp eq ptr %p, null
  br i1 %out, label %no, label %yes
yes:
  store i64 %start.now, ptr %range
  %length.p = getelementptr i8, ptr %range, i64 8
  store i64 %length, ptr %length.p
  ret i1 true
no:
  ret i1 false
}

; The view that a memory keeps in one of its slots, if it is as long as the memory; a new reference,
; or null.
define ptr @jw_buffer_of(ptr %self, ptr %record) {
entry:
  %offset = load i64, ptr @jw_view_slot
  %p = getelementptr i8, ptr %self, i64 %offset
  %view = load ptr, ptr %p
  %unset = icmp eq ptr %view, null
  br i1 %unset, label %none, label %kind
kind:
  %type.p = getelementptr i8, ptr %view, i64 8
  %type = load ptr, ptr %type.p
  %is_view = icmp eq ptr %type, @PyMemoryView_Type
  br i1 %is_view, label %measure, label %none
measure:
  %length = call i64 @PyObject_Size(ptr %view)
  %released = icmp slt i64 %length, 0
  br i1 %released, label %clear, label %compare
compare:
  %bytes = get %record MemoryRecord.bytes
  %same = icmp eq i64 %length, %bytes
  br i1 %same, label %good, label %none
good:
  call void @Py_IncRef(ptr %view)
  ret ptr %view
clear:
  call void @PyErr_Clear()
  br label %none
none:
  ret ptr null
}

; Call a function with %self before the other arguments. Those with names, a tuple or null, follow the
; %count without. They go into a dictionary: Python 3.10 exports no vectorcall that takes the tuple.
define ptr @jw_call_method(ptr %function, ptr %self, ptr %args, i64 %count, ptr %names) {
entry:
  %slots = add i64 %count, 2
  %array = alloca ptr, i64 %slots, align 16
  %first = getelementptr ptr, ptr %array, i64 1
  store ptr %self, ptr %first
  %rest = getelementptr ptr, ptr %array, i64 2
  %bytes = shl i64 %count, 3
  %ignored = call ptr @memmove(ptr %rest, ptr %args, i64 %bytes)
  %positional = add i64 %count, 1
  %no_names = icmp eq ptr %names, null
  br i1 %no_names, label %plain, label %named
plain:
  %flags = or i64 %positional, -9223372036854775808
  %result = call ptr @PyObject_Vectorcall(ptr %function, ptr %first, i64 %flags, ptr null)
  ret ptr %result
named:
  %dictionary = call ptr @PyDict_New()
  %no_dictionary = icmp eq ptr %dictionary, null
  br i1 %no_dictionary, label %fail, label %count_names
count_names:
  %more = call i64 @PyTuple_Size(ptr %names)
  br label %next_name
next_name:
  %i = phi i64 [ 0, %count_names ], [ %i.next, %name ]
  %all_named = icmp eq i64 %i, %more
  br i1 %all_named, label %make_tuple, label %name
name:
  %key = call ptr @PyTuple_GetItem(ptr %names, i64 %i)
  %at = add i64 %count, %i
  %value.p = getelementptr ptr, ptr %args, i64 %at
  %value = load ptr, ptr %value.p
  %rc = call i32 @PyDict_SetItem(ptr %dictionary, ptr %key, ptr %value)
  %i.next = add i64 %i, 1
  %set = icmp eq i32 %rc, 0
  br i1 %set, label %next_name, label %drop
make_tuple:
  %tuple = call ptr @PyTuple_New(i64 %positional)
  %no_tuple = icmp eq ptr %tuple, null
  br i1 %no_tuple, label %drop, label %next_item
next_item:
  %j = phi i64 [ 0, %make_tuple ], [ %j.next, %item ]
  %all_set = icmp eq i64 %j, %positional
  br i1 %all_set, label %call, label %item
item:
  %object.p = getelementptr ptr, ptr %first, i64 %j
  %object = load ptr, ptr %object.p
  call void @Py_IncRef(ptr %object)
  %rc.2 = call i32 @PyTuple_SetItem(ptr %tuple, i64 %j, ptr %object)
  %j.next = add i64 %j, 1
  br label %next_item
call:
  %outcome = call ptr @PyObject_Call(ptr %function, ptr %tuple, ptr %dictionary)
  call void @Py_DecRef(ptr %tuple)
  call void @Py_DecRef(ptr %dictionary)
  ret ptr %outcome
drop:
  call void @Py_DecRef(ptr %dictionary)
  br label %fail
fail:
  ret ptr null
}
