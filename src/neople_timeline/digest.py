"""Fingerprints of events: equal events have equal hashes, and a multiset of events has one digest in any order."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

NO_DATA: Final = b"null"
"""Payload of an event that has none."""


def hash_event(code: int, name: str, minute: str, data: bytes) -> int:
    """Hash one event to 64 bits; `data` is the payload's JSON text as the API sent it, `null` where it has none."""
    text = _write_kind(code, name) + minute.encode() + b"\x1f" + data
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def digest_hashes(hashes: Iterable[int]) -> int:
    """Digest a multiset of event hashes: their sum modulo 2⁶⁴, as the signed number that a `bigint` holds."""
    return fold_digest(sum(hashes))


def fold_digest(total: int) -> int:
    """Fold a sum of event hashes into a signed 64-bit number."""
    return (total + 2**63) % 2**64 - 2**63


@lru_cache(maxsize=1000)
def _write_kind(code: int, name: str) -> bytes:
    return b"%d\x1f%s\x1f" % (code, name.encode())
