"""What a caller may choose: one immutable `Config`.

Environment variables are read here and nowhere else: by `default_config`, where a cache is looked
for, and where a module is unpickled.
"""

from __future__ import annotations

import os

from jitwasm.records import member, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor
    from typing import Any, Literal

__all__ = [
    "MAX_FUEL",
    "Config",
    "Features",
    "ImplementationLimits",
    "cache_folder",
    "cache_limit",
    "default_config",
    "trusts_pickled_code",
]

CACHE_BYTES = 1 << 30
"""The default bound of the cache on disk."""

MAX_FUEL = 1 << 62

LEAST_STACK, MOST_STACK = 16 << 10, 1 << 62
"""Bounds of `ImplementationLimits.stack_bytes`: a call from Python takes some KiB itself."""


@record(frozen=True)
class Features:
    """Proposals, switched by name. A module that uses a disabled one gets a `CompileError`.

    The MVP, sign extension, saturating conversions, multi-value, bulk memory, reference types and
    extended constant expressions are what every toolchain emits today and have no switch.
    """

    simd: bool = True
    relaxed_simd: bool = True
    tail_call: bool = True
    multi_memory: bool = True
    memory64: bool = True
    function_references: bool = True
    exceptions: bool = False
    gc: bool = False
    threads: bool = False

    def __post_init__(self) -> None:
        for name in Features.__annotations__:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"feature {name} must be a bool")


@record(frozen=True)
class ImplementationLimits:
    """Limits of the JavaScript API's specification ("Implementation-defined Limits")."""

    module_size: int = 1 << 30
    types: int = 1_000_000
    functions: int = 1_000_000
    imports: int = 1_000_000
    exports: int = 1_000_000
    globals: int = 1_000_000
    tags: int = 1_000_000
    data_segments: int = 100_000
    element_segments: int = 10_000_000
    tables: int = 100_000
    memories: int = 100
    params: int = 1_000
    results: int = 1_000
    locals: int = 50_000
    body_size: int = 7_654_321
    table_size: int = 10_000_000
    struct_fields: int = 10_000
    subtype_depth: int = 63
    nesting: int = 50_000
    """Depth of nested blocks in a function body."""
    memory_bytes: int | None = None
    """What the memories of one instance may take together; None leaves it to their types."""
    instances: int | None = None
    """How many instances of a module may be alive at once; one more is a MemoryError."""
    compile_seconds: float | None = 30.0
    """CPU time that LLVM may take for one unit of code: a function, or some small ones. What takes
    longer is compiled by the one-pass compiler. A worker process is then ended; a thread cannot be,
    and goes on at the lowest priority (see `Config.executor`)."""
    compile_memory: int | None = 4 << 30
    """Bytes of address space that a worker process may have."""
    call_seconds: float | None = None
    """Wall-clock time that one call into an instance may take: of an export, of the start function,
    of a function from a table. It ends as at a `jitwasm.deadline`. What host functions do and call
    meanwhile is part of it."""
    stack_bytes: int | None = None
    """Bytes of the machine's stack that one such call may use, at least 16 KiB; more is a
    `StackOverflow`. None leaves it at the thread's stack. Where it is set, all functions compare;
    each tier needs another amount for the same function."""

    def __post_init__(self) -> None:
        seconds, stack = self.call_seconds, self.stack_bytes
        if seconds is not None:
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
                kind = type(seconds).__name__
                raise TypeError(f"call_seconds must be None or a number, not {kind}")
            if not seconds > 0:
                raise ValueError(f"call_seconds must be a positive number, not {seconds!r}")
        if stack is not None:
            if isinstance(stack, bool) or not isinstance(stack, int):
                kind = type(stack).__name__
                raise TypeError(f"stack_bytes must be None or an int, not {kind}")
            if not LEAST_STACK <= stack <= MOST_STACK:
                raise ValueError(f"stack_bytes must be 16 KiB to 2^62, not {stack!r}")


