"""The last line before the socket: nothing forbidden by XML 1.0 passes."""

import sys
from xml.etree.ElementTree import Element, fromstring, tostring

from hypothesis import given
from hypothesis import strategies as st

from sabir.networks.xmpp.text import clean, xml_safe

ANY = st.text(alphabet=st.characters(codec=None))


def test_every_code_point_of_unicode_gives_well_formed_xml() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    stanza = Element("body", {"a": everything})
    stanza.text = everything
    octets = xml_safe(tostring(stanza, "unicode")).encode()
    again = fromstring(octets)
    kept = (again.text or "").replace("\n", "").replace("\r", "")
    # XML 1.0, section 2.2: everything but C0, surrogates, U+FFFE and U+FFFF
    assert set(kept) >= set(map(chr, range(0xE000, 0xFFFE)))
    assert "\x00" not in kept
    assert "\t" in kept
    assert "\U0010ffff" in kept


@given(ANY)
def test_any_text_can_be_written_and_read_back(text: str) -> None:
    stanza = Element("body")
    stanza.text = clean(text)[0]
    assert (fromstring(xml_safe(tostring(stanza, "unicode"))).text or "") == clean(
        text
    )[0]


@given(ANY)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once, _ = clean(text)
    assert clean(once) == (once, 0)


def test_what_was_lost_is_counted_and_line_ends_are_not() -> None:
    assert clean("a\x00b\x07\r\nc\rd") == ("ab\nc\nd", 2)
    assert clean("\ud83dx") == ("\ufffdx", 1)
    assert clean("tab\tand\nline") == ("tab\tand\nline", 0)
