"""Whose word a name is, and what a ghost may say."""

from dataclasses import replace

import pytest

from sabir.agent.membership.vouching import author_shown, refusal, vouched
from sabir.clock import Instant
from sabir.content.composing import compose
from sabir.content.meaning import Author, Said
from sabir.content.model import Content
from sabir.content.origin import Origin, portal_tag
from sabir.content.rich import Rich
from sabir.mimi.components.participants import Participant
from sabir.mimi.ghosts import ghost_uri
from sabir.mimi.policy.view import RoomView
from sabir.testing.mimi.hub_harness import ROOM, HubHarness
from sabir.testing.mimi.people import user_named

ANN, BEN = user_named("ann"), user_named("ben")
ZOE = "@zoe:example.org"
GHOST = ghost_uri(ANN, "matrix", ZOE)
HERE = Origin(
    network="matrix",
    portal=portal_tag("matrix", "!tea:example.org"),
    native_id="$event",
    account="home",
)


def a_content(author: Author | None, origin: Origin | None) -> Content:
    return compose(
        Said(text=Rich.plain("tea?")),
        salt=bytes(16),
        sender_uri=ANN,
        room_uri=ROOM,
        author=author,
        origin=origin,
        sent_at=Instant(1_800_000_000_000),
    )


def a_view(role: int | None) -> RoomView:
    """A room of ann, with her ghost in a role."""
    view = HubHarness.of().room.view
    if role is None:
        return view
    listed = view.room.participants
    more = replace(
        listed, participants=(*listed.participants, Participant(GHOST, role))
    )
    return replace(view, room=replace(view.room, participants=more))


def test_a_bridged_message_says_network_account_native_id_and_whose_word_it_is() -> (
    None
):
    content = a_content(Author(uri=f"matrix:{ZOE}", name="Zoe"), HERE)
    found = vouched(content, ANN)
    assert found is not None
    assert (found.network, found.account, found.native) == ("matrix", "home", ZOE)
    assert (found.gateway, found.ghost) == (ANN, GHOST)
    assert author_shown(content, ANN) == Author(uri=f"matrix:{ZOE}", name="Zoe")


@pytest.mark.parametrize(
    ("author", "origin"),
    [
        (Author(uri=f"matrix:{ZOE}", name="Zoe"), None),
        (Author(uri=f"matrix:{ZOE}", name="Zoe"), replace(HERE, network="xmpp")),
        (Author(uri=BEN, name="Ben"), None),
        (Author(uri=BEN, name="Ben"), HERE),
        (Author(uri=BEN, name="Ben"), replace(HERE, network="mimi")),
        (Author(uri="matrix:", name="Nobody"), HERE),
        (Author(uri="Zoe", name="Zoe"), HERE),
        (None, HERE),
    ],
)
def test_a_name_that_is_not_the_senders_to_give_counts_as_none(
    author: Author | None, origin: Origin | None
) -> None:
    content = a_content(author, origin)
    shown = author_shown(content, ANN)
    assert shown is None or not shown.uri.startswith(BEN)
    assert vouched(content, ANN) is None
    assert refusal(content, ANN, a_view(1)) == ""


def test_a_sender_names_itself() -> None:
    for uri in ("", ANN):
        content = a_content(Author(uri=uri, name="Ann"), None)
        assert author_shown(content, ANN) == Author(uri=ANN, name="Ann")
        assert vouched(content, ANN) is None


def test_anothers_word_for_the_same_person_is_another_ghost() -> None:
    content = a_content(Author(uri=f"matrix:{ZOE}", name="Zoe"), HERE)
    assert vouched(content, BEN) != vouched(content, ANN)
    assert refusal(content, BEN, a_view(1)) == ""


@pytest.mark.parametrize(("role", "why"), [(None, ""), (2, ""), (1, "banned")])
def test_what_a_ghost_may_not_say_nobody_says_for_it(
    role: int | None, why: str
) -> None:
    content = a_content(Author(uri=f"matrix:{ZOE}", name="Zoe"), HERE)
    assert refusal(content, ANN, a_view(role)) == why


def test_a_network_that_can_have_no_ghosts_speaks_all_the_same() -> None:
    origin = replace(HERE, network="Odd.Net")
    content = a_content(Author(uri="Odd.Net:zoe", name="Zoe"), origin)
    found = vouched(content, ANN)
    assert found is not None
    assert found.ghost == ""
    assert refusal(content, ANN, a_view(1)) == ""
