"""Envelopes as signal-cli 0.14 writes them (its `json/Json*.java` records)."""

from typing import Any

from sabir.networks.api import ChatId, NativeEvent, PersonId
from sabir.networks.signal import envelope as envelopes

OWN = PersonId("00000000-0000-4000-8000-000000000001")
BOB = PersonId("11111111-1111-4111-8111-11111111111b")
CAROL = PersonId("22222222-2222-4222-8222-22222222222c")
GROUP = "B" * 43 + "="
DM = ChatId(f"dm:{BOB}")
NAMES: dict[PersonId, str] = {BOB: "Bob", CAROL: "Carol", OWN: "Ada"}
T = 1_700_000_000_123

Json = dict[str, Any]


def body(**more: Any) -> Json:
    return {"timestamp": T, "message": None, "expiresInSeconds": 0, **more}


def envelope(author: PersonId = BOB, **member: Any) -> Json:
    return {
        "source": "+12025550102",
        "sourceNumber": "+12025550102",
        "sourceUuid": author,
        "sourceName": "Bob",
        "sourceDevice": 1,
        "timestamp": T,
        "serverReceivedTimestamp": T + 1,
        "serverDeliveredTimestamp": T + 2,
        **member,
    }


def group_info(kind: str = "DELIVER") -> Json:
    return {"groupId": GROUP, "groupName": "Tea", "revision": 1, "type": kind}


def stored(found: Json) -> NativeEvent:
    """Return an envelope as the connector stores it."""
    message = envelopes.said(found, OWN)
    assert message is not None
    return envelopes.seal(message, found, OWN, NAMES)
