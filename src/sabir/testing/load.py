"""Numbered messages, and what became of them on the far side.

A load test sends texts that say who wrote them and as which one. What the far side's
own history holds is compared with what the near side's holds: every message once, every
sender's in order, and the whole room in the order in which the near side showed it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sabir.testing.clients.matrix import MatrixClient
from sabir.testing.clients.xmpp import XmppClient


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """One message of a run: who wrote it, and as which one."""

    sender: str
    number: int

    def text(self, tag: str) -> str:
        """Return its text in the run of this tag."""
        return f"{tag} {self.sender} {self.number}"


def said_in(tag: str, texts: Iterable[str | None]) -> list[Said]:
    """Return the messages of a run among these texts, in their order."""
    found = []
    for text in texts:
        if text is not None and text.startswith(tag + " "):
            _, sender, number = text.rsplit(" ", 2)
            found.append(Said(sender, int(number)))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What differs between the near side and the far side of one direction."""

    sent: int
    arrived: int
    lost: tuple[Said, ...] = ()
    ambiguous: tuple[Said, ...] = ()
    """Not there, and Sabir says so: not counted as lost."""
    duplicated: tuple[Said, ...] = ()
    strange: tuple[Said, ...] = ()
    """There, and never sent."""
    inversions: int = 0
    """Messages behind a later one of the same sender."""
    displaced: int = 0
    """Messages behind one that the near side's room shows after them."""

    @property
    def is_clean(self) -> bool:
        """Tell whether everything is there once and in each sender's order."""
        return not (self.lost or self.duplicated or self.strange or self.inversions)

    def figures(self) -> dict[str, object]:
        """Return it for people and JSON; of long lists the first three."""
        return {
            "sent": self.sent,
            "arrived": self.arrived,
            "inversions": self.inversions,
            "displaced": self.displaced,
        } | {
            name: {
                "count": len(each),
                "first": [f"{s.sender} {s.number}" for s in each[:3]],
            }
            if (each := getattr(self, name))
            else 0
            for name in ("lost", "duplicated", "strange", "ambiguous")
        }


def compare(
    near: Sequence[Said], far: Sequence[Said], *, ambiguous: Iterable[Said] = ()
) -> Findings:
    """Compare what was said with what is there.

    Args:
        near: the messages in the order in which the near side showed them, each once.
        far: the messages in the order of the far side's history.
        ambiguous: what Sabir lists as ambiguous.
    """
    counts = Counter(far)
    doubted = set(ambiguous)
    missing = [each for each in near if each not in counts]
    first = list(dict.fromkeys(far))
    return Findings(
        sent=len(near),
        arrived=len(counts),
        lost=tuple(each for each in missing if each not in doubted),
        ambiguous=tuple(each for each in missing if each in doubted),
        duplicated=tuple(each for each, count in counts.items() if count > 1),
        strange=tuple(sorted(set(counts) - set(near))),
        inversions=_inversions(first),
        displaced=_displaced(near, first),
    )


def _inversions(far: Sequence[Said]) -> int:
    newest: dict[str, int] = {}
    inverted = 0
    for each in far:
        inverted += each.number < newest.get(each.sender, -1)
        newest[each.sender] = max(each.number, newest.get(each.sender, -1))
    return inverted


def _displaced(near: Sequence[Said], far: Sequence[Said]) -> int:
    places = {each: place for place, each in enumerate(near)}
    newest, displaced = -1, 0
    for place in (places[each] for each in far if each in places):
        displaced += place < newest
        newest = max(newest, place)
    return displaced


async def matrix_history(client: MatrixClient, room: str, tag: str) -> list[Said]:
    """Return a run's messages as the homeserver's history has them."""
    events = await client.history(room)
    return said_in(tag, (event.get("content", {}).get("body") for event in events))


def matrix_shown(client: MatrixClient, room: str, tag: str) -> list[Said]:
    """Return a run's messages in the order in which `/sync` showed them.

    Synapse's history sorts messages that were written at the same moment differently.
    """
    shown = (seen.body for seen in client.events if seen.room_id == room)
    return said_in(tag, shown)


async def xmpp_history(client: XmppClient, room: str, tag: str) -> list[Said]:
    """Return a run's messages as the room's archive has them."""
    return said_in(tag, (message.body for message in await client.archive(room)))
