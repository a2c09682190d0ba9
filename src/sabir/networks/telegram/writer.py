"""Sends pieces: one at a time per chat, waiting where Telegram asks to wait.

Telegram has no idempotency key, and a bot cannot read history. So what is certain
is kept: a piece that was refused, held back or never left us is *not sent*, durably;
one whose answer is missing is in doubt and is never repeated. Edits, deletions and
reactions say how things shall be: repeating them is harmless.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from sabir.clock import Clock
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    NativeRef,
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
    Host,
    InDoubt,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    PersonId,
    Refused,
    Sent,
)
from sabir.networks.telegram import names, refusals, render
from sabir.networks.telegram.client import BotApi, FloodWait, NotReached, Rejected
from sabir.networks.telegram.directory import Directory
from sabir.networks.telegram.names import Place
from sabir.networks.telegram.render import Request

FLOOD_WAIT_MAX_MS: Final = 60_000
"""Longer ones are told to the agent instead of being waited for here."""
BOUNDARY_OCTETS: Final = 16
EVERYWHERE: Final = ChatId("")
"""Stands for all chats, for a pause of the whole bot."""

_DOUBT: Final = (
    "Telegram gives bots no way to look whether a message arrived; look in the chat, "
    "and send it again if it is not there"
)
_UNSENT: Final = "unsent:"


class Unsent:
    """Which piece of a chat is certainly not sent, over restarts."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._keys: dict[ChatId, str] = {}

    async def has(self, outgoing: Outgoing) -> bool:
        """Tell whether this piece certainly did not leave us."""
        return await self._key(outgoing.chat) == outgoing.key

    async def note(self, outgoing: Outgoing) -> None:
        """Write down that a piece is not sent."""
        await self._set(outgoing.chat, outgoing.key)

    async def clear(self, outgoing: Outgoing) -> None:
        """Write down that a piece is about to be sent."""
        if await self._key(outgoing.chat):
            await self._set(outgoing.chat, "")

    async def _key(self, chat: ChatId) -> str:
        if chat not in self._keys:
            self._keys[chat] = await self._host.recall(_UNSENT + chat) or ""
        return self._keys[chat]

    async def _set(self, chat: ChatId, key: str) -> None:
        if await self._key(chat) != key:
            await self._host.remember(_UNSENT + chat, key)
            self._keys[chat] = key


