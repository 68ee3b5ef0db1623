"""The version of jitwasm: part of what compiled code depends on."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
