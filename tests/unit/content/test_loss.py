"""Reports: for people as sentences, for machines as octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content import loss_codec
from sabir.content.loss import (
    LOSSLESS,
    Level,
    LossItem,
    LossReport,
    WayBack,
    Why,
    inbound_item,
    merged,
)
from sabir.content.loss_words import WORDS
from sabir.content.rules import RULES
from sabir.errors import PeerMisbehaved
from sabir.wire import cbor

items = st.builds(
    LossItem,
    rule=st.sampled_from(sorted(WORDS)),
    level=st.sampled_from(Level),
    back=st.sampled_from(WayBack),
    why=st.sampled_from(Why),
    before=st.text(max_size=5),
    after=st.text(max_size=5),
    times=st.integers(1, 9),
)
reports = st.lists(items, max_size=6).map(lambda found: LossReport(tuple(found)))


def item(
    rule: str, level: Level, before: str = "", *, back: WayBack = WayBack.STORE
) -> LossItem:
    return LossItem(
        rule=rule, level=level, back=back, why=Why.FEATURE_MISSING, before=before
    )


def test_a_report_is_as_bad_as_its_worst_item() -> None:
    report = LossReport((item("FMT-2", Level.FORM), item("ME-10", Level.WITHHELD)))
    assert report.level is Level.WITHHELD
    assert LOSSLESS.level is Level.NONE


def test_a_report_is_restorable_if_every_item_is() -> None:
    lost = item("FMT-2", Level.FORM, back=WayBack.NONE)
    assert not LossReport((lost, item("FMT-3", Level.FORM))).restorable
    assert LossReport((item("FMT-3", Level.FORM),)).restorable


def test_sentences_name_only_what_matters_before_sending() -> None:
    report = LossReport(
        (
            item("FMT-2", Level.FORM, "bold"),
            item("ME-10", Level.WITHHELD, "too large"),
            item("DEL-4", Level.MEANING),
        )
    )
    assert report.sentences() == (
        "The file is not sent: too large.",
        "Deleted here, still visible there (nothing can be deleted there).",
    )


def test_more_than_three_sentences_are_counted() -> None:
    report = LossReport(tuple(item("ME-10", Level.WITHHELD, str(n)) for n in range(5)))
    assert report.sentences()[2:] == ("The file is not sent: 2.", "And 2 more.")
    assert len(report.sentences()) == 4


def test_phrases_name_everything_the_heaviest_first() -> None:
    report = LossReport(
        (item("FMT-2", Level.FORM, "bold"), item("ME-10", Level.WITHHELD, "x"))
    )
    assert report.phrases() == (
        "the file is not sent: x",
        "bold shown as plain text",
    )


def test_a_rule_of_a_later_version_is_named() -> None:
    report = LossReport((item("XYZ-1", Level.FORM),))
    assert report.phrases() == ("changed by rule XYZ-1",)


def test_every_rule_that_can_lose_something_has_words() -> None:
    losing = {rule.name for rule in RULES if rule.level != "L0"}
    assert losing == set(WORDS)


def test_words_hold_no_braces_of_their_own() -> None:
    for words in WORDS.values():
        assert "{" not in words.format(before="", after="")


def test_a_phrase_of_a_network_is_kept_as_it_is() -> None:
    report = LossReport((inbound_item("a {poll}"),))
    assert report.phrases() == ("a {poll}",)


def test_equal_losses_are_one() -> None:
    bold = item("FMT-2", Level.FORM, "bold")
    strike = item("FMT-3", Level.FORM)
    report = merged([bold, strike, bold])
    assert [(i.rule, i.times) for i in report.items] == [("FMT-2", 2), ("FMT-3", 1)]


@given(reports)
def test_octets_are_read_back(report: LossReport) -> None:
    assert loss_codec.decode(loss_codec.encode(report)) == report


def test_octets_are_those_of_the_document() -> None:
    leg = loss_codec.Leg(
        network="xmpp", portal=bytes(16), natives=2, rendered=bytes(32)
    )
    value = cbor.decode(
        loss_codec.encode(LossReport((item("FMT-2", Level.FORM, "bold"),)), leg)
    )
    assert value == {
        1: 1,
        2: "sabir-conv/1",
        3: None,
        4: "xmpp",
        5: bytes(16),
        6: 1,
        7: 1,
        8: ({1: "FMT-2", 2: (0,), 3: 1, 4: 1, 5: 4, 6: ("bold", "")},),
        9: 2,
        10: bytes(32),
        11: None,
        12: None,
    }


def test_a_digest_names_a_report() -> None:
    octets = loss_codec.encode(LOSSLESS)
    assert len(loss_codec.digest(octets)) == 32
    assert loss_codec.digest(octets) != loss_codec.digest(octets + b"x")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff",
        cbor.encode(1),
        cbor.encode({1: 2, 8: ()}),
        cbor.encode({1: 1, 8: 5}),
        cbor.encode({1: 1, 8: (1,)}),
        cbor.encode({1: 1, 8: ({1: "X", 3: 1, 4: 1, 5: 1},)}),
        cbor.encode({1: 1, 8: ({1: "X", 3: 9, 4: 1, 5: 1, 6: ("", "")},)}),
        cbor.encode({1: 1, 8: ({1: "X", 3: "1", 4: 1, 5: 1, 6: ("", "")},)}),
        cbor.encode({1: 1, 8: (None,) * (loss_codec.ITEMS_MAX + 1)}),
    ],
)
def test_other_octets_are_refused(octets: bytes) -> None:
    with pytest.raises(PeerMisbehaved) as caught:
        loss_codec.decode(octets)
    assert caught.value.rule == "LOSS-001"
