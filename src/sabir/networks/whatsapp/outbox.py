"""One piece on its way out: what is sent, and what became of it.

* Meta has no idempotency key. A request that certainly did not arrive is noted, so
  that `fate` can say so; one whose answer was lost is known by the status that comes
  back with our key, or by nobody.
* The 24-hour rule is asked before anything is sent, a file uploaded included.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from sabir.clock import Clock, Instant
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    ReactPiece,
    TextPiece,
    UnreactPiece,
)
from sabir.errors import (
    CredentialsRefused,
    LocalError,
    PeerMisbehaved,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.api import (
    ChatId,
    Finding,
    InDoubt,
    MediaReader,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    Refused,
    Sent,
)
from sabir.networks.whatsapp import render, window
from sabir.networks.whatsapp.client import Client, Json, NotMade, Rejected
from sabir.networks.whatsapp.config import CloudConfig
from sabir.networks.whatsapp.media import head_of, upload
from sabir.networks.whatsapp.media_rules import Form, form_of
from sabir.networks.whatsapp.names import OURS, is_group, person_id

KEYS_KEPT_MAX: Final = 10_000
"""Keys whose fate is remembered; older ones are settled long since."""
DOUBT: Final = (
    "the connection broke while WhatsApp was answering, and no status came for it; "
    "look into the chat on the phone before you say it again"
)

LastInbound = Callable[[ChatId], Awaitable[Instant | None]]
"""When the person of a chat wrote last."""
Renamed = Callable[[ChatId, str], Awaitable[None]]
"""Hears that WhatsApp knows a chat's person by another number."""


