"""When people of a linked chat are listed, how many at once, and when no more."""

from dataclasses import replace

import pytest

from sabir.agent.membership.introducing import Introductions
from sabir.agent.membership.limits import GHOSTS_AT_ONCE_MAX, INTRODUCE_AFTER_MS
from sabir.clock import Instant
from sabir.content.composing import compose
from sabir.content.meaning import Author, Meaning, RoomEvent, RoomEventKind
from sabir.content.model import Content
from sabir.content.origin import Origin, portal_tag
from sabir.mimi.components.participants import Participant
from sabir.mimi.ghosts import ghost_uri
from sabir.mimi.member.events import OperationSettled, Outcome
from sabir.mimi.member.intents import Intent, Invite, RemoveGhosts
from sabir.mimi.policy.view import RoomView
from sabir.testing.mimi.hub_harness import ROOM, HubHarness
from sabir.testing.mimi.people import user_named
from tests.unit.agent.membership.people import say

ANN = user_named("ann")


def does(person: str, meaning: Meaning | None = None) -> Content:
    """Somebody of Matrix does something in a chat that ann links."""
    origin = Origin(
        network="matrix",
        portal=portal_tag("matrix", "!tea"),
        native_id="1",
        scope="matrix",
        account="home",
    )
    return compose(
        say("hi") if meaning is None else meaning,
        salt=bytes(16),
        author=Author(uri=f"matrix:{person}", name=person),
        origin=origin,
        sent_at=Instant(0),
        sender_uri=ANN,
        room_uri=ROOM,
    )


def ghost(person: str) -> str:
    return ghost_uri(ANN, "matrix", person)


def a_view(*listed: str, role: int = 2) -> RoomView:
    view = HubHarness.of().room.view
    old = view.room.participants
    new = tuple(Participant(ghost(each), role) for each in listed)
    participants = replace(old, participants=(*old.participants, *new))
    return replace(view, room=replace(view.room, participants=participants))


def heard(*people: str) -> Introductions:
    made = Introductions(ANN)
    for number, each in enumerate(people):
        made.heard(does(each), a_view(), now_ms=float(number))
    return made


def whom(intent: Intent | None) -> list[str]:
    match intent:
        case Invite(invitees=invitees):
            return [each.user for each in invitees]
        case RemoveGhosts(ghosts=ghosts):
            return [*ghosts]
        case _:
            return []


def test_they_are_collected_for_a_while_and_listed_together() -> None:
    made = heard("zoe", "yan", "zoe")
    assert made.wait_ms(now_ms=0) == INTRODUCE_AFTER_MS
    intent = made.intent(a_view(), now_ms=1000)
    assert isinstance(intent, Invite)
    assert whom(intent) == [ghost("zoe"), ghost("yan")]
    made.settled(OperationSettled(intent=intent, outcome=Outcome.ACCEPTED))
    assert made.wait_ms(now_ms=1000) is None


def test_a_lost_race_is_run_again() -> None:
    made = heard("zoe")
    intent = made.intent(a_view(), now_ms=1000)
    made.settled(OperationSettled(intent=intent, outcome=Outcome.RACE_LOST))
    assert made.intent(a_view(), now_ms=2000) == intent
    made.intent(a_view("zoe"), now_ms=3000)
    assert made.wait_ms(now_ms=3000) is None


def test_whom_the_room_does_not_want_is_not_brought_again() -> None:
    made = heard("zoe")
    intent = made.intent(a_view(), now_ms=1000)
    made.settled(OperationSettled(intent=intent, outcome=Outcome.REFUSED))
    made.heard(does("zoe"), a_view(), now_ms=2000)
    assert made.wait_ms(now_ms=2000) is None


def test_one_commit_lists_so_many_and_the_next_the_others() -> None:
    made = heard(*(f"p{number}" for number in range(GHOSTS_AT_ONCE_MAX + 3)))
    intent = made.intent(a_view(), now_ms=1000)
    assert len(whom(intent)) == GHOSTS_AT_ONCE_MAX
    made.settled(OperationSettled(intent=intent, outcome=Outcome.ACCEPTED))
    assert len(whom(made.intent(a_view(), now_ms=3000))) == 3


@pytest.mark.parametrize("kind", [RoomEventKind.LEFT, RoomEventKind.REMOVED])
def test_who_goes_is_taken_out(kind: RoomEventKind) -> None:
    made = heard("zoe")
    goes = RoomEvent(kind=kind)
    made.heard(does("zoe", goes), a_view(), now_ms=5)
    assert made.wait_ms(now_ms=5) is None, "not even listed yet"
    made.heard(does("zoe", goes), a_view("zoe"), now_ms=5)
    assert made.intent(a_view("zoe"), now_ms=9) == RemoveGhosts((ghost("zoe"),))


def test_who_is_banned_stays_in_the_list() -> None:
    made = Introductions(ANN)
    goes = RoomEvent(kind=RoomEventKind.LEFT)
    made.heard(does("zoe", goes), a_view("zoe", role=1), now_ms=5)
    assert made.intent(a_view("zoe", role=1), now_ms=9) is None


def test_with_the_chat_goes_who_was_to_be_listed() -> None:
    made = heard("zoe")
    made.forget("xmpp")
    assert made.wait_ms(now_ms=0) is not None
    made.forget("matrix")
    assert made.wait_ms(now_ms=0) is None


def test_what_we_say_ourselves_lists_nobody() -> None:
    made = Introductions(user_named("ben"))
    made.heard(replace(does("zoe"), extensions={}), a_view(), now_ms=0)
    assert made.wait_ms(now_ms=0) is None