@record(frozen=True)
class Config:
    """How modules are compiled and run.

    Attributes:
        features: proposals that are accepted.
        limits: sizes beyond which a module is refused.
        tier: "optimized" compiles with LLVM; "baseline" with the one-pass compiler, an order of
            magnitude faster, to code of about half the speed (what it does not cover goes to LLVM
            at level 0). "auto" compiles all modules with the one-pass compiler, functions of larger
            ones when they are first called, and optimises what is worth it later: `tier_up`.
        tier_up: with "auto", which functions are optimised, in the background. With "background"
            the hot ones, as soon as they are found, and then all others; "hot" leaves it at the
            hot ones, "never" at none. "early" is for tests: it does not wait for them to get hot.
        validation: when function bodies are validated that are compiled when they are first called.
            "eager": before the module is there, as the specification wants it. "lazy": at the first
            call, which raises a `CompileError` if the body is not valid; what is never called is
            never looked at. For modules of tens of megabytes. `validate` is not affected.
        opt_level: of LLVM: 0 compiles fast, 1–3 optimise; None takes 2. With "auto", choosing a
            level chooses LLVM.
        fuel: units of fuel an instance starts with; when they are used up, its code traps with
            `TrapCode.OUT_OF_FUEL`. One unit is one instruction, at every tier (docs/security.md).
            `Instance.fuel` and `Instance.add_fuel` read it and add to it. None charges nothing and
            costs nothing; otherwise code is `strict`, so that the count is exact at every trap.
        strict: keep every memory access and trap in order, at the price of vectorisation.
        bounds: "guard" catches out-of-bounds accesses by guard pages, "explicit" by comparisons.
        threads: LLVM worker threads or processes; None takes one for each core.
        executor: where LLVM runs. None: on threads of the process, shared by all modules.
            "processes": in worker processes, shared likewise, within `limits.compile_seconds` and
            `limits.compile_memory`: what LLVM does then cannot harm this process. Or any
            `concurrent.futures.Executor`, a `ProcessPoolExecutor` or a cluster's, which must stay
            open as long as modules are compiled. Functions that get lost there, with a worker that
            dies for instance, are compiled by the one-pass compiler, with a `CompileWarning`. The
            executor is not part of what a configuration is equal to, and is not pickled with it.
        host_calls: "fast" calls plain Python imports through emitted code, "ctypes" through
            ctypes callbacks; both behave alike.
        release_gil: release the GIL around every call of an export. A call that runs longer than
            some milliseconds releases it by itself; this is for many calls of middling length.
        verify_ir: run LLVM's verifier on every unit (tests).
        portable_ir: emit target-independent LLVM IR only. Otherwise vector instructions may use
            x86's intrinsics up to SSSE3; set it to compile for other targets.
        cache: whether compiled code is kept on disk for the next process: True in the user's cache
            folder, unless the environment moves it or turns it off; a path, in that folder; False
            not at all. It changes nothing but speed.
        cache_size: bytes it may take on disk; what has not been used for longest is removed.
            None takes JITWASM_CACHE_SIZE, or 1 GiB.
    """

    features: Features = member(default_factory=Features)
    limits: ImplementationLimits = member(default_factory=ImplementationLimits)
    tier: str = "auto"
    tier_up: str = "background"
    validation: str = "eager"
    opt_level: int | None = None
    fuel: int | None = None
    strict: bool = False
    bounds: str = "guard"
    threads: int | None = None
    executor: Executor | Literal["processes"] | None = member(default=None, compare=False)
    host_calls: str = "fast"
    release_gil: bool = False
    verify_ir: bool = False
    portable_ir: bool = False
    cache: bool | str | os.PathLike[str] = True
    cache_size: int | None = None

    def __post_init__(self) -> None:
        if self.opt_level not in (None, 0, 1, 2, 3):
            raise ValueError(f"opt_level must be None or 0 to 3, not {self.opt_level!r}")
        if self.tier not in ("auto", "baseline", "optimized"):
            raise ValueError(f"tier must be 'auto', 'baseline' or 'optimized', not {self.tier!r}")
        if self.validation not in ("eager", "lazy"):
            raise ValueError(f"validation must be 'eager' or 'lazy', not {self.validation!r}")
        if self.tier_up not in ("background", "hot", "never", "early"):
            raise ValueError(
                f"tier_up must be 'background', 'hot', 'never' or 'early', not {self.tier_up!r}"
            )
        if self.fuel is not None and not 0 <= self.fuel <= MAX_FUEL:
            raise ValueError(f"fuel must be None or 0 to 2^62, not {self.fuel!r}")
        if self.bounds not in ("guard", "explicit"):
            raise ValueError(f"bounds must be 'guard' or 'explicit', not {self.bounds!r}")
        if self.host_calls not in ("fast", "ctypes"):
            raise ValueError(f"host_calls must be 'fast' or 'ctypes', not {self.host_calls!r}")
        if not isinstance(self.cache, bool):
            object.__setattr__(self, "cache", os.path.abspath(os.fspath(self.cache)))
        if isinstance(self.executor, str):
            if self.executor != "processes":
                raise ValueError(f"executor must be 'processes', not {self.executor!r}")
        elif self.executor is not None and not callable(getattr(self.executor, "submit", None)):
            raise TypeError(f"executor must have `submit`, not {type(self.executor).__name__}")

    @property
    def keeps_order(self) -> bool:
        """Whether compiled code keeps all accesses and traps in order."""
        return self.strict or self.fuel is not None

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if not isinstance(self.executor, str):
            state["executor"] = None  # it belongs to this process
        return state


