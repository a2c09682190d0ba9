"""From a piece to the body of a request. Pure.

Every message carries the idempotency key as `biz_opaque_callback_data`: it comes
back with the statuses, so a message whose answer was lost can still be known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sabir.content.pieces import NativeRef, ReactPiece, TextPiece, UnreactPiece
from sabir.content.rich import Emphasis, Paragraph, Rich
from sabir.errors import PolicyRefused
from sabir.networks.api import ChatId, IdempotencyKey
from sabir.networks.whatsapp import markup
from sabir.networks.whatsapp.media_rules import Form
from sabir.networks.whatsapp.names import GROUP, is_group, one_line

TEXT_CHARACTERS_MAX: Final = 4_096
CAPTION_CHARACTERS_MAX: Final = 1_024
FILENAME_CHARACTERS_MAX: Final = 240
TEMPLATE_CHARACTERS_MAX: Final = 900
"""A template's body has 1,024 in all; the rest is for its own words."""
SECOND: Final = ".2"
"""After the key of a text that goes behind its file."""

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """A text in marks, and what that lost."""

    text: str
    lost: tuple[str, ...] = ()


def words(rich: Rich, *, characters_max: int = TEXT_CHARACTERS_MAX) -> Words:
    """Write a text; where the marks make it too long, without them.

    Raises:
        PolicyRefused: too long even so.
    """
    marked = markup.write(rich)
    if len(marked.text) <= characters_max:
        return Words(marked.text, marked.lost)
    plain = markup.write_plain(rich)
    if len(plain) <= characters_max:
        return Words(plain, ("safety of literal marks, the text is too long",))
    raise PolicyRefused(
        f"the text has {len(plain)} characters and WhatsApp takes {characters_max}; "
        "send it in parts"
    )


def addressed(
    chat: ChatId,
    kind: str,
    part: Body,
    *,
    key: str,
    reply_to: NativeRef | None = None,
) -> Body:
    """Return the whole body of a message."""
    group = is_group(chat)
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "group" if group else "individual",
        "to": chat.removeprefix(GROUP),
        "type": kind,
        kind: part,
        "biz_opaque_callback_data": key,
    }
    if reply_to is not None:
        body["context"] = {"message_id": reply_to.native_id}
    return body


def text(piece: TextPiece, *, chat: ChatId, key: IdempotencyKey) -> tuple[Body, Words]:
    """Render a message.

    Raises:
        PolicyRefused: too long, or nothing in it.
    """
    rich = _emote(piece.text) if piece.emote else piece.text
    written = words(rich)
    if not written.text.strip():
        raise PolicyRefused("the text is empty, and WhatsApp takes no empty message")
    part = {"body": written.text, "preview_url": "://" in written.text}
    body = addressed(chat, "text", part, key=key, reply_to=piece.reply_to)
    lost = ("an action, in italics",) if piece.emote else ()
    return body, Words(written.text, (*lost, *written.lost))


def _emote(rich: Rich) -> Rich:
    return Rich(
        tuple(
            Paragraph((Emphasis(block.children),))
            if isinstance(block, Paragraph)
            else block
            for block in rich.blocks
        )
    )


def media(
    form: Form,
    *,
    media_id: str,
    filename: str,
    caption: str,
    chat: ChatId,
    key: IdempotencyKey,
    reply_to: NativeRef | None,
) -> Body:
    """Render a file that Meta has under `media_id`."""
    part: dict[str, Any] = {"id": media_id}
    if caption and form.has_caption:
        part["caption"] = caption
    if form.kind == "document":
        part["filename"] = shown_name(filename, form)
    if form.voice:
        part["voice"] = True
    return addressed(chat, form.kind, part, key=key, reply_to=reply_to)


def shown_name(filename: str, form: Form) -> str:
    """Return a document's name; WhatsApp shows it, and apps open by its ending."""
    name = one_line(filename).replace("/", "_").replace("\\", "_")
    if len(name) > FILENAME_CHARACTERS_MAX:
        stem, dot, ending = name.rpartition(".")
        tail = dot + ending if stem and len(ending) <= 10 else ""
        name = name[: FILENAME_CHARACTERS_MAX - len(tail)] + tail
    return name or f"file.{form.content_type.partition('/')[2]}"


def reaction(
    piece: ReactPiece | UnreactPiece, *, chat: ChatId, key: IdempotencyKey
) -> Body:
    """Render a reaction; an empty emoji takes it back."""
    emoji = piece.emoji if isinstance(piece, ReactPiece) else ""
    part = {"message_id": piece.target.native_id, "emoji": emoji}
    return addressed(chat, "reaction", part, key=key)


def template(
    piece: TextPiece, *, name: str, language: str, chat: ChatId, key: IdempotencyKey
) -> tuple[Body, Words]:
    """Render a text as the one variable of an approved template.

    Meta takes no line breaks, tabs or runs of spaces in a variable.

    Raises:
        PolicyRefused: too long for a template.
    """
    plain = " ".join(markup.write_plain(piece.text).split())
    if len(plain) > TEMPLATE_CHARACTERS_MAX:
        raise PolicyRefused(
            "more than 24 hours have passed since this person wrote, so the text would "
            f"have to go in a template, which takes {TEMPLATE_CHARACTERS_MAX} "
            "characters; send a shorter one first"
        )
    variable = {"type": "text", "text": plain}
    part = {
        "name": name,
        "language": {"policy": "deterministic", "code": language},
        "components": [{"type": "body", "parameters": [variable]}],
    }
    lost = f"sent inside the template {name}: no formatting, no line breaks"
    return addressed(chat, "template", part, key=key), Words(plain, (lost,))


def read_mark(native_id: str, *, typing: bool) -> Body:
    """Render a read mark; typing can only be shown together with one."""
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": native_id,
    }
    if typing:
        body["typing_indicator"] = {"type": "text"}
    return body
