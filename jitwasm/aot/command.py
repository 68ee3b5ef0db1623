"""`jitwasm compile`: from a module's file to what other programs link."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from jitwasm.aot.emit import AotOptions, Compiled, compile_module
from jitwasm.backend.llvm import help_text

__all__ = ["add_parser"]

KINDS = {
    "o": "relocatable object",
    "a": "static library",
    "so": "shared library",
    "h": "C header",
    "ll": "LLVM IR",
    "s": "assembly",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line's parser."""
    parser = commands.add_parser(
        "compile",
        help="compile a module to an object, a library, a header",
        description="Compile a module for other programs to link. A C header comes with it.",
        epilog="cc main.c module.o is all it takes: the runtime is in the object.",
    )
    parser.set_defaults(command=_compile)
    parser.add_argument("file", metavar="FILE", help="the module")
    parser.add_argument("-o", dest="output", metavar="OUT", help="module.o beside it by default")
    parser.add_argument(
        "--emit",
        metavar="KIND,…",
        help="kinds of output: " + ", ".join(f"{k} ({v})" for k, v in KINDS.items()),
    )
    parser.add_argument("--prefix", help="of all symbols; the file's name by default")
    parser.add_argument("-O", dest="level", type=int, choices=range(4), default=2)
    parser.add_argument("--cpu", help="target processor: 'native', a name, or 'help'")
    parser.add_argument("--features", help="processor features: '+avx2,-bmi', or 'help'")
    parser.add_argument(
        "--bounds", choices=("guard", "explicit"), default="guard", help="how accesses are checked"
    )
    parser.add_argument("--no-signals", action="store_true", help="install no signal handler")
    parser.add_argument("--no-runtime", action="store_true", help="leave the runtime out")
    parser.add_argument(
        "--import-table",
        action="store_true",
        help="import functions through pointers given at instantiation (for dlopen)",
    )
    parser.add_argument(
        "--list-undefined", action="store_true", help="print the symbols others must define"
    )


def _compile(options: argparse.Namespace) -> int:
    if "help" in (options.cpu, options.features):
        print(help_text(), end="")
        return 0
    source = Path(options.file)
    output = Path(options.output) if options.output else source.with_suffix(".o")
    kinds = options.emit.split(",") if options.emit else [output.suffix.lstrip(".") or "o", "h"]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"--emit knows {', '.join(KINDS)}; not {', '.join(unknown)}")
    compiled = compile_module(
        source.read_bytes(),
        AotOptions(
            prefix=options.prefix or _prefix_of(source),
            opt_level=options.level,
            cpu=options.cpu,
            features=options.features,
            bounds=options.bounds,
            signals=not options.no_signals,
            runtime=not options.no_runtime,
            import_table=options.import_table,
        ),
    )
    for kind in dict.fromkeys(kinds):
        _write(compiled, kind, output.with_suffix(f".{kind}"))
    if options.list_undefined:
        print("\n".join(compiled.undefined()))
    return 0


def _prefix_of(source: Path) -> str:
    """A prefix made of the file's name."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", source.stem).strip("_")
    return name if name[:1].isalpha() else f"wasm_{name}".rstrip("_")


def _write(compiled: Compiled, kind: str, path: Path) -> None:
    if kind == "o":
        path.write_bytes(compiled.object())
    elif kind == "a":
        path.write_bytes(compiled.archive())
    elif kind == "so":
        path.write_bytes(compiled.shared_library())
    elif kind == "h":
        path.write_text(compiled.header())
    elif kind == "ll":
        path.write_text(compiled.ir)
    else:
        path.write_text(compiled.assembly())
