"""What is stored: the stanza, and beside it what it does not say."""

from xml.etree.ElementTree import Element, SubElement, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.errors import PeerMisbehaved
from sabir.networks.xmpp.envelope import (
    DEPTH_MAX,
    PAYLOAD_OCTETS_MAX,
    Arrived,
    Kind,
    digest,
    seal,
    unseal,
)

XML_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=50
).filter(lambda text: "\ufffe" not in text and "\uffff" not in text)


WHOLE = [kind for kind in Kind if kind not in (Kind.OVERSIZED, Kind.NESTED)]


@given(XML_TEXT, XML_TEXT, st.sampled_from(WHOLE), st.booleans())
def test_what_is_sealed_comes_back(
    body: str, nick: str, kind: Kind, occupant_ids: bool
) -> None:
    stanza = Element("{jabber:client}message", {"from": f"r@m/{nick}", "id": "1"})
    stanza.text = body
    arrived = Arrived(
        kind=kind,
        at=Instant(5),
        stanza=stanza,
        jid=nick,
        occupant_ids=occupant_ids,
        value=body,
    )
    again = unseal(seal(arrived))
    assert (again.kind, again.at, again.jid) == (kind, 5, nick)
    assert (again.occupant_ids, again.value) == (occupant_ids, body)
    assert again.stanza.attrib == stanza.attrib
    assert (again.stanza.text or "") == body


def test_a_stanza_that_is_too_large_is_stored_as_its_header() -> None:
    stanza = Element("{jabber:client}message", {"from": "a@b", "id": "1"})
    stanza.text = "x" * PAYLOAD_OCTETS_MAX
    payload = seal(Arrived(kind=Kind.MESSAGE, at=Instant(0), stanza=stanza))
    assert len(payload) < 1_000
    assert b"a@b" in payload
    with pytest.raises(PeerMisbehaved, match="XMPP-001"):
        unseal(payload)


def nested(depth: int) -> Element:
    stanza = inside = Element("{jabber:client}message", {"from": "a@b", "id": "1"})
    for _ in range(depth):
        inside = SubElement(inside, "{x}a")
    return stanza


def test_a_stanza_that_is_nested_too_deep_is_stored_as_its_header() -> None:
    for depth in (DEPTH_MAX, 100_000):
        stanza = nested(depth)
        payload = seal(Arrived(kind=Kind.MESSAGE, at=Instant(0), stanza=stanza))
        assert len(payload) < 1_000
        assert b"a@b" in payload
        with pytest.raises(PeerMisbehaved, match="XMPP-005"):
            unseal(payload)
    stanza = nested(DEPTH_MAX - 1)
    payload = seal(Arrived(kind=Kind.MESSAGE, at=Instant(0), stanza=stanza))
    assert len(list(unseal(payload).stanza.iter())) == DEPTH_MAX


def test_deep_elements_in_a_stored_payload_are_the_peers_fault() -> None:
    deep = b"<a>" * 50_000 + b"</a>" * 50_000
    with pytest.raises(PeerMisbehaved, match="XMPP-005"):
        unseal(b'<arrived kind="message" at="1"><m>' + deep + b"</m></arrived>")
    with pytest.raises(PeerMisbehaved, match="XMPP-002"):
        unseal(b'<arrived kind="message" at="1">' + b"<a>" * 100_000)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"<arrived/>",
        b"not xml",
        b'<arrived kind="message" at="x"><m/></arrived>',
        b'<arrived kind="message" at="1"/>',
        b'<arrived kind="nonsense" at="1"><m/></arrived>',
        b"\xff\xfe",
    ],
)
def test_what_is_not_ours_is_refused(payload: bytes) -> None:
    with pytest.raises(PeerMisbehaved, match="XMPP-002"):
        unseal(payload)


def test_an_oversized_payload_is_not_even_parsed() -> None:
    with pytest.raises(PeerMisbehaved, match="XMPP-001"):
        unseal(b"<" * (PAYLOAD_OCTETS_MAX + 1))


@given(st.binary(max_size=200))
def test_garbage_is_parsed_or_refused_and_nothing_else(garbage: bytes) -> None:
    try:
        unseal(garbage)
    except PeerMisbehaved:
        return


def test_a_digest_names_its_parts_and_their_borders() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert len(digest("\ud800")) == 32
    assert fromstring(f"<a>{digest('x')}</a>").text == digest("x")
