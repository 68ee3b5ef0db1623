"""Random functions of structured control flow over a few locals, for differential tests.

They terminate: every branch back to a loop first takes one unit of a fuel local and goes on
instead if there is none left. Results depend on all locals.
"""

from __future__ import annotations

import random

__all__ = ["control_flow_module"]

_LOCALS = 6
_FUEL = _LOCALS
_OPS = ("i32.add", "i32.sub", "i32.mul", "i32.xor", "i32.and", "i32.shl", "i32.lt_s", "i32.eq")


class _Writer:
    """Writes one function; `labels` are the open frames, innermost last: (loop?, arity)."""

    def __init__(self, choose: random.Random, budget: int) -> None:
        self.choose = choose
        self.budget = budget
        self.labels: list[tuple[bool, int]] = [(False, 1)]

    def local(self) -> int:
        return self.choose.randrange(_LOCALS)

    def value(self, depth: int = 0) -> str:
        """An expression with one i32."""
        kind = self.choose.randrange(10)
        if depth > 3 or kind < 3:
            return f"(local.get {self.local()})"
        if kind < 5:
            return f"(i32.const {self.choose.randrange(-3, 20)})"
        if kind < 8:
            op = self.choose.choice(_OPS)
            return f"({op} {self.value(depth + 1)} {self.value(depth + 1)})"
        if kind == 8:
            return f"(local.tee {self.local()} {self.value(depth + 1)})"
        condition = self.value(depth + 1)
        return f"(select {self.value(depth + 1)} {self.value(depth + 1)} (i32.eqz {condition}))"

    def values(self, count: int) -> str:
        return " ".join(self.value() for _ in range(count))

    def body(self, depth: int) -> str:
        """Statements; they leave nothing on the stack."""
        parts: list[str] = []
        for _ in range(self.choose.randrange(1, 5)):
            self.budget -= 1
            if self.budget < 0:
                break
            parts.append(self.statement(depth))
        return "\n".join(parts)

    def statement(self, depth: int) -> str:
        kind = self.choose.randrange(14)
        if depth > 6 or kind < 4:
            return f"(local.set {self.local()} {self.value()})"
        if kind == 4:
            return f"(drop {self.value()})"
        if kind < 8:
            return self.branch()
        if kind < 11:
            return self.conditional(depth)
        return self.frame(depth)

    def frame(self, depth: int) -> str:
        loop = self.choose.random() < 0.45
        arity = self.choose.randrange(3)
        params = self.choose.randrange(3)
        self.labels.append((loop, params if loop else arity))
        drops = "(drop) " * params if self.choose.random() < 0.5 else self.sets(params)
        inner = f"{drops}{self.body(depth + 1)} {self.values(arity)}"
        self.labels.pop()
        types = f"(param {'i32 ' * params}) (result {'i32 ' * arity})"
        opcode = "loop" if loop else "block"
        return f"{self.values(params)} ({opcode} {types} {inner}) {self.sets(arity)}"

    def sets(self, count: int) -> str:
        return "".join(f"(local.set {self.local()}) " for _ in range(count))

    def conditional(self, depth: int) -> str:
        arity = self.choose.randrange(2)
        condition = self.value()
        self.labels.append((False, arity))
        then = f"{self.body(depth + 1)} {self.values(arity)}"
        otherwise = ""
        if arity or self.choose.random() < 0.5:
            otherwise = f"(else {self.body(depth + 1)} {self.values(arity)})"
        self.labels.pop()
        result = "(result i32)" if arity else ""
        return f"(if {result} {condition} (then {then}) {otherwise}) {self.sets(arity)}"

    def branch(self) -> str:
        if self.choose.random() < 0.2:
            return self.table()
        depth = self.choose.randrange(len(self.labels))
        loop, arity = self.labels[-1 - depth]
        values = self.values(arity)
        if loop:
            # One unit of fuel for each way back.
            spend = f"(local.tee {_FUEL} (i32.sub (local.get {_FUEL}) (i32.const 1)))"
            fuel = f"(i32.gt_s {spend} (i32.const 0))"
            condition = f"(i32.and {fuel} (i32.ne {self.value()} (i32.const 3)))"
            return f"{values} {condition} (br_if {depth}) {'(drop) ' * arity}"
        if self.choose.random() < 0.2:
            return f"{values} (br {depth})"
        return f"{values} {self.value()} (br_if {depth}) {self.sets(arity)}"

    def table(self) -> str:
        """A `br_table` in a block of its own to labels of one arity, none of them a loop."""
        arity = self.labels[-1 - self.choose.randrange(len(self.labels))][1]
        same = [
            depth + 1
            for depth in range(len(self.labels))
            if self.labels[-1 - depth] == (False, arity)
        ]
        if not same:
            return "(nop)"
        targets = self.choose.choices(same, k=self.choose.randrange(1, 6))
        guard = f"(br_if 0 {self.value()})"
        jump = f"{self.values(arity)} {self.value()} (br_table {' '.join(map(str, targets))})"
        return f"(block {guard} {jump})"


def control_flow_module(seed: int, budget: int = 60) -> str:
    """A module with one function "run" of two i32, in the text format."""
    writer = _Writer(random.Random(seed), budget)
    body = writer.body(0)
    mixed = "(local.get 0)"
    for i in range(1, _LOCALS):
        mixed = f"(i32.add (i32.mul {mixed} (i32.const 31)) (local.get {i}))"
    return (
        f'(module (func (export "run") (param i32 i32) (result i32) '
        f"(local {'i32 ' * (_LOCALS - 2)}) (local $fuel i32)\n(local.set $fuel (i32.const 60))\n"
        f"{body}\n{mixed}))"
    )
