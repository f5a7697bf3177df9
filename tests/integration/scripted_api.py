"""An API that says exactly what a test tells it to, one row or one wrong answer at a time."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

UNKNOWN = 404, b'{"error": {"status": 404, "code": "DNF001", "message": ""}}'


@dataclass
class ScriptedApi:
    """`rows` of each character, as (minute, code, data); `interrupt` may answer in its place, or return None.

    It is told the character's id and the first minute asked for.
    """

    url: str = ""
    rows: dict[str, list[tuple[str, int, object]]] = field(default_factory=dict)
    server: str | None = None
    """What an answer says that the server is; by default the one that was asked for."""
    interrupt: Callable[[str, str], tuple[int, bytes] | None] = lambda _character, _start: None

    def answer(self, address: str) -> tuple[int, bytes]:
        """Answer for a timeline; everything fits on one page."""
        path, query = urlsplit(address).path.split("/"), parse_qs(urlsplit(address).query)
        server, character = path[3], path[5]
        start, end = (self._minute(query[name][0]) for name in ("startDate", "endDate"))
        before = list(self.rows.get(character, []))
        if wrong := self.interrupt(character, start):
            return wrong
        if character not in self.rows:
            return UNKNOWN
        rows = [
            {"code": code, "name": "", "date": minute, "data": data}
            for minute, code, data in before
            if start <= minute <= end
        ]
        timeline = {"date": {"start": start, "end": end}, "next": None, "rows": rows}
        told = {"serverId": self.server or server, "characterId": character, "characterName": "x", "timeline": timeline}
        return 200, json.dumps(told).encode()

    @staticmethod
    def _minute(text: str) -> str:
        return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[9:11]}:{text[11:13]}"


@contextmanager
def run_scripted_api() -> Iterator[ScriptedApi]:
    """Serve one on a free port."""
    api = ScriptedApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            status, body = api.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield api
        server.shutdown()
