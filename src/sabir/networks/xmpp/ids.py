"""How chats and persons of XMPP are named to the rest of Sabir. Pure.

* A room is its bare JID; a plain account's direct chat is the peer's bare JID.
* A component's direct chat is `direct:<peer's bare JID>|<ghost's local part>`.
* A person in a room is `room/nick`; `room#occupant-id` where the room vouches
  for occupant ids (XEP-0421), because these survive a change of nick.
"""

from dataclasses import dataclass
from typing import Final

from sabir.networks.api import ChatId, PersonId

_DIRECT: Final = "direct:"


@dataclass(frozen=True, slots=True)
class Direct:
    """A conversation of one outside person with one ghost."""

    peer: str
    ghost: str
    """Local part of the ghost's JID."""

    def chat(self) -> ChatId:
        """Return it as a chat id."""
        return ChatId(f"{_DIRECT}{self.peer}|{self.ghost}")


def direct(chat: str) -> Direct | None:
    """Read a component's direct chat id; None if it is something else."""
    if not chat.startswith(_DIRECT):
        return None
    peer, bar, ghost = chat.removeprefix(_DIRECT).rpartition("|")
    return Direct(peer, ghost) if bar and peer and ghost else None


def occupant(room: str, nick: str, occupant_id: str = "") -> PersonId:
    """Return the id of somebody in a room."""
    return PersonId(f"{room}#{occupant_id}" if occupant_id else f"{room}/{nick}")
