import json
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from neople_timeline.errors import DataError
from neople_timeline.models import CharacterKey, Window
from neople_timeline.neople.protocol import Chain
from neople_timeline.raw import RawWriter, name_raw, read_chains, require_unchanged

CHARACTER, OTHER = CharacterKey("cain", "a" * 32), CharacterKey("bakal", "b" * 32)
WINDOW = Window("2026-11-01 06:00", "2026-11-03 05:59")
FETCHED = datetime(2026, 11, 16, 21, 30, tzinfo=UTC)


def make_chain(*pages: list[int], character: CharacterKey = CHARACTER) -> Chain:
    """Build a chain of pages with events of these codes."""
    chain = Chain(character, WINDOW)
    for number, codes in enumerate(pages, 1):
        rows = [{"code": code, "name": "획득", "date": "2026-11-01 07:00", "data": None} for code in codes]
        page = {"next": f"{number:0160x}" if number < len(pages) else None, "rows": rows}
        chain.accept(_encode({"characterId": character.character_id, "timeline": page}))
    return chain


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def write(*chains: Chain) -> bytes:
    writer = RawWriter()
    for chain in chains:
        writer.add(chain, FETCHED)
    return writer.seal()


def test_a_raw_object_is_read_back_chain_by_chain() -> None:
    chains = list(read_chains(write(make_chain([504, 505], [506]), make_chain([], character=OTHER))))
    assert [(line.server_id, line.character_id, line.start, line.end) for line, _ in chains] == [
        (*CHARACTER, WINDOW.start, WINDOW.end),
        (*OTHER, WINDOW.start, WINDOW.end),
    ]
    assert [[[row.code for row in answer.timeline.rows] for answer in answers] for _, answers in chains] == [
        [[504, 505], [506]],
        [[]],
    ]
    assert {line.fetched_at for line, _ in chains} == {FETCHED}


def test_an_answer_is_landed_byte_for_byte() -> None:
    body = b'{"timeline" : {"rows":[], "unknown": 1.50},"characterId":"%s"}' % (b"a" * 32)
    chain = Chain(CHARACTER, WINDOW)
    chain.accept(body)
    assert [bytes(line.body) for line, _ in read_chains(write(chain))] == [body]


def test_the_size_is_that_of_the_compressed_lines() -> None:
    writer = RawWriter()
    for number in range(3000):
        writer.add(make_chain([number] * 30), FETCHED)
    assert 0 < writer.size <= len(writer.seal())


@pytest.mark.parametrize("damage", [b"garbage", zstandard.compress(b"{}\n"), zstandard.compress(b"\xff\n")])
def test_a_damaged_raw_object_is_a_data_error(damage: bytes) -> None:
    with pytest.raises(DataError, match="collect its days again with `--again`"):
        list(read_chains(damage))


@given(st.integers(0, 200))
@example(0)
@example(1)
def test_a_raw_object_that_was_cut_off_never_gives_rows_that_were_not_in_it(cut: int) -> None:
    whole = write(make_chain([*range(50)]))
    try:
        chains = list(read_chains(whole[: max(0, len(whole) - cut)]))
    except DataError:
        assert cut > 0
        return
    counts = [len(answers[0].timeline.rows) for _, answers in chains]
    assert counts == [50] or (cut > 0 and counts == [])


def test_an_object_is_taken_for_what_its_name_says_only() -> None:
    data = write(make_chain([504]))
    key = name_raw("raw/day=2026-11-15", "worker-1", data)
    assert require_unchanged(key, data) == data
    for other in (data[:-1], b"", write(make_chain([505]))):
        with pytest.raises(DataError, match=rf"{key} is damaged"):
            require_unchanged(key, other)
