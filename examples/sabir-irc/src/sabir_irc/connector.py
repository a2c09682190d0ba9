"""IRC's only I/O: one account on a server that keeps history (IRCv3)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final

from sabir.clock import Clock, Instant
from sabir.content.capabilities import Capabilities
from sabir.crypto.secrets import Secret
from sabir.errors import (
    CredentialsRefused,
    PeerIncompatible,
    PeerMisbehaved,
    PolicyRefused,
    Unavailable,
)
from sabir.networks import api
from sabir.networks.api import ChatId, ConnectionState, Host, NativeId, Outgoing

from sabir_irc.decode import decode, instant
from sabir_irc.line import KEY_TAG, Line, parse, write
from sabir_irc.render import CAPABILITIES, render

NEEDED: Final = (
    "batch draft/chathistory echo-message labeled-response message-tags server-time"
)
"""Ids, times, our own messages back, answers by label, and missed messages."""
KEPT: Final = ("PRIVMSG", "NOTICE", "TOPIC")
LINE_OCTETS_MAX: Final = 16_384
"""8191 octets of tags and 512 of message are allowed; twice that is an attack."""
PAGE: Final = 100
"""Lines of history asked for, or handed on, at a time."""
WAITING_MAX: Final = 1_000
"""Lines not handed on yet; then we stop reading, and TCP slows the server down."""
ANSWER_S: Final = 20
SILENCE_S: Final = 300
"""Servers ask every two minutes or so whether we live."""


class IrcConnector:
    """One account on one IRC network. Every channel has a cursor of its own."""

    send_window = 5

    def __init__(
        self,
        where: tuple[str, int],
        nick: str,
        password: Secret | None = None,
        *,
        tls: bool,
        clock: Clock,
    ) -> None:
        self._where, self._tls, self._clock = where, tls, clock
        self._nick, self._password = nick, password
        self._host: Host | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._answers: dict[str, asyncio.Future[list[Line]]] = {}
        self._batches: dict[str, tuple[str, list[Line]]] = {}
        self._open: set[str] = set()
        self._missed = self._labels = 0

    # ---- coming in

    async def run(self, host: Host) -> None:
        """Connect, enter the portals' channels, hand on what is said."""
        host.report(ConnectionState.CONNECTING)
        reader, self._writer = await self.log_in()
        live: asyncio.Queue[Line] = asyncio.Queue(WAITING_MAX)
        self._host = host
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(reader, live))
                group.create_task(self._hand_on(host, live))
                host.report(ConnectionState.CATCHING_UP)
                for chat in host.chats():
                    await self.open_chat(chat)
                host.report(ConnectionState.CONNECTED)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self._writer.close()
            self._host = self._writer = None
            for answer in self._answers.values():
                answer.cancel()
            self._batches.clear()
            self._open.clear()

    async def log_in(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect and register (RFC 1459 section 4.1, IRCv3 capabilities)."""
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection(
                    *self._where, ssl=self._tls or None, limit=LINE_OCTETS_MAX
                )
                try:
                    await self._register(reader, writer)
                except BaseException:
                    writer.close()
                    raise
        except (OSError, TimeoutError) as error:
            raise self._gone(str(error)) from error
        return reader, writer

    async def _register(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._password is not None:
            writer.write(write(Line("PASS", (self._password.reveal_text(),))))
        writer.write(write(Line("CAP", ("REQ", NEEDED))))
        writer.write(write(Line("NICK", (self._nick,))))
        writer.write(write(Line("USER", (self._nick, "0", "*", "Sabir"))))
        writer.write(write(Line("CAP", ("END",))))
        agreed = False
        while (line := await self._next(reader)).command != "001":
            if line.command == "PING":
                writer.write(write(Line("PONG", line.params)))
            elif line.command in {"433", "436"}:
                raise Unavailable(f"the nick {self._nick} is taken; free it")
            elif line.command in {"464", "465"}:
                raise CredentialsRefused(line.last)
            agreed = agreed or (line.command == "CAP" and "ACK" in line.params)
        if not agreed:
            raise PeerIncompatible(f"the server lacks one of {NEEDED}; use another")

    def _gone(self, why: str) -> Unavailable:
        return Unavailable(f"no connection to {self._where[0]}: {why}; check both ends")

    async def _next(self, reader: asyncio.StreamReader) -> Line:
        try:
            octets = await reader.readline()
        except ValueError:
            raise PeerMisbehaved("IRC-002", "a line is too long") from None
        if not octets.endswith(b"\n"):
            raise self._gone("the server closed it")
        return parse(octets.strip(b"\r\n"))

    async def _read(
        self, reader: asyncio.StreamReader, live: asyncio.Queue[Line]
    ) -> None:
        """Sort the lines: answers to who waits, messages to `_hand_on`."""
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    line = await self._next(reader)
            except (OSError, TimeoutError) as error:
                raise self._gone("it broke or fell silent") from error
            name, label = (line.params or ("",))[0], line.tags.get("label", "")
            if line.command == "PING":
                self._write(Line("PONG", line.params))
            elif line.command == "BATCH" and name.startswith("+"):
                self._batches[name[1:]] = (label, [])
            elif line.command == "BATCH":
                self._answer(*self._batches.pop(name[1:], ("", [])))
            elif (batch := line.tags.get("batch")) in self._batches:
                self._batches[batch][1].append(line)
            elif not self._answer(label, [line]) and line.command in KEPT:
                if name.lower() in self._open:
                    await live.put(line)
                else:
                    self._missed += 1

    def _answer(self, label: str, lines: list[Line]) -> bool:
        waiting = self._answers.pop(label, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(lines)
        return waiting is not None

    async def _hand_on(self, host: Host, live: asyncio.Queue[Line]) -> None:
        while True:
            lines = [await live.get()]
            while not live.empty() and len(lines) < PAGE:
                lines.append(live.get_nowait())
            await self._take(
                host, [x for x in lines if x.params[0].lower() in self._open]
            )

    async def _take(
        self, host: Host, lines: Sequence[Line], *, late: bool = False
    ) -> None:
        events: list[api.NativeEvent] = []
        cursors: dict[str, str] = {}
        for line in lines:
            native_id = NativeId(line.tags.get("msgid", ""))
            if line.command not in KEPT or not native_id:
                continue
            chat = ChatId(line.params[0].lower())
            cursors[chat] = f"msgid={native_id}"
            if self._is_ours(line) and (key := line.tags.get(KEY_TAG)):
                sent = self._sent(line, api.IdempotencyKey(key))
                await host.echo(chat, key=sent.key, sent=sent)
            else:
                events.append(
                    api.NativeEvent(
                        chat=chat, native_id=native_id, payload=line.raw, late=late
                    )
                )
        if cursors:
            await host.take(events, cursors=cursors)

    def _is_ours(self, line: Line) -> bool:
        return line.nick.lower() == self._nick.lower()

    def decode(self, event: api.NativeEvent) -> api.Incoming | None:
        """Say what a line means."""
        return decode(event)

    # ---- channels

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return the same for every channel."""
        return CAPABILITIES

    async def open_chat(self, chat: ChatId) -> api.ChatInfo:
        """Join a channel and catch up on it."""
        if self._host is None:
            raise self._gone("not connected yet")
        if chat not in self._open:
            refusals = [
                x
                for x in await self._ask(Line("JOIN", (chat,)))
                if x.command[0] in "45F"
            ]
            if refusals:
                raise PolicyRefused(f"may not join {chat}: {refusals[0].last}")
            await self._catch_up(self._host, chat)
        return api.ChatInfo(chat=chat, kind=api.ChatKind.GROUP, name=chat)

    async def _catch_up(self, host: Host, chat: ChatId) -> None:
        """Take pages of history until nothing was said while we asked."""
        cursor = await host.cursor(chat)
        if cursor is None:  # a new portal begins now
            now = datetime.fromtimestamp(self._clock.now() / 1000, UTC)
            cursor = f"timestamp={now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"
            await host.take([], cursors={chat: cursor})
        while True:
            missed = self._missed
            lines = await self._history("AFTER", chat, cursor)
            await self._take(host, lines, late=True)
            cursor = await host.cursor(chat) or cursor
            if not lines and missed == self._missed:
                self._open.add(chat)
                return

    async def _history(self, which: str, chat: ChatId, point: str) -> list[Line]:
        lines = await self._ask(Line("CHATHISTORY", (which, chat, point, str(PAGE))))
        if any(line.command == "FAIL" for line in lines):
            raise self._gone(f"no history of {chat}: {lines[0].last}")
        return lines

    async def close_chat(self, chat: ChatId) -> None:
        """Leave a channel."""
        self._open.discard(chat)
        self._write(Line("PART", (chat,)))

    # ---- going out

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[api.Outcome]:
        """Send line by line; the echo is the answer."""
        for piece in batch:
            rendered = render(piece)
            if isinstance(rendered, api.Refused):
                yield rendered
                continue
            (line, *_) = await self._ask(rendered[0])
            if line.command in KEPT:
                yield self._sent(line, piece.key, rendered[1])
            else:  # an error numeric, or FAIL
                yield api.Refused(key=piece.key, reason=line.last)

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> api.Finding:
        """Search the channel's history for the key."""
        lines = await self._history("LATEST", piece.chat, "*")
        for line in lines:
            if self._is_ours(line) and line.tags.get(KEY_TAG) == piece.key:
                return self._sent(line, piece.key)
        if len(lines) >= PAGE and instant(lines[0]) >= attempted_at:
            return api.InDoubt(f"more than {PAGE} messages have come since")
        return api.NotSent()

    async def _ask(self, line: Line) -> list[Line]:
        """Write a line with a label and wait for its answer."""
        self._labels += 1
        label = str(self._labels)
        answer: asyncio.Future[list[Line]] = asyncio.get_running_loop().create_future()
        self._answers[label] = answer
        try:
            self._write(Line(line.command, line.params, {"label": label, **line.tags}))
            await asyncio.wait([answer], timeout=ANSWER_S)
        finally:
            self._answers.pop(label, None)
        if not answer.done() or answer.cancelled():
            raise self._gone("it does not answer")
        return answer.result()

    def _write(self, line: Line) -> None:
        if self._writer is None:
            raise self._gone("not connected yet")
        self._writer.write(write(line))

    def _sent(
        self, line: Line, key: api.IdempotencyKey, lost: tuple[str, ...] = ()
    ) -> api.Sent:
        native_id = NativeId(line.tags.get("msgid", ""))
        author = api.PersonId(line.nick.lower())
        return api.Sent(key=key, native_id=native_id, author=author, lost=lost)
