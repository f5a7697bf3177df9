"""Seeded randomness that is the same in every process, on every machine and in every version of Python."""

import hashlib
import struct

_TEN = struct.Struct("<10H")

Draws = tuple[int, ...]
"""Ten numbers in 0..65535: all the chance that one event has."""


def roll(*parts: object) -> int:
    """Make a number of 64 bits that depends on the parts alone."""
    text = "|".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def hex_id(*parts: object) -> str:
    """32 lowercase hex characters, the form of every id of the API."""
    text = "|".join(map(str, parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def roll_many(key: str, count: int) -> list[Draws]:
    """`count` times ten numbers in 0..65535; a longer list starts with the shorter one."""
    blob = hashlib.shake_128(key.encode()).digest(20 * count)
    return list(_TEN.iter_unpack(blob))
