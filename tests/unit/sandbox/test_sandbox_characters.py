from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from neople_timeline.sandbox.catalogue import SERVERS, WORDS
from neople_timeline.sandbox.characters import Population

MANY = Population(seed=1, count=1_000_000)


@given(index=st.integers(0, 999_999), seed=st.integers(-5, 2**40))
def test_an_id_leads_back_to_its_index(index: int, seed: int) -> None:
    population = Population(seed, 1_000_000)
    character_id = population.id_of(index)
    assert len(character_id) == 32
    assert set(character_id) <= set("0123456789abcdef")
    assert population.index_of(character_id) == index


def test_ids_differ_and_are_not_in_order() -> None:
    ids = [MANY.id_of(index) for index in range(2000)]
    assert len(set(ids)) == 2000
    assert ids != sorted(ids)


@given(text=st.one_of(st.text(max_size=40), st.text("0123456789abcdef", min_size=32, max_size=32)))
def test_other_ids_lead_nowhere(text: str) -> None:
    assert MANY.index_of(text) is None


def test_an_id_beyond_the_count_leads_nowhere() -> None:
    assert Population(1, 500).index_of(MANY.id_of(500)) is None


def test_a_larger_world_keeps_the_smaller_ones_characters() -> None:
    small = Population(1, 40)
    assert [small.character(index) for index in range(40)] == [MANY.character(index) for index in range(40)]


def test_another_seed_is_another_world() -> None:
    assert Population(2, 10).character(3).character_id != MANY.character(3).character_id


def test_missing_characters_are_not_found_but_keep_their_ids() -> None:
    population = Population(1, 100, missing=4)
    assert population.missing == {0, 25, 50, 75}
    for index in range(100):
        found = population.find(population.server_of(index), population.id_of(index))
        assert (found is None) == (index in population.missing)


def test_a_character_is_found_on_its_own_server_only() -> None:
    home = MANY.server_of(7)
    found = {server for server in SERVERS if MANY.find(server, MANY.id_of(7))}
    assert found == {home}


def test_all_servers_are_inhabited() -> None:
    assert {MANY.server_of(index) for index in range(500)} == set(SERVERS)


def test_adventures_have_several_characters_on_one_server() -> None:
    servers: dict[str, set[str]] = defaultdict(set)
    sizes: dict[str, int] = defaultdict(int)
    for index in range(600):
        character = MANY.character(index)
        servers[character.account].add(character.server_id)
        sizes[character.account] += 1
    assert all(len(on) == 1 for on in servers.values())
    assert set(sizes.values()) >= {1, 2, 3, 4, 5, 6, 12}


def test_names_are_korean_sometimes_hostile_and_sometimes_on_two_servers() -> None:
    named: dict[str, set[str]] = defaultdict(set)
    for index in range(3000):
        named[MANY.name_of(index)].add(MANY.server_of(index))
    assert set(WORDS["hostile"]) <= {MANY.name_of(index) for index in range(500)}
    korean = [name for name in named if all("가" <= letter <= "힣" for letter in name)]
    assert len(korean) > 2500
    assert sum(len(named[name]) == 2 for name in korean) > 50


def test_some_have_no_fame_no_guild_no_adventure() -> None:
    some = [MANY.character(index) for index in range(500)]
    assert 0 < sum(each.fame is None for each in some) < 200
    assert 0 < sum(each.guild_id is None for each in some) < 250
    assert 0 < sum(each.adventure is None for each in some) < 100


def test_a_grow_id_is_unique_only_with_its_job() -> None:
    jobs: dict[str, set[str]] = defaultdict(set)
    for index in range(500):
        jobs[MANY.character(index).grow_id].add(MANY.character(index).job_id)
    assert all(len(with_it) > 1 for with_it in jobs.values())
