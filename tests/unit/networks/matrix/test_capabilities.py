"""What Matrix can express: the data file, and what the kind of account changes."""

from dataclasses import fields

from sabir.clock import Instant
from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Support
from sabir.content.context import RenderContext
from sabir.content.convert import render
from sabir.content.meaning import Said
from sabir.content.pieces import TextPiece
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.networks.api import IdempotencyKey
from sabir.networks.matrix.capabilities import of_account, of_ghosts
from sabir.networks.matrix.render import render_text
from sabir.testing.demo.samples import long_text

HERE = RenderContext(author_name="Ada", now=Instant(0), sent_at=Instant(0))


def changed(can: Capabilities) -> set[str]:
    known = capability_data.capabilities("matrix")
    return {
        field.name
        for field in fields(can)
        if getattr(can, field.name) != getattr(known, field.name)
    }


def test_everything_else_is_as_the_data_file_says() -> None:
    learned = {"attachment_octets_max", "formatted_text_max", "voice"}
    ghosts = of_ghosts(attachment_octets_max=5)
    assert ghosts.attachment_octets_max == 5
    assert changed(ghosts) == learned | {"ghosts", "room_events"}
    account = of_account(attachment_octets_max=5)
    assert changed(account) == learned | {"reaction"}
    assert account.reaction is Support.PARTIAL


def test_20_kb_stay_one_message_with_and_without_a_bold_word() -> None:
    words = long_text("Ada")
    for text in (
        Rich.plain(words),
        Rich((Paragraph((Text(words), Strong((Text("at last"),)))),)),
    ):
        pieces, loss = render(
            Said(text=text), of_ghosts(attachment_octets_max=None), HERE
        )
        (piece,) = pieces
        assert isinstance(piece, TextPiece)
        rendered = render_text(piece, key=IdempotencyKey("a" * 32))
        assert (rendered.lost, loss.items) == ((), ())
        assert words in rendered.content["body"]
