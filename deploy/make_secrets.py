#!/usr/bin/env python3
"""Make the secrets of compose.yaml as files in deploy/secrets/, once: `python3 deploy/make_secrets.py`.

Needs nothing but Python. Secrets that are there are kept. The API key is read from NEOPLE_API_KEY or asked for; it goes
into secrets/connections.json, which may be edited at any time (in place: `cp new.json secrets/connections.json`).
"""

import base64
import getpass
import json
import os
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "secrets"
MOUNTED = [path for name in ("postgres", "grafana") for path in (Path(__file__).parent / name).rglob("*")]
"""What containers read of the checkout itself, as users of their own."""


def main() -> None:
    """Write what is missing."""
    FOLDER.mkdir(exist_ok=True)
    FOLDER.chmod(0o700)
    for path in MOUNTED:  # a strict umask gave the checkout's files to their owner alone
        path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.is_dir() else 0))
    passwords = {name: keep(name, secrets.token_hex(24)) for name in ("postgres", "metastore", "warehouse", "reader")}
    redis = keep("redis", secrets.token_hex(24))
    store_id, store_secret = keep("store_id", secrets.token_hex(10)), keep("store_secret", secrets.token_hex(24))
    metastore = f"airflow:{passwords['metastore']}@postgres:5432/airflow"
    keep("metastore_url", f"postgresql+psycopg://{metastore}")
    keep("result_backend", f"db+postgresql+psycopg://{metastore}")
    keep("broker_url", f"redis://:{redis}@redis:6379/0")
    keep("fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    keep("jwt_secret", secrets.token_hex(64))
    keep("session_secret", secrets.token_hex(64))
    keep("admin", secrets.token_urlsafe(16))
    keep("grafana", secrets.token_urlsafe(16))
    keep("store.json", json.dumps(describe_store(store_id, store_secret), indent=1))
    if not (FOLDER / "connections.json").exists():
        key = os.environ.get("NEOPLE_API_KEY") or getpass.getpass("API key (developers.neople.co.kr): ")
        described = describe_connections(key.strip(), store_id, store_secret, passwords["warehouse"])
        keep("connections.json", json.dumps(described, indent=1, ensure_ascii=False))
    sys.stdout.write(f"secrets are in {FOLDER}; the admin's password is in {FOLDER / 'admin'}\n")


def keep(name: str, value: str) -> str:
    """Write a secret unless it is there; return the one that is.

    The folder keeps strangers out. The file itself can be read by the containers' users and written by its owner: a
    container never sees another file of the same name.
    """
    path = FOLDER / name
    if not path.exists():
        begun = path.with_suffix(".begun")
        begun.touch(mode=0o600)
        begun.write_text(value)
        begun.chmod(0o644)
        begun.rename(path)  # whole or not at all
    return path.read_text()


def describe_store(access_key_id: str, secret_access_key: str) -> dict[str, object]:
    """Describe the one identity that may use the object store."""
    credentials = [{"accessKey": access_key_id, "secretKey": secret_access_key}]
    return {"identities": [{"name": "timeline", "credentials": credentials, "actions": ["Admin", "Read", "Write"]}]}


def describe_connections(key: str, store_id: str, store_secret: str, warehouse: str) -> dict[str, dict[str, object]]:
    """Describe Airflow's Connections for the services of compose.yaml."""
    lake = {"lake_url": "s3://lake/timeline", "endpoint_url": "http://objects:8333", "region_name": "us-east-1"}
    mail = {"report_to": "players@example.org", "from_email": "neople-timeline <timeline@example.org>"}
    return {
        "neople_api": {
            "conn_type": "http",
            "host": "https://api.neople.co.kr",
            "password": key,
            "extra": {"rate": 1000},
        },
        "neople_lake": {"conn_type": "aws", "login": store_id, "password": store_secret, "extra": lake},
        "neople_warehouse": {
            "conn_type": "postgres",
            "host": "postgres",
            "port": 5432,
            "schema": "timeline",
            "login": "timeline",
            "password": warehouse,
        },
        "spark_default": {"conn_type": "spark", "host": "spark://spark-master", "port": 7077},
        "smtp_default": {
            "conn_type": "smtp",
            "host": "mail",
            "port": 1025,
            "extra": {**mail, "disable_ssl": True, "disable_tls": True},
        },
    }


if __name__ == "__main__":
    main()
