"""Showing an abusive message to the hub that accepted it (7.7)."""

from sabir.errors import PolicyRefused
from sabir.mimi.franking import report_extensions
from sabir.mimi.member.events import FrankVerdict
from sabir.mimi.structs.abuse import AbuseReport, AbusiveMessage
from sabir.mimi.structs.submit import read_frank
from sabir.mls.components import MediaType, read_media_type
from sabir.storage.membership import Provenance
from sabir.storage.records import EntryRecord
from sabir.wire.tls import read_whole


def abuse_report(
    entry: EntryRecord, origin: Provenance | None, *, reporter: str, note: str
) -> AbuseReport:
    """Return the report of one message.

    The hub reads this message then, and no other: the frank proves that it is the one
    that it accepted.

    Args:
        entry: the message.
        origin: who sent it, with its frank.
        reporter: our URI; empty: anonymous.
        note: in words; may be empty.

    Raises:
        PolicyRefused: nobody could verify the report.
    """
    if origin is None or not origin.frank:
        raise PolicyRefused(
            "this message has no mark of its hub, so that nobody could verify a"
            " report; tell the room's moderators in words"
        )
    framing = read_whole(origin.framing, read_media_type) if origin.framing else None
    framings: tuple[MediaType, ...] = () if framing is None else (framing,)
    return AbuseReport(
        reporting_user=reporter,
        alleged_abuser=origin.sender,
        reason=0,
        note=note,
        messages=(
            AbusiveMessage(
                content=entry.content,
                frank=read_whole(origin.frank, read_frank),
                accepted_at=entry.accepted_at,
            ),
        ),
        extensions=report_extensions(
            framings, verified=(origin.verdict == FrankVerdict.ACCOUNTABLE,)
        ),
    )
