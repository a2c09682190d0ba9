"""Sends pieces, whoever speaks: what both kinds of account have in common.

* One request in flight per room, the next after its answer: Matrix then has the
  order of the calls.
* `txnId = "s" + key`: a repeat gives the same event, within 24 h.
* A limit on our rate is waited for here, per room; it is no failure.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from sabir.clock import Clock, Instant
from sabir.content.pieces import (
    ChatAvatarPiece,
    ChatNamePiece,
    DeletePiece,
    EditPiece,
    JoinPiece,
    LeavePiece,
    MediaPiece,
    ProfilePiece,
    ReactPiece,
    TextPiece,
    TopicPiece,
    UnreactPiece,
)
from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.api import (
    ChatId,
    Finding,
    IdempotencyKey,
    InDoubt,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    PersonId,
    Refused,
    Sent,
)
from sabir.networks.matrix.client import Client, Rejected, Voice
from sabir.networks.matrix.envelope import content_of
from sabir.networks.matrix.media import upload
from sabir.networks.matrix.render import (
    ENTRY,
    Rendered,
    media_info,
    render_edit,
    render_media,
    render_reaction,
    render_text,
)
from sabir.networks.matrix.rooms import RoomBook
from sabir.networks.matrix.text import clean, one_line

SEND_WINDOW: Final = 50
RATE_WAIT_MAX_MS: Final = 60_000
"""Longer limits are told to the supervisor instead of being waited for here."""
RESEND_WINDOW_MS: Final = 20 * 3_600_000
"""Synapse keeps transaction ids for 24 h; 4 h are for clocks and slow hours."""
CLOCK_MARGIN_MS: Final = 3_600_000
"""How far the homeserver's clock may be off when history is searched."""
LOOKUP_PAGES_MAX: Final = 100
"""10,000 events; beyond it nobody can tell in useful time."""
ANSWERED_MAX: Final = 10_000
"""Keys whose echo may still come: minutes of traffic at what Synapse can do."""
REDACTED_NOTE: Final = "redacted_because"

_KEY: Final = re.compile(r"[a-z2-7]{32}")


class Cast(Protocol):
    """Who speaks for whom."""

    manager: Voice
    """Who sets the room's name, redacts what others wrote, and reads history."""

    async def speaker(self, outgoing: Outgoing) -> Voice:
        """Return the voice of a piece's author, ready to speak in its chat."""
        ...

    def author(self, user: str) -> Voice | None:
        """Return the voice that wrote an earlier event; None if it was not ours."""
        ...

    async def appear(self, outgoing: Outgoing) -> Voice | None:
        """Do a `JoinPiece`, `LeavePiece` or `ProfilePiece`; None if impossible."""
        ...

    async def recover(self, outgoing: Outgoing, no: Rejected) -> bool:
        """Forget what may be out of date; tell whether to try once more."""
        ...


def entry_key(content: Mapping[str, Any]) -> IdempotencyKey | None:
    """Return the idempotency key in an event's content, None if there is none."""
    key = content.get(ENTRY)
    is_key = isinstance(key, str) and _KEY.fullmatch(key) is not None
    return IdempotencyKey(str(key)) if is_key else None


