"""`python -m jitwasm`, and the command `jitwasm`."""

from __future__ import annotations

import os
import signal
import sys

from jitwasm.cli.exitcodes import INTERRUPTED
from jitwasm.cli.main import run

__all__ = ["main"]


def main() -> int:
    """Run the process's command line; signals end it as they end a native program."""
    # Python ignores this signal: whoever writes into a closed pipe would go on, unlike `cat`.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return run()
    except KeyboardInterrupt:
        # Shells look at the signal: a loop of commands must end with this one.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
