"""Names of parameters in test ids."""

from __future__ import annotations

import re

__all__ = ["stable_repr"]


def stable_repr(value: object) -> str:
    """`repr` without addresses: workers that run tests in parallel must agree on the ids."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
