"""Worker threads for what nobody waits for: low priority, and stopped at exit whatever they do."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

from jitwasm.backend.native import native
from jitwasm.backend.scheduler import WorkerPool

__all__ = ["BackgroundPool"]

NICENESS = 5
_GRACE = 0.005  # seconds for a thread to end by itself
_RETRY = 0.0002
_GIVE_UP = 10.0


class BackgroundPool(WorkerPool):
    """A pool whose threads run when no others want the processor.

    At exit it does not wait for LLVM, which takes seconds for a large function: threads that are
    inside are parked for good (runtime/parking.ll).
    """

    def _work(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        super()._work()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        code = _llvm_code()
        for thread in self._threads if wait else ():
            thread.join(_GRACE)
            if thread.is_alive() and code is not None:
                _park(thread, code)
            else:
                thread.join()


def _park(thread: threading.Thread, code: range) -> None:
    """Stop a thread inside LLVM's code, or wait until it has ended."""
    park, parked = native().parking(code)
    tid = thread.native_id or 0
    end = time.monotonic() + _GIVE_UP
    while thread.is_alive() and parked() != tid and time.monotonic() < end:
        park(tid)
        time.sleep(_RETRY)


def _llvm_code() -> range | None:
    """Where LLVM's machine code lies, if it is loaded."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in lines:
        if "libllvmlite" in line and " r-xp " in line:
            low, _, high = line.partition(" ")[0].partition("-")
            return range(int(low, 16), int(high, 16))
    return None
