"""How a module is compiled for linking."""

from __future__ import annotations

from dataclasses import dataclass, field

from jitwasm.aot.naming import check_prefix
from jitwasm.aot.targets import Target, find_target, target_spec
from jitwasm.backend.codegen import TargetSpec

__all__ = ["AotOptions"]


@dataclass(frozen=True)
class AotOptions:
    """How to compile.

    Attributes:
        prefix: of all symbols.
        opt_level: 0 to 3.
        target: the machine: an architecture or a triple, see `targets.TARGETS`.
        cpu, features: as LLVM writes them; None takes the baseline, which runs anywhere; the
            processor "native" is this machine's.
        bounds: "guard" (guard pages, which need the signal handler) or "explicit" (comparisons).
        signals: let the runtime install a signal handler. Without it, a stack overflow ends the
            process, as in any C program.
        runtime: put the small runtime into the object.
        import_table: import functions through pointers given at instantiation.
        loadable: add what `jitwasm.load` needs to make a `Module` of the object.
        debug: tell debuggers the functions' names and the offsets of their instructions.
        machine, spec: what `target`, `cpu` and `features` stand for.
    """

    prefix: str = "module"
    opt_level: int = 2
    target: str = "x86_64"
    cpu: str | None = None
    features: str | None = None
    bounds: str = "guard"
    signals: bool = True
    runtime: bool = True
    import_table: bool = False
    loadable: bool = False
    debug: bool = False
    machine: Target = field(init=False, compare=False)
    spec: TargetSpec = field(init=False, compare=False)

    def __post_init__(self) -> None:
        check_prefix(self.prefix)
        if self.opt_level not in range(4):
            raise ValueError(f"opt_level must be 0 to 3, not {self.opt_level!r}")
        if self.bounds not in ("guard", "explicit"):
            raise ValueError(f"bounds must be 'guard' or 'explicit', not {self.bounds!r}")
        if self.bounds == "guard" and not self.signals:
            raise ValueError("guard pages need the signal handler: take bounds='explicit'")
        machine = find_target(self.target)
        spec = target_spec(machine, self.cpu, self.features, self.opt_level)
        object.__setattr__(self, "machine", machine)
        object.__setattr__(self, "spec", spec)

    @property
    def has_runtime(self) -> bool:
        """Whether the runtime is put into the object: it exists for one target only."""
        return self.runtime and self.machine.is_host

    @property
    def has_module(self) -> bool:
        """Whether `jitwasm.load` can read it."""
        return self.loadable and self.machine.is_host
