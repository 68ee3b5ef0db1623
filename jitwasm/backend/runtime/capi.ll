; What the runtime and emitted code refer to outside: the C library, CPython's C API, intrinsics.
; assemble.py adds the lines a text needs. All of the C API's names here are in the stable ABI but
; PyObject_Vectorcall before 3.12.

declare i32 @clock_gettime(i32, ptr)
declare i32 @getpid()
declare void @free(ptr)
declare ptr @malloc(i64)
declare ptr @memmove(ptr, ptr, i64)
declare ptr @memset(ptr, i32, i64)
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @mprotect(ptr, i64, i32)
declare i32 @munmap(ptr, i64)
declare i32 @pthread_attr_destroy(ptr)
declare i32 @pthread_attr_getstack(ptr, ptr, ptr)
declare i32 @pthread_getattr_np(i64, ptr)
declare ptr @pthread_getspecific(i32)
declare i64 @pthread_self()
declare i32 @pthread_setspecific(i32, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigaction(i32, ptr, ptr)
declare i32 @sigaltstack(ptr, ptr)
declare i32 @sem_post(ptr)
declare i64 @syscall(i64, ...)

declare ptr @llvm.frameaddress.p0(i32)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.usub.sat.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

@PyExc_KeyboardInterrupt = external global ptr
@PyExc_RuntimeError = external global ptr
@PyFloat_Type = external global i8
@PyLong_Type = external global i8
@PyMemoryView_Type = external global i8
@PySlice_Type = external global i8
@PyTuple_Type = external global i8
@_Py_NoneStruct = external global i64
declare ptr @PyBytes_AsString(ptr)
declare ptr @PyBytes_FromStringAndSize(ptr, i64)
declare void @PyBuffer_Release(ptr)
declare ptr @PyCapsule_GetPointer(ptr, ptr)
declare ptr @PyCapsule_New(ptr, ptr, ptr)
declare ptr @PyDict_New()
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare i32 @PyErr_CheckSignals()
declare void @PyErr_Clear()
declare ptr @PyErr_NoMemory()
declare ptr @PyErr_Occurred()
declare void @PyErr_Restore(ptr, ptr, ptr)
declare void @PyErr_SetNone(ptr)
declare void @PyErr_SetObject(ptr, ptr)
declare void @PyErr_SetString(ptr, ptr)
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyEval_SaveThread()
declare ptr @PyException_GetTraceback(ptr)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyFloat_FromDouble(double)
declare i32 @PyIndex_Check(ptr)
declare ptr @PyList_GetItem(ptr, i64)
declare i64 @PyList_Size(ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare i64 @PyLong_AsUnsignedLongLong(ptr)
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare i32 @PyNumber_Check(ptr)
declare ptr @PyNumber_Index(ptr)
declare ptr @PyObject_Call(ptr, ptr, ptr)
declare ptr @PyObject_CallFunction(ptr, ptr, ...)
declare i32 @PyObject_CheckBuffer(ptr)
declare i32 @PyObject_GetBuffer(ptr, ptr, i32)
declare ptr @PyObject_GetItem(ptr, ptr)
declare ptr @PyObject_GetIter(ptr)
declare i32 @PyObject_SetAttr(ptr, ptr, ptr)
declare i64 @PyObject_Size(ptr)
declare ptr @PyObject_Type(ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PySequence_Tuple(ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare i64 @PyTuple_Size(ptr)
declare i64 @PyType_GetFlags(ptr)
declare void @Py_DecRef(ptr)
declare void @Py_IncRef(ptr)

; entry.s. jw_enter is called with the prototype of the function to enter, and the activation.
@jw_enter = external dso_local global i8
declare void @jw_enter_frame(ptr, ptr)
declare void @jw_exchange(ptr, ptr, ptr)
declare void @jw_interrupt()
declare void @jw_jump(ptr) noreturn
declare void @jw_trap(i32) noreturn cold
