"""Programs that compute: what `smith` makes ends early, and hardly ever loops.

Functions with locals of all number types, expressions over every plain instruction of the table,
loops with counters, loops over arrays that may overlap, calls of several results, tables, and
globals. Floats are made canonical where their bits could show, and all of it terminates.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from jitwasm.frontend.instruction import Imm
from jitwasm.frontend.opcodes import OPCODES

__all__ = ["program"]

_TYPES = ("i32", "i64", "f32", "f64", "v128")
_WEIGHTS = (5, 3, 2, 3, 3)
_TRAPPING = ("div_", "rem_", ".trunc_f")
_ADDRESS_MASK = 0xFFF0
_ITERATIONS = 3000


def _plain_instructions() -> dict[str, list[tuple[str, tuple[str, ...], tuple[Imm, ...]]]]:
    """By the type of the result: mnemonic, types of the operands, immediates."""
    found: dict[str, list[tuple[str, tuple[str, ...], tuple[Imm, ...]]]] = {t: [] for t in _TYPES}
    for op in OPCODES:
        params, arrow, result = (op.signature or "").partition("->")
        operands, result = tuple(params.split()), result.strip()
        known = arrow and result in found and operands and set(operands) <= set(_TYPES)
        plain = all(kind in (Imm.LANEIDX, Imm.LANES16) for kind in op.immediates)
        if known and plain and op.feature not in ("gc", "threads", "relaxed_simd"):
            found[result].append((op.mnemonic, operands, op.immediates))
    return found


_INSTRUCTIONS = _plain_instructions()
_LANES = {"i8x16": 16, "i16x8": 8, "i32x4": 4, "i64x2": 2, "f32x4": 4, "f64x2": 2}
_LOADS = {
    "i32": ("i32.load", "i32.load8_s", "i32.load8_u", "i32.load16_s", "i32.load16_u"),
    "i64": ("i64.load", "i64.load8_u", "i64.load16_s", "i64.load32_s", "i64.load32_u"),
    "f32": ("f32.load",),
    "f64": ("f64.load",),
    "v128": ("v128.load", "v128.load8x8_s", "v128.load32_splat", "v128.load64_zero"),
}
_STORES = {
    "i32": ("i32.store", "i32.store8", "i32.store16"),
    "i64": ("i64.store", "i64.store32"),
    "f32": ("f32.store",),
    "f64": ("f64.store",),
    "v128": ("v128.store",),
}
_ELEMENTS = {
    "i32": (4, ("i32.add", "i32.mul", "i32.xor", "i32.sub", "i32.shl")),
    "i64": (8, ("i64.add", "i64.sub", "i64.xor", "i64.mul")),
    "f32": (4, ("f32.add", "f32.mul", "f32.sub", "f32.min")),
    "f64": (8, ("f64.add", "f64.mul", "f64.div", "f64.max")),
}


class _Function:
    """Writes one function."""

    def __init__(self, source: random.Random, number: int, others: list[_Function]) -> None:
        self.source = source
        self.number = number
        self.others = others
        self.params = [self.type() for _ in range(source.choice((0, 1, 2, 3, 5, 9)))]
        self.results = [self.type() for _ in range(source.choice((1, 1, 2, 3, 6)))]
        extra = [self.type() for _ in range(source.choice((2, 4, 8, 20)))]
        self.locals = [*self.params, *extra]
        self.budget = source.choice((10, 25, 50))
        self.iterations = 1
        self.counters = 0
        self.labels = 0
        self.calls = 0

    def type(self) -> str:
        return self.source.choices(_TYPES, _WEIGHTS)[0]

    def local(self, type_: str) -> str | None:
        found = [i for i, t in enumerate(self.locals) if t == type_]
        return str(self.source.choice(found)) if found else None

    # -- expressions -----------------------------------------------------------------------------

    def value(self, type_: str, depth: int = 0) -> str:
        kind = self.source.random()
        if kind < 0.3 or depth > 4:
            local = self.local(type_)
            return f"(local.get {local})" if local is not None else self.constant(type_)
        if kind < 0.4:
            return self.constant(type_)
        if kind < 0.48:
            load = self.source.choice(_LOADS[type_])
            return f"({load} offset={self.offset()} {self.address()})"
        if kind < 0.53:
            a, b = self.value(type_, depth + 1), self.value(type_, depth + 1)
            return f"(select {a} {b} {self.value('i32', depth + 1)})"
        if kind < 0.57:
            return f"(global.get $g_{type_})"
        if kind < 0.61:
            then, other = self.value(type_, depth + 2), self.value(type_, depth + 2)
            condition = self.value("i32", depth + 1)
            return f"(if (result {type_}) {condition} (then {then}) (else {other}))"
        if kind < 0.65 and (local := self.local(type_)) is not None:
            return f"(local.tee {local} {self.value(type_, depth + 1)})"
        return self.operation(type_, depth)

    def operation(self, type_: str, depth: int) -> str:
        mnemonic, operands, immediates = self.source.choice(_INSTRUCTIONS[type_])
        if any(part in mnemonic for part in _TRAPPING) and self.source.random() < 0.8:
            return self.value(type_, depth + 1)
        lanes = _LANES.get(mnemonic.partition(".")[0], 16)
        words = [mnemonic]
        for kind in immediates:
            count = 16 if kind is Imm.LANES16 else 1
            limit = 32 if kind is Imm.LANES16 else lanes
            words += [str(self.source.randrange(limit)) for _ in range(count)]
        parts = [self.value(operand, depth + 1) for operand in operands]
        text = f"({' '.join(words)} {' '.join(parts)})"
        shape, _, operation = mnemonic.partition(".")
        compares = operation in ("eq", "ne", "lt", "gt", "le", "ge")
        return text if compares else self.canonical(shape if type_ == "v128" else type_, text)

    def canonical(self, kind: str, text: str) -> str:
        """The same with NaNs canonical, of floats or of lanes that are floats."""
        if kind in ("f32", "f64", "f32x4", "f64x2"):
            return f"(call $canonical_{kind} {text})"
        return text

    def constant(self, type_: str) -> str:
        source = self.source
        if type_ in ("i32", "i64"):
            width = int(type_[1:])
            edges = (0, 1, -1, 7, 255, 1 << width - 1, (1 << width - 1) - 1, 1 << width // 2)
            value = source.choice(edges) if source.random() < 0.6 else source.getrandbits(width)
            return f"({type_}.const {value})"
        if type_ == "v128":
            words = " ".join(hex(source.getrandbits(32)) for _ in range(4))
            return f"(v128.const i32x4 {words})"
        texts = (
            "0",
            "-0",
            "1",
            "-1.5",
            "inf",
            "nan",
            "3e9",
            "-2147483648.5",
            "1e-40",
            "0.1",
            "255",
        )
        return f"({type_}.const {source.choice(texts)})"

    def address(self) -> str:
        """An i32 in bounds, mostly."""
        value = self.value("i32", 3)
        if self.source.random() < 0.02:
            return value
        return f"(i32.and {value} (i32.const {_ADDRESS_MASK}))"

    def offset(self) -> int:
        return self.source.choice((0, 0, 1, 4, 8, 16, 100, 65520))

    # -- statements ------------------------------------------------------------------------------

    def body(self, depth: int) -> str:
        parts = []
        for _ in range(self.source.randrange(1, 6)):
            self.budget -= 1
            if self.budget < 0:
                break
            parts.append(self.statement(depth))
        return "\n".join(parts)

    def statement(self, depth: int) -> str:
        kind = self.source.random()
        if kind < 0.35 or depth > 5:
            return self.assignment()
        if kind < 0.5:
            type_ = self.type()
            store = self.source.choice(_STORES[type_])
            where = f"offset={self.offset()} {self.address()}"
            return f"({store} {where} {self.value(type_)})"
        if kind < 0.58:
            type_ = self.type()
            return f"(global.set $g_{type_} {self.value(type_)})"
        if kind < 0.68:
            other = f"(else {self.body(depth + 1)})" if self.source.random() < 0.5 else ""
            return f"(if {self.value('i32')} (then {self.body(depth + 1)}) {other})"
        if kind < 0.76:
            return self.loop(depth)
        if kind < 0.82:
            return self.array_loop()
        if kind < 0.88:
            return self.call()
        if kind < 0.94:
            return self.table(depth)
        return self.block(depth)

    def assignment(self) -> str:
        number = self.source.randrange(len(self.locals))
        return f"(local.set {number} {self.value(self.locals[number])})"

    def loop(self, depth: int) -> str:
        count = self.source.choice((2, 3, 10, 40))
        if self.iterations * count > _ITERATIONS:
            return self.assignment()
        self.iterations *= count
        counter = f"$c{self.counters}"
        self.counters += 1
        inner = self.body(depth + 1)
        self.iterations //= count
        step = f"(local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))"
        leave = ""
        if self.source.random() < 0.3:
            leave = f"(br_if 1 {self.value('i32', 3)})"
        return (
            f"(local.set {counter} (i32.const {count}))"
            f"(block (loop {inner} {leave} (br_if 0 {step})))"
        )

    def array_loop(self) -> str:
        """a[i] = b[i] op c[i], possibly on the same bytes; what vectorisers look for."""
        type_ = self.source.choice(tuple(_ELEMENTS))
        size, operations = _ELEMENTS[type_]
        if self.iterations * 60 > _ITERATIONS * 4:
            return self.assignment()
        counter = f"$c{self.counters}"
        self.counters += 1
        starts = [self.source.choice((0, 4, 8, 64, 1024, 60, 3, 4096)) for _ in range(3)]
        if self.source.random() < 0.3:  # a base that is not known when it is compiled
            address = f"(i32.add (local.get {counter}) {self.address_base()})"
        else:
            address = f"(local.get {counter})"
        loads = [f"({type_}.load offset={start} {address})" for start in starts[1:]]
        value = f"({self.source.choice(operations)} {loads[0]} {loads[1]})"
        value = self.canonical(type_, value)
        step = f"(local.tee {counter} (i32.add (local.get {counter}) (i32.const {size})))"
        end = size * self.source.choice((1, 3, 16, 37, 60))
        kept = self.source.random() < 0.3 and self.local(type_)
        keep = f"(local.set {kept} {value})" if kept else ""
        return (
            f"(local.set {counter} (i32.const 0))"
            f"(loop ({type_}.store offset={starts[0]} {address} {value}) {keep}"
            f" (br_if 0 (i32.lt_u {step} (i32.const {end}))))"
        )

    def address_base(self) -> str:
        local = self.local("i32")
        value = "(i32.const 256)" if local is None else f"(local.get {local})"
        return f"(i32.and {value} (i32.const 0xfff))"

    def call(self) -> str:
        if not self.others or self.iterations > 50 or self.calls > 4:
            return self.assignment()
        self.calls += 1
        other = self.source.choice(self.others)
        args = " ".join(self.value(type_, 2) for type_ in other.params)
        if self.source.random() < 0.3:
            index = other.number
            if self.source.random() < 0.1:
                index = self.source.randrange(20)
            head = f"call_indirect (type $t{other.number})"
            text = f"({head} {args} (i32.const {index}))"
        else:
            text = f"(call $f{other.number} {args})"
        return text + self.take(reversed(other.results))

    def take(self, types: Iterable[str]) -> str:
        """Values from the stack into locals."""
        out = []
        for type_ in types:
            local = self.local(type_)
            out.append("(drop)" if local is None else f"(local.set {local})")
        return " ".join(out)

    def table(self, depth: int) -> str:
        count = self.source.randrange(1, 5)
        labels = " ".join(str(self.source.randrange(count)) for _ in range(count + 2))
        arms = "".join(f") {self.assignment()} {self.body(depth + 2)}" for _ in range(count))
        return f"{'(block ' * count} (br_table {labels} {self.value('i32')}) {arms}"

    def block(self, depth: int) -> str:
        """A block that takes and gives values, and may be left early with them."""
        params = [self.type() for _ in range(self.source.randrange(3))]
        results = [self.type() for _ in range(self.source.randrange(4))]
        given = " ".join(self.value(type_, 2) for type_ in params)
        early = " ".join(self.value(type_, 3) for type_ in results)
        late = " ".join(self.value(type_, 3) for type_ in results)
        drops = "(drop) " * len(results)
        return (
            f"{given} (block (param {' '.join(params)}) (result {' '.join(results)})"
            f" {self.take(reversed(params))} {self.body(depth + 1)}"
            f" {early} (br_if 0 {self.value('i32', 2)}) {drops} {late})"
            f" {self.take(reversed(results))}"
        )

    def text(self) -> str:
        inner = self.body(0)
        results = " ".join(self.value(type_, 1) for type_ in self.results)
        declared = " ".join(self.locals[len(self.params) :])
        counters = " ".join(f"(local $c{i} i32)" for i in range(self.counters))
        return (
            f'(func $f{self.number} (export "f{self.number}") (type $t{self.number})'
            f" (local {declared}) {counters}\n{inner}\n{results})"
        )

    def declaration(self) -> str:
        params, results = " ".join(self.params), " ".join(self.results)
        return f"(type $t{self.number} (func (param {params}) (result {results})))"


_FIXED = """
(memory (export "memory") 2 3)
(data (i32.const 0) "\\01\\80\\ff\\7f\\00\\00\\80\\3f\\00\\00\\c0\\7f\\ff\\ff\\ff\\ff")
(data (i32.const 65530) "0123456789")
(global $g_i32 (export "g_i32") (mut i32) (i32.const 5))
(global $g_i64 (export "g_i64") (mut i64) (i64.const -5))
(global $g_f32 (export "g_f32") (mut f32) (f32.const 0.5))
(global $g_f64 (export "g_f64") (mut f64) (f64.const -0))
(global $g_v128 (export "g_v128") (mut v128) (v128.const i32x4 1 2 3 4))
(func $canonical_f32 (param f32) (result f32)
  (select (local.get 0) (f32.const nan) (f32.eq (local.get 0) (local.get 0))))
(func $canonical_f64 (param f64) (result f64)
  (select (local.get 0) (f64.const nan) (f64.eq (local.get 0) (local.get 0))))
(func $canonical_f32x4 (param v128) (result v128)
  (v128.bitselect (local.get 0) (v128.const f32x4 nan nan nan nan)
    (f32x4.eq (local.get 0) (local.get 0))))
(func $canonical_f64x2 (param v128) (result v128)
  (v128.bitselect (local.get 0) (v128.const f64x2 nan nan)
    (f64x2.eq (local.get 0) (local.get 0))))
"""


def program(source: random.Random) -> str:
    """A module in the text format."""
    functions: list[_Function] = []
    for number in range(source.choice((1, 2, 3, 5))):
        functions.append(_Function(source, number, list(functions)))
    bodies = [function.text() for function in functions]
    names = " ".join(f"$f{function.number}" for function in functions)
    types = "\n".join(function.declaration() for function in functions)
    table = f'(table (export "table") 16 20 funcref) (elem (i32.const 0) func {names})'
    return f"(module {types}\n{_FIXED}\n{table}\n" + "\n".join(bodies) + ")"
