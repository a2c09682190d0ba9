"""What a line of a channel means. Pure."""

import re
from datetime import datetime
from typing import Final

from sabir.clock import Instant
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Incoming,
    NativeEvent,
    NativeId,
    Person,
    PersonId,
    Posted,
    TopicChanged,
)

from sabir_irc.line import Line, parse

_FORMATTING: Final = re.compile(
    r"\x03(\d{1,2}(,\d{1,2})?)?|[\x02\x0f\x11\x16\x1d-\x1f]"
)
"""Colours and font switches of mIRC: not kept, and reported as lost."""
_ACTION: Final = re.compile(r"\x01ACTION (.*?)\x01?", re.DOTALL)


def decode(event: NativeEvent) -> Incoming | None:
    """Say what a stored line means; None for what is not for people.

    Raises:
        PeerMisbehaved: IRC-001, malformed.
    """
    line = parse(event.payload)
    if line.command not in {"PRIVMSG", "NOTICE", "TOPIC"}:
        return None
    if len(line.params) < 2 or not line.nick:
        raise PeerMisbehaved("IRC-001", f"{line.command} without sender or text")
    text = _FORMATTING.sub("", line.last)
    emote = _ACTION.fullmatch(text)
    if text.startswith("\x01") and emote is None:
        return None  # other CTCP: one program asks another
    reply_to = line.tags.get("+draft/reply")
    posted = Posted(
        text=Rich.plain(emote[1] if emote else text),
        reply_to=NativeId(reply_to) if reply_to else None,
        emote=emote is not None,
    )
    return Incoming(
        sender=Person(id=PersonId(line.nick.lower()), name=line.nick),
        action=TopicChanged(topic=text) if line.command == "TOPIC" else posted,
        sent_at=instant(line),
        lost=("colours and fonts",) if text != line.last else (),
    )


def instant(line: Line) -> Instant:
    """Return the time of the `server-time` tag; 0 if there is none to read."""
    try:
        seconds = datetime.fromisoformat(line.tags["time"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return Instant(0)
    return Instant(max(int(seconds * 1000), 0))
