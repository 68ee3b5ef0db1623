"""`jitwasm cache`: what compiled code is kept on disk, and how to be rid of it."""

from __future__ import annotations

import argparse

from jitwasm.cli.exitcodes import fail
from jitwasm.config import default_config
from jitwasm.diskcache import cache_of

__all__ = ["add_arguments"]

NOTES = """\
JITWASM_CACHE names the folder, or turns the cache off if it is 0; JITWASM_CACHE_SIZE is the most
it may take, for example 500M. The cache can be removed at any time.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Complete the command's parser."""
    parser.description = "Show what compiled code is kept for later starts."
    parser.epilog = NOTES
    parser.add_argument("--clear", action="store_true", help="remove all of it")
    parser.set_defaults(command=_cache, file=None)


def _cache(options: argparse.Namespace) -> int:
    try:
        cache = cache_of(default_config())
    except ValueError as error:
        return fail(None, str(error))
    if cache is None:
        print("the cache is turned off")
        return 0
    if options.clear:
        count = cache.clear()
        print(f"{count} entries removed from {cache.folder}")
        return 0
    usage = cache.usage()
    print(f"folder:  {usage.folder}")
    if usage.problem is not None:
        return fail(None, f"the cache is not used: {usage.problem}")
    print(f"entries: {len(usage.blobs)}")
    print(f"size:    {_megabytes(usage.size)} of at most {_megabytes(usage.limit)}")
    return 0


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
