"""What a room's or server's error means: try again, or why never. Pure."""

from typing import Final

RETRY_AFTER_MS: Final = 5_000
"""First wait after an error of the world (our choice; the supervisor doubles it)."""
_AGAIN: Final = frozenset(
    {
        "remote-server-timeout",
        "remote-server-not-found",
        "resource-constraint",
        "internal-server-error",
        "recipient-unavailable",
    }
)
_WHY: Final = {
    "forbidden": "may not do this: ask a moderator for voice, an owner for more",
    "not-allowed": "is not allowed to do this: ask an owner of the room",
    "registration-required": "is not a member of the room: ask an admin to add it",
    "not-authorized": "needs a password for the room: have it removed there",
    "item-not-found": "finds nothing under this address: check that it still exists",
    "gone": "finds nothing under this address any more: it has moved or was closed",
    "service-unavailable": "cannot get through: nobody takes messages there",
    "policy-violation": "sends too fast for this server: have its limits raised",
    "not-acceptable": "is not let in by the room: check its members and its nicks",
    "conflict": "finds every nick it may use taken: choose another name",
    "jid-malformed": "uses an address that the server does not accept",
}


def may_retry(condition: str) -> bool:
    """Tell whether the same stanza may succeed later."""
    return condition in _AGAIN


def reason(who: str, condition: str, text: str = "") -> str:
    """Return a sentence for a person: why, and what can be done."""
    why = _WHY.get(condition, f"was refused by the server ({condition})")
    said = f" (the server says: {text[:200]})" if text else ""
    return f"{who} {why}{said}"
