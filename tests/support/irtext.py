"""Translation without the runtime: text or binary module to checked LLVM IR."""

from __future__ import annotations

from collections.abc import Sequence

import llvmlite.binding as llvm

from jitwasm.backend.units import unit_text
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from jitwasm.ir import FunctionIR
from tests.support.wat import wat

__all__ = ["body_lines", "translate", "translate_text", "verify"]


def translate(binary: bytes, config: Config | None = None) -> tuple[ModuleInfo, list[FunctionIR]]:
    """Decode a module and translate all its functions."""
    config = config or Config()
    parser = StreamParser(config.features, config.limits)
    translator: Translator | None = None
    functions: list[FunctionIR] = []
    for event in [*parser.feed(binary), *parser.finish()]:
        if isinstance(event, CodeStart):
            translator = Translator(event.info, config)
        elif isinstance(event, FunctionBody):
            assert translator is not None
            functions.append(translator.translate(event))
    return parser.info, functions


def verify(info: ModuleInfo, functions: Sequence[FunctionIR]) -> None:
    """LLVM's assembler and verifier accept the functions as one unit."""
    llvm.parse_assembly(unit_text(functions, info.layout)).verify()


def translate_text(text: str, config: Config | None = None) -> list[FunctionIR]:
    """Translate a module in the text format; what comes out is valid LLVM IR."""
    info, functions = translate(wat(text), config)
    verify(info, functions)
    return functions


def body_lines(function: FunctionIR) -> list[str]:
    """The lines between the braces, without indentation."""
    return [line.strip() for line in function.text.splitlines()[1:-1]]
