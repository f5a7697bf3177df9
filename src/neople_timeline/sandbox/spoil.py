"""What each fault does: to the reply as a whole, to its bytes, to a page's rows and cursor, or to the world itself."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from neople_timeline.sandbox.answers import Reply, error_body
from neople_timeline.sandbox.catalogue import UNKNOWN_CODE, to_json
from neople_timeline.sandbox.dice import roll
from neople_timeline.sandbox.rules import Rule
from neople_timeline.sandbox.switches import Switches
from neople_timeline.sandbox.timeline import Answer, Position, first_position, make_cursor, step_back
from neople_timeline.sandbox.world import Event, World, game_day_of, make_event, minute_text

HTML = "<!DOCTYPE html><html><body><h1>잠시 후 다시 시도해 주세요.</h1></body></html>".encode()
RETYPED = re.compile(r'"(code|level|fame|channelNo|before|after|result|reinforce)":(\w+)')
EXTRA = '"newField":{"list":[1,2.50,null],"number":12345678901234567890123}'


# Faults that answer something else.


def refuse(code: str, switches: Switches) -> Reply:
    """Make an error answer of the API."""
    status = switches.status_of(code)
    return Reply(status, error_body(code, status), error=code)


def _status_500(_rule: Rule, switches: Switches) -> Reply:
    return refuse("DNF999", switches)


def _error(rule: Rule, switches: Switches) -> Reply:
    return refuse(rule.code, switches)


def _error_200(rule: Rule, switches: Switches) -> Reply:
    return Reply(200, error_body(rule.code, switches.status_of(rule.code)))


def _too_many(rule: Rule, switches: Switches) -> Reply:
    reply = refuse("API002", switches)
    if rule.retry_after_date is not None:
        moment = datetime.now(UTC) + timedelta(seconds=rule.retry_after_date)
        reply.headers["Retry-After"] = format_datetime(moment, usegmt=True)
    elif rule.retry_after is not None:
        reply.headers["Retry-After"] = str(rule.retry_after)
    return reply


def _maintenance(_rule: Rule, switches: Switches) -> Reply:
    return refuse("DNF980", switches)


def _missing_character(_rule: Rule, switches: Switches) -> Reply:
    return refuse("DNF001", switches)


def _html_200(_rule: Rule, _switches: Switches) -> Reply:
    return Reply(200, HTML, content_type="text/html")


def _empty_200(_rule: Rule, _switches: Switches) -> Reply:
    return Reply(200, b"")


# Faults of the connection, and of the answer's bytes.


def _break(rule: Rule, reply: Reply) -> None:
    reply.breaks = rule.fault
    reply.seconds = rule.seconds


def _cut_json(_rule: Rule, reply: Reply) -> None:
    reply.body = reply.body[: len(reply.body) // 2]


# Faults of a page.


def _end(answer: Answer, variant: int) -> Position:
    return Position(game_day_of(answer.query.start) - 1, 0, variant)


def _cursor_repeats(_rule: Rule, world: World, answer: Answer) -> None:
    again = _end(answer, 1) if answer.position == first_position(answer.query) else answer.position
    if answer.cursor is None or again == answer.position:
        answer.cursor = make_cursor(answer.query, again, world.population.seed)


def _cursor_cycles(_rule: Rule, world: World, answer: Answer) -> None:
    here = answer.position
    if here == first_position(answer.query):
        here = answer.next or _end(answer, 0)
    turned = Position(here.day, here.offset, 2 if here.variant == 1 else 1)
    answer.cursor = make_cursor(answer.query, turned, world.population.seed)


def _cursor_endless(_rule: Rule, world: World, answer: Answer) -> None:
    if answer.cursor is None:
        further = _end(answer, answer.position.variant + 1)
        answer.cursor = make_cursor(answer.query, further, world.population.seed)


def _rows_overlap(rule: Rule, world: World, answer: Answer) -> None:
    back = step_back(world, answer.query, answer.position, rule.rows)
    if answer.cursor is not None and back is not None:
        answer.cursor = make_cursor(answer.query, back, world.population.seed)


def _rows_outside_window(_rule: Rule, _world: World, answer: Answer) -> None:
    stray = '{{"code":209,"name":"레기온 클리어","date":"{}","data":{{"regionName":"창밖"}}}}'
    minutes = (answer.query.end + 1, answer.query.start - 1)
    late, early = (stray.format(minute_text(minute)) for minute in minutes)
    answer.rows = [late, *(answer.rows or []), early]


def _window_cut(_rule: Rule, _world: World, answer: Answer) -> None:
    answer.query = replace(answer.query, start=(answer.query.start + answer.query.end) // 2)
    earliest = minute_text(answer.query.start)
    answer.rows = [row for row in answer.rows or [] if row.partition('"date":"')[2] >= earliest]
    answer.cursor = None


def _rows_unsorted(_rule: Rule, _world: World, answer: Answer) -> None:
    rows = answer.rows or []
    answer.rows = [rows[place] for place in sorted(range(len(rows)), key=lambda place: roll("unsorted", place))]


def _rows_null(_rule: Rule, _world: World, answer: Answer) -> None:
    answer.rows = None


def _timeline_null(_rule: Rule, _world: World, answer: Answer) -> None:
    answer.has_timeline = False


def _inject(answer: Answer, fragment: str) -> None:
    """Put a field into the first row that has data, or into the envelope if there is none."""
    for place, row in enumerate(answer.rows or []):
        if answer.rows and '"data":{' in row:
            answer.rows[place] = row.replace('"data":{', f'"data":{{{fragment},', 1)
            return
    answer.head = f"{{{fragment},{answer.head[1:]}"


def _nan(_rule: Rule, _world: World, answer: Answer) -> None:
    _inject(answer, '"ratio":NaN')


def _duplicate_keys(_rule: Rule, _world: World, answer: Answer) -> None:
    _inject(answer, '"nickName":"하나","nickName":"둘"')


def _lone_surrogate(_rule: Rule, _world: World, answer: Answer) -> None:
    _inject(answer, r'"nickName":"반쪽\ud83d"')


def _deep_nesting(rule: Rule, _world: World, answer: Answer) -> None:
    _inject(answer, f'"nested":{"[" * rule.depth}{"]" * rule.depth}')


# Faults that change the world, and so the truth.


def _unknown_code(day: int, events: list[Event]) -> list[Event]:
    head = f'{{"code":{UNKNOWN_CODE},"name":"새로운 기록","date":"'
    data = to_json({"novelty": "처음 보는 것", "nested": {"list": [1, 2.5, None]}})
    return [*events, make_event(day, 720, UNKNOWN_CODE, head, data)]


def _with_field(event: Event, fragment: str) -> Event:
    return event._replace(row=event.row.replace('"data":{', f'"data":{{{fragment},', 1))


def _nul(_day: int, events: list[Event]) -> list[Event]:
    return [_with_field(event, r'"nickName":"이름\u0000끝"') for event in events]


def _extra_fields(_day: int, events: list[Event]) -> list[Event]:
    return [_with_field(event, EXTRA) for event in events]


def _retype(text: str) -> str:
    return RETYPED.sub(r'"\1":"\2"', text)


def _retyped_fields(_day: int, events: list[Event]) -> list[Event]:
    return [event._replace(row=_retype(event.row)) for event in events]


INSTEAD: dict[str, Callable[[Rule, Switches], Reply]] = {
    "status_500": _status_500,
    "error": _error,
    "error_200": _error_200,
    "too_many": _too_many,
    "maintenance": _maintenance,
    "missing_character": _missing_character,
    "html_200": _html_200,
    "empty_200": _empty_200,
}
BYTES: dict[str, Callable[[Rule, Reply], None]] = {
    "reset_before": _break,
    "reset_in_body": _break,
    "reset_after": _break,
    "timeout": _break,
    "cut_json": _cut_json,
}
PAGES: dict[str, Callable[[Rule, World, Answer], None]] = {
    "cursor_repeats": _cursor_repeats,
    "cursor_cycles": _cursor_cycles,
    "cursor_endless": _cursor_endless,
    "rows_overlap": _rows_overlap,
    "rows_outside_window": _rows_outside_window,
    "rows_unsorted": _rows_unsorted,
    "window_cut": _window_cut,
    "rows_null": _rows_null,
    "timeline_null": _timeline_null,
    "nan": _nan,
    "duplicate_keys": _duplicate_keys,
    "lone_surrogate": _lone_surrogate,
    "deep_nesting": _deep_nesting,
}
WORLD: dict[str, Callable[[int, list[Event]], list[Event]]] = {
    "unknown_code": _unknown_code,
    "nul": _nul,
    "extra_fields": _extra_fields,
    "retyped_fields": _retyped_fields,
}
HEADS: dict[str, Callable[[str], str]] = {
    "nul": lambda head: head.replace('"characterName":"', r'"characterName":"\u0000', 1),
    "extra_fields": lambda head: f"{head},{EXTRA}",
    "retyped_fields": _retype,
}
