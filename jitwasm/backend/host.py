"""Host functions: Python callables and C functions that wasm code can call.

Each has a HostEnv, which lives as long as the `HostFunction`. The code of a Python function is one
indirect jump through `HostEnv.scratch`, so that what is behind it can change: it begins with the
generic way (runtime/calls.ll), for which nothing needs to be compiled, and is switched to a fast
path of its type when that is ready. By `Config.host_calls` it is called through ctypes instead,
with conversions in Python: here.
"""

from __future__ import annotations

import ctypes
import functools
import operator
import struct
from array import array
from collections.abc import Callable, Mapping, Sequence

from jitwasm.abi import ENV, HOST_ENV, OVERFLOW_SLOT, OVERFLOW_SLOTS, Loc, call_conv
from jitwasm.backend.refusals import refuse, refuse_results
from jitwasm.backend.runtime.layout import HOST_FRAME
from jitwasm.backend.signatures import places_of, signature_of
from jitwasm.types import F32, F64, I32, I64, V128, FuncType, RefType, ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["Hooks", "HostCalls", "HostFunction", "HostFunctions", "HostTypes", "host_function_at"]

_STRIDE = HOST_ENV.size // 8
_OVERFLOW, _STORE, _TARGET, _SCRATCH, _SIGNATURE, _OWNER = (
    HOST_ENV.offset[name] // 8
    for name in ("overflow", "store", "target", "scratch", "signature", "owner")
)


class HostFunction:
    """One host function; wasm code may call it as long as this object lives.

    Attributes:
        type: its function type.
        target: the callable, or what keeps a C function valid.
        code: address of its code, for a FuncRef or an import slot.
        env: address of its environment.
    """

    __slots__ = ("_memory", "code", "env", "target", "type")

    def __init__(self, type_: FuncType, target: object, code: int, env: int, memory: object):
        """`memory` owns the environment."""
        self.type = type_
        self.target = target
        self.code = code
        self.env = env
        self._memory = memory

    @classmethod
    def of_c(
        cls, type_: FuncType, keep: object, code: int, fields: Mapping[str, int]
    ) -> HostFunction:
        """A C function; `fields`: of its HostEnv."""
        env = HOST_ENV.ctype(**fields)
        return cls(type_, keep, code, ctypes.addressof(env), env)

    def word(self, field: str) -> int:
        """A word of its HostEnv."""
        return _word(self.env + HOST_ENV.offset[field])


class HostTypes:
    """The types of a module's function imports, and what the HostEnvs of all instances share.

    Attributes:
        types: in order.
        places: of each type.
        trampolines: what their code leads to at first, and the version of that (adapters.py).
    """

    def __init__(self, types: Sequence[FuncType]) -> None:
        self.types = tuple(types)
        self.places: dict[FuncType, list[int]] = {}
        self.trampolines = -1, array("Q")
        self._words = array("Q", bytes(HOST_ENV.size * len(self.types)))
        for index, type_ in enumerate(self.types):
            self.places.setdefault(type_, []).append(index)
        self._words[_SIGNATURE::_STRIDE] = array("Q", map(signature_of, self.types))

    def words(self) -> array[int]:
        """The HostEnvs of one instance's, with what those of all have in common."""
        return self._words[:]


