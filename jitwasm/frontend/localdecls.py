"""The declarations of locals, with which a function body begins."""

from __future__ import annotations

from jitwasm.config import Config
from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.reader import Reader, read_val_type
from jitwasm.types import ValType

__all__ = ["read_locals"]


def read_locals(
    reader: Reader, info: ModuleInfo, config: Config, params: int
) -> list[tuple[int, ValType]]:
    """How many of which type there are, besides so many parameters; their number is checked
    before anything is made of it."""
    declared: list[tuple[int, ValType]] = []
    total = params
    for _ in range(reader.count("local declarations", reader.remaining)):
        offset = reader.offset
        count = reader.u32()
        total += count
        if total >= 1 << 32:
            raise MalformedError("too many locals", offset)
        declared.append((count, read_val_type(reader, info.types, config.features)))
    if total > config.limits.locals:
        message = f"too many locals: {total}, the limit is {config.limits.locals}"
        raise InvalidError(message, reader.offset)
    return declared
