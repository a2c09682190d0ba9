"""A network that needs no network: the connector of `MemoryServer`.

For tests, demonstrations and benchmarks. It keeps every rule of the contract
kit, and it is the shortest complete example of a connector in this tree:
`memory_codec` is its pure half, this file its I/O.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sabir.clock import Clock, Instant
from sabir.content.capabilities import Capabilities, Format, Support
from sabir.content.pieces import ChatAvatarPiece, MediaPiece, NativeRef
from sabir.crypto.secrets import Secret
from sabir.errors import LocalError, PolicyRefused, Unavailable
from sabir.networks.api import (
    Account,
    ChatId,
    ChatInfo,
    ConnectionState,
    Delivered,
    Finding,
    Host,
    IdempotencyKey,
    Incoming,
    InDoubt,
    NativeEvent,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    Person,
    PersonId,
    Read,
    Refused,
    Rng,
    Sent,
    Setting,
    Speaker,
    Typing,
)
from sabir.networks.login import Ask, Done, Field, Step
from sabir.testing.memory_codec import decode, render, sender_of
from sabir.testing.memory_server import (
    CHUNK_OCTETS,
    Accepted,
    Delivery,
    Echo,
    Event,
    MemoryServer,
    RateLimited,
    Rejected,
    Rules,
    SendFault,
    Session,
    Tally,
)

__all__ = [
    "POOR",
    "RICH",
    "Echo",
    "Event",
    "MemoryConnector",
    "MemoryNetwork",
    "MemoryServer",
    "RateLimited",
    "Rejected",
    "Rules",
    "SendFault",
    "Tally",
]

STREAM: Final = "mailbox"
"""Name of the one cursor: the position in the account's mailbox."""
EVENTS_PER_TAKE_MAX: Final = 100
"""Events handed on at a time: enough to share one commit, few enough that a
take is quick."""
CURSOR_LAG_MAX: Final = 100
"""Positions by which the stored cursor may lag while only echoes arrive, so
that they cost no commits of their own."""
ANSWER_TIMEOUT_MS: Final = 10_000
"""A send that is not answered by then is in doubt."""

