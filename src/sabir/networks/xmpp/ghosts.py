"""Names of ghosts: JIDs by XEP-0106, nicks in rooms. Pure.

* A ghost's JID is made from the speaker's URI alone, so it is for life.
* It is lower-cased here, before anything is stored: servers do the same, and a
  bridge that stored mixed case could never be joined.
* A nick is the speaker's name; taken ones get the network's name, then numbers.
"""

import stringprep
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


_PROHIBITED: Final = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


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
    """Return a name as a room takes it: on one line, never empty.

    Servers apply resourceprep (RFC 3920, annex B): its forbidden characters go,
    emoji newer than Unicode 3.2 among them (Prosody 0.12 and ejabberd 23.01 refuse
    the nick), and of a name that mixes writing directions only one stays.
    """
    normal = unicodedata.normalize("NFKC", xml_safe(name))
    spaced = "".join(" " if letter.isspace() else letter for letter in normal)
    allowed = "".join(letter for letter in spaced if not _is_forbidden(letter))
    shown = " ".join(allowed.split())[:NICK_LENGTH_MAX].strip()
    return _one_direction(shown) or "someone"


def _is_forbidden(letter: str) -> bool:
    return letter != " " and (
        unicodedata.category(letter)[0] == "C"
        or any(table(letter) for table in _PROHIBITED)
    )


def _is_right_to_left(text: str) -> bool:
    return any(stringprep.in_table_d1(letter) for letter in text)


def _one_direction(text: str) -> str:
    """Return text that keeps to RFC 3454, section 6."""
    if not _is_right_to_left(text):
        return text
    kept = "".join(letter for letter in text if not stringprep.in_table_d2(letter))
    edges = [n for n, letter in enumerate(kept) if stringprep.in_table_d1(letter)]
    return kept[edges[0] : edges[-1] + 1]


def nick_choices(name: str, network: str) -> Iterator[str]:
    """Yield the nicks to try, in order."""
    wanted = nick(name)
    yield wanted
    if _is_right_to_left(wanted):
        # such a nick must also end in a letter of its own direction
        for number in range(2, NICK_TRIES_MAX):
            yield f"{wanted} {number} {wanted[-1]}"
        return
    ending = nick(network)
    if _is_right_to_left(ending):
        ending = "bridge"
    yield f"{wanted} ({ending})"
    for number in range(2, NICK_TRIES_MAX):
        yield f"{wanted} ({ending}) {number}"
