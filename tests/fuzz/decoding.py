"""Mutated bytes through the decoder and both validators.

Whatever the bytes, only `CompileError` may come out; the validator of the baseline tier, the
translator, and the stream cut anywhere must say the same; and wasmtime must agree whether the
module is valid. Inputs with a new kind of error join those that mutants come from.
"""

from __future__ import annotations

import mmap
import os
import pickle
import random
import re
import resource
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import wasmtime

import jitwasm
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from jitwasm.frontend.validator import Validator
from tests.fuzz.engines import peer_engine
from tests.fuzz.modules import seed_modules, validates
from tests.fuzz.mutants import mutate

__all__ = ["Decoding", "Problem", "examine", "verdict"]

CPU_SECONDS = 5
"""For one input, all ways together; they take milliseconds."""

MEMORY = 1 << 30
BATCH = 1000
MAX_INPUT = 3000
POOL = 6000

Verdict = tuple[str, str] | None
"""None of a valid module, else the class and the text of the error."""


class Problem(Exception):
    """An input was not treated as it should be."""


def verdict(chunks: Iterable[bytes], translate: bool) -> Verdict:
    """What the decoder says of a module in pieces."""
    config = Config()
    parser = StreamParser(config.features, config.limits)
    bodies: Any = None
    try:
        for events in [*map(parser.feed, chunks), parser.finish()]:
            for event in events:
                if isinstance(event, CodeStart):
                    kind = Translator if translate else Validator
                    bodies = kind(event.info, config)
                elif isinstance(event, FunctionBody):
                    (bodies.translate if translate else bodies.validate)(event)
    except jitwasm.CompileError as error:
        return type(error).__name__, str(error)
    return None


def examine(data: bytes, source: random.Random) -> Verdict:
    """All that is checked of one input. Raises Problem."""
    first = verdict([data], translate=False)
    if source.random() < 0.25 or first is None:
        other = verdict([data], translate=True)
        if other != first:
            raise Problem(f"validator {first}, translator {other}")
    if source.random() < 0.25:
        count = source.choice((1, 2, 5, len(data)))
        cuts = sorted(source.randrange(len(data) + 1) for _ in range(count))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        cut = verdict(pieces, translate=False)
        if cut != first:
            raise Problem(f"whole {first}, cut at {cuts} {cut}")
    theirs = _peer_says(data)
    if (theirs is None) != (first is None) and not _is_excused(data, first):
        raise Problem(f"jitwasm {first}, wasmtime {theirs}")
    return first


def _is_excused(data: bytes, mine: Verdict) -> bool:
    """Whether wasmtime's other verdict comes of its own limits, or of a feature we have not."""
    return validates(data) == (mine is None) or (mine is not None and "feature '" in mine[1])


def _peer_says(data: bytes) -> str | None:
    text = _complaint(peer_engine(False), data)
    if text is not None and ("`gc` proposal" in text or "gc feature" in text):
        # Recursion groups, subtypes and bottom types are part of function references to jitwasm.
        return _complaint(_engine_with_gc(), data)
    return text


def _complaint(engine: wasmtime.Engine, data: bytes) -> str | None:
    try:
        wasmtime.Module.validate(engine, data)
    except wasmtime.WasmtimeError as error:
        return str(error)
    return None


@lru_cache(maxsize=1)
def _engine_with_gc() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_gc = config.wasm_function_references = config.wasm_tail_call = True
    config.wasm_multi_memory = config.wasm_memory64 = config.wasm_relaxed_simd = True
    return wasmtime.Engine(config)


@dataclass
class Decoding:
    """A run over many inputs; `folder` keeps its state and what it finds.

    Attributes:
        pool, refused: the valid inputs that mutants come from, and others with a new kind of error.
        kinds: the kinds of errors so far.
        done, valid, problems: counts.
    """

    folder: Path
    pool: list[bytes] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)
    kinds: set[tuple[str, ...]] = field(default_factory=set)
    done: int = 0
    valid: int = 0
    problems: int = 0

    def run(self, count: int | None, seed: int = 0) -> int:
        """Examine inputs until `count` have been, all runs in this folder together; returns how
        many problems this run found."""
        self.folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("JITWASM_FUZZ_SEEDS", str(self.folder / "seeds.pickle"))
        self._load()
        before = self.problems
        _limit_memory()
        signal.signal(signal.SIGVTALRM, _too_slow)
        start = time.process_time()
        while count is None or self.done < count:
            self._batch(random.Random(f"{seed} {self.done}"))
            self._save()
            if self.done % (20 * BATCH) == 0:
                rate = 20 * BATCH / (time.process_time() - start)
                start = time.process_time()
                print(
                    f"{self.done}: {self.valid} valid, {len(self.kinds)} kinds of errors, "
                    f"{self.problems} problems, {rate:.0f}/s",
                    flush=True,
                )
        return self.problems - before

    def _batch(self, source: random.Random) -> None:
        with _Current(self.folder / "current.wasm") as current:
            for _ in range(BATCH):
                # What is refused already is refused for that, mostly.
                refused = self.refused and source.random() < 0.2
                parent = source.choice(self.refused if refused else self.pool)
                data = mutate(source, parent, source.choice(self.pool))
                data = data[:MAX_INPUT]
                current.note(data)
                self._one(data, source)
                self.done += 1

    def _one(self, data: bytes, source: random.Random) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
        try:
            found = examine(data, source)
        except Exception as error:
            self.problems += 1
            (self.folder / f"problem-{self.done}.wasm").write_bytes(data)
            text = f"input {self.done}: {type(error).__name__}: {error}"
            with (self.folder / "problems.txt").open("a", encoding="utf-8") as file:
                file.write(text + "\n")
            print(text[:400], flush=True)
            return
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if found is None:
            self.valid += 1
        kind = _kind(found)
        pool = self.pool if found is None else self.refused
        is_new = kind not in self.kinds
        self.kinds.add(kind)
        if is_new or (found is None and source.random() < 0.05):
            if len(pool) < POOL:
                pool.append(data)
            else:
                pool[source.randrange(len(pool))] = data

    def _load(self) -> None:
        path = self.folder / "state.pickle"
        if path.exists():
            kept = pickle.loads(path.read_bytes())
            self.pool, self.refused, self.kinds, self.done, self.valid, self.problems = kept
        else:
            self.pool = [data for data in seed_modules().values() if len(data) < 1500]

    def _save(self) -> None:
        kept = (self.pool, self.refused, self.kinds, self.done, self.valid, self.problems)
        (self.folder / "state.pickle").write_bytes(pickle.dumps(kept))


def _kind(found: Verdict) -> tuple[str, ...]:
    """What errors are told apart by: not by numbers and names."""
    if found is None:
        return ("valid",)
    text = re.sub(r"'.*'|\(.*\)|0x[0-9a-f]+|\d+", "", found[1].partition(", in function")[0])
    return found[0], text[:60]


class _Current:
    """The input at hand, in a file that survives whatever happens to the process."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(2 * MAX_INPUT))
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), 2 * MAX_INPUT)

    def note(self, data: bytes) -> None:
        self._map[: len(data) + 8] = data + b"<the end"

    def __enter__(self) -> _Current:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()
        self._file.close()


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) << 12
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, hard))


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise Problem(f"more than {CPU_SECONDS} s")