class Writer:
    """Writes to the rooms of one account."""

    def __init__(
        self,
        client: Client,
        book: RoomBook,
        cast: Cast,
        clock: Clock,
        *,
        upload_octets_max: int | None,
        with_times: bool,
    ) -> None:
        self._client = client
        self._book = book
        self._cast = cast
        self._clock = clock
        self._upload_octets_max = upload_octets_max
        self._with_times = with_times
        self._locks: dict[ChatId, asyncio.Lock] = {}
        self._waiting: set[IdempotencyKey] = set()
        self._answered: dict[IdempotencyKey, None] = {}

    def reports(self, key: IdempotencyKey) -> bool:
        """Tell whether a send of ours reports this key, or has just done so."""
        return key in self._waiting or key in self._answered

    def forget(self, chat: ChatId) -> None:
        """Drop what belongs to a closed chat."""
        self._locks.pop(chat, None)

    async def write(self, outgoing: Outgoing) -> Outcome:
        """Send one piece.

        Raises:
            Unavailable: no answer, or limited for longer than we wait.
        """
        async with self._locks.setdefault(outgoing.chat, asyncio.Lock()):
            self._waiting.add(outgoing.key)
            try:
                outcome = await self._write_or_refuse(outgoing)
            finally:
                self._waiting.discard(outgoing.key)
            self._answered[outgoing.key] = None
            if len(self._answered) > ANSWERED_MAX:
                self._answered.pop(next(iter(self._answered)))
            return outcome

    async def _write_or_refuse(self, outgoing: Outgoing) -> Outcome:
        if self._book.is_encrypted(outgoing.chat):
            return Refused(
                key=outgoing.key,
                reason="the Matrix room is encrypted and Sabir does not send plaintext "
                "into it; bridge a room without encryption",
            )
        may_recover = True
        while True:
            try:
                return await self._write(outgoing)
            except Unavailable as limited:
                wait_ms = limited.retry_after_ms
                if wait_ms is None or wait_ms > RATE_WAIT_MAX_MS:
                    raise
                await self._clock.sleep(wait_ms)
            except Rejected as no:
                if may_recover and await self._cast.recover(outgoing, no):
                    may_recover = False
                    continue
                return Refused(key=outgoing.key, reason=_reason(no))
            except PolicyRefused as no:
                return Refused(key=outgoing.key, reason=str(no))

    async def _write(self, outgoing: Outgoing) -> Outcome:
        key, piece = outgoing.key, outgoing.piece
        match piece:
            case TextPiece():
                return await self._say(outgoing, render_text(piece, key=key))
            case ReactPiece():
                return await self._react(outgoing, piece)
            case MediaPiece():
                return await self._show(outgoing, piece)
            case EditPiece():
                return await self._edit(outgoing, piece)
            case DeletePiece():
                return await self._redact(
                    outgoing, piece.target.native_id, piece.target.author
                )
            case UnreactPiece():
                return await self._unreact(outgoing, piece)
            case JoinPiece() | LeavePiece() | ProfilePiece():
                voice = await self._cast.appear(outgoing)
                if voice is None:
                    return Refused(
                        key=key, reason="one Matrix account cannot act for others"
                    )
                return _sent(outgoing, "", voice)
            case ChatNamePiece():
                content = {"name": one_line(piece.name)}
                return await self._manage(outgoing, "m.room.name", content)
            case TopicPiece():
                content = {"topic": clean(piece.topic)}
                return await self._manage(outgoing, "m.room.topic", content)
            case ChatAvatarPiece():
                return await self._portray(outgoing, piece)

    # ---- messages

    async def _say(self, outgoing: Outgoing, rendered: Rendered) -> Sent:
        voice = await self._cast.speaker(outgoing)
        return await self._put(outgoing, rendered, voice)

    async def _put(self, outgoing: Outgoing, rendered: Rendered, voice: Voice) -> Sent:
        event = await self._client.send(
            outgoing.chat,
            rendered.event_type,
            txn=_txn(outgoing),
            content=rendered.content,
            voice=voice,
            at=outgoing.sent_at if self._with_times else 0,
        )
        return _sent(outgoing, event, voice, lost=rendered.lost)

    async def _show(self, outgoing: Outgoing, piece: MediaPiece) -> Sent:
        mxc = await upload(
            self._client,
            outgoing.media,
            attachment=piece.attachment,
            octets_max=self._upload_octets_max,
        )
        size = outgoing.media.size if outgoing.media else 0
        rendered = render_media(piece, mxc=mxc, size=size, key=outgoing.key)
        return await self._say(outgoing, rendered)

    async def _edit(self, outgoing: Outgoing, piece: EditPiece) -> Outcome:
        voice = self._cast.author(piece.target.author)
        if voice is None:
            return Refused(
                key=outgoing.key,
                reason="on Matrix only the author can edit a message, and this one was "
                "not sent by Sabir",
            )
        return await self._put(outgoing, render_edit(piece, key=outgoing.key), voice)

    async def _react(self, outgoing: Outgoing, piece: ReactPiece) -> Outcome:
        try:
            return await self._say(outgoing, render_reaction(piece, key=outgoing.key))
        except Rejected as no:
            if no.errcode != "M_DUPLICATE_ANNOTATION":
                raise
        voice = await self._cast.speaker(outgoing)
        found = await self._reaction(
            outgoing, piece.target.native_id, piece.emoji, voice
        )
        return _sent(outgoing, found or "", voice)

    async def _unreact(self, outgoing: Outgoing, piece: UnreactPiece) -> Outcome:
        if piece.reaction is not None and piece.reaction.native_id:
            reaction = piece.reaction
            author = reaction.author or (await self._cast.speaker(outgoing)).user_id
            return await self._redact(outgoing, reaction.native_id, author)
        voice = await self._cast.speaker(outgoing)
        target = piece.target.native_id
        found = await self._reaction(outgoing, target, piece.emoji, voice)
        if found is None:
            return Refused(
                key=outgoing.key, reason="this reaction is not on Matrix (any more)"
            )
        return await self._redact(outgoing, found, voice.user_id)

    async def _reaction(
        self, outgoing: Outgoing, target: str, emoji: str, voice: Voice
    ) -> str | None:
        """Return the id of somebody's reaction among the newest hundred."""
        page = await self._client.reactions(outgoing.chat, target, voice=voice)
        chunk = page.get("chunk")
        for event in chunk if isinstance(chunk, list) else ():
            if not isinstance(event, dict) or event.get("sender") != voice.user_id:
                continue
            relation = content_of(event).get("m.relates_to")
            if isinstance(relation, dict) and relation.get("key") == clean(emoji):
                return str(event.get("event_id"))
        return None

    async def _redact(self, outgoing: Outgoing, target: str, author: str) -> Outcome:
        """Redact as the author where that is us, else as whoever manages the room."""
        voice = self._cast.author(author) or self._cast.manager
        event = await self._client.redact(
            outgoing.chat,
            target,
            txn=_txn(outgoing),
            content={ENTRY: outgoing.key},
            voice=voice,
        )
        return _sent(outgoing, event, voice)

    # ---- the room

    async def _manage(
        self, outgoing: Outgoing, event_type: str, content: dict[str, Any]
    ) -> Outcome:
        voice = self._cast.manager
        try:
            event = await self._client.set_state(
                outgoing.chat, event_type, content, voice=voice
            )
        except Rejected as no:
            if no.status != 403:
                raise
            return Refused(
                key=outgoing.key,
                reason=f"{voice.user_id} may not change {event_type} here; give "
                "it the power level for that (usually Moderator, 50)",
            )
        return _sent(outgoing, event, voice)

    async def _portray(self, outgoing: Outgoing, piece: ChatAvatarPiece) -> Outcome:
        mxc = await upload(
            self._client,
            outgoing.media,
            attachment=piece.attachment,
            octets_max=self._upload_octets_max,
        )
        size = outgoing.media.size if outgoing.media else 0
        info = media_info(piece.attachment, size=size)
        content = {"url": mxc, "info": info}
        return await self._manage(outgoing, "m.room.avatar", content)

    # ---- doubt

    async def lookup(self, outgoing: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out whether an earlier attempt arrived (see `Connector.lookup`)."""
        if self._clock.now() - attempted_at < RESEND_WINDOW_MS:
            return NotSent()  # the same transaction id gives the same event
        if not isinstance(
            outgoing.piece, TextPiece | MediaPiece | EditPiece | ReactPiece
        ):
            return NotSent()  # doing it twice is doing it once
        try:
            return await self._search(outgoing, since=attempted_at - CLOCK_MARGIN_MS)
        except Rejected as no:
            return InDoubt(f"the room's history cannot be read ({no})")

    async def _search(self, outgoing: Outgoing, *, since: int) -> Finding:
        query: dict[str, str | int] = {"dir": "b", "limit": 100}
        saw_redacted = False
        for _ in range(LOOKUP_PAGES_MAX):
            page = await self._client.messages(
                outgoing.chat, query=query, voice=self._cast.manager
            )
            chunk = page.get("chunk")
            events = [e for e in chunk if isinstance(e, dict)] if chunk else []
            for event in events:
                if entry_key(content_of(event)) == outgoing.key:
                    sender = str(event.get("sender"))
                    return Sent(
                        key=outgoing.key,
                        native_id=NativeId(str(event.get("event_id"))),
                        author=PersonId(sender),
                    )
                is_ours = self._cast.author(str(event.get("sender"))) is not None
                saw_redacted |= is_ours and _is_redacted(event)
                # Ours may show the time of another network; theirs do not.
                at = event.get("origin_server_ts")
                if not is_ours and isinstance(at, int) and at < since:
                    return _absent(saw_redacted=saw_redacted)
            end = page.get("end")
            if not isinstance(end, str):
                return _absent(saw_redacted=saw_redacted)
            query["from"] = end
        return InDoubt(f"more than {LOOKUP_PAGES_MAX * 100} events came since")


def _absent(*, saw_redacted: bool) -> Finding:
    if saw_redacted:
        return InDoubt("a message of ours was redacted since; it may be this one")
    return NotSent()


def _is_redacted(event: Mapping[str, Any]) -> bool:
    unsigned = event.get("unsigned")
    return isinstance(unsigned, dict) and REDACTED_NOTE in unsigned


def _txn(outgoing: Outgoing) -> str:
    return "s" + outgoing.key


def _sent(
    outgoing: Outgoing, event: str, voice: Voice, *, lost: tuple[str, ...] = ()
) -> Sent:
    return Sent(
        key=outgoing.key,
        native_id=NativeId(event),
        author=PersonId(voice.user_id),
        lost=lost,
    )


def _reason(no: Rejected) -> str:
    match no.errcode:
        case "M_FORBIDDEN" | "M_BAD_STATE":
            hint = "check the membership and power levels of that user in the room"
        case "M_TOO_LARGE":
            hint = "it is larger than a Matrix event may be; shorten it"
        case "M_NOT_FOUND":
            hint = "the room or the message is not there (any more)"
        case _:
            hint = "the homeserver's log says more"
    return f"{no}; {hint}"
