"""What can be changed while the sandbox runs: the key, the limit, the latency, and the facts that nobody documented."""

from typing import Annotated, Any

import msgspec

from neople_timeline.sandbox.answers import ERRORS

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Status = Annotated[int, msgspec.Meta(ge=200, le=599)]


class RefusedError(Exception):
    """A control request that makes no sense; the text says why."""


class Switches(msgspec.Struct, forbid_unknown_fields=True):
    """The settings; the ones from `clamp_limit` on choose between outcomes that the real API might have."""

    key: str
    rate: Count = 1000
    latency_seconds: Seconds = 0.0
    latency_jitter_seconds: Seconds = 0.0
    key_error: str | None = None
    maintenance: bool = False
    count_targets: bool = True
    clamp_limit: bool = True
    full_page_goes_on: bool = False
    old_envelope: bool = False
    retry_after: str | None = None
    statuses: dict[str, Status] = {}

    def change(self, wanted: Any) -> None:
        """Take over the named settings, all or none."""
        if not isinstance(wanted, dict):
            raise RefusedError("settings are a JSON object of names and values")
        try:
            changed = msgspec.convert(msgspec.to_builtins(self) | wanted, Switches)
        except msgspec.ValidationError as error:
            raise RefusedError(f"{error}; there are {', '.join(self.__struct_fields__)}") from None
        check_codes(*changed.statuses, *([changed.key_error] if changed.key_error else []))
        for name in self.__struct_fields__:
            setattr(self, name, getattr(changed, name))

    def status_of(self, code: str) -> int:
        """Tell the HTTP status of an error code."""
        return self.statuses.get(code, ERRORS[code][0])

    def as_json(self) -> dict[str, Any]:
        """Show all settings but the key."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name != "key"}


def check_codes(*codes: str) -> None:
    """Refuse codes that the API does not have."""
    if unknown := set(codes) - set(ERRORS):
        raise RefusedError(f"no error code {', '.join(sorted(unknown))}; there are {', '.join(ERRORS)}")
