import json
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from neople_timeline.digest import digest_hashes, fold_digest, hash_event

MINUTES = st.sampled_from(["2026-11-15 06:00", "2026-11-15 06:01"])
PAYLOADS = st.one_of(st.none(), st.text(max_size=3), st.integers(0, 3)).map(lambda value: json.dumps(value).encode())
Event = tuple[int, str, str, bytes]
EVENTS = st.tuples(st.integers(0, 9999), st.text(max_size=5), MINUTES, PAYLOADS)
HASHES = st.integers(0, 2**64 - 1)


@given(st.lists(HASHES), st.randoms(use_true_random=False))
def test_a_digest_does_not_depend_on_the_order(hashes: list[int], dice: random.Random) -> None:
    shuffled = list(hashes)
    dice.shuffle(shuffled)
    assert digest_hashes(shuffled) == digest_hashes(hashes)


@given(st.lists(EVENTS, max_size=6), st.lists(EVENTS, max_size=6))
def test_two_lists_have_one_digest_exactly_if_they_are_one_multiset(first: list[Event], second: list[Event]) -> None:
    same = digest_hashes(hash_event(*one) for one in first) == digest_hashes(hash_event(*one) for one in second)
    assert same == (Counter(first) == Counter(second))


@given(st.lists(EVENTS, min_size=1, max_size=5))
def test_one_event_more_or_twice_changes_the_digest(events: list[Event]) -> None:
    hashes = [hash_event(*one) for one in events]
    assert digest_hashes([*hashes, hashes[0]]) != digest_hashes(hashes)
    assert digest_hashes(hashes[1:]) != digest_hashes(hashes)


@given(st.integers())
def test_a_digest_fits_a_bigint_and_keeps_the_value_modulo_two_to_the_64(total: int) -> None:
    folded = fold_digest(total)
    assert -(2**63) <= folded < 2**63
    assert (folded - total) % 2**64 == 0


def test_the_hash_of_an_event_never_changes_between_versions() -> None:
    # Ledgers hold sums of these: another value here makes every stored day disagree.
    assert hash_event(505, "아이템 획득(던전 드랍)", "2026-11-15 06:00", b'{"itemId":"a"}') == 8290805575477198029


def test_no_part_of_an_event_can_pass_for_another() -> None:
    base = (505, "name", "2026-11-15 06:00", b"null")
    others = [
        (506, *base[1:]),
        (505, "nam", *base[2:]),
        (*base[:2], "2026-11-15 06:01", b"null"),
        (*base[:3], b"{}"),
        (50, "5\x1fname", *base[2:]),
        (505, "name\x1f2026-11-15 06:00", *base[2:]),
    ]
    assert len({hash_event(*one) for one in [base, *others]}) == len(others) + 1
