"""Defaults of every network come from the packaged data file."""

import pytest

from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Format, Support, TextUnit
from sabir.content.capability_data import capabilities, table
from sabir.errors import LocalError


def test_every_value_keeps_source_date_and_confidence() -> None:
    cells = [
        cell for network in table().values() for cell in network["values"].values()
    ]
    assert len(cells) >= 300
    assert all({"source", "date", "confidence"} <= set(cell) for cell in cells)


def test_every_network_has_capabilities() -> None:
    for name in table():
        assert capabilities(name).network == name


def test_matrix_leaves_room_for_both_bodies() -> None:
    matrix = capabilities("matrix")
    assert (matrix.text_max, matrix.text_unit) == (60_000, TextUnit.JSON)
    assert matrix.formatted_text_max == 20_000
    assert all(matrix.formatting[each] is Support.FULL for each in Format)
    assert matrix.edit_window_s is None
    assert matrix.caption is Support.FULL


def test_xmpp_sends_long_texts_as_files() -> None:
    xmpp = capabilities("xmpp")
    assert (xmpp.text_max, xmpp.text_unit) == (60_000, TextUnit.OCTETS)
    assert xmpp.text_parts_max == 1
    assert xmpp.edit_last_only
    assert xmpp.delete_is_request
    assert xmpp.formatting[Format.INLINE_CODE] is Support.FULL
    assert xmpp.formatting[Format.OL] is Support.DROPPED
    assert xmpp.formatting[Format.SPOILER] is Support.PARTIAL
    assert xmpp.voice is Support.PARTIAL


def test_signal_counts_octets_and_has_windows() -> None:
    signal = capabilities("signal")
    assert (signal.text_max, signal.text_unit) == (2_000, TextUnit.OCTETS)
    assert signal.edit_window_s == signal.delete_window_s == 86_400
    assert signal.reactions_per_person == 1
    assert signal.formatting[Format.CODE_BLOCK] is Support.FULL
    assert signal.room_name_max == 32
    assert signal.attachment_octets_max == 104_857_600


def test_what_is_unknown_is_missing() -> None:
    apple = capabilities("imessage")
    assert (apple.text_max, apple.text_unit) == (5_000, TextUnit.UTF16)
    third_party = capabilities("whatsapp_dma")
    assert third_party.reply is Support.FALLBACK
    assert third_party.attachment is Support.FULL
    assert capabilities("rcs").formatting == {}
    assert capabilities("sms_mms").reaction is Support.FALLBACK
    assert capabilities("telegram").delete_window_s is None


def test_an_unknown_network_can_do_plain_text() -> None:
    assert capabilities("pigeon") == Capabilities(network="pigeon")


def test_a_file_of_another_schema_is_a_broken_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capability_data, "SCHEMA", "sabir/network-capabilities/9")
    with pytest.raises(LocalError, match="install Sabir again"):
        capability_data.table.__wrapped__()