class Outbox:
    """Sends pieces; lives as long as the connector, over its runs."""

    def __init__(self, config: CloudConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._settled: OrderedDict[str, Sent] = OrderedDict()
        self._unsent: OrderedDict[str, None] = OrderedDict()
        self._flying: set[str] = set()
        self._halves: dict[str, NativeId] = {}
        """Pieces whose file is at WhatsApp, and whose caption surely is not."""

    # ---- fates

    def knows(self, key: str) -> bool:
        """Tell whether this piece's answer came, or is settled by its status."""
        return key in self._settled

    def is_sending(self, key: str) -> bool:
        """Tell whether this piece's answer is being waited for."""
        return key in self._flying

    def settle(self, sent: Sent) -> None:
        """Note that a piece is at WhatsApp."""
        self._settled[sent.key] = sent
        self._unsent.pop(sent.key, None)
        while len(self._settled) > KEYS_KEPT_MAX:
            self._settled.popitem(last=False)

    def _not_sent(self, key: str) -> None:
        self._unsent[key] = None
        while len(self._unsent) > KEYS_KEPT_MAX:
            self._unsent.popitem(last=False)

    def fate(self, key: str, *, attempted_at: Instant) -> Finding:
        """Say what became of a piece.

        Raises:
            NotMade: nobody can tell yet; `retry_after_ms` says when to ask again.
        """
        if key in self._settled:
            return self._settled[key]
        if key in self._unsent:
            return NotSent()
        wait_ms = attempted_at + self._config.doubt_s * 1_000 - self._clock.now()
        if wait_ms > 0:
            raise NotMade(
                "waiting whether WhatsApp tells of a message whose answer was lost",
                retry_after_ms=min(wait_ms, 5_000),
            )
        return InDoubt(DOUBT)

    # ---- sending

    async def send(
        self,
        outgoing: Outgoing,
        client: Client,
        *,
        last_inbound: LastInbound,
        renamed: Renamed,
    ) -> Outcome:
        """Send one piece.

        Raises:
            Unavailable: try later; `fate` knows whether it is in doubt.
            CredentialsRefused: nothing goes until the owner has acted.
        """
        self._flying.add(outgoing.key)
        try:
            return await self._try(outgoing, client, last_inbound, renamed)
        finally:
            self._flying.discard(outgoing.key)

    async def _try(
        self,
        outgoing: Outgoing,
        client: Client,
        last_inbound: LastInbound,
        renamed: Renamed,
    ) -> Outcome:
        self._unsent.pop(outgoing.key, None)
        half = self._halves.pop(outgoing.key, None)
        sending = _Sending(outgoing, client, self._config, renamed, half)
        try:
            is_open = window.is_open(
                await last_inbound(outgoing.chat), now=self._clock.now()
            )
            sent = await sending.send(free=is_open or is_group(outgoing.chat))
        except (NotMade, CredentialsRefused):
            if sending.first is not None:
                self._halves[outgoing.key] = sending.first
            self._not_sent(outgoing.key)
            raise
        except PeerMisbehaved as strange:
            raise Unavailable(f"WhatsApp answered strangely: {strange}") from strange
        except Rejected as no:
            return Refused(key=outgoing.key, reason=_reason(no, self._config))
        except PolicyRefused as no:
            return Refused(key=outgoing.key, reason=str(no))
        self.settle(sent)
        return sent


def _reason(no: Rejected, config: CloudConfig) -> str:
    if no.error.code == 131047:
        return window.refusal(has_template=bool(config.template))
    return str(no)


class _Sending:
    """The requests of one piece."""

    def __init__(
        self,
        outgoing: Outgoing,
        client: Client,
        config: CloudConfig,
        renamed: Renamed,
        first: NativeId | None,
    ) -> None:
        self._outgoing = outgoing
        self._client = client
        self._config = config
        self._renamed = renamed
        self.first = first
        """The file, if it is at WhatsApp already and its caption is not."""

    async def send(self, *, free: bool) -> Sent:
        """Send it; `free` says whether the 24-hour rule allows free words."""
        match self._outgoing.piece:
            case TextPiece() as piece if not free and self._config.template:
                return await self._template(piece)
            case TextPiece() | MediaPiece() | ReactPiece() | UnreactPiece() if not free:
                raise PolicyRefused(
                    window.refusal(has_template=bool(self._config.template))
                )
            case TextPiece() as piece:
                outgoing = self._outgoing
                body, words = render.text(piece, chat=outgoing.chat, key=outgoing.key)
                return self._sent(await self._post(body), lost=words.lost)
            case MediaPiece() as piece:
                return await self._media(piece)
            case ReactPiece() | UnreactPiece() as piece:
                outgoing = self._outgoing
                body = render.reaction(piece, chat=outgoing.chat, key=outgoing.key)
                return self._sent(await self._post(body))
            case EditPiece():
                raise PolicyRefused(
                    "WhatsApp's API cannot change a message; send a correction"
                )
            case DeletePiece():
                raise PolicyRefused(
                    "WhatsApp's API cannot take a message back; tell the person"
                )
            case _:
                raise PolicyRefused(
                    "WhatsApp's API does not let a business do this; it stays in the "
                    "room"
                )

    async def _template(self, piece: TextPiece) -> Sent:
        outgoing, config = self._outgoing, self._config
        body, words = render.template(
            piece,
            name=config.template,
            language=config.template_language,
            chat=outgoing.chat,
            key=outgoing.key,
        )
        return self._sent(await self._post(body), lost=words.lost)

    async def _media(self, piece: MediaPiece) -> Sent:
        outgoing = self._outgoing
        media = outgoing.media
        if media is None:
            raise LocalError("a file to send came without its octets")
        attachment = piece.attachment
        form = form_of(
            attachment.kind,
            attachment.part.content_type,
            media.size,
            head=await head_of(media),
        )
        name = render.shown_name(attachment.part.filename, form)
        caption = render.Words("")
        if piece.caption is not None:
            caption = render.words(piece.caption)
        behind = bool(caption.text) and (
            not form.has_caption or len(caption.text) > render.CAPTION_CHARACTERS_MAX
        )
        lost = (*form.lost, *caption.lost)
        if self.first is None:
            body = render.media(
                form,
                media_id=await self._upload(media, form, name),
                filename=name,
                caption="" if behind else caption.text,
                chat=outgoing.chat,
                key=outgoing.key,
                reply_to=piece.reply_to,
            )
            first = await self._post(body)
        else:
            first = self.first
        if not behind:
            return self._sent(first, lost=lost)
        self.first = first
        return await self._with_caption(first, caption.text, lost)

    async def _with_caption(
        self, first: NativeId, caption: str, lost: tuple[str, ...]
    ) -> Sent:
        """Send the caption after its file; its refusal does not unsend the file."""
        outgoing = self._outgoing
        part = {"body": caption, "preview_url": False}
        key = outgoing.key + render.SECOND
        body = render.addressed(outgoing.chat, "text", part, key=key)
        try:
            second = await self._post(body)
        except Rejected as no:
            return self._sent(first, lost=(*lost, f"the caption: {no}"))
        return self._sent(first, second, lost=(*lost, "caption, as its own message"))

    async def _upload(self, media: MediaReader, form: Form, name: str) -> str:
        """Upload; whatever fails here, no message was sent."""
        try:
            return await upload(self._client, media, form, filename=name)
        except NotMade:
            raise
        except Unavailable as error:
            raise NotMade(str(error), retry_after_ms=error.retry_after_ms) from error

    async def _post(self, body: Json) -> NativeId:
        answer = await self._client.post_message(body)
        messages, contacts = answer.get("messages"), answer.get("contacts")
        first = messages[0] if isinstance(messages, list) and messages else None
        native_id = first.get("id") if isinstance(first, dict) else None
        if not isinstance(native_id, str) or not native_id:
            raise PeerMisbehaved("WHATSAPP-010", "a message was answered without an id")
        contact = contacts[0] if isinstance(contacts, list) and contacts else None
        known = person_id(contact.get("wa_id")) if isinstance(contact, dict) else None
        chat = self._outgoing.chat
        if known is not None and known != chat and not is_group(chat):
            await self._renamed(chat, known)
        return NativeId(native_id)

    def _sent(self, *native_ids: NativeId, lost: tuple[str, ...] = ()) -> Sent:
        return Sent(
            key=self._outgoing.key,
            native_id=native_ids[0],
            aliases=native_ids[1:],
            author=OURS,
            lost=lost,
        )
