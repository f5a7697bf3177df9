"""The only door to the lake: objects in S3 or in a local folder.

lake.json                                     which lake this is, and where its days start
raw/day=…/…jsonl.zst                          answers as they came, named by the first day they cover
dead/day=…/…                                  answers that could not be read, byte for byte
events/day=…/bucket-NN-of-MM.parquet          one object per day and bucket: one PUT is the commit
characters/day=…/bucket-NN-of-MM.parquet
marts/<name>/…    reports/day=…/index.html
"""

import contextlib
import json
import re
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, ObjectStore, S3Store

from neople_timeline.errors import ConfigError, DataError, Overtaken, RetryLater
from neople_timeline.models import Calendar
from neople_timeline.settings import Settings

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import S3Config

LAKE_FILE: Final = "lake.json"
_PART: Final = re.compile(r"/bucket-(\d+)-of-\d+\.parquet$")
_REFUSED: Final = re.compile(r"\(os error (1|13|20|21|30)\)")
"""What an operating system says that will not pass: no right to, no folder, a folder, read-only."""
FETCHERS: Final = 8
"""How many objects are read at once when many are wanted."""


@dataclass(frozen=True)
class StoredObject:
    """An object's bytes and the entity tag of exactly these bytes."""

    data: bytes
    etag: str


def open_lake(settings: Settings) -> "Lake":
    """Open the lake that `LAKE_URL` names; nothing is written or read yet."""
    settings.require("lake_url")
    parts = urlsplit(settings.lake_url)
    if parts.scheme == "file":
        return Lake(settings, _open_folder(parts.path))
    store = S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        client_options={"allow_http": True, "connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=60)},
        retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
        config=_read_s3_config(settings),
    )
    return Lake(settings, store)


def _open_folder(path: str) -> LocalStore:
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"LAKE_URL: the folder {path} cannot be made: {error.strerror}") from None
    return LocalStore(prefix=path)


