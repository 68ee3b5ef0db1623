"""`python -m jitwasm`, and the command `jitwasm`."""

from __future__ import annotations

import os
import signal
import sys

from jitwasm.cli import INTERRUPTED, run

__all__ = ["main"]


def main() -> int:
    """Run the process's command line; an interrupt ends it as it ends a native program."""
    try:
        return run()
    except KeyboardInterrupt:
        # Shells look at the signal: a loop of commands must end with this one.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
