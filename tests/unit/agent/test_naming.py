"""The same input always gives the same name, another input another."""

from hypothesis import given
from hypothesis import strategies as st

from sabir.agent.naming import delivery_key, new_room_id, submission_key
from sabir.content.model import MessageId
from sabir.storage.records import RoomId

texts = st.text(max_size=8)


@given(
    one=st.tuples(texts, texts, texts, texts), two=st.tuples(texts, texts, texts, texts)
)
def test_submission_keys_differ_unless_the_event_is_the_same(
    one: tuple[str, str, str, str], two: tuple[str, str, str, str]
) -> None:
    same = submission_key(*one, 0) == submission_key(*two, 0)
    assert same is (one == two)


def test_keys_are_short_and_plain() -> None:
    entry = MessageId(b"\x01" * 32)
    key = delivery_key(RoomId("mimi://x/r/1"), "a", "chat", entry, 0)
    assert len(key) == 32
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert key != delivery_key(RoomId("mimi://x/r/1"), "a", "chat", entry, 1)
    assert key != delivery_key(RoomId("mimi://x/r/1"), "a", "other", entry, 0)


def test_room_ids_are_mimi_uris() -> None:
    room = new_room_id("local.invalid", lambda n: b"\xff" * n)
    assert room == "mimi://local.invalid/r/_____________________w"
