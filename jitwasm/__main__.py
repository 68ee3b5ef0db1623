"""`python -m jitwasm`."""

from __future__ import annotations

import sys

from jitwasm.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
