"""What a real server hands out: accounts of people, and the accounts of services."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixAccount:
    """A person's login on a homeserver."""

    base_url: str
    user_id: str
    password: str
    access_token: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class XmppAccount:
    """A person's login on an XMPP server.

    `ca_file` is the authority that signed the server's certificate. Without it a
    client speaks plain TCP, which only the loopback interface excuses.
    """

    jid: str
    password: str
    host: str
    port: int
    ca_file: Path | None
    upload_service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentAccount:
    """The place of an external component (XEP-0114) on an XMPP server."""

    jid: str
    secret: str
    host: str
    port: int
