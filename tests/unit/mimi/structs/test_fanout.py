"""notify: every form a message may have in it, and those it may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.errors import Error
from sabir.mimi.structs.fanout import (
    MESSAGES_MAX,
    FanoutMessage,
    read_fanout_messages,
)
from sabir.mimi.structs.submit import Frank
from sabir.mls.framing import decode_message, encode_message
from sabir.mls.tree_options import RatchetTreeOption
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, optional, uint64, vector
from tests.unit.mimi.world import AAD, World, add

HELLO = b"\x00\x00" + opaque(b"hello")
"""Of the room's first media type."""
FRANK = Frank(bytes(32), 1, b"signature")


@pytest.fixture(scope="module")
def forms() -> dict[str, bytes]:
    """One FanoutMessage of each form, by its name."""
    world = World.of()
    said = world["ann"].encrypt(world.env, HELLO, aad=AAD).message
    made = world.commit("ann", add(("ben", 2)), world.package("ben"))
    assert made.welcome is not None
    first, second = (
        world["ann"].propose(world.env, each, as_public=True, aad=AAD).message
        for each in (world.remove("ben"), add(("eve", 2)))
    )
    tree = RatchetTreeOption(world.hub.tree.encode())
    welcome = encode_message(made.welcome)
    return {
        "message": uint64(1) + said + optional(None),
        "franked": uint64(1) + said + optional(FRANK.encode()),
        "commit": uint64(2) + made.commit + vector([]),
        "welcome": uint64(2) + welcome + tree.encode(),
        "proposals": uint64(3) + first + vector([second]),
    }


FORMS = ("message", "franked", "commit", "welcome", "proposals")


@pytest.mark.parametrize("form", FORMS)
def test_mc_067_each_form_comes_back(forms: dict[str, bytes], form: str) -> None:
    (read,) = read_fanout_messages(forms[form])
    assert read.raw == forms[form]
    assert read.encode() == forms[form]
    assert (read.frank is not None) == (form == "franked")
    assert (read.tree is not None) == (form == "welcome")
    assert len(read.more) == (form == "proposals")


def test_mc_067_several_in_one_body(forms: dict[str, bytes]) -> None:
    body = b"".join(forms.values())
    read = read_fanout_messages(body)
    assert [each.raw for each in read] == list(forms.values())
    assert [each.accepted_at for each in read] == [1, 1, 2, 2, 3]
    assert read[0].digest == read[1].digest != read[2].digest


def test_a_welcome_made_here_is_wrapped(forms: dict[str, bytes]) -> None:
    (read,) = read_fanout_messages(forms["welcome"])
    again = FanoutMessage(2, read.message, tree=read.tree)
    assert again.encode() == forms["welcome"]


def test_mc_067_what_is_not_fanned_out(forms: dict[str, bytes]) -> None:
    world = World.of()
    shown = encode_message(world["ann"].group_info(with_tree=False))
    hidden = world["ann"].propose(world.env, add(("ben", 2)), aad=AAD).message
    for message in (shown, hidden):
        decode_message(message)
        with pytest.raises(Malformed) as caught:
            read_fanout_messages(uint64(1) + message + b"\x00")
        assert caught.value.rule == "MIMI-353"
    commit = forms["commit"][8:-1]
    first = forms["commit"][:-1] + vector([commit])
    with pytest.raises(Malformed) as caught:
        read_fanout_messages(first)
    assert caught.value.rule == "MIMI-012"


def test_mc_009_cut_and_trailing_octets(forms: dict[str, bytes]) -> None:
    body = forms["franked"]
    with pytest.raises(Malformed):
        read_fanout_messages(b"")
    for cut in range(1, len(body), 7):
        with pytest.raises(Error):
            read_fanout_messages(body[:-cut])
    with pytest.raises(Error):
        read_fanout_messages(body + b"\x00")


def test_mc_015_a_body_has_so_many_messages(forms: dict[str, bytes]) -> None:
    one = forms["message"]
    assert len(read_fanout_messages(one * MESSAGES_MAX)) == MESSAGES_MAX
    with pytest.raises(Malformed) as caught:
        read_fanout_messages(one * (MESSAGES_MAX + 1))
    assert caught.value.rule == "C03"


@given(
    at=st.integers(0, 10_000), octet=st.integers(0, 255), form=st.sampled_from(FORMS)
)
def test_mc_015_altered_octets_are_read_or_refused(
    forms: dict[str, bytes], at: int, octet: int, form: str
) -> None:
    body = bytearray(forms[form])
    body[at % len(body)] = octet
    try:
        read = read_fanout_messages(bytes(body))
    except Error:
        return
    assert b"".join(each.encode() for each in read) == bytes(body)