def default_config() -> Config:
    """The configuration used where none is given, with the environment's overrides.

    JITWASM_TIER (auto, baseline, optimized), JITWASM_TIER_UP (background, hot, never, early),
    JITWASM_VALIDATION (eager, lazy),
    JITWASM_OPT (0–3), JITWASM_HOST_CALLS (fast, ctypes), JITWASM_VERIFY_IR (1),
    JITWASM_EXECUTOR (processes).
    """
    executor: Any = os.environ.get("JITWASM_EXECUTOR") or None
    level = os.environ.get("JITWASM_OPT")
    return Config(
        tier=os.environ.get("JITWASM_TIER", "auto"),
        tier_up=os.environ.get("JITWASM_TIER_UP", "background"),
        validation=os.environ.get("JITWASM_VALIDATION", "eager"),
        opt_level=int(level) if level else None,
        executor=executor,
        host_calls=os.environ.get("JITWASM_HOST_CALLS", "fast"),
        verify_ir=os.environ.get("JITWASM_VERIFY_IR") == "1",
    )


def trusts_pickled_code() -> bool:
    """Whether machine code in pickled modules is used; JITWASM_PICKLED_CODE=0 has it ignored and
    the module, whose bytes the pickle has too, validated and compiled again."""
    return os.environ.get("JITWASM_PICKLED_CODE") != "0"


def cache_folder(config: Config) -> str | None:
    """The folder of the cache on disk, or None if there is none.

    JITWASM_CACHE is its path, or 0 (also: off, no, false) for no cache; by default it is jitwasm in
    XDG_CACHE_HOME, by default ~/.cache. `Config.cache` has the last word unless it is True.
    """
    if not isinstance(config.cache, bool):
        return os.fspath(config.cache)
    wanted = os.environ.get("JITWASM_CACHE", "")
    if not config.cache or wanted.lower() in ("0", "off", "no", "false"):
        return None
    if wanted:
        return os.path.abspath(wanted)
    home = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):  # the XDG specification: other paths are to be ignored
        home = os.path.expanduser("~/.cache")
    return os.path.join(home, "jitwasm") if os.path.isabs(home) else None


def cache_limit(config: Config) -> int:
    """Bytes the cache may take; JITWASM_CACHE_SIZE takes the suffixes K, M and G.

    Raises:
        ValueError: the variable is no size.
    """
    if config.cache_size is not None:
        return config.cache_size
    text = os.environ.get("JITWASM_CACHE_SIZE", "")
    if not text:
        return CACHE_BYTES
    scale = {"K": 10, "M": 20, "G": 30}.get(text[-1].upper(), 0)
    digits = text[:-1] if scale else text
    if not digits.isdecimal():
        raise ValueError(f"JITWASM_CACHE_SIZE must be a size such as 500M, not {text!r}")
    return int(digits) << scale
