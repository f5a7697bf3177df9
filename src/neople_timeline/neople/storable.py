"""Whether JSON can be stored unchanged: what its text may spell, but neither PostgreSQL nor a reader can keep."""

import json
import re
from collections import Counter
from typing import Final

import msgspec

LONGEST_NUMBER: Final = 1000
"""Characters of a number, from which on none is kept."""
DEEPEST: Final = LONGEST_NUMBER // 2
"""Levels of nested lists and objects that PostgreSQL and every Python read; fewer than `LONGEST_NUMBER` bytes have
fewer."""
_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|[\]}]')
_ESCAPE: Final = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)")


class Unstorable(Exception):
    """The text has what cannot be stored; the message names it, to be read after "it has"."""


def _measure_float(text: str) -> int:
    exponent = text.lower().partition("e")[2]
    if len(text) >= LONGEST_NUMBER or len(exponent.lstrip("+-0")) >= 4:
        raise Unstorable(f"a number that cannot be stored: {text[:40]}")
    return len(text)


_read_anything = msgspec.json.Decoder(float_hook=_measure_float).decode
_encode = msgspec.json.Encoder().encode


def check_escapes(body: bytes) -> None:
    """Refuse what JSON can spell but neither UTF-8 nor PostgreSQL can store: NUL and halves of surrogate pairs."""
    if b"\\" not in body:
        return
    open_until = -1  # where the low half has to begin
    for match in _ESCAPE.finditer(body):
        number = int(match[1], 16) if match[1] else -1
        is_low = 0xDC00 <= number <= 0xDFFF
        if number == 0 or is_low != (open_until == match.start()):
            raise Unstorable("text that cannot be stored: \\u0000 or a lone surrogate")
        open_until = match.end() if 0xD800 <= number <= 0xDBFF else -1
        if open_until >= 0 and body[open_until : open_until + 2] != b"\\u":
            raise Unstorable("text that cannot be stored: a lone surrogate")


def check_keys(body: bytes) -> None:
    """Refuse an object that has a key twice: PostgreSQL would keep one of the values, readers may believe the other.

    Decoding and encoding again drops one of two equal keys, and makes nothing longer. So equal lengths prove that there
    are none; so do equal numbers of quotes, where spaces or spelling differ and no quote is written as an escape.
    Decoding also refuses text that is not UTF-8, and floats that no column holds.
    """
    rewritten = _encode(_read_anything(body))
    if len(rewritten) == len(body) or (body.count(b'"') == rewritten.count(b'"') and rb"\u0022" not in body):
        return

    def refuse(pairs: list[tuple[str, object]]) -> None:
        seen = Counter(name for name, _ in pairs)
        if twice := [name for name, count in seen.items() if count > 1]:
            raise Unstorable(f"the key {twice[0][:40]!r} twice in one object")

    json.loads(body, object_pairs_hook=refuse)


def check_integers(body: bytes) -> None:
    """Refuse an integer with more digits than a column holds; a body without a payload of that length needs no look."""

    def refuse(digits: str) -> int:
        if len(digits) >= LONGEST_NUMBER:
            raise Unstorable(f"a number that cannot be stored: {digits[:40]}")
        return 0

    json.loads(body, parse_int=refuse)


def check_depth(body: bytes) -> None:
    """Refuse values nested deeper than `DEEPEST`; a body without a payload of `LONGEST_NUMBER` bytes needs no look."""
    depth = 0
    for match in _BRACKET.finditer(body):
        if match[0][:1] != b'"':
            depth += 1 if match[1] else -1
        if depth > DEEPEST:
            raise Unstorable(f"values nested more than {DEEPEST} levels deep")
