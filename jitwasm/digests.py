"""The digest of caches, without what else `hashlib` loads: OpenSSL, in two milliseconds."""

from __future__ import annotations

try:
    from _blake2 import blake2b  # what `hashlib.blake2b` is
except ImportError:  # a build of CPython that has it from elsewhere
    from hashlib import blake2b

__all__ = ["DIGEST_BYTES", "blake2b", "digest"]

DIGEST_BYTES = 32


def digest(data: bytes | bytearray | memoryview) -> bytes:
    """BLAKE2b with `DIGEST_BYTES` bytes."""
    return blake2b(data, digest_size=DIGEST_BYTES).digest()