RICH: Final = Capabilities(
    network="memory",
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
"""A network that can do everything."""

POOR: Final = Capabilities(
    network="memory", text_max=160, attachment=Support.REJECTED, voice=Support.REJECTED
)
"""A network that can do nothing but short plain text from one account."""


@dataclass(slots=True)
class _Running:
    """A send under way, and its echo if that came first."""

    author: PersonId
    echo: Sent | None = None


class MemoryConnector:
    """One account on a `MemoryServer`."""

    def __init__(
        self,
        server: MemoryServer,
        user: str,
        *,
        capabilities: Capabilities = RICH,
        token: Secret | None = None,
        send_window: int = 20,
        answer_timeout_ms: int = ANSWER_TIMEOUT_MS,
    ) -> None:
        self.send_window = send_window
        self._server = server
        self._user = user
        self._capabilities = capabilities
        self._token = token
        self._answer_timeout_s = answer_timeout_ms / 1_000
        self._session: Session | None = None
        self._open: set[ChatId] = set()
        self._running: dict[IdempotencyKey, _Running] = {}
        self._position = 0
        self._stored = 0

    # ---- coming in

    async def run(self, host: Host) -> None:
        """Log in, catch up after the stored position, then follow the live events.

        Raises:
            Unavailable: the connection broke or could not be made.
            CredentialsRefused: the token is not accepted.
            StorageFailed: from `Host.take`.
        """
        host.report(ConnectionState.CONNECTING)
        session = self._connect()
        try:
            self._open.update(host.chats())
            self._position = self._stored = int(await host.cursor(STREAM) or 0)
            host.report(ConnectionState.CATCHING_UP)
            await self._catch_up(host, session)
            self._session = session
            host.report(ConnectionState.CONNECTED)
            await self._follow(host, session)
        finally:
            self._session = None
            session.close()

    def _connect(self) -> Session:
        token = "" if self._token is None else self._token.reveal_text()
        return self._server.connect(self._user, token=token)

    async def _catch_up(self, host: Host, session: Session) -> None:
        while missed := await session.catch_up(self._position, EVENTS_PER_TAKE_MAX):
            await self._hand_on(host, session, missed, late=True)

    async def _follow(self, host: Host, session: Session) -> None:
        while True:
            items = await session.receive(EVENTS_PER_TAKE_MAX)
            deliveries = [item for item in items if isinstance(item, Delivery)]
            if self._misses_some(deliveries):
                await self._catch_up(host, session)
            if deliveries:
                await self._hand_on(host, session, deliveries)
            for item in items:
                if not isinstance(item, Delivery) and item.chat in self._open:
                    host.signal(item)

    def _misses_some(self, deliveries: Sequence[Delivery]) -> bool:
        """Tell whether positions are missing before one of these."""
        newest = self._position
        for position, _ in deliveries:
            if position > newest + 1:
                return True
            newest = max(newest, position)
        return False

    async def _hand_on(
        self,
        host: Host,
        session: Session,
        deliveries: Sequence[Delivery],
        *,
        late: bool = False,
    ) -> None:
        events = []
        only_echoes = True
        for _, event in deliveries:
            if event.account == self._user:
                await self._note_echo(host, event)
                continue
            only_echoes = False
            if event.chat in self._open:
                events.append(
                    NativeEvent(
                        chat=event.chat,
                        native_id=event.native_id,
                        payload=event.payload,
                        late=late,
                    )
                )
        self._position = max(self._position, deliveries[-1].position)
        lag = self._position - self._stored
        if not only_echoes or lag >= CURSOR_LAG_MAX:
            await host.take(events, cursors={STREAM: str(self._position)})
            self._stored = self._position
            session.acknowledge(self._position)

    async def _note_echo(self, host: Host, event: Event) -> None:
        key = IdempotencyKey(event.key)
        running = self._running.get(key)
        author = running.author if running is not None else None
        sent = Sent(
            key=key, native_id=event.native_id, aliases=event.aliases, author=author
        )
        if running is not None:
            running.echo = sent
        else:
            await host.echo(event.chat, key=key, sent=sent)

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what an event means.

        Raises:
            PeerMisbehaved: MEM-001.
        """
        return decode(event)

    # ---- chats

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return the same for every chat."""
        return self._capabilities

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Enter a chat.

        Raises:
            PolicyRefused: no such chat, or closed to us.
            Unavailable: not connected.
        """
        info = self._connected().enter(chat)
        self._open.add(chat)
        return info

    async def close_chat(self, chat: ChatId) -> None:
        """Stop handing on a chat's events."""
        self._open.discard(chat)

    async def list_chats(self) -> Sequence[ChatInfo]:
        """Return the account's chats."""
        return self._connected().chats()

    # ---- going out

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces in order.

        Raises:
            Unavailable: not connected, rate limited, or no answer.
        """
        session = self._connected()
        for outgoing in batch:
            yield await self._send_one(session, outgoing)

    async def _send_one(self, session: Session, outgoing: Outgoing) -> Outcome:
        handle = await self._upload(session, outgoing)
        if isinstance(handle, Rejected):
            return Refused(key=outgoing.key, reason=handle.reason)
        ghosts = self._capabilities.ghosts
        document = render(outgoing, self._user, ghosts=ghosts, handle=handle)
        author = PersonId(document["sender"]["id"])
        running = self._running[outgoing.key] = _Running(author)
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                answer = await session.send(outgoing.chat, document, outgoing.key)
        except TimeoutError:
            if running.echo is not None:
                return running.echo
            raise Unavailable(
                "the memory network does not answer; look whether it hangs"
            ) from None
        finally:
            del self._running[outgoing.key]
        if isinstance(answer, Rejected):
            return Refused(key=outgoing.key, reason=answer.reason)
        return _sent(outgoing.key, answer, author)

    async def _upload(self, session: Session, outgoing: Outgoing) -> str | Rejected:
        if not isinstance(outgoing.piece, MediaPiece | ChatAvatarPiece):
            return ""
        if outgoing.media is None:
            raise LocalError("a file is to be sent, but its octets are not given")
        data = bytearray()
        async for chunk in outgoing.media.chunks():
            data += chunk
        return session.upload(bytes(data))

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Ask the server for the key of an earlier attempt.

        Raises:
            Unavailable: not connected.
        """
        session = self._connected()
        if session.can_search and (found := session.find(piece.chat, piece.key)):
            sender = sender_of(piece, self._user, ghosts=self._capabilities.ghosts)
            return _sent(piece.key, found, PersonId(sender["id"]))
        if session.can_search or session.is_idempotent:
            return NotSent()
        return InDoubt("this network has neither a search nor idempotency keys")

    # ---- features

    async def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file in pieces of at most 64 KiB.

        Raises:
            PolicyRefused: larger than `octets_max`, or gone for good.
            Unavailable: not connected, or cut off.
        """
        data = self._connected().file(handle)
        if data is None:
            raise PolicyRefused("the memory network has no such file any more")
        if len(data) > octets_max:
            raise PolicyRefused(f"the file is larger than {octets_max} octets")
        cuts = self._server.downloads_cut_after
        end = cuts.popleft() if cuts else len(data)
        for start in range(0, end, CHUNK_OCTETS):
            yield data[start : min(start + CHUNK_OCTETS, end)]
        if end < len(data):
            raise Unavailable("the download broke off; it may be tried again")

    async def typing(self, chat: ChatId, speaker: Speaker, *, active: bool) -> None:
        """Show that a participant types."""
        if self._session is not None:
            person = self._ghost(speaker)
            self._session.show(Typing(chat=chat, person=person, active=active))

    async def receipt(
        self, chat: ChatId, speaker: Speaker, ref: NativeRef, *, read: bool
    ) -> None:
        """Show that a participant got or read a message."""
        if self._session is not None:
            signal = Read if read else Delivered
            person, native_id = self._ghost(speaker), NativeId(ref.native_id)
            self._session.show(signal(chat=chat, person=person, native_id=native_id))

    def _ghost(self, speaker: Speaker) -> Person:
        return Person(id=PersonId(f"ghost:{speaker.uri}"), name=speaker.name)

    def _connected(self) -> Session:
        if self._session is None:
            raise Unavailable("not connected to the memory network; wait until it is")
        return self._session


def _sent(key: IdempotencyKey, answer: Accepted, author: PersonId) -> Sent:
    return Sent(
        key=key, native_id=answer.native_id, aliases=answer.aliases, author=author
    )


class MemoryNetwork:
    """The `Network` of one `MemoryServer`; several may live beside each other."""

    settings: tuple[Setting, ...] = (
        Setting(name="user", about="Who we are on the memory network, e.g. `bridge`."),
        Setting(name="token", about="Its token.", required=False, secret=True),
    )

    def __init__(
        self,
        server: MemoryServer,
        *,
        name: str = "memory",
        capabilities: Capabilities = RICH,
        send_window: int = 20,
        answer_timeout_ms: int = ANSWER_TIMEOUT_MS,
    ) -> None:
        self.server = server
        self.name = name
        self.label = name.replace("-", " ").title()
        self._capabilities = replace(capabilities, network=name)
        self._send_window = send_window
        self._answer_timeout_ms = answer_timeout_ms

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> MemoryConnector:
        """Make the connector of one account; it has no use for clock and dice."""
        return MemoryConnector(
            self.server,
            str(account.settings["user"]),
            capabilities=self._capabilities,
            token=account.secrets.get("token"),
            send_window=self._send_window,
            answer_timeout_ms=self._answer_timeout_ms,
        )

    def login(self, *, rng: Rng) -> "MemoryLogin":
        """Start the dialogue: a name and a token."""
        return MemoryLogin(self.server)


class MemoryLogin:
    """Asks for a user and a token, and tries them."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def begin(self) -> Step:
        """Ask."""
        return Ask(
            title="Memory network",
            fields=(
                Field(name="user", label="User", default="bridge"),
                Field(name="token", label="Token, if it has one", secret=True),
            ),
        )

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Try what was given.

        Raises:
            CredentialsRefused: wrong token.
            Unavailable: the network is dark.
        """
        user, token = values.get("user", "") or "bridge", values.get("token", "")
        self._server.connect(user, token=token).close()
        return Done(
            settings={"user": user},
            secrets={"token": Secret.from_text(token)} if token else {},
            welcome=f"You are {user} on the memory network.",
        )

    async def close(self) -> None:
        """Nothing is left open."""
