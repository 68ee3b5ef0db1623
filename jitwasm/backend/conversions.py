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

from collections.abc import Sequence
from itertools import count

from jitwasm.backend.cpython import COMPACT_INT, layout
from jitwasm.backend.runtime.assemble import complete
from jitwasm.backend.runtime.layout import ERROR
from jitwasm.types import F32, F64, I32, I64, V128, RefType, ValType

__all__ = ["WEIGHTS", "FunctionText", "type_at"]


def reference_symbol(number: int) -> str:
    """Symbol of the n-th reference type that a piece of emitted code refers to."""
    return f"jw_reftype_{number}"


WEIGHTS = """\
!0 = !{!"branch_weights", i32 2000, i32 1}
!1 = !{!"branch_weights", i32 1, i32 2000}
"""
"""Metadata of emitted modules: `!prof !0` on a branch says it is taken, `!1` that it is not."""


class FunctionText:
    """The IR of one function that converts values, as it is being written.

    Attributes:
        fail: the block to go to when a conversion failed; the exception is set.
        references: reference types in use; `reference_symbol(i)` is the address of the i-th.
    """

    def __init__(self, fail: str, thread_slot: int | None) -> None:
        """`thread_slot`: where the ThreadState's address lies, see libc.thread_slot."""
        self.fail = fail
        self.thread_slot = thread_slot
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

    def load_thread(self, name: str) -> None:
        """Name this thread's ThreadState, which may be null."""
        if self.thread_slot is not None:
            place = f"ptr addrspace(257) inttoptr (i64 {self.thread_slot} to ptr addrspace(257))"
            self.line(f"{name} = load ptr, {place}, align 8")
        else:
            key = self.op("load i32, ptr @jw_key")
            self.line(f"{name} = call ptr @pthread_getspecific(i32 {key})")

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

    # -- the module -----------------------------------------------------------------------------

    def module(self, prototype: str) -> str:
        """The LLVM module that defines the function; `prototype` is "ptr @name(ptr %a)"."""
        references = (
            f"@{reference_symbol(i)} = external global i8" for i in range(len(self.references))
        )
        body = [f"define {prototype} {{", "entry:", *self.allocas, *self.lines, "}"]
        return complete("\n".join([*references, *body, WEIGHTS]))


def type_at(references: Sequence[RefType], name: str) -> int | None:
    """The address behind a symbol `reference_symbol(n)`: the n-th type, which whoever
    keeps the code keeps alive."""
    for number, type_ in enumerate(references):
        if name == reference_symbol(number):
            return id(type_)
    return None
