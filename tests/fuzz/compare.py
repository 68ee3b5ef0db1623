"""Whether two traces of a session agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fuzz.sessions import Record, ends, shown
from tests.spec.engine import Outcome, Unlinkable
from tests.spec.values import Value

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
    nans: bool = False,
) -> str | None:
    """The first difference between our trace and wasmtime's, or None.

    Args:
        precise: whether accesses out of bounds trap in order with everything else. If not, nothing
            is said about what comes with such a trap.
        comparable: the number of records in which engines have no choice (of a NaN's bits, or in
            a relaxed instruction); what follows is not compared.
        alike: both are of the same engine, with the same fuel.
        nans: the module's NaNs are whatever an engine makes of them. wasmtime often makes the same
            with and without canonical NaNs where we make another one; a step whose numbers differ
            in nothing but a NaN's bits is the last that is compared.
    """
    for i, (a, b) in enumerate(zip(mine, theirs, strict=False)):
        if not alike and (ends(a.result) or ends(b.result)):
            return None
        if not precise and any(_OUT_OF_BOUNDS in _texts(row) for row in (b.result, *b.outcomes)):
            return None
        if i >= comparable:
            return None
        found = _result(a.result, b.result) or _rest(a, b)
        if found and nans and _differs_in_nans_alone(a, b):
            return None
        if found:
            return f"step {i}, {a.step}: {found}"
    return None


def _differs_in_nans_alone(mine: Record, theirs: Record) -> bool:
    """Whether numbers are all that differs, and each is a NaN in both records.

    Memories have to be equal: bytes do not tell that they are a NaN's.
    """
    pairs = [(mine.state[name], theirs.state[name]) for name in mine.state.keys() & theirs.state]
    if _result(mine.result, theirs.result):
        pairs.append((mine.result, theirs.result))
    return _alike(mine.log, theirs.log) and all(_alike(a, b) for a, b in pairs)


def _alike(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(mine) == len(theirs) and all(map(_alike, mine, theirs))
    if isinstance(mine, Value) and isinstance(theirs, Value) and mine.type == theirs.type:
        lanes = _NAN_LANES.get(mine.type, ())
        return mine == theirs or any(_alike_lanes(mine.bits, theirs.bits, *row) for row in lanes)
    return bool(mine == theirs)


_NAN_LANES = {
    "f32": [(32, 0x7F800000)],
    "f64": [(64, 0x7FF << 52)],
    "v128": [(32, 0x7F800000), (64, 0x7FF << 52)],
}
"""Bits of a lane, and those of infinity: what is greater without its sign is a NaN."""


def _alike_lanes(mine: int, theirs: int, width: int, infinity: int) -> bool:
    """Whether lanes are equal, or both NaNs. All lanes have one shape."""
    magnitude = (1 << (width - 1)) - 1
    while mine or theirs:
        a, b = mine & magnitude, theirs & magnitude
        if (mine ^ theirs) & (1 << width) - 1 and not (a > infinity and b > infinity):
            return False
        mine, theirs = mine >> width, theirs >> width
    return True


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
