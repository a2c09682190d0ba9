"""What `GET /server/info` says of the Mac and of BlueBubbles. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sabir.errors import PeerIncompatible, PeerMisbehaved
from sabir.networks.api import PersonId
from sabir.networks.imessage import names

VERSION_MIN: Final = (1, 9, 9)
"""Replies and inbound edits are faulty in earlier ones."""
EDITS_MACOS_MIN: Final = 13
OWNER: Final = PersonId("me")
"""Where the Mac does not say which address it uses."""

_NUMBERS: Final = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """The Mac, as its server sees it now."""

    version: str = ""
    macos: str = ""
    helper: bool = False
    """The helper inside Messages is connected, so the private API works."""
    address: PersonId | None = None
    """The address that iMessage uses; None: the Mac is signed out."""

    @property
    def edits(self) -> bool:
        """Whether messages can be edited and taken back."""
        return self.helper and _version(self.macos)[0] >= EDITS_MACOS_MIN


def server_info(answer: object) -> ServerInfo:
    """Read the answer.

    Raises:
        PeerMisbehaved: IMESSAGE-010, it is no such answer.
        PeerIncompatible: the server is too old.
    """
    if not isinstance(answer, Mapping):
        raise PeerMisbehaved("IMESSAGE-010", "server/info gave no object")
    version = _text(answer, "server_version")
    if _version(version) < VERSION_MIN:
        wanted = ".".join(map(str, VERSION_MIN))
        raise PeerIncompatible(
            f"the Mac runs BlueBubbles {version or 'of an unknown version'}; upgrade it"
            f" to {wanted} or later"
        )
    return ServerInfo(
        version=version,
        macos=_text(answer, "os_version"),
        helper=answer.get("private_api") is True
        and answer.get("helper_connected") is True,
        address=names.address(answer.get("detected_imessage")),
    )


def _text(answer: Mapping[str, Any], member: str) -> str:
    value = answer.get(member)
    return value[:40] if isinstance(value, str) and value.isprintable() else ""


def _version(text: str) -> tuple[int, int, int]:
    found = _NUMBERS.match(text)
    major, minor, patch = found.groups(default="0") if found else ("0", "0", "0")
    return int(major), int(minor), int(patch)