class HostFunctions:
    """Python functions that one instance imports: their HostEnvs lie side by side, from an address
    on.

    An instance of a program has dozens, and making each by itself would take longer than all the
    rest of instantiation.
    """

    __slots__ = ("__weakref__", "_code", "_memory", "address", "targets", "types")

    def __init__(self, types: HostTypes, targets: list[Any], code: int) -> None:
        """What differs between instances is to be filled in.

        Args:
            types: what they are.
            targets: the callables; None where it is not for us to be called. Not to be changed.
            code: address of what jumps to `HostEnv.scratch`.
        """
        self.types, self.targets, self._code = types, targets, code
        self._memory = words = types.words()  # never resized, so it never moves
        self.address = words.buffer_info()[0]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> HostFunction:
        env = self.address + HOST_ENV.size * index
        return HostFunction(self.types.types[index], self.targets[index], self._code, env, self)

    def environments(self) -> range:
        """Addresses of their HostEnvs."""
        return range(self.address, self.address + HOST_ENV.size * len(self.targets), HOST_ENV.size)

    def at(self, env: int) -> HostFunction:
        """The one with its environment at an address."""
        return self[(env - self.address) // HOST_ENV.size]

    def switch_all(self, codes: array[int]) -> None:
        """Let their code lead to these addresses from now on. Nothing runs them yet."""
        self._memory[_SCRATCH::_STRIDE] = codes

    def switch(self, type_: FuncType, code: int) -> None:
        """Let the code of all of a type lead to this address from now on."""
        for index in self.types.places.get(type_, ()):
            # Aligned, hence atomic: other threads may be running it.
            self._memory[_STRIDE * index + _SCRATCH] = code


def host_function_at(env: int) -> HostFunction:
    """The Python function with its HostEnv at an address; somebody keeps it alive."""
    owner = ctypes.py_object.from_address(env + HOST_ENV.offset["owner"]).value
    assert isinstance(owner, HostFunctions)
    return owner.at(env)


# Struct formats of values as they lie in registers and slots; floats that may be NaNs of f32, and
# references, as words.
_FORMATS = {I32: "i", I64: "q", F32: "I", F64: "d", V128: "16s"}

# Views of memory. ctypes' functions would turn a RecursionError into one of their own.
_Frame = ctypes.c_char * HOST_FRAME["size"]
_Area = ctypes.c_char * (OVERFLOW_SLOT * OVERFLOW_SLOTS)


class _Values:
    """Where the values of a list lie: in the frame of `jw_host_ctypes` and in the overflow area.

    Attributes:
        near, far: for each of the two, a Struct, and the index of the value in each of its fields.
    """

    def __init__(self, locs: Sequence[Loc]) -> None:
        near: list[tuple[int, int, str]] = []
        far: list[tuple[int, int, str]] = []
        for index, (loc, (offset, is_far)) in enumerate(zip(locs, places_of(locs), strict=True)):
            (far if is_far else near).append((offset, index, _FORMATS.get(loc.type, "Q")))
        self.near, self.far = _structure(near), _structure(far)


def _structure(rows: list[tuple[int, int, str]]) -> tuple[struct.Struct, list[int]]:
    """A Struct with fields at these offsets, and the index of each."""
    text, end = "<", 0
    for offset, _, kind in sorted(rows):
        text += f"{offset - end}x{kind}"
        end = offset + struct.calcsize(f"<{kind}")
    return struct.Struct(text), [index for _, index, _ in sorted(rows)]


@functools.lru_cache(maxsize=1024)
def _values_of(type_: FuncType) -> tuple[_Values, _Values]:
    """The places of a type's parameters and results."""
    conv = call_conv(type_)
    return _Values(conv.params), _Values(conv.results)


class Hooks:
    """How references travel: supplied by the runtime objects."""

    def __init__(self) -> None:
        self.to_ref: Callable[[object, RefType, int], int] = _no_references
        self.from_ref: Callable[[int, RefType], object] = _no_references


def _no_references(*arguments: object) -> NoReturn:
    raise TypeError("no hooks for references are set")


class _RefusedError(Exception):
    """Carries an error that is to be raised without a traceback of ours."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class HostCalls:
    """Python functions that wasm code calls: through ctypes, one function serves them all.

    Attributes:
        callback: the ctypes function pointer to `dispatch`.
    """

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self.callback = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(self.dispatch)

    def probe(self, depth: int = 3) -> None:
        """Raises RecursionError if there are not as many levels left as `dispatch` needs."""
        if depth:
            self.probe(depth - 1)

    def dispatch(self, frame: int) -> BaseException | None:
        """Call a host function; `frame` is what `jw_host_ctypes` made of the registers.

        Returns the exception that the caller is to see, without a frame of ours in its traceback.
        """
        # Nothing before the `try`: ctypes swallows what is raised there.
        try:
            self._call(frame)
        except _RefusedError as refused:
            return refused.error
        except BaseException as error:
            traceback = error.__traceback__
            while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
                traceback = traceback.tb_next
            error.__traceback__ = traceback
            return error
        return None

    def _call(self, frame: int) -> None:
        registers: Any = _Frame.from_address(frame)
        env = _word(frame + HOST_FRAME["env"])
        function = host_function_at(env)
        type_ = function.type
        params, results = _values_of(type_)
        area: Any = None
        if params.far[1] or results.far[1]:
            area = _Area.from_address(_word(env + ENV.offset["overflow"]))
        arguments = self._arguments(type_.params, params, registers, area)
        outcome = function.target(*arguments)  # type: ignore[operator]
        if len(type_.results) == 1:
            values = [self._to_wasm(outcome, type_.results[0], function, 0)]
        elif type_.results:
            values = [
                self._to_wasm(value, result, function, index)
                for index, (value, result) in enumerate(
                    zip(_several(function, outcome), type_.results, strict=True)
                )
            ]
        for (structure, indices), memory in ((results.near, registers), (results.far, area)):
            if indices:
                structure.pack_into(memory, 0, *[values[index] for index in indices])

    def _arguments(
        self, types: Sequence[ValType], places: _Values, registers: Any, area: Any
    ) -> list[Any]:
        values: list[Any] = [None] * len(types)
        for (structure, indices), memory in ((places.near, registers), (places.far, area)):
            if indices:
                for index, value in zip(indices, structure.unpack_from(memory), strict=True):
                    values[index] = value
        for index, type_ in enumerate(types):
            if type_ is F32:
                values[index] = _widen(values[index])
            elif isinstance(type_, RefType):
                word = values[index]
                values[index] = self._hooks.from_ref(word, type_) if word else None
        return values

    def _to_wasm(self, value: object, type_: ValType, function: HostFunction, index: int) -> Any:
        """The value for the Struct's field of this type."""
        if isinstance(type_, RefType):
            return self._hooks.to_ref(value, type_, function.env)
        try:
            if type_ is I32 or type_ is I64:
                number, bits = operator.index(value), 8 * type_.size  # type: ignore[arg-type]
                if -(1 << bits - 1) <= number < 1 << bits:
                    return number - (1 << bits) if number >> bits - 1 > 0 else number
            elif type_ is V128:
                data = bytes(memoryview(value))  # type: ignore[arg-type]
                if len(data) == 16:
                    return data
            else:
                double = _as_double()(value)
                return _narrow(struct.pack("<d", double)) if type_ is F32 else double
        except (TypeError, OverflowError):
            # One that `__index__` or `__float__` raised itself stays.
            names = ("__index__",) if type_ in (I32, I64) else ("__index__", "__float__")
            if not isinstance(value, int) and any(hasattr(type(value), name) for name in names):
                raise
        raise _RefusedError(refuse(function.target, -1 - index, value, type_.name))


@functools.cache
def _as_double() -> Any:
    """PyFloat_AsDouble: `float()` would take strings."""
    return ctypes.PYFUNCTYPE(ctypes.c_double, ctypes.py_object)(
        ("PyFloat_AsDouble", ctypes.pythonapi)
    )


def _several(function: HostFunction, outcome: object) -> Sequence[object]:
    count = len(function.type.results)
    if type(outcome) is tuple:
        values: tuple[object, ...] = outcome
    else:
        try:
            iterator = iter(outcome)  # type: ignore[call-overload]
        except TypeError:
            raise _RefusedError(refuse_results(function.target, outcome, count)) from None
        values = tuple(iterator)
    if len(values) != count:
        raise _RefusedError(refuse_results(function.target, outcome, count))
    return values


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _widen(bits: int) -> float:
    """An f32 as a Python float; a NaN keeps its payload."""
    if bits & 0x7FFFFFFF > 0x7F800000:
        wide = (bits >> 31) << 63 | 0x7FF << 52 | (bits & 0x7FFFFF) << 29
        return float(struct.unpack("<d", wide.to_bytes(8, "little"))[0])
    return float(struct.unpack("<f", bits.to_bytes(4, "little"))[0])


def _narrow(data: bytes) -> int:
    """An f64's bytes as the bits of an f32, rounded to nearest; a NaN keeps its payload."""
    bits = int.from_bytes(data, "little")
    if bits & (1 << 63) - 1 > 0x7FF << 52:
        return bits >> 63 << 31 | 0xFF << 23 | (bits >> 29 & 0x7FFFFF or 0x400000)
    # ctypes rounds as C does, to infinity where `struct` would raise.
    return int.from_bytes(bytes(ctypes.c_float(struct.unpack("<d", data)[0])), "little")
