"""Reasons for people."""

from sabir.networks.xmpp.refusals import may_retry, reason


def test_a_reason_names_who_why_and_the_way_out() -> None:
    said = reason("Ada in r@m", "forbidden", "No voice")
    assert said.startswith("Ada in r@m may not do this: ask a moderator")
    assert "No voice" in said
    assert "weird-condition" in reason("Ada", "weird-condition")


def test_troubles_of_the_world_may_pass_and_verdicts_do_not() -> None:
    assert may_retry("remote-server-timeout")
    assert not may_retry("forbidden")
    assert not may_retry("")
