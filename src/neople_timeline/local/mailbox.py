"""A mail catcher: every mail that it is handed lands in a Maildir, whoever it is for.

`python -m neople_timeline.local.mailbox --port 1025 --maildir FOLDER`; user and password come from SANDBOX_SMTP_USER
and SANDBOX_SMTP_PASSWORD, and without them it takes mail from anyone.
"""

import argparse
import asyncio
import hmac
import logging
import os
import signal
from pathlib import Path

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


async def serve(port: int, maildir: Path, user: str, password: str) -> None:
    """Take mail on a loopback port until SIGINT or SIGTERM."""

    def log_in(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object) -> AuthResult:
        known = isinstance(given, LoginPassword) and hmac.compare_digest(
            given.login + b"\0" + given.password, f"{user}\0{password}".encode()
        )
        # handled=False would make aiosmtpd send no answer to a wrong password: the client would wait for ever.
        return AuthResult(success=known, handled=known, message=None if known else "535 5.7.8 wrong user or password")

    def talk() -> SMTP:
        return SMTP(
            Mailbox(maildir),
            hostname="localhost",
            authenticator=log_in if user else None,
            auth_required=bool(user),
            auth_require_tls=False,  # loopback only
        )

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(talk, "127.0.0.1", port)
    await stopped.wait()
    server.close()


def main() -> None:
    """Serve what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m neople_timeline.local.mailbox", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--maildir", type=Path, required=True)
    given = parser.parse_args()
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    asyncio.run(
        serve(
            given.port,
            given.maildir,
            os.environ.get("SANDBOX_SMTP_USER", ""),
            os.environ.get("SANDBOX_SMTP_PASSWORD", ""),
        )
    )


if __name__ == "__main__":
    main()
