import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import ExternalPart
from sabir.content.pieces import (
    ChatAvatarPiece,
    ChatNamePiece,
    DeletePiece,
    EditPiece,
    JoinPiece,
    LeavePiece,
    MediaPiece,
    NativeRef,
    Piece,
    ProfilePiece,
    ReactPiece,
    TextPiece,
    TopicPiece,
    UnreactPiece,
)
from sabir.content.rich import (
    Block,
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Inline,
    Link,
    ListBlock,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Rule,
    Spoiler,
    Strike,
    Strong,
    Table,
    Text,
    Underline,
)
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
    ChatAvatarChanged,
    ChatId,
    ChatRenamed,
    Corrected,
    IdempotencyKey,
    NativeEvent,
    NativeId,
    NativeMedia,
    Outgoing,
    PersonJoined,
    PersonLeft,
    Posted,
    ProfileChanged,
    ReactionAdded,
    ReactionsReplaced,
    Retracted,
    Speaker,
    TopicChanged,
)
from sabir.testing.memory_codec import (
    decode,
    render,
    rich_from_json,
    rich_to_json,
    to_octets,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
inlines: st.SearchStrategy[Inline] = st.recursive(
    st.one_of(
        st.builds(Text, texts),
        st.builds(Code, texts),
        st.builds(Mention, texts, texts),
    ),
    lambda inner: st.one_of(
        *(
            st.builds(kind, st.lists(inner, max_size=2).map(tuple))
            for kind in (Strong, Emphasis, Strike, Underline)
        ),
        st.builds(Spoiler, st.lists(inner, max_size=2).map(tuple), texts),
        st.builds(Link, st.lists(inner, max_size=2).map(tuple), texts),
    ),
    max_leaves=4,
)
runs = st.lists(inlines, max_size=3).map(tuple)
rows = st.lists(runs, max_size=2).map(tuple)
blocks: st.SearchStrategy[Block] = st.recursive(
    st.one_of(
        st.builds(Paragraph, runs),
        st.builds(CodeBlock, texts, texts),
        st.builds(Heading, st.integers(1, 6), runs),
        st.builds(Table, rows, st.lists(rows, max_size=2).map(tuple)),
        st.just(Rule()),
    ),
    lambda inner: st.one_of(
        st.builds(Quote, st.lists(inner, max_size=2).map(tuple)),
        st.builds(
            ListBlock,
            st.lists(st.lists(inner, max_size=2).map(tuple), max_size=2).map(tuple),
            st.booleans(),
            st.integers(0, 9),
        ),
    ),
    max_leaves=4,
)
riches = st.builds(Rich, st.lists(blocks, max_size=3).map(tuple))

TARGET = NativeRef(native_id="m1", author="ada")
FILE = Attachment(
    part=ExternalPart(content_type="image/png", url="", filename="a.png"),
    kind=MediaKind.IMAGE,
    width=3,
    height=4,
)
MEDIA = NativeMedia(
    handle="mem:1",
    content_type="image/png",
    filename="a.png",
    kind=MediaKind.IMAGE,
    width=3,
    height=4,
)
HELLO = Rich.plain("hello")


def outgoing(piece: Piece) -> Outgoing:
    return Outgoing(
        chat=ChatId("c"),
        key=IdempotencyKey("k"),
        speaker=Speaker(uri="u", name="Ada", network="x"),
        piece=piece,
        sent_at=Instant(1),
    )


def event(document: object) -> NativeEvent:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return NativeEvent(chat=ChatId("c"), native_id=NativeId("m9"), payload=payload)


def valid(**fields: object) -> dict[str, object]:
    return {"type": "message", "sender": {"id": "a", "name": "A"}, "at": 5, **fields}


@given(riches)
def test_formatted_text_survives_the_way_there_and_back(rich: Rich) -> None:
    assert rich_from_json(json.loads(json.dumps(rich_to_json(rich)))) == rich


@pytest.mark.parametrize(
    ("piece", "action"),
    [
        (TextPiece(text=HELLO), Posted(text=HELLO)),
        (
            TextPiece(text=HELLO, reply_to=TARGET, thread=TARGET, emote=True),
            Posted(
                text=HELLO,
                reply_to=NativeId("m1"),
                thread=NativeId("m1"),
                emote=True,
            ),
        ),
        (
            TextPiece(text=Rich((Paragraph((Strong((Text("b"),)),)),))),
            Posted(text=Rich((Paragraph((Strong((Text("b"),)),)),))),
        ),
        (MediaPiece(attachment=FILE), Posted(media=(MEDIA,))),
        (
            MediaPiece(attachment=FILE, caption=HELLO),
            Posted(text=HELLO, media=(MEDIA,)),
        ),
        (
            EditPiece(target=TARGET, text=HELLO),
            Corrected(target=NativeId("m1"), text=HELLO),
        ),
        (DeletePiece(target=TARGET), Retracted(target=NativeId("m1"))),
        (
            ReactPiece(target=TARGET, emoji="👍"),
            ReactionAdded(target=NativeId("m1"), emoji="👍"),
        ),
        (
            UnreactPiece(target=TARGET, emoji="👍", all_emoji=("🎉",)),
            ReactionsReplaced(target=NativeId("m1"), emoji=("🎉",)),
        ),
        (
            UnreactPiece(target=TARGET, emoji="👍", reaction=NativeRef(native_id="m2")),
            Retracted(target=NativeId("m2")),
        ),
        (JoinPiece(), PersonJoined()),
        (LeavePiece(reason="bye"), PersonLeft(reason="bye")),
        (ProfilePiece(name="Ada L."), ProfileChanged()),
        (ChatNamePiece(name="n"), ChatRenamed(name="n")),
        (TopicPiece(topic="t"), TopicChanged(topic="t")),
        (ChatAvatarPiece(attachment=FILE), ChatAvatarChanged(media=MEDIA)),
    ],
)
def test_what_is_rendered_decodes_to_the_same_meaning(
    piece: Piece, action: Action
) -> None:
    document = render(outgoing(piece), "bridge", ghosts=True, handle="mem:1")
    incoming = decode(event(to_octets(document)))
    assert incoming is not None
    assert incoming.action == action
    assert incoming.sender.id == "ghost:u"


def test_without_ghosts_the_account_speaks() -> None:
    document = render(outgoing(TextPiece(text=HELLO)), "bridge", ghosts=False)
    assert document["sender"] == {"id": "bridge", "name": "bridge"}


def test_a_new_name_is_the_sender_of_a_profile_piece() -> None:
    document = render(outgoing(ProfilePiece(name="New")), "bridge", ghosts=True)
    assert document["sender"]["name"] == "New"


def test_an_unknown_type_means_nothing_to_people() -> None:
    assert decode(event(valid(type="poll"))) is None


def test_aliases_and_losses_of_the_dialect_are_told() -> None:
    incoming = decode(event(valid(aliases=["a1"], lost=["a poll"])))
    assert incoming is not None
    assert (incoming.aliases, incoming.lost) == (("a1",), ("a poll",))
    assert incoming.sent_at == 5


def test_a_chat_may_lose_its_picture() -> None:
    incoming = decode(event(valid(type="avatar")))
    assert incoming is not None
    assert incoming.action == ChatAvatarChanged(media=None)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        valid(type=7),
        valid(sender="ada"),
        valid(sender={"id": "a"}),
        valid(at=-1),
        valid(at=True),
        valid(at=1 << 60),
        valid(text=5),
        valid(text="\ud800"),
        valid(rich="x"),
        valid(rich=[["p"]]),
        valid(rich=[["h", [], 9]]),
        valid(rich=[["p", [["blink", []]]]]),
        valid(rich=[["p", [[]]]]),
        valid(media={}),
        valid(media=[5]),
        valid(media=[{"handle": "h", "content_type": "t", "kind": "hologram"}]),
        valid(aliases="a1"),
        valid(type="reactions", target="m1", emoji="x"),
        valid(type="edit"),
    ],
)
def test_a_malformed_event_is_the_peers_fault(broken: object) -> None:
    with pytest.raises(PeerMisbehaved, match="MEM-001"):
        decode(event(broken))


def test_text_nested_too_deeply_is_refused() -> None:
    tree: object = "x"
    for _ in range(60):
        tree = ["strong", [tree]]
    with pytest.raises(PeerMisbehaved, match="nested too deeply"):
        rich_from_json([["p", [tree]]])
