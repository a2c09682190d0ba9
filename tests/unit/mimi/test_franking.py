"""Franks: golden octets, what a receiver refuses, what a hub knows again."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from sabir.content.codec import decode as decode_content
from sabir.content.codec import encode as encode_content
from sabir.content.ids import message_id
from sabir.crypto.labels import sign_with_label
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.framing import MIMI_CONTENT, PLAIN
from sabir.mimi.franking import (
    FRANK_LABEL,
    FrankContext,
    HubMarks,
    ReportVerdict,
    franking_aad,
    franking_tag,
    make_frank,
    report_extensions,
    reported_framings,
    tag_of,
    verify_frank,
    verify_report,
)
from sabir.mimi.structs.abuse import AbuseReport, AbusiveMessage, decode_abuse_report
from sabir.mimi.structs.submit import Frank
from sabir.mls.components import (
    AppDataDictionary,
    ApplicationFraming,
    MediaType,
    encode_safe_aad,
)
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, uint16

VECTORS: Final = Path(__file__).parents[2] / "vectors" / "mimi-content"
CONTENT: Final = (VECTORS / "original.cbor").read_bytes()
SENDER: Final = "mimi://example.com/u/alice-smith"
ROOM: Final = "mimi://example.com/r/engineering_team"
AT: Final = 1_644_387_225_019
ABOUT: Final = FrankContext(sender=SENDER, room=ROOM, accepted_at=AT)
HUB_KEY: Final = bytes(range(0x20, 0x40))
SUITE: Final = SUITES[1]
PRIVATE, PUBLIC = signature_key_pair(SUITE, bytes(range(0x20)))
FRAMED: Final = ApplicationFraming(MIMI_CONTENT, CONTENT).encode()
SALT: Final = decode_content(CONTENT).salt
TAG: Final = franking_tag(SALT, FRAMED)
FRANK: Final = make_frank(
    SUITE, private_key=PRIVATE, hub_key=HUB_KEY, tag=TAG, about=ABOUT
)

GOLDEN_TAG: Final = "cac50818a758d500a44109d35073e0ce59d35c81f68eaf911c5b930d014034d0"
GOLDEN_FRANK: Final = (
    "3cae307361d22f89186be258e635269d3abe6fcd54e65868da8599f1ca4d541f"
    "00014040"
    "7f1efac60c800c51218f0c102727f071ede34e7bddca8eac9125bcc5efc3e435"
    "9cc15b32da77a871b60f1451e43cac1bed9e1f26166f15e14b3ddcb430297000"
)


def test_mc_085_the_golden_frank() -> None:
    assert len(FRAMED) == 221
    assert SUITE.hash(FRAMED).hex() == (
        "10288c034fcdb1f9a0d7cb593bcaa92d6c6d931ef4684cd3b52d9f3818e44a1d"
    )
    assert TAG.hex() == GOLDEN_TAG
    assert franking_aad(TAG).hex() == "23002020" + GOLDEN_TAG
    assert len(ABOUT.encode()) == 79
    assert ABOUT.encode().hex() == (
        "206d696d693a2f2f6578616d706c652e636f6d2f752f616c6963652d736d697468"
        "256d696d693a2f2f6578616d706c652e636f6d2f722f656e67696e656572696e675f7465616d"
        "0000017edd1dcdbb"
    )
    assert PUBLIC.hex() == (
        "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    )
    assert FRANK.encode().hex() == GOLDEN_FRANK
    assert message_id(SENDER, ROOM, CONTENT, SALT).hex() == (
        "017ce54837404c3696e0c747b985cb172716d0ed0a3d249ca63ace7d82a096f4"
    )


def test_the_tag_comes_out_of_the_authenticated_data() -> None:
    assert tag_of(franking_aad(TAG)) == TAG
    assert tag_of(encode_safe_aad({0x20: TAG, 0x0A0A: b"x"})) == TAG
    assert tag_of(b"\x00") is None


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (encode_safe_aad({0x20: bytes(31)}), "MIMI-008"),
        (encode_safe_aad({0x20: b""}), "MIMI-008"),
        (opaque((uint16(0x20) + opaque(TAG)) * 2), "E07"),
        (b"", "C03"),
        (b"\x00\x00", "C05"),
    ],
)
def test_mc_086_what_is_no_tag(data: bytes, rule: str) -> None:
    with pytest.raises(Malformed) as caught:
        tag_of(data)
    assert caught.value.rule == rule


def test_mc_087_a_frank_of_anything_else_is_not_accepted() -> None:
    assert verify_frank(SUITE, PUBLIC, FRANK, ABOUT)
    other = signature_key_pair(SUITE, bytes(32))[1]
    assert not verify_frank(SUITE, other, FRANK, ABOUT)
    for about in (
        replace(ABOUT, sender=SENDER + "x"),
        replace(ABOUT, room=ROOM + "x"),
        replace(ABOUT, accepted_at=AT + 1),
    ):
        assert not verify_frank(SUITE, PUBLIC, FRANK, about)
    for frank in (
        Frank(bytes(32), 1, FRANK.signature),
        Frank(FRANK.server_frank, 1, bytes(64)),
        Frank(FRANK.server_frank, 3, FRANK.signature),
    ):
        assert not verify_frank(SUITE, PUBLIC, frank, ABOUT)


# ---- reports


def frank_of(application_data: bytes, content: bytes = CONTENT) -> Frank:
    tag = franking_tag(decode_content(content).salt, application_data)
    return make_frank(SUITE, private_key=PRIVATE, hub_key=HUB_KEY, tag=tag, about=ABOUT)


def report_of(
    frank: Frank,
    content: bytes = CONTENT,
    *,
    accused: str = SENDER,
    accepted_at: int = AT,
    framings: tuple[MediaType, ...] = (),
) -> AbuseReport:
    message = AbusiveMessage(content=content, frank=frank, accepted_at=accepted_at)
    report = AbuseReport(
        reporting_user="",
        alleged_abuser=accused,
        messages=(message,),
        extensions=report_extensions(framings, reason=1),
    )
    return decode_abuse_report(report.encode())


def marks(
    default: MediaType | None = MIMI_CONTENT, agents: tuple[bytes, ...] = (PUBLIC,)
) -> HubMarks:
    return HubMarks(
        key_at=lambda at: HUB_KEY if at < AT + 1_000 else None,
        agent_keys=agents,
        default_type=default,
    )


HTML: Final = MediaType(b"text/html", ((b"charset", b"utf-8"),))


@pytest.mark.parametrize(
    ("application_data", "default", "told"),
    [
        (FRAMED, MIMI_CONTENT, ()),
        (ApplicationFraming(MediaType(b""), CONTENT).encode(), MIMI_CONTENT, ()),
        (ApplicationFraming(PLAIN, CONTENT).encode(), PLAIN, ()),
        (CONTENT, None, ()),
        (ApplicationFraming(HTML, CONTENT).encode(), PLAIN, (HTML,)),
    ],
)
def test_mc_088_each_framing_is_tried(
    application_data: bytes, default: MediaType | None, told: tuple[MediaType, ...]
) -> None:
    report = report_of(frank_of(application_data), framings=told)
    assert verify_report(report, ROOM, marks(default)) == (ReportVerdict.VERIFIED,)


def test_mc_088_a_framing_nobody_names_is_not_found() -> None:
    for default, data in (
        (PLAIN, ApplicationFraming(HTML, CONTENT).encode()),
        (PLAIN, CONTENT),
    ):
        found = verify_report(report_of(frank_of(data)), ROOM, marks(default))
        assert found == (ReportVerdict.NOT_ACCEPTED_HERE,)


def test_mc_088_reports_outlive_the_agents_key() -> None:
    later = signature_key_pair(SUITE, bytes(32))[1]
    both = marks(agents=(later, PUBLIC))
    assert verify_report(report_of(FRANK), ROOM, both) == (ReportVerdict.VERIFIED,)
    only = marks(agents=(later,))
    found = verify_report(report_of(FRANK), ROOM, only)
    assert found == (ReportVerdict.SIGNATURE_WRONG,)


def _said(extensions: dict[int | str, str], body: bytes = CONTENT) -> bytes:
    return encode_content(replace(decode_content(body), extensions=extensions))


BOB: Final = "mimi://example.com/u/bob"
ALTERED: Final = encode_content(
    replace(decode_content(CONTENT), topic_id=b"another topic")
)


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (report_of(FRANK, b"\x80"), ReportVerdict.UNREADABLE),
        (report_of(FRANK, _said({})), ReportVerdict.UNREADABLE),
        (report_of(FRANK, _said({1: SENDER})), ReportVerdict.UNREADABLE),
        (report_of(FRANK, accused=BOB), ReportVerdict.OTHER_SENDER),
        (
            report_of(FRANK, _said({1: BOB, 2: ROOM}), accused=BOB),
            ReportVerdict.NOT_ACCEPTED_HERE,
        ),
        (
            report_of(FRANK, _said({1: SENDER, 2: ROOM + "x"})),
            ReportVerdict.OTHER_ROOM,
        ),
        (report_of(FRANK, ALTERED), ReportVerdict.NOT_ACCEPTED_HERE),
        (report_of(FRANK, accepted_at=AT - 1), ReportVerdict.NOT_ACCEPTED_HERE),
        (report_of(FRANK, accepted_at=AT + 1_000), ReportVerdict.NO_KEY),
        (
            report_of(replace(FRANK, signature=bytes(64))),
            ReportVerdict.SIGNATURE_WRONG,
        ),
        (report_of(replace(FRANK, cipher_suite=99)), ReportVerdict.SIGNATURE_WRONG),
    ],
)
def test_mc_088_what_the_hub_did_not_accept(
    report: AbuseReport, verdict: ReportVerdict
) -> None:
    assert verify_report(report, ROOM, marks()) == (verdict,)


def test_a_forger_with_the_agents_key_lacks_the_hubs() -> None:
    """The signature alone does not make a report true."""
    tag = franking_tag(decode_content(ALTERED).salt, ALTERED)
    signed = tag + uint16(1) + ABOUT.encode()
    forged = Frank(tag, 1, sign_with_label(SUITE, PRIVATE, FRANK_LABEL, signed))
    assert verify_frank(SUITE, PUBLIC, forged, ABOUT)
    found = verify_report(report_of(forged, ALTERED), ROOM, marks())
    assert found == (ReportVerdict.NOT_ACCEPTED_HERE,)


def test_media_types_stand_beside_the_messages() -> None:
    assert reported_framings(report_of(FRANK)) == (None,)
    assert reported_framings(report_of(FRANK, framings=(PLAIN,))) == (PLAIN,)
    with pytest.raises(Malformed) as caught:
        verify_report(report_of(FRANK, framings=(PLAIN, HTML)), ROOM, marks())
    assert caught.value.rule == "MIMI-009"
    empty = replace(
        report_of(FRANK),
        extensions=AppDataDictionary(((ComponentId.SABIR_ABUSE_FRAMING, b"\x00"),)),
    )
    with pytest.raises(Malformed) as caught:
        reported_framings(empty)
    assert caught.value.rule == "E12"


def test_a_report_without_reason_or_messages_says_nothing_more() -> None:
    assert report_extensions(()).encode() == b"\x00"
    said = report_extensions((), verified=(True, False), reason=12)
    assert said.encode().hex() == "0bfb1002000cfb1203020100"
