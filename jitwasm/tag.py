"""Exception tags (specification: Runtime Structure, "Tag Instances"; JS API: `Tag`)."""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.block import Block
from jitwasm.rtt import rtt_address
from jitwasm.sealed import Unpicklable
from jitwasm.store import Linked
from jitwasm.types import FuncType, TagType, ValType, func_type, plain_type
from jitwasm.values import parse_val_type

__all__ = ["Tag"]


class Tag(Unpicklable, Linked):
    """The identity of a kind of exception, and the types of the values it carries.

    Args:
        parameters: value types, by name or as `ValType`.
    """

    __slots__ = ("_block", "_type")

    def __init__(self, parameters: Sequence[str | ValType] = ()) -> None:
        types = [parse_val_type(p) for p in parameters]
        self._setup(TagType(plain_type(func_type(types, ()))))

    @classmethod
    def _from_type(cls, type_: TagType) -> Tag:
        self = cls.__new__(cls)
        self._setup(type_)
        return self

    def _setup(self, type_: TagType) -> None:
        Linked.__init__(self)
        self._type = type_
        # Its address is the tag's identity in compiled code; the first word says its type.
        self._block = Block(16)
        self._block.words[0] = rtt_address(type_.type)

    @property
    def type(self) -> TagType:
        return self._type

    @property
    def parameters(self) -> tuple[ValType, ...]:
        """Types of the values an exception of this tag carries."""
        assert isinstance(self._type.type.comp, FuncType)
        return self._type.type.comp.params

    @property
    def address(self) -> int:
        """Its identity in compiled code."""
        return self._block.address

    def __repr__(self) -> str:
        return f"<Tag ({', '.join(t.name for t in self.parameters)})>"
