"""What the stream parser reports, in the order of the module.

`CustomSection` anywhere; at most one `CodeStart`, then a `FunctionBody` for each function it
counts; last a `ModuleEnd`.
"""

from __future__ import annotations

from jitwasm.frontend.moduleinfo import CustomSection, ModuleInfo
from jitwasm.records import record

__all__ = ["CodeStart", "CustomSection", "Event", "FunctionBody", "ModuleEnd"]


@record(frozen=True, slots=True)
class CodeStart:
    """The code section begins; `info` is complete for the translation of `count` bodies.

    `size` is how many bytes the section declares: what there will be to compile. They begin at
    module offset `offset`.
    """

    info: ModuleInfo
    count: int
    size: int
    offset: int


@record(frozen=True, slots=True)
class FunctionBody:
    """One function body: local declarations and code, without the size in front.

    Attributes:
        funcidx: the function's index, imports counted.
        offset: module offset of the first byte of `body`.
        body: its bytes.
    """

    funcidx: int
    offset: int
    body: bytes


@record(frozen=True, slots=True)
class ModuleEnd:
    """The module is complete and valid, its function bodies apart."""

    info: ModuleInfo
    size: int


Event = CustomSection | CodeStart | FunctionBody | ModuleEnd
