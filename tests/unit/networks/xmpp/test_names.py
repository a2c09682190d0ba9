"""Small helpers over raw elements."""

from xml.etree.ElementTree import fromstring

from sabir.networks.xmpp import names

ERROR = """<message xmlns='{ns}' type='error'><error type='auth'>
<forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>
<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>No voice</text></error></message>"""


def test_an_errors_condition_is_read_whatever_its_namespace() -> None:
    for ns in (names.CLIENT, names.COMPONENT):
        stanza = fromstring(ERROR.format(ns=ns))
        assert names.condition(stanza) == "forbidden"
        assert names.error_text(stanza) == "No voice"


def test_what_is_no_error_has_no_condition() -> None:
    assert names.condition(fromstring("<iq type='result'/>")) == ""
    assert names.condition(fromstring("<iq type='error'/>")) == "undefined-condition"
    assert names.error_text(fromstring("<iq type='error'/>")) == ""


def test_children_are_found_in_the_parents_namespace_unless_said() -> None:
    stanza = fromstring("<m xmlns='a'><b>1</b><b xmlns='c'>2</b></m>")
    assert names.text_of(stanza, "b") == "1"
    assert names.text_of(stanza, "b", "c") == "2"
    assert names.text_of(stanza, "d") == ""
    assert names.namespace(fromstring("<m/>")) == ""
    assert names.text_of(fromstring("<m><b>1</b></m>"), "b") == "1"


def test_jids_are_cut_at_the_first_slash() -> None:
    assert names.bare("a@b/c/d") == "a@b"
    assert names.resource("a@b/c/d") == "c/d"
    assert names.resource("a@b") == ""
