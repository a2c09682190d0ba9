"""Abuse reports at the hub (7.7): whose are taken, and what they prove."""

from collections.abc import Mapping
from typing import Final

from sabir.mimi.franking import HubMarks, ReportVerdict, verify_report
from sabir.mimi.hub.keys import DAY_MS, MacKeys
from sabir.mimi.hub.memory import RoomMemory
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.abuse import AbuseReport
from sabir.mimi.uris import domain_of

LATE_MS: Final = 90 * DAY_MS
"""How long a provider may report that has nobody in the room any more."""


def judge_report(
    memory: RoomMemory,
    keys: MacKeys,
    source: str,
    report: AbuseReport,
    *,
    present: Mapping[str, int],
    now_ms: int,
) -> tuple[ReportVerdict, ...]:
    """Judge each message of a report; the report is stored whatever is said of them.

    Args:
        memory: the room, open or closed.
        keys: of franks.
        source: domain of the reporter's provider.
        report: decoded.
        present: by provider, when it last had a participant here, in ms.
        now_ms: ms since 1970.

    Raises:
        Problem: DOMAIN_NOT_AUTHORIZED, a provider that had nobody here, or a
            reporter of another provider.
        Malformed: MIMI-009, more or fewer media types than messages.
    """
    last = present.get(source)
    if last is None or now_ms - last > LATE_MS:
        raise Problem(ProblemCode.DOMAIN_NOT_AUTHORIZED, "nobody of it is in the room")
    reporter = report.reporting_user
    if reporter and domain_of(reporter) != source:
        raise Problem(ProblemCode.DOMAIN_NOT_AUTHORIZED, "another provider's reporter")
    room = memory.room
    agent = room.franking_agent
    marks = HubMarks(
        key_at=keys.key_at,
        agent_keys=() if agent is None else (agent.signature_key,),
        default_type=room.media_types[0] if room.media_types else None,
    )
    return verify_report(report, room.room_uri, marks)
