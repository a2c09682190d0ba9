"""Abuse reports at the hub (7.7)."""

from dataclasses import replace
from typing import Final

import pytest

from sabir.content.codec import encode as encode_content
from sabir.content.model import Content, ExtensionKey, NullPart
from sabir.mimi.components.framing import MIMI_CONTENT
from sabir.mimi.franking import (
    ReportVerdict,
    franking_aad,
    franking_tag,
    report_extensions,
)
from sabir.mimi.hub.keys import DAY_MS, ROTATED_MS, HubKeys
from sabir.mimi.hub.reports import LATE_MS
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.abuse import AbuseReport, AbusiveMessage
from sabir.mimi.structs.submit import SubmitMessageRequest
from sabir.mls.components import ApplicationFraming, MediaType
from sabir.mls.framing import decode_message
from sabir.testing.mimi.hub_harness import ROOM, HubHarness
from sabir.wire.errors import Malformed
from tests.unit.mimi.hub.scenes import ANN, BEN, of_four

SALT: Final = bytes(range(16))
UNTYPED: Final = MediaType(b"")


def content_of(hub: HubHarness, name: str) -> bytes:
    return encode_content(
        Content(
            salt=SALT,
            extensions={
                ExtensionKey.SENDER_URI: hub[name].user,
                ExtensionKey.ROOM_URI: ROOM,
            },
            body=NullPart(),
        )
    )


def reported(
    hub: HubHarness, name: str, framing: MediaType = MIMI_CONTENT
) -> AbuseReport:
    """Let somebody send a message, and Ben report it."""
    content = content_of(hub, name)
    framed = ApplicationFraming(framing, content).encode()
    aad = franking_aad(franking_tag(SALT, framed))
    sealed = hub[name].member.encrypt(hub.env, framed, aad=aad)
    request = SubmitMessageRequest(decode_message(sealed.message), hub[name].user)
    outcome = hub.submit(hub[name].domain, request)
    hub.take(outcome)
    frank = outcome.response.frank
    assert frank is not None
    return AbuseReport(
        reporting_user=hub[BEN].user,
        alleged_abuser=hub[name].user,
        messages=(
            AbusiveMessage(
                content=content, frank=frank, accepted_at=outcome.response.accepted_at
            ),
        ),
    )


def verdict(hub: HubHarness, report: AbuseReport) -> ReportVerdict:
    present = {"b.example": hub.now_ms}
    (found,) = hub.room.report(hub.now_ms, "b.example", report, present)
    return found


@pytest.mark.parametrize("framing", [MIMI_CONTENT, UNTYPED])
def test_mc_088_a_message_that_was_accepted_here_is_known_again(
    framing: MediaType,
) -> None:
    hub = of_four()
    assert verdict(hub, reported(hub, ANN, framing)) is ReportVerdict.VERIFIED


def test_mc_088_another_framing_is_told_by_the_reporter() -> None:
    hub = of_four()
    plain = MediaType(b"text/plain")
    report = reported(hub, ANN, plain)
    assert verdict(hub, report) is ReportVerdict.NOT_ACCEPTED_HERE
    told = replace(report, extensions=report_extensions([plain], verified=[True]))
    assert verdict(hub, told) is ReportVerdict.VERIFIED


def test_mc_088_it_is_known_again_after_the_key_was_turned_and_the_room_closed() -> (
    None
):
    hub = of_four()
    report = reported(hub, ANN)
    mac = hub.keys.mac.rotated(hub.now_ms + ROTATED_MS, hub.env.random)
    keys = HubKeys(external=hub.keys.external, franking=hub.keys.franking, mac=mac)
    hub.take(hub.room.close(hub.now_ms, hub[ANN].user))
    hub.room = HubRoom(keys, hub.room.memory, hub.room.last_at)
    assert verdict(hub, report) is ReportVerdict.VERIFIED


def test_mc_088_forged_content_sender_and_time_are_not_verified() -> None:
    hub = of_four()
    report = reported(hub, ANN)
    (message,) = report.messages
    forged = replace(report, alleged_abuser=hub[BEN].user)
    assert verdict(hub, forged) is ReportVerdict.OTHER_SENDER
    later = replace(message, accepted_at=message.accepted_at + 1)
    forged = replace(report, messages=(later,))
    assert verdict(hub, forged) is ReportVerdict.NOT_ACCEPTED_HERE
    other = replace(message, content=content_of(hub, BEN))
    forged = replace(report, messages=(other,))
    assert verdict(hub, forged) is ReportVerdict.OTHER_SENDER


def test_mc_089_a_report_may_be_anonymous() -> None:
    hub = of_four()
    report = replace(reported(hub, ANN), reporting_user="")
    assert verdict(hub, report) is ReportVerdict.VERIFIED


def test_mc_089_outsiders_do_not_report() -> None:
    hub = of_four()
    report = reported(hub, ANN)
    now_ms = hub.now_ms
    for source, present in (
        ("e.example", {"b.example": now_ms}),
        ("b.example", {"b.example": now_ms - LATE_MS - 1}),
        ("c.example", {"c.example": now_ms}),
    ):
        with pytest.raises(Problem) as wrong:
            hub.room.report(now_ms, source, report, present)
        assert wrong.value.problem is ProblemCode.DOMAIN_NOT_AUTHORIZED
    late = {"b.example": now_ms - 89 * DAY_MS}
    assert hub.room.report(now_ms, "b.example", report, late)


def test_a_report_with_too_few_media_types_is_malformed() -> None:
    hub = of_four()
    report = reported(hub, ANN)
    wrong = replace(report, extensions=report_extensions([UNTYPED, UNTYPED]))
    with pytest.raises(Malformed, match="MIMI-009"):
        verdict(hub, wrong)