class Lake:
    """Reads, writes and lists objects by keys relative to `LAKE_URL`.

    A store that does not answer is RetryLater, one that refuses the login is ConfigError.
    """

    def __init__(self, settings: Settings, store: ObjectStore) -> None:
        self._settings = settings
        self._store = store

    def ensure_id(self, calendar: Calendar) -> str:
        """Give the lake's id, fixing where its days start on first use and refusing another start ever after."""
        if lake_id := self.read_id(calendar):
            return lake_id
        start = calendar.starts_at.strftime("%H:%M")
        fresh = json.dumps({"lake_id": str(uuid.uuid4()), "day_starts_at": start}).encode()
        with contextlib.suppress(AlreadyExistsError):
            self._put(LAKE_FILE, fresh, mode="create")
        return self.ensure_id(calendar)

    def read_id(self, calendar: Calendar) -> str | None:
        """Give the lake's id, None before its first use; days that start at another hour are a ConfigError."""
        start = calendar.starts_at.strftime("%H:%M")
        found = self.read(LAKE_FILE)
        if found is None:
            return None
        try:
            lake = json.loads(found.data)
            lake_id, lake_start = str(uuid.UUID(str(lake["lake_id"]))), lake["day_starts_at"]
        except (ValueError, TypeError, KeyError):
            raise ConfigError(f"{self.describe(LAKE_FILE)} is damaged: put it back from a backup") from None
        if lake_start != start:
            raise ConfigError(
                f"DAY_STARTS_AT is {start}, but the days of this lake start at {lake_start}: "
                "set it back, or give a new LAKE_URL (and a new warehouse) to days that are cut otherwise"
            )
        return lake_id

    def put_new(self, key: str, data: bytes) -> None:
        """Create an object and never overwrite one.

        When the store says that the key exists, an earlier answer of ours got lost if the bytes are the same;
        other bytes are a DataError.
        """
        try:
            self._put(key, data, mode="create")
        except AlreadyExistsError:
            if self.get(key) != data:
                raise DataError(
                    f"{self.describe(key)} exists already with other content; nothing was overwritten"
                ) from None

    def put(self, key: str, data: bytes) -> str:
        """Write an object whole, in place of what was there, and return its entity tag."""
        return self._put(key, data, mode="overwrite")

    def replace(
        self, key: str, data: bytes, *, etag: str | None, content_type: str = "application/octet-stream"
    ) -> str:
        """Write an object only if it still is the one seen before (`etag`, None where there was none).

        Returns the new entity tag; somebody else's write in between is Overtaken.
        """
        try:
            if etag is None:
                return self._put(key, data, mode="create", content_type=content_type)
            return self._put(key, data, mode={"e_tag": etag}, content_type=content_type)
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            current = self.read(key)
            if current and current.data == data:  # our own write, whose answer got lost
                return current.etag
            raise Overtaken(f"{self.describe(key)} was rewritten by another run", seconds=1) from None
        except (NotSupportedError, NotImplementedError):
            # Local folders have no conditional write; the lock in the warehouse alone keeps writers apart there.
            return self._put(key, data, mode="overwrite", content_type=content_type)

    def get(self, key: str) -> bytes:
        """Read an object whole; one that is not there is a DataError."""
        found = self.read(key)
        if found is None:
            raise self._miss(key)
        return found.data

    def read(self, key: str) -> StoredObject | None:
        """Read an object with its entity tag, or None where there is none."""
        try:
            result = obstore.get(self._store, key)
            return StoredObject(result.bytes().to_bytes(), _etag(result.meta["e_tag"]))
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise self._explain(error, key) from None

    def etag(self, key: str) -> str | None:
        """Give an object's entity tag, or None where there is no such object."""
        try:
            return _etag(obstore.head(self._store, key)["e_tag"])
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise self._explain(error, key) from None

    def etags(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Give the entity tags of many objects, None for those that are not there."""
        wanted = list(keys)
        with ThreadPoolExecutor(FETCHERS) as pool:
            return dict(zip(wanted, pool.map(self.etag, wanted), strict=True))

    def list_keys(self, prefix: str) -> list[str]:
        """List the keys below a prefix (whole path segments), in order."""
        try:
            return sorted(meta["path"] for batch in obstore.list(self._store, prefix) for meta in batch)
        except BaseError as error:
            raise self._explain(error, prefix) from None

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already do not matter."""
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                continue
            except BaseError as error:
                raise self._explain(error, key) from None

    def fetch(self, keys: Iterable[str], folder: Path) -> list[Path]:
        """Bring objects into a folder; those of a local lake stay where they are. One that is gone is a DataError."""
        with ThreadPoolExecutor(FETCHERS) as pool:
            return list(pool.map(lambda key: self._fetch(key, folder), keys))

    def describe(self, key: str) -> str:
        """Give the full address of a key, for people."""
        return f"{self._settings.lake_url}/{key}"

    def _fetch(self, key: str, folder: Path) -> Path:
        parts = urlsplit(self._settings.lake_url)
        if parts.scheme == "file":
            if self.etag(key) is None:
                raise self._miss(key)
            return Path(parts.path, key)
        path = folder / key.replace("/", "_")
        if not path.exists():
            path.write_bytes(self.get(key))
        return path

    def _miss(self, key: str) -> DataError:
        return DataError(
            f"{self.describe(key)} is gone. The next run of its day rebuilds it where it can; find out who deleted it"
        )

    def _put(self, key: str, data: bytes, *, mode: "PutMode", content_type: str = "application/octet-stream") -> str:
        attributes = {} if isinstance(self._store, LocalStore) else {"Content-Type": content_type}
        try:
            # One request, not a multipart upload: it is there whole, or it is not there.
            result = obstore.put(self._store, key, data, mode=mode, use_multipart=False, attributes=attributes)
        except (AlreadyExistsError, PreconditionError, NotSupportedError):
            raise
        except FileNotFoundError:
            if isinstance(mode, dict):  # of an object that is gone Amazon's S3 says this, not that it is another
                raise
            raise ConfigError(
                f"LAKE_URL: there is no bucket for {self.describe(key)}: make it, or correct it"
            ) from None
        except BaseError as error:
            raise self._explain(error, key) from None
        return _etag(result["e_tag"])

    def _explain(self, error: BaseError, key: str) -> ConfigError | RetryLater:
        where = self.describe(key)
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            return ConfigError(f"the store refuses the login for {where}: check AWS_ACCESS_KEY_ID and its rights")
        reason = str(error).splitlines()[0][:300]
        if isinstance(self._store, LocalStore) and _REFUSED.search(reason):
            return ConfigError(
                f"{where} cannot be read and written here: {reason}. Check LAKE_URL and the folder's rights"
            )
        if key == LAKE_FILE and " 400 Bad Request" in reason:  # no name for a bucket, or a region that it is not in
            return ConfigError(f"the store does not understand the request for {where}: check LAKE_URL and AWS_REGION")
        return RetryLater(f"the store does not answer for {where}: {reason}", seconds=30)


def raw_prefix(day: date) -> str:
    """Name the folder of the raw answers whose first day is `day`."""
    return f"raw/day={day}"


def dead_prefix(day: date) -> str:
    """Name the folder of the answers that could not be read, and whose first day is `day`."""
    return f"dead/day={day}"


def part_key(table: str, day: date, bucket: int, buckets: int) -> str:
    """Name the Parquet object of a table, day and bucket."""
    return f"{table}/day={day}/bucket-{bucket:02}-of-{buckets:02}.parquet"


def read_bucket(key: str) -> int | None:
    """Read from the name of a part's object which bucket it is, or None where it has no such name."""
    found = _PART.search(key)
    return int(found[1]) if found else None


def _etag(value: str | None) -> str:
    return value or ""


def _read_s3_config(settings: Settings) -> "S3Config":
    # What is not given is left out, so that the store looks where AWS clients look: profile, role, instance.
    values = {
        "region": settings.aws_region,
        "endpoint": settings.aws_endpoint_url,
        "access_key_id": settings.aws_access_key_id,
        "secret_access_key": settings.aws_secret_access_key,
        "session_token": settings.aws_session_token,
    }
    return cast("S3Config", {name: value for name, value in values.items() if value})
