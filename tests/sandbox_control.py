"""The imitation of the API from the side of the tests: its control routes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from neople_timeline.models import CharacterKey


@dataclass(frozen=True)
class SandboxApi:
    """`url` is what NEOPLE_API_URL takes; the routes of `/sandbox/` (docs/sandbox.md) are under it too."""

    url: str
    key: str

    def read(self, path: str) -> bytes:
        """GET a control route, as in `roster.csv` or `truth?start=…&end=…`."""
        with urlopen(f"{self.url}/sandbox/{path}", timeout=120) as answer:  # noqa: S310 - loopback
            return bytes(answer.read())

    def fail(self, *rules: Mapping[str, Any]) -> None:
        """Let these faults happen from now on, and no others."""
        self._change("faults", rules)

    def switch(self, **settings: object) -> None:
        """Change settings of the API, as `rate`, `latency_seconds` or `key_error`."""
        self._change("settings", settings)

    def stats(self) -> dict[str, Any]:
        """Read the figures; `by_character` counts the timelines that were answered, by character."""
        return dict(json.loads(self.read("stats?characters")))

    def forget_stats(self) -> None:
        """Begin the figures anew."""
        self._change("stats/reset", {}, "POST")

    def characters(self) -> list[CharacterKey]:
        """List everybody in its world."""
        lines = self.read("roster.csv").decode().split()
        return [CharacterKey(*line.split(",")) for line in lines[1:]]

    def _change(self, path: str, value: object, method: str = "PUT") -> None:
        request = Request(f"{self.url}/sandbox/{path}", json.dumps(value).encode(), method=method)  # noqa: S310
        urlopen(request, timeout=30).close()  # noqa: S310 - loopback
