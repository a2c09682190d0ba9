"""What XMPP can express, by kind of chat."""

from dataclasses import fields, replace

from sabir.clock import Instant
from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Format, Support
from sabir.content.context import RenderContext
from sabir.content.convert import render
from sabir.content.meaning import Edited, Said
from sabir.content.model import MessageId
from sabir.content.pieces import EditPiece, MediaPiece, NativeRef, TextPiece
from sabir.content.rich import Rich
from sabir.networks.xmpp.capabilities import capabilities
from sabir.testing.demo.samples import long_text

ROOM = capabilities(ghosts=True, group=True, stable_ids=True)
LAST = NativeRef(native_id="s", aliases=("k",), is_last=True)
HERE = RenderContext(author_name="Ada", now=Instant(0), sent_at=Instant(0), target=LAST)


def changed(can: Capabilities) -> set[str]:
    known = capability_data.capabilities("xmpp")
    return {
        field.name
        for field in fields(can)
        if getattr(can, field.name) != getattr(known, field.name)
    }


def test_everything_else_is_as_the_data_file_says() -> None:
    assert changed(ROOM) == {"room_events", "ghosts", "room_name_max"}
    alone = capabilities(ghosts=False, group=False, stable_ids=True)
    assert changed(alone) == set()


def test_a_room_without_stable_ids_has_nothing_to_point_at() -> None:
    poor = capabilities(ghosts=True, group=True, stable_ids=False)
    assert (poor.reply, poor.reaction, poor.delete) == (Support.FALLBACK,) * 3
    assert (ROOM.reply, ROOM.reaction) == (Support.FULL,) * 2
    assert ROOM.delete is Support.PARTIAL, "a request, which clients may not heed"
    assert poor.edit is Support.FULL
    direct = capabilities(ghosts=True, group=False, stable_ids=False)
    assert direct.reply is Support.FULL
    assert direct.room_name_max is None


def test_only_ghosts_show_joins_and_renames() -> None:
    assert ROOM.room_events
    one = capabilities(ghosts=False, group=True, stable_ids=True)
    assert not one.room_events
    assert Format.TABLE not in one.formatting


def test_20_kb_stay_one_message_and_more_than_60_kb_become_a_file() -> None:
    words = long_text("Ada")
    pieces, loss = render(Said(text=Rich.plain(words)), ROOM, HERE)
    assert pieces == (TextPiece(text=Rich.plain(words)),)
    assert loss.items == ()
    pieces, loss = render(Said(text=Rich.plain(words * 3)), ROOM, HERE)
    assert [type(piece) for piece in pieces] == [TextPiece, MediaPiece]
    assert [item.rule for item in loss.items] == ["TXT-4"]


def test_only_the_last_message_is_corrected_natively() -> None:
    edit = Edited(target=MessageId(b"\x01" * 32), text=Rich.plain("better"))
    pieces, _ = render(edit, ROOM, HERE)
    assert pieces == (EditPiece(target=LAST, text=Rich.plain("better")),)
    older = replace(LAST, is_last=False)
    pieces, loss = render(edit, ROOM, replace(HERE, target=older))
    assert isinstance(pieces[0], TextPiece)
    assert pieces[0].reply_to == older
    assert [item.rule for item in loss.items] == ["EDT-6"]
