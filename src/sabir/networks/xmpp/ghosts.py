"""Names of ghosts: JIDs by XEP-0106, nicks in rooms. Pure.

* A ghost's JID is made from the speaker's URI alone, so it is for life.
* It is lower-cased here, before anything is stored: servers do the same, and a
  bridge that stored mixed case could never be joined.
* A nick is the speaker's name; taken ones get the network's name, then numbers.
"""

import unicodedata
from collections.abc import Iterator
from typing import Final

from sabir.networks.xmpp.envelope import digest
from sabir.networks.xmpp.text import xml_safe

RESOURCE: Final = "sabir"
"""The one resource of every ghost and of the listener."""
LISTENER: Final = "sabir"
"""Local part of the listener."""
LOCAL_OCTETS_MAX: Final = 200
"""RFC 7622 allows 1,023; short enough for every index of every server (our choice)."""
NICK_LENGTH_MAX: Final = 60
"""Characters; longer ones are cut (our choice: clients show about 30)."""
NICK_TRIES_MAX: Final = 20
_DIGEST_LENGTH: Final = 12
_ESCAPES: Final = {letter: f"\\{ord(letter):02x}" for letter in " \"&'/:<>@\\"}


def escape(text: str) -> str:
    """Return text as the local part of a JID, as XEP-0106 escapes it."""
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def ghost_local(uri: str) -> str:
    """Return the local part of the ghost of a speaker's URI.

    ASCII, lower case, at most 200 octets; where that loses something, a digest
    of the URI keeps it unique.
    """
    ascii_text = uri.encode("ascii", "replace").decode().replace("?", "-")
    visible = "".join(c for c in ascii_text.lower() if c.isprintable())
    local = escape(visible.strip())
    if visible.strip() == uri and len(local) <= LOCAL_OCTETS_MAX and local != LISTENER:
        return local
    cut = local[: LOCAL_OCTETS_MAX - _DIGEST_LENGTH - 1].rpartition("\\")
    stem = (cut[0] or cut[2])[: LOCAL_OCTETS_MAX - _DIGEST_LENGTH - 1]
    return f"{stem}-{digest(uri)[:_DIGEST_LENGTH]}"


def nick(name: str) -> str:
    """Return a name as a room takes it: normalised, on one line, never empty."""
    normal = unicodedata.normalize("NFKC", xml_safe(name))
    shown = "".join(
        " " if letter.isspace() else letter
        for letter in normal
        if letter.isspace() or unicodedata.category(letter)[0] != "C"
    )
    return " ".join(shown.split())[:NICK_LENGTH_MAX].strip() or "someone"


def nick_choices(name: str, network: str) -> Iterator[str]:
    """Yield the nicks to try, in order."""
    wanted = nick(name)
    yield wanted
    yield f"{wanted} ({nick(network)})"
    for number in range(2, NICK_TRIES_MAX):
        yield f"{wanted} ({nick(network)}) {number}"
