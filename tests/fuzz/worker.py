"""A process that checks modules, one request a line, so that a crash is only its own.

Requests on stdin and answers on stdout are JSON. While it works it writes what it is about to do:
if it dies, or says nothing for long, that is to blame.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import sys
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Serve until stdin ends."""
    # Whatever libraries print must not get between the answers.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(row: dict[str, Any]) -> None:
        out.write(json.dumps(row) + "\n")

    from tests.fuzz.check import check
    from tests.fuzz.modules import Generated, generate
    from tests.fuzz.tiers import TIERS, tiers_of

    say({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        seed = request["seed"]
        module: Generated | None
        if "binary" in request:
            module = Generated(base64.b64decode(request["binary"]), "file", request["canonical"])
            names = request.get("tiers") or list(TIERS)
        else:
            say({"doing": "generate"})
            module = generate(int(seed))
            names = tiers_of(int(seed))
        if module is None:
            say({"done": None})
            continue
        findings = check(module, seed, names, lambda text: say({"doing": text}))
        say(
            {
                "done": module.origin,
                "bytes": len(module.binary),
                "findings": [[row.kind, row.tier, row.text] for row in findings],
                "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )


if __name__ == "__main__":
    main()
