"""Raw objects: the API's answers as they came, a line each with what was asked, compressed.

The collector writes them and never changes them; refining and verifying read them. The name of one has the hash of its
bytes. There is no I/O here.
"""

import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

import msgspec
import zstandard

from neople_timeline.digest import hash_bytes
from neople_timeline.errors import DataError
from neople_timeline.models import CharacterKey, Window
from neople_timeline.neople.protocol import Answer, Chain, decode_answer


class RawLine(msgspec.Struct):
    """One line of a raw object: whose answer it is, what was asked, and the answer as it came."""

    server_id: str
    character_id: str
    start: str
    end: str
    page: int
    fetched_at: datetime
    body: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_lines = msgspec.json.Decoder(RawLine)


class RawWriter:
    """Gathers chains in memory into one raw object, compressed as they come; `size` is what it has of bytes so far."""

    def __init__(self) -> None:
        self.size = 0
        self._compressor = zstandard.ZstdCompressor(level=1).compressobj()
        self._pieces: list[bytes] = []

    def add(self, chain: Chain, fetched_at: datetime) -> None:
        """Append a complete chain's pages."""
        self.write(chain.character, chain.window, fetched_at, chain.bodies)

    def write(self, character: CharacterKey, window: Window, fetched_at: datetime, bodies: Sequence[bytes]) -> None:
        """Append the pages of a character and window."""
        for number, body in enumerate(bodies):
            line = RawLine(*character, window.start, window.end, number, fetched_at, msgspec.Raw(body))
            piece = self._compressor.compress(_encode(line) + b"\n")
            self._pieces.append(piece)
            self.size += len(piece)

    def seal(self) -> bytes:
        """Give the object's bytes; it takes no more chains."""
        return b"".join([*self._pieces, self._compressor.flush()])


def name_raw(folder: str, stem: str, data: bytes) -> str:
    """Name an object after who made it and what is in it."""
    return f"{folder}/{stem}-{hash_bytes(data)}.jsonl.zst"


def require_unchanged(key: str, data: bytes) -> bytes:
    """Give an object's bytes, if they are those that it was named after; others are a DataError."""
    if not key.endswith(f"-{hash_bytes(data)}.jsonl.zst"):
        raise DataError(f"{key} is damaged: put it back, or collect its days again with `--again`")
    return data


def read_chains(data: bytes) -> Iterator[tuple[RawLine, list[Answer]]]:
    """Read a raw object: the first line and all pages of each chain in it; DataError where it is damaged."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as stream, io.BufferedReader(stream, 1 << 20) as lines:
            decoded = map(_lines.decode, lines)
            for _, chain in groupby(decoded, lambda line: (line.server_id, line.character_id, line.start)):
                pages = list(chain)
                yield pages[0], [decode_answer(page.body) for page in pages]
    except (zstandard.ZstdError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"a raw object is damaged ({error}): collect its days again with `--again`") from None
