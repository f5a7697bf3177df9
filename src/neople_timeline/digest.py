"""Fingerprints of events: equal events have equal hashes, and a multiset of events has one digest in any order.

They guard against loss, not against an enemy: who could make two events of one hash would still have to lose them.
"""

from collections.abc import Iterable
from typing import Final

from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

NO_DATA: Final = b"null"
"""Payload of an event that has none."""


def hash_event(code: int, name: str, minute: str, data: bytes) -> int:
    """Hash one event to 64 bits; `data` is the payload's JSON text as the API sent it, `null` where it has none."""
    return xxh3_64_intdigest(f"{code}\x1f{name}\x1f{minute}\x1f".encode() + data)


def digest_hashes(hashes: Iterable[int]) -> int:
    """Digest a multiset of event hashes: their sum modulo 2⁶⁴, as the signed number that a `bigint` holds."""
    return fold_digest(sum(hashes))


def fold_digest(total: int) -> int:
    """Fold a sum of event hashes into a signed 64-bit number."""
    return (total + 2**63) % 2**64 - 2**63


def hash_bytes(data: bytes) -> str:
    """Hash a whole object: 32 hexadecimal digits."""
    return xxh3_128_hexdigest(data)