class Writer:
    """Writes to the chats of one bot."""

    def __init__(
        self, api: BotApi, directory: Directory, host: Host, *, bot: int
    ) -> None:
        self._api = api
        self._directory = directory
        self._host = host
        self._clock: Clock = host.clock
        self._bot = PersonId(str(bot))
        self._unsent = Unsent(host)
        self._locks: dict[ChatId, asyncio.Lock] = {}
        self._paused_until: dict[ChatId, float] = {}

    def forget(self, chat: ChatId) -> None:
        """Drop what belongs to a closed chat."""
        self._locks.pop(chat, None)
        self._paused_until.pop(chat, None)

    async def write(self, outgoing: Outgoing) -> Outcome:
        """Send one piece.

        Raises:
            Unavailable: no answer, or limited for longer than we wait.
        """
        async with self._locks.setdefault(outgoing.chat, asyncio.Lock()):
            while True:
                try:
                    return await self._attempt(outgoing)
                except FloodWait as limited:
                    await self._limited(outgoing.chat, limited)

    async def _attempt(self, outgoing: Outgoing) -> Outcome:
        try:
            await self._wait(outgoing)
            await self._unsent.clear(outgoing)
            return await self._write(outgoing)
        except (FloodWait, NotReached):
            await self._unsent.note(outgoing)
            raise
        except CredentialsRefused as refused:
            await self._unsent.note(outgoing)
            raise Unavailable(str(refused)) from refused
        except PeerMisbehaved as odd:  # it may have arrived: in doubt
            raise Unavailable(str(odd)) from odd
        except Rejected as no:
            return Refused(key=outgoing.key, reason=refusals.reason(no))
        except PolicyRefused as no:
            return Refused(key=outgoing.key, reason=str(no))

    # ---- pauses

    async def _limited(self, chat: ChatId, limited: FloodWait) -> None:
        """Pause the chat; the whole bot if a second chat is limited meanwhile."""
        wait_ms = limited.retry_after_ms or 0
        now = self._clock.monotonic_ms()
        others = (at for c, at in self._paused_until.items() if c != chat)
        if any(at > now for at in others):
            self._paused_until[EVERYWHERE] = now + wait_ms
        self._paused_until[chat] = now + wait_ms
        if wait_ms > FLOOD_WAIT_MAX_MS:
            raise limited

    async def _wait(self, outgoing: Outgoing) -> None:
        while True:
            now = self._clock.monotonic_ms()
            places = (outgoing.chat, EVERYWHERE)
            wait_ms = max(self._paused_until.get(p, 0) - now for p in places)
            if wait_ms <= 0:
                return
            await self._unsent.note(outgoing)
            if wait_ms > FLOOD_WAIT_MAX_MS:
                raise FloodWait("Telegram asks to wait", retry_after_ms=round(wait_ms))
            await self._clock.sleep(round(wait_ms) + 1)

    # ---- sending

    async def _write(self, outgoing: Outgoing) -> Outcome:
        try:
            return await self._written(outgoing, self._directory.place(outgoing.chat))
        except Rejected as no:
            if no.migrated_to is None:
                raise
            old = self._directory.place(outgoing.chat)
            self._directory.move(old.number, no.migrated_to)
            await self._directory.save()
            return await self._written(outgoing, self._directory.place(outgoing.chat))

    async def _written(self, outgoing: Outgoing, where: Place) -> Outcome:
        piece = outgoing.piece
        match piece:
            case TextPiece():
                request = render.text(piece, where)
                message = await self._api.call(request.method, request.params)
                return self._sent(outgoing, request, where, message)
            case MediaPiece():
                return await self._show(outgoing, piece, where)
            case EditPiece():
                return await self._edit(outgoing, piece, where)
            case DeletePiece():
                request = render.delete(piece.target, where)
                return await self._settle(outgoing, request, "to delete not found")
            case ReactPiece() | UnreactPiece():
                request = render.reaction(piece, where)
                return await self._settle(outgoing, request, "not modified")
            case _:
                return Refused(
                    key=outgoing.key,
                    reason="a Telegram bot cannot act for others, and Sabir does not "
                    "rename groups there",
                )

    async def _show(
        self, outgoing: Outgoing, piece: MediaPiece, where: Place
    ) -> Outcome:
        if outgoing.media is None:
            raise LocalError("a file to send came without its octets")
        showing = render.media(piece, where, size=outgoing.media.size)
        request = showing.first
        if request.file is None:
            raise LocalError("a request for a file has no place for it")
        message = await self._api.upload(
            request.method,
            request.params,
            file=request.file,
            media=outgoing.media,
            boundary=self._host.rng(BOUNDARY_OCTETS).hex(),
        )
        sent = self._sent(outgoing, request, where, message)
        if showing.caption is None:
            return sent
        return await self._explain(
            outgoing, sent, TextPiece(text=showing.caption), where
        )

    async def _explain(
        self, outgoing: Outgoing, sent: Sent, words: TextPiece, where: Place
    ) -> Outcome:
        """Send what is too long for a caption as an answer to its file (ME-6)."""
        answered = NativeRef(native_id=sent.native_id)
        request = render.text(TextPiece(text=words.text, reply_to=answered), where)
        while True:
            try:
                message = await self._api.call(request.method, request.params)
            except FloodWait as limited:
                await self._clock.sleep(limited.retry_after_ms or 0)
                continue
            except Rejected as no:
                lost = (*sent.lost, f"the words beside the file ({no.description})")
                return Sent(
                    key=sent.key,
                    native_id=sent.native_id,
                    author=sent.author,
                    lost=lost,
                )
            number = _message_id(message)
            return Sent(
                key=sent.key,
                native_id=sent.native_id,
                aliases=(names.message_id(where.number, number),) if number else (),
                author=sent.author,
                lost=(*sent.lost, *request.lost, "a long caption, sent as an answer"),
            )

    async def _edit(
        self, outgoing: Outgoing, piece: EditPiece, where: Place
    ) -> Outcome:
        request = render.edit(piece, where)
        try:
            return await self._settle(outgoing, request, "message is not modified")
        except Rejected as no:
            if not no.says("there is no text in the message"):
                raise
        request = render.edit(piece, where, caption=True)
        return await self._settle(outgoing, request, "message is not modified")

    async def _settle(self, outgoing: Outgoing, request: Request, done: str) -> Outcome:
        """Make a change that is harmless to repeat; `done` says it is made already."""
        try:
            await self._api.call(request.method, request.params)
        except Rejected as no:
            if not no.says(done):
                raise
        return Sent(
            key=outgoing.key,
            native_id=NativeId(""),
            author=self._bot,
            lost=request.lost,
        )

    def _sent(
        self, outgoing: Outgoing, request: Request, where: Place, message: Any
    ) -> Sent:
        number = _message_id(message)
        return Sent(
            key=outgoing.key,
            native_id=(
                names.message_id(where.number, number) if number else NativeId("")
            ),
            author=self._bot,
            lost=request.lost,
        )

    # ---- doubt

    async def lookup(self, outgoing: Outgoing) -> Finding:
        """Say what is certain of an earlier attempt (see `Connector.lookup`)."""
        match outgoing.piece:
            case EditPiece() | DeletePiece() | ReactPiece() | UnreactPiece():
                return NotSent()  # doing it twice is doing it once
            case _:
                pass
        if await self._unsent.has(outgoing):
            return NotSent()
        return InDoubt(_DOUBT)


def _message_id(message: Any) -> int | None:
    number = message.get("message_id") if isinstance(message, Mapping) else None
    return number if isinstance(number, int) and number > 0 else None
