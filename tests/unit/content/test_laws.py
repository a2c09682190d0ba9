"""Laws of rendering over generated messages and capabilities (CONVERSION.md 12)."""

import re
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.content import gfm
from sabir.content.capabilities import Capabilities, Format, Support
from sabir.content.composing import canonical
from sabir.content.convert import RenderContext, render
from sabir.content.loss import Level
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
from sabir.content.pieces import NativeRef, TextPiece
from sabir.content.replay import capabilities_digest, rendered_digest
from sabir.content.rich import Rich
from tests.unit.content.meanings import meanings

FULL: Final = Capabilities(
    network="full",
    text_max=10**9,
    formatting=dict.fromkeys(Format, Support.FULL),
    reply=Support.FULL,
    thread=Support.FULL,
    edit=Support.FULL,
    delete=Support.FULL,
    reaction=Support.FULL,
    attachment=Support.FULL,
    caption=Support.FULL,
    voice=Support.FULL,
    room_events=True,
    ghosts=True,
)
ID: Final = MessageId(b"\x01" + bytes(31))
NOW: Final = Instant(10_000_000)
REF: Final = NativeRef(
    native_id="n", author_name="Bo", excerpt="words", sent_at=NOW, is_last=True
)


_LEVELS: Final = (
    "reply",
    "thread",
    "edit",
    "delete",
    "reaction",
    "attachment",
    "caption",
    "voice",
)


class Everybody(dict[str, str]):
    """A chat in which everybody has an identity: their URI."""

    def get(self, key: str, default: object = None) -> str:
        return key


THERE: Final = RenderContext(
    author_name="Ada", now=NOW, target=REF, thread=REF, mentions=Everybody()
)
supports = st.sampled_from(
    (Support.DROPPED, Support.FALLBACK, Support.PARTIAL, Support.FULL)
)
poor = st.builds(
    Capabilities,
    network=st.just("poor"),
    text_max=st.sampled_from((40, 2_000, 10**9)),
    text_parts_max=st.sampled_from((1, 10)),
    formatting=st.dictionaries(st.sampled_from(Format), supports),
    reply=supports,
    thread=supports,
    edit=supports,
    edit_window_s=st.sampled_from((None, 0, 900)),
    edit_last_only=st.booleans(),
    delete=supports,
    delete_window_s=st.sampled_from((None, 0, 900)),
    delete_is_request=st.booleans(),
    reaction=supports,
    reactions_per_person=st.sampled_from((None, 1, 2)),
    attachment=supports,
    attachment_octets_max=st.sampled_from((None, 0, 10**10)),
    caption=supports,
    voice=supports,
    room_events=st.booleans(),
    room_name_max=st.sampled_from((None, 3)),
)


def changed(capabilities: Capabilities, fields: dict[str, Any]) -> Capabilities:
    return replace(capabilities, **fields)


_ONE_LESS: Final[list[dict[str, Any]]] = [
    {"text_max": 40},
    {"text_max": 600},
    *({name: Support.FALLBACK} for name in _LEVELS),
    {"edit_window_s": 0},
    {"delete_window_s": 0},
    {"delete_is_request": True},
    {"edit_last_only": True},
    {"attachment_octets_max": 0},
    {"room_events": False},
    {"room_name_max": 3},
    *({"formatting": {**FULL.formatting, each: Support.FALLBACK}} for each in Format),
]
"""Everything but one thing: nothing else can be blamed for its loss."""
contexts = st.builds(
    RenderContext,
    author_name=st.just("Ada"),
    relay=st.booleans(),
    now=st.just(NOW),
    target=st.sampled_from((None, REF, replace(REF, is_last=False))),
    thread=st.sampled_from((None, REF)),
    original_author=st.sampled_from(("", "Bo")),
    original_excerpt=st.sampled_from(("", "words")),
    mentions=st.sampled_from(({}, Everybody())),
    emoji_before=st.sampled_from(((), ("🎉",), ("🎉", "🎈"))),
)


_PHOTO: Final = Attachment(
    part=ExternalPart(content_type="image/png", url="spool:1", size=9),
    kind=MediaKind.IMAGE,
)
_EVERYTHING: Final = """# head

**bold** _italic_ ~~strike~~ ++under++ ||spoiler|| `code` [link](https://x.example/)
<https://x.example/> [@Bo](mimi://x.example/u/bo)

```
block
```

> quote

- item

1. item

| a | b |
|-|-|
| 1 | 2 |
"""
CORPUS: Final[list[Meaning]] = [
    Said(text=gfm.read(_EVERYTHING)),
    Said(text=Rich.plain("word " * 30)),
    Said(text=Rich.plain("word " * 3_000)),
    Said(text=Rich.plain("x"), in_reply_to=ID),
    Said(text=Rich.plain("x"), topic=b"t"),
    Said(text=Rich.plain("x"), attachments=(_PHOTO,), emote=True),
    Said(text=Rich.plain("x"), attachments=(_PHOTO,)),
    Said(attachments=(replace(_PHOTO, kind=MediaKind.VOICE),)),
    Edited(target=ID, text=Rich.plain("x")),
    Edited(target=ID, text=gfm.read(_EVERYTHING)),
    Deleted(target=ID),
    Reacted(target=ID, emoji="👍"),
    *(RoomEvent(kind=kind, value="value") for kind in RoomEventKind),
    *(RoomEvent(kind=kind, attachment=_PHOTO) for kind in RoomEventKind),
]


