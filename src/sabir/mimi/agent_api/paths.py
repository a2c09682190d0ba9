"""Where the operations of the agent API are, below `https://<provider>`.

Variables are filled as in the directory (D-08): whole URIs, percent-encoded.
"""

import re
from typing import Final
from urllib.parse import quote

from sabir.mimi.directory import expand

PREFIX: Final = "/agent/v1"

CHALLENGES: Final = f"{PREFIX}/challenges"
DEVICES: Final = f"{PREFIX}/devices"
DEVICE: Final = f"{PREFIX}/devices/{{device}}"
DEVICE_MESSAGES: Final = f"{PREFIX}/devices/{{device}}/messages"
TOKEN: Final = f"{PREFIX}/token"

KEY_PACKAGES: Final = f"{PREFIX}/keypackages"
KEY_MATERIAL: Final = f"{PREFIX}/keymaterial/{{targetUser}}"

ROOMS: Final = f"{PREFIX}/rooms"
ROOM: Final = f"{PREFIX}/rooms/{{roomId}}"
GENESIS: Final = f"{PREFIX}/rooms/{{roomId}}/genesis"
UPDATE: Final = f"{PREFIX}/rooms/{{roomId}}/update"
MESSAGES: Final = f"{PREFIX}/rooms/{{roomId}}/messages"
GROUP_INFO: Final = f"{PREFIX}/rooms/{{roomId}}/groupinfo"
ATTACH: Final = f"{PREFIX}/rooms/{{roomId}}/attach"
DETACH: Final = f"{PREFIX}/rooms/{{roomId}}/detach"
JOIN_CODES: Final = f"{PREFIX}/rooms/{{roomId}}/joincodes"
JOIN_CODE: Final = f"{PREFIX}/rooms/{{roomId}}/joincodes/{{id}}"
REPORTS: Final = f"{PREFIX}/rooms/{{roomId}}/reports"

CONSENTS: Final = f"{PREFIX}/consents"
QUERY: Final = f"{PREFIX}/query/{{domain}}"
SEARCHABLE: Final = f"{PREFIX}/me/searchable"

ASSETS: Final = f"{PREFIX}/assets"
PEER: Final = f"{PREFIX}/peers/{{domain}}"
CAPABILITIES: Final = f"{PREFIX}/capabilities"

EVENTS: Final = f"{PREFIX}/events"
EVENTS_ACK: Final = f"{PREFIX}/events/ack"
EVENTS_SUBPROTOCOL: Final = "sabir.agent.v1"

IDEMPOTENCY_FIELD: Final = "Idempotency-Key"
IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,64}")
"""1 to 64 visible ASCII characters."""


def path(template: str, **values: str) -> str:
    """Fill a template, e.g. `path(UPDATE, roomId=room)`."""
    return expand(template, values, "")


def query(**values: str | int) -> str:
    """Return a query, with the question mark; empty without values."""
    pairs = (f"{name}={quote(str(value), safe='')}" for name, value in values.items())
    joined = "&".join(pairs)
    return f"?{joined}" if joined else ""
