"""Invitations for whoever has them, as one text."""

from dataclasses import dataclass
from typing import Final

from sabir.errors import PolicyRefused
from sabir.mimi.agent_api.forms import base64url, octets_of
from sabir.mimi.uris import Kind, parse_uri
from sabir.storage.records import RoomId
from sabir.wire.errors import Malformed

_MARK: Final = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinLink:
    """An invitation for whoever has it: room, role and code as one text."""

    room: RoomId
    role: int
    code: bytes

    def text(self) -> str:
        """Write it, e.g. `mimi://a.example/r/x#2.<code>`."""
        return f"{self.room}{_MARK}{self.role}.{base64url(self.code)}"

    @staticmethod
    def is_in(text: str) -> bool:
        """Whether a text is meant as one, rather than as a room's URI."""
        return _MARK in text

    @classmethod
    def read(cls, text: str) -> "JoinLink":
        """Read what `text` wrote.

        Raises:
            PolicyRefused: it is none.
        """
        room, _, rest = text.strip().partition(_MARK)
        role, _, code = rest.partition(".")
        try:
            parse_uri(room, Kind.ROOM)
            return cls(room=RoomId(room), role=int(role), code=octets_of(code))
        except (Malformed, ValueError):
            raise PolicyRefused(
                "this is no invitation; it looks like mimi://a.example/r/…#2.…"
            ) from None