@pytest.mark.parametrize("less", _ONE_LESS, ids=lambda less: next(iter(less)))
@pytest.mark.parametrize("relay", [False, True])
def test_nothing_is_lost_silently(less: dict[str, Any], relay: bool) -> None:
    context = replace(THERE, relay=relay)
    old = replace(context, target=replace(REF, sent_at=Instant(0), is_last=False))
    for meaning in CORPUS:
        best, _ = render(meaning, FULL, THERE)
        for there in (context, old):
            pieces, report = render(meaning, changed(FULL, less), there)
            if [_bare(p) for p in pieces] != [_bare(p) for p in best]:
                assert report.items, (meaning, pieces)


@settings(max_examples=300, deadline=None)
@given(meanings, st.sampled_from(_ONE_LESS))
def test_nothing_of_anything_is_lost_silently(
    meaning: Meaning, less: dict[str, Any]
) -> None:
    meaning = canonical(meaning)
    best, _ = render(meaning, FULL, THERE)
    pieces, report = render(meaning, changed(FULL, less), THERE)
    if [_bare(p) for p in pieces] != [_bare(p) for p in best]:
        assert report.items


def _bare(piece: object) -> str:
    """Return a piece's text for comparison.

    What it refers to is left out (it is the same message at another age), and so is
    the frame of a link whose text is its address: it looks the same without.
    """
    written = re.sub(r"(target|reply_to)=NativeRef\(.*?is_last=\w+\)", "", repr(piece))
    return (
        re.sub(
            r"Link\(children=\(Text\(text='([^']*)'\),\), url='\1'\)",
            r"Text(text='\1')",
            written,
        )
        .replace("'), Text(text='", "")
        .replace(",)", ")")
    )


@settings(max_examples=400, deadline=None)
@given(meanings, poor, contexts)
def test_rendering_is_a_function_of_its_arguments(
    meaning: Meaning, capabilities: Capabilities, context: RenderContext
) -> None:
    first = render(meaning, capabilities, context)
    again = render(meaning, capabilities, context)
    assert first == again
    assert rendered_digest(first[0]) == rendered_digest(again[0])


@settings(max_examples=400, deadline=None)
@given(meanings, poor, contexts)
def test_a_withheld_message_says_so(
    meaning: Meaning, capabilities: Capabilities, context: RenderContext
) -> None:
    meaning = canonical(meaning)
    pieces, report = render(meaning, capabilities, context)
    if not pieces and not _is_nothing(meaning):
        assert report.items
    if report.level is Level.WITHHELD:
        assert report.sentences()


def _is_nothing(meaning: Meaning) -> bool:
    match meaning:
        case Said(text=None, attachments=()):
            return True
        case RoomEvent(value=value):
            return not value
        case Edited() | Deleted() | Reacted() | Said():
            return False


@settings(max_examples=600, deadline=None)
@given(meanings, poor, contexts, st.data())
def test_one_capability_more_never_makes_it_worse(
    meaning: Meaning,
    capabilities: Capabilities,
    context: RenderContext,
    data: st.DataObject,
) -> None:
    # Texts that nearly reach a limit may be longer in their better form; what a
    # limit does is tested by itself.
    capabilities = replace(capabilities, text_max=10**9)
    name = data.draw(
        st.sampled_from(
            (
                *_LEVELS,
                "edit_window_s",
                "delete_window_s",
                "attachment_octets_max",
                "room_events",
                *Format,
            )
        )
    )
    if isinstance(name, Format):
        formatting = {**capabilities.formatting, name: Support.FULL}
        better = replace(capabilities, formatting=formatting)
    elif name in _LEVELS:
        better = changed(capabilities, {name: Support.FULL})
    elif name == "room_events":
        better = replace(capabilities, room_events=True)
    else:
        better = changed(capabilities, {name: None})
    _, before = render(meaning, capabilities, context)
    _, after = render(meaning, better, context)
    assert after.level <= before.level, (name, before, after)


@settings(max_examples=200, deadline=None)
@given(poor, poor)
def test_a_snapshot_has_its_own_digest(one: Capabilities, other: Capabilities) -> None:
    same = capabilities_digest(one) == capabilities_digest(other)
    assert same == (one == other)


def test_nothing_rendered_has_no_digest() -> None:
    assert rendered_digest(()) is None


def test_a_digest_does_not_change_with_the_program() -> None:
    pieces = (TextPiece(text=Rich.plain("hello")),)
    digest = rendered_digest(pieces)
    assert digest is not None
    assert (
        digest.hex()
        == "c3c643e593fc2440e6ed038d9db39b42dd8510e643932f17deec3c5a5a6ff363"
    )
