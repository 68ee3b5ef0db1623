"""Writing one function in LLVM IR."""

from __future__ import annotations

__all__ = ["IRFunction"]


class IRFunction:
    """The body of one function, line by line."""

    def __init__(self, signature: str, attributes: str = "") -> None:
        self._head = f"define {signature} {attributes}".rstrip() + " {"
        self._lines: list[str] = []
        self._count = 0

    def line(self, text: str) -> None:
        self._lines.append(f"  {text}")

    def label(self, name: str) -> None:
        self._lines.append(f"{name}:")

    def op(self, rhs: str) -> str:
        self._count += 1
        name = f"%t{self._count}"
        self.line(f"{name} = {rhs}")
        return name

    def at(self, base: str, offset: int) -> str:
        """A pointer `offset` bytes behind `base`."""
        return self.op(f"getelementptr i8, ptr {base}, i64 {offset}") if offset else base

    def load(self, type_: str, base: str, offset: int = 0) -> str:
        return self.op(f"load {type_}, ptr {self.at(base, offset)}")

    def store(self, type_: str, value: str, base: str, offset: int = 0) -> None:
        self.line(f"store {type_} {value}, ptr {self.at(base, offset)}")

    @property
    def text(self) -> str:
        return "\n".join([self._head, *self._lines, "}"])
