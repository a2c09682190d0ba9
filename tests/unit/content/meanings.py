"""Strategies for everything a content can mean."""

from hypothesis import strategies as st

from sabir.content.meaning import (
    Attachment,
    Deleted,
    Edited,
    Meaning,
    MediaKind,
    Reacted,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import ExternalPart, MessageId
from sabir.content.rich import Rich
from tests.unit.content.trees import riches, texts

ids = st.binary(min_size=31, max_size=31).map(lambda rest: MessageId(b"\x01" + rest))
numbers = st.none() | st.integers(0, 10**9)
parts = st.builds(
    ExternalPart,
    content_type=st.sampled_from(
        ("image/png", "audio/ogg; codecs=opus", "application/pdf", "text/plain", "")
    ),
    url=st.sampled_from(("https://x.example/f", "spool:abc")),
    size=st.integers(0, 10**10),
    filename=st.text(max_size=5),
    description=st.text(max_size=5),
)
attachments = st.builds(
    Attachment,
    part=parts,
    kind=st.sampled_from(MediaKind),
    width=numbers,
    height=numbers,
    duration_ms=numbers,
)
maybe_text = st.none() | texts.map(Rich.plain) | riches
files = st.lists(attachments, max_size=3).map(tuple)
meanings: st.SearchStrategy[Meaning] = st.one_of(
    st.builds(
        Said,
        text=maybe_text,
        attachments=files,
        in_reply_to=st.none() | ids,
        topic=st.binary(max_size=4),
        emote=st.booleans(),
    ),
    st.builds(Edited, target=ids, text=maybe_text, attachments=files),
    st.builds(Deleted, target=ids, by_moderator=st.booleans()),
    st.builds(
        Reacted,
        target=ids,
        emoji=st.sampled_from(("👍", "❤", "❤️", "1⃣", ":party:", "👩‍👩‍👧")),
    ),
    st.builds(
        RoomEvent,
        kind=st.sampled_from(RoomEventKind),
        value=st.text(max_size=5),
        attachment=st.none() | attachments,
    ),
)
