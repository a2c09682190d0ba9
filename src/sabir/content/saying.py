"""Rules TXT, RPL, THR, ME, VOI: a message as pieces."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from sabir.content.capabilities import Capabilities, Format, Support
from sabir.content.context import RenderContext
from sabir.content.cutting import prefixed
from sabir.content.formatting import TextFile, adapt
from sabir.content.inline_data import inline_octets, inline_part
from sabir.content.loss import Level, LossItem, WayBack, Why
from sabir.content.meaning import Attachment, MediaKind, Said
from sabir.content.measuring import clusters
from sabir.content.model import ExternalPart
from sabir.content.pieces import MediaPiece, NativeRef, Piece, TextPiece
from sabir.content.plain import to_plain
from sabir.content.rich import Paragraph, Quote, Rich, Text
from sabir.content.splitting import fits, split
from sabir.content.tidying import tidy, tidy_name

EXCERPT_CLUSTERS_MAX: Final = 80
"""RPL-2: so much of the answered message is quoted."""
OPENING_CLUSTERS_MAX: Final = 500
"""TXT-4: so much of a long text is shown beside its file."""
ATTACHED_NOTE: Final = "… (full text attached)"
MESSAGE_FILE: Final = "message.txt"
CORRECTION: Final = "Correction: "
AEAD_TAG_OCTETS: Final = 16
"""What encryption adds to a file at its URL (MIMI.md 5.2, D-52)."""
_TEXT_FILE_TYPE: Final = "text/plain;charset=utf-8"


@dataclass(slots=True)
class Speech:
    """Pieces and what was lost on the way to them."""

    pieces: list[Piece] = field(default_factory=list)
    items: list[LossItem] = field(default_factory=list)


def say(
    meaning: Said,
    capabilities: Capabilities,
    context: RenderContext,
    *,
    reply: NativeRef | None,
    correction: bool = False,
) -> Speech:
    """Return a message as pieces.

    Args:
        meaning: text and files.
        capabilities: of the chat.
        context: names and the quoted message.
        reply: what it answers in this chat; None if it answers nothing there.
        correction: it corrects an earlier message (EDT-2).
    """
    return _Saying(meaning, capabilities, context, reply, correction).say()


class _Saying:
    def __init__(
        self,
        meaning: Said,
        capabilities: Capabilities,
        context: RenderContext,
        reply: NativeRef | None,
        correction: bool,
    ) -> None:
        self._meaning = meaning
        self._can = capabilities
        self._context = context
        self._reply = reply
        self._correction = correction
        self._emote = meaning.emote
        self._files: list[TextFile] = []
        self._speech = Speech()

    def say(self) -> Speech:
        """Return everything."""
        media, notes = self._media()
        text = self._text(notes)
        self._place(media, self._parts(text))
        return self._speech

    # ---- text

    def _text(self, notes: Sequence[str]) -> Rich:
        """Return the whole text as it is to be shown, not yet split."""
        text = self._adapted()
        if notes:
            lines = (Paragraph((Text(note),)) for note in notes)
            text = Rich((*text.blocks, *lines))
        if self._correction:
            text = prefixed(text, CORRECTION)
        if self._context.relay and (text.blocks or self._meaning.attachments):
            text = self._named(text)
        return self._quoted(text)

    def _adapted(self) -> Rich:
        if self._meaning.text is None:
            return Rich(())
        text, items = tidy(self._meaning.text)
        self._speech.items += items
        adapted = adapt(text, self._can, self._context.mentions)
        self._speech.items += adapted.items
        self._files = adapted.files
        return adapted.text

    def _named(self, text: Rich) -> Rich:
        self._lose("TXT-8", Level.FORM, Why.FEATURE_MISSING, "the author's name")
        name = tidy_name(self._context.author_name)
        if self._emote:
            self._emote = False
            return prefixed(text, f"* {name} ")
        return prefixed(text, f"{name}: ")

    def _parts(self, text: Rich) -> tuple[Rich, ...]:
        can = self._can
        limit = can.text_max
        if can.formatted_text_max is not None and not text.is_plain:
            limit = can.formatted_text_max
        if not text.blocks:
            return ()
        if fits(text, limit, can.text_unit):
            return (text,)
        parts = split(
            text, limit=limit, unit=can.text_unit, parts_max=can.text_parts_max
        )
        size = f"{len(to_plain(text))} characters"
        if parts is not None:
            self._lose("TXT-3", Level.FORM, Why.TEXT_LIMIT, size, f"{len(parts)} parts")
            return parts
        return self._too_long(text, limit, size)

    def _too_long(self, text: Rich, limit: int, size: str) -> tuple[Rich, ...]:
        plain = to_plain(text)
        octets = plain.encode(errors="replace")
        most = self._can.attachment_octets_max
        if not self._sends_files() or (most is not None and len(octets) > most):
            self._lose("TXT-5", Level.WITHHELD, Why.TEXT_LIMIT, size)
            return ()
        self._lose("TXT-4", Level.FUNCTION, Why.TEXT_LIMIT, size, MESSAGE_FILE)
        file = TextFile(name=MESSAGE_FILE, content_type=_TEXT_FILE_TYPE, text=plain)
        self._files.insert(0, file)
        count = OPENING_CLUSTERS_MAX
        opening = Rich.plain(clusters(plain, count) + ATTACHED_NOTE)
        while count and not fits(opening, limit, self._can.text_unit):
            count //= 2
            opening = Rich.plain(clusters(plain, count) + ATTACHED_NOTE)
        return (opening,)

    # ---- answers and threads

    def _native_reply(self) -> NativeRef | None:
        can_reply = self._can.reply >= Support.PARTIAL
        return self._reply if can_reply else None

    def _quoted(self, text: Rich) -> Rich:
        answers = self._meaning.in_reply_to is not None or self._reply is not None
        if not answers or self._native_reply() is not None:
            return text
        name, words = self._context.original_author, self._context.original_excerpt
        if self._reply is not None:
            name, words = self._reply.author_name, self._reply.excerpt
        quote = _quote_line(tidy_name(name), words)
        after = "quoted instead" if quote else "sent without it"
        rule, why = "RPL-3", Why.FEATURE_MISSING
        if self._reply is None:
            rule, why = "RPL-2", Why.TARGET_NOT_THERE
        self._lose(rule, Level.FUNCTION, why, "an answer", after)
        if not quote:
            return text
        if self._emote:  # a quote cannot stand inside of an action
            self._emote = False
            text = prefixed(text, f"* {tidy_name(self._context.author_name)} ")
        if self._can.formatting.get(Format.QUOTE, Support.FALLBACK) >= Support.FULL:
            return Rich((Quote((Paragraph((Text(quote),)),)), *text.blocks))
        return prefixed(text, f"> {quote}\n")

    def _thread(self) -> tuple[NativeRef | None, NativeRef | None]:
        """Return the piece's thread, and what to answer instead of one."""
        if not self._meaning.topic:
            return None, None
        thread = self._context.thread
        if thread is not None and self._can.thread >= Support.PARTIAL:
            if self._can.thread < Support.FULL:
                self._lose("THR-1", Level.FORM, Why.FEATURE_MISSING, "a thread")
            return thread, None
        why = Why.FEATURE_MISSING if thread is not None else Why.TARGET_NOT_THERE
        can_reply = thread is not None and self._can.reply >= Support.PARTIAL
        answers = can_reply and self._native_reply() is None
        after = "sent as an answer" if answers else "sent without it"
        self._lose("THR-2", Level.FUNCTION, why, "a thread", after)
        return None, thread if answers else None

    # ---- files

    def _sends_files(self) -> bool:
        return self._can.attachment >= Support.PARTIAL

    def _media(self) -> tuple[list[MediaPiece], list[str]]:
        """Return the files that can go, and a line for each that cannot."""
        pieces: list[MediaPiece] = []
        notes: list[str] = []
        for attachment in self._meaning.attachments:
            reason = self._obstacle(attachment.part)
            if reason is None:
                attachment = self._voice_as_file(attachment)
                octets = inline_octets(attachment.part)
                pieces.append(MediaPiece(attachment=attachment, inline_octets=octets))
            else:
                notes.append(_note(attachment, reason))
        if len(pieces) > 1:
            self._lose("ME-7", Level.FORM, Why.FEATURE_MISSING, f"{len(pieces)} files")
        return pieces, notes

    def _obstacle(self, part: ExternalPart) -> str | None:
        size, most = _octets(part), self._can.attachment_octets_max
        if not self._sends_files():
            reason, why = "this chat takes no files", Why.FEATURE_MISSING
        elif most is not None and size > most:
            reason = f"{_human(size)} is more than the {_human(most)} allowed there"
            why = Why.SIZE_LIMIT
        else:
            return None
        self._lose("ME-10", Level.WITHHELD, why, reason)
        return reason

    def _voice_as_file(self, attachment: Attachment) -> Attachment:
        if attachment.kind is not MediaKind.VOICE or self._can.voice >= Support.FULL:
            return attachment
        self._lose("VOI-3", Level.FUNCTION, Why.FEATURE_MISSING, "a voice message")
        sent_at = self._context.sent_at
        name = "voice"
        if sent_at is not None:
            moment = datetime.fromtimestamp(sent_at / 1000, tz=UTC)
            name = f"voice-{moment:%Y%m%d-%H%M%S}"
        extension = _extension(attachment.part.content_type)
        filename = attachment.part.filename or f"{name}.{extension}"
        part = replace(attachment.part, filename=filename)
        return replace(attachment, part=part, kind=MediaKind.AUDIO)

    # ---- putting it together

    def _place(self, media: list[MediaPiece], parts: tuple[Rich, ...]) -> None:
        thread, instead = self._thread()
        made = [_file_piece(file) for file in self._files]
        texts = [TextPiece(text=part, emote=self._emote) for part in parts]
        pieces: list[TextPiece | MediaPiece] = [*media, *texts, *made]
        if media and texts:
            captions = self._can.caption >= Support.FULL
            if captions and len(texts) == 1 and not self._emote:
                captioned = replace(media[0], caption=texts[0].text)
                pieces = [captioned, *media[1:], *made]
            elif self._meaning.text is None:  # only the author's name
                pieces = [*texts, *media, *made]
            else:
                self._lose("ME-6", Level.FORM, Why.FEATURE_MISSING, "a caption")
        first = self._native_reply() or instead
        for index, piece in enumerate(pieces):
            self._speech.pieces.append(
                replace(piece, thread=thread, reply_to=first if index == 0 else None)
            )

    def _lose(
        self, rule: str, level: Level, why: Why, before: str = "", after: str = ""
    ) -> None:
        self._speech.items.append(
            LossItem(
                rule=rule,
                level=level,
                back=WayBack.STORE,
                why=why,
                before=before,
                after=after,
            )
        )


def _quote_line(name: str, words: str) -> str:
    one_line = " ".join(words.split())
    short = clusters(one_line, EXCERPT_CLUSTERS_MAX)
    if short != one_line and not short.endswith("…"):
        short += "…"
    return f"{name}: {short}" if name and short else short or name


def _note(attachment: Attachment, reason: str) -> str:
    name = tidy_name(attachment.part.filename) or attachment.kind.value
    return f"[not sent here: {name} ({reason})]"


def _file_piece(file: TextFile) -> MediaPiece:
    octets = file.text.encode(errors="replace")
    part = inline_part(octets, content_type=file.content_type, filename=file.name)
    return MediaPiece(attachment=Attachment(part=part), inline_octets=octets)


def _octets(part: ExternalPart) -> int:
    """Return the size of the file itself, 0 if unknown."""
    return max(part.size - (AEAD_TAG_OCTETS if part.enc_alg else 0), 0)


def _extension(content_type: str) -> str:
    subtype = content_type.partition(";")[0].rpartition("/")[2].strip()
    return subtype if subtype.isalnum() else "bin"


def _human(octets: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if octets >= unit:
            return f"{octets / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{octets} octets"
