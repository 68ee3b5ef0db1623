"""The mark at the headers of loops from which calls can be moved to other code."""

from __future__ import annotations

__all__ = ["ENTRY_MARK"]

ENTRY_MARK = b"\x0f\x1f\x44\0\0"
"""Stands at the header of each loop without operands under it: an instruction that does nothing, as
long as a jump, which may take its place (loopexit.py)."""
