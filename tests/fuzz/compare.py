"""Whether two traces of a session agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fuzz.engines import Resources
from tests.fuzz.sessions import Record, shown
from tests.spec.engine import Exhausted, Outcome, Unlinkable

__all__ = ["agreement", "difference"]

_OUT_OF_BOUNDS = "out of bounds memory access"


def agreement(first: Sequence[Record], second: Sequence[Record]) -> int:
    """How many records of two traces by the same engine are equal."""
    for i, (a, b) in enumerate(zip(first, second, strict=False)):
        if shown(a.result) != shown(b.result) or (a.log, a.state) != (b.log, b.state):
            return i
    return min(len(first), len(second))


def difference(
    mine: Sequence[Record],
    theirs: Sequence[Record],
    precise: bool,
    comparable: int,
    alike: bool = False,
) -> str | None:
    """The first difference between our trace and wasmtime's, or None.

    Args:
        precise: whether accesses out of bounds trap in order with everything else. If not, nothing
            is said about what comes with such a trap.
        comparable: the number of records in which engines have no choice (of a NaN's bits, or in
            a relaxed instruction); what follows is not compared.
        alike: both are of the same engine, with the same fuel.
    """
    for i, (a, b) in enumerate(zip(mine, theirs, strict=False)):
        if not alike and (_ends(a.result) or _ends(b.result)):
            return None
        if not precise and _OUT_OF_BOUNDS in _texts(b.result):
            return None
        if i >= comparable:
            return None
        found = _result(a.result, b.result) or _rest(a, b)
        if found:
            return f"step {i}, {a.step}: {found}"
    return None


def _ends(result: Any) -> bool:
    """Stacks need not be equally deep, fuel is wasmtime's alone, and so is its memory."""
    return isinstance(result, (Exhausted, Resources)) or any(
        "fuel" in text for text in _texts(result)
    )


def _texts(result: Any) -> tuple[str, ...]:
    return result.texts if isinstance(result, Outcome) else ()


def _result(mine: Any, theirs: Any) -> str | None:
    if isinstance(mine, Outcome) and isinstance(theirs, Outcome):
        same = type(mine) is type(theirs) and (
            isinstance(mine, Unlinkable) or bool(set(mine.texts) & set(theirs.texts))
        )
    else:
        same = not isinstance(mine, Outcome) and mine == theirs
    if same:
        return None
    return f"jitwasm {_long(mine)}, wasmtime {_long(theirs)}"


def _rest(mine: Record, theirs: Record) -> str | None:
    if mine.log != theirs.log:
        pairs = enumerate(zip(mine.log, theirs.log, strict=False))
        place, pair = next(((i, p) for i, p in pairs if p[0] != p[1]), (-1, None))
        if pair is None:
            return f"jitwasm calls the host {len(mine.log)} times, wasmtime {len(theirs.log)}"
        return f"host call {place}: jitwasm {_entry(pair[0])}, wasmtime {_entry(pair[1])}"
    for name in sorted(mine.state.keys() & theirs.state.keys()):
        a, b = mine.state.get(name), theirs.state.get(name)
        if a != b:
            return f"{name}: {_contents(a, b)}"
    return None


def _entry(entry: tuple[Any, ...]) -> str:
    return " ".join(map(str, entry))


def _contents(mine: Any, theirs: Any) -> str:
    """Two states of one memory, table or global."""
    kept = [row[2] for row in (mine, theirs) if isinstance(row, tuple) and len(row) > 2]
    if len(kept) == 2 and all(isinstance(row, bytes) for row in kept):
        place = next((i for i, (a, b) in enumerate(zip(*kept, strict=False)) if a != b), -1)
        cut = [row[max(place, 0) : place + 16].hex(" ") for row in kept]
        return f"at {place:#x}: jitwasm {cut[0]}, wasmtime {cut[1]}"
    texts = [
        ", ".join(map(str, row)) if isinstance(row, tuple) else str(row) for row in (mine, theirs)
    ]
    return f"jitwasm {texts[0]}, wasmtime {texts[1]}"


def _long(result: Any) -> str:
    if isinstance(result, Outcome):
        return f"{type(result).__name__} {' or '.join(result.texts)}"
    return f"[{shown(result)}]"
