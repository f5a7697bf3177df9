"""What can be changed while the sandbox runs: the key, the limit, the latency, and the facts that nobody documented."""

from dataclasses import dataclass, field, fields
from typing import Any

from neople_timeline.sandbox.answers import ERRORS


class RefusedError(Exception):
    """A control request that makes no sense; the text says why."""


@dataclass
class Switches:
    """The settings; the ones from `clamp_limit` on choose between outcomes that the real API might have."""

    key: str
    rate: int = 1000
    latency_seconds: float = 0.0
    latency_jitter_seconds: float = 0.0
    key_error: str | None = None
    maintenance: bool = False
    count_targets: bool = True
    clamp_limit: bool = True
    full_page_goes_on: bool = False
    old_envelope: bool = False
    retry_after: str | None = None
    statuses: dict[str, int] = field(default_factory=dict)

    def change(self, wanted: Any) -> None:
        """Take over the named settings, all or none."""
        if not isinstance(wanted, dict):
            raise RefusedError("settings are a JSON object of names and values")
        checked = {name: self._checked(name, value) for name, value in wanted.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def status_of(self, code: str) -> int:
        """The HTTP status of an error code."""
        return self.statuses.get(code, ERRORS[code][0])

    def as_json(self) -> dict[str, Any]:
        """All settings but the key."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "key"}

    @staticmethod
    def _checked(name: str, value: Any) -> Any:
        if name not in KINDS:
            raise RefusedError(f"no setting {name!r}; there are {', '.join(sorted(KINDS))}")
        if not isinstance(value, KINDS[name]) or (isinstance(value, bool) and bool not in KINDS[name]):
            raise RefusedError(f"{name} cannot be {value!r}")
        if name == "key_error" and value not in {*ERRORS, None}:
            raise RefusedError(f"no error code {value!r}; there are {', '.join(ERRORS)}")
        if name.startswith(("rate", "latency")) and value < 0:
            raise RefusedError(f"{name} cannot be negative")
        return value


KINDS: dict[str, tuple[type, ...]] = {
    "key": (str,),
    "rate": (int,),
    "latency_seconds": (int, float),
    "latency_jitter_seconds": (int, float),
    "key_error": (str, type(None)),
    "maintenance": (bool,),
    "count_targets": (bool,),
    "clamp_limit": (bool,),
    "full_page_goes_on": (bool,),
    "old_envelope": (bool,),
    "retry_after": (str, type(None)),
    "statuses": (dict,),
}
