"""A messaging network in memory: chats, people, accounts, and every kind of trouble.

The server outlives the connectors that use it, so a test can kill an agent and
start it again over the same network. One *mailbox* per account holds the
account's events in order, with positions 1, 2, 3, ... A *session* is one
connection to a mailbox. What people of the network do are plain methods
(`says`, `edits`, `reacts`, ...); what a connector does is in `Session`.

Cost: one JSON encoding and a few appends per message, no search, no timer.
With `Rules(keep_log=False)` nothing is kept that has been acknowledged; a
`Tally` per chat still counts what arrived and checks its order.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sabir.clock import Clock
from sabir.content.meaning import MediaKind
from sabir.content.rich import Rich
from sabir.errors import CredentialsRefused, PolicyRefused, Unavailable
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    ChatKind,
    Delivered,
    NativeId,
    Person,
    PersonId,
    Read,
    Signal,
    Typing,
)
from sabir.testing.memory_codec import Document, put_text, to_octets

ECHO_TURNS: Final = 4
"""Turns of the loop by which `Echo.BEFORE` puts the echo before the answer."""
TRIM_BATCH: Final = 256
"""Acknowledged events are dropped in batches, so that trimming costs O(1) each."""
CHUNK_OCTETS: Final = 64 * 1024
"""Files are read in pieces of this size, as `DownloadsMedia` promises."""


class Echo(StrEnum):
    """When an account hears of its own messages."""

    BEFORE = "before"
    AFTER = "after"
    NONE = "none"


@dataclass(slots=True, kw_only=True)
class Rules:
    """What kind of network it is. May be changed at any time."""

    idempotent: bool = True
    """The same key gives the same native id; else a duplicate."""
    searchable: bool = True
    """Earlier sends can be found by key (for `lookup`)."""
    echo: Echo = Echo.AFTER
    keep_log: bool = True
    forgets_acknowledged: bool = False
    """Catch-up gives only what was never acknowledged, whatever the cursor."""
    duplicate_live: bool = False
    """Every live event is delivered twice."""
    shuffle_live: bool = False
    """Live events of different chats overtake each other."""
    aliases: bool = False
    """Every message has a second id."""
    reaction_sets: bool = False
    """People's reactions are announced as whole sets, without ids."""
    text_chars_max: int | None = None
    attachment_octets_max: int | None = None
    send_ms: int = 0
    """How long every send takes."""


class SendFault(StrEnum):
    """What can go wrong with one send."""

    DIES_BEFORE = "dies_before"
    """The connection dies, the message was not accepted."""
    DIES_AFTER = "dies_after"
    """The message was accepted, the connection dies before the answer."""
    ANSWER_LOST = "answer_lost"
    """The message was accepted, the answer never comes, the connection lives."""


@dataclass(frozen=True, slots=True)
class RateLimited:
    """This send is turned away for a while."""

    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The network has it."""

    native_id: NativeId
    aliases: tuple[NativeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """The network will never take it."""

    reason: str


Answer = Accepted | Rejected
Fault = SendFault | RateLimited | Rejected


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a chat."""

    chat: ChatId
    native_id: NativeId
    payload: bytes
    account: str = ""
    """The account that sent it; empty for people of the network."""
    key: str = ""
    aliases: tuple[NativeId, ...] = ()


class Delivery(NamedTuple):
    """An event and its position in the account's mailbox."""

    position: int
    event: Event


@dataclass(slots=True)
class Tally:
    """Counts what our accounts sent to a chat, and checks numbered texts.

    Texts that end in a number are expected to count 1, 2, 3, ...
    """

    received: int = 0
    last: int = 0
    skipped: int = 0
    """Numbers that never came, so far."""
    disordered: int = 0
    """Numbers that came late or again."""

    def count(self, text: str) -> None:
        """Note one text."""
        self.received += 1
        word = text.rsplit(None, 1)[-1] if text else ""
        if not word.isdecimal():
            return
        number = int(word)
        if number > self.last:
            self.skipped += number - self.last - 1
            self.last = number
        else:
            self.disordered += 1


@dataclass(slots=True, kw_only=True)
class Chat:
    """A conversation of the network."""

    id: ChatId
    kind: ChatKind = ChatKind.GROUP
    name: str = ""
    topic: str = ""
    accounts: frozenset[str] | None = None
    """Accounts that may enter; None: all."""
    members: set[str] = field(default_factory=set)
    log: dict[NativeId, Event] = field(default_factory=dict)
    by_key: dict[str, Event] = field(default_factory=dict)
    reactions: dict[tuple[str, NativeId], dict[str, NativeId]] = field(
        default_factory=dict
    )
    """(who, message) to emoji and the reaction's own id."""
    tally: Tally = field(default_factory=Tally)
    slow_ms: int = 0
    """How much longer a send to this chat takes."""

    def info(self) -> ChatInfo:
        """Return what the network tells about it."""
        return ChatInfo(
            chat=self.id,
            kind=self.kind,
            name=self.name,
            topic=self.topic,
            members=len(self.members),
        )


class Mailbox:
    """Everything that happened for one account, in order, from its first login."""

    __slots__ = ("acknowledged", "base", "events", "session", "user")

    def __init__(self, user: str) -> None:
        self.user = user
        self.events: list[Event] = []
        self.base = 0
        """Position of the newest event that was dropped."""
        self.acknowledged = 0
        self.session: Session | None = None

    @property
    def last(self) -> int:
        """Position of the newest event."""
        return self.base + len(self.events)

    def slice(self, after: int, limit: int) -> list[Delivery]:
        """Return up to `limit` events after a position."""
        start = max(after - self.base, 0)
        first = self.base + start + 1
        events = self.events[start : start + limit]
        return [Delivery(first + n, event) for n, event in enumerate(events)]

    def acknowledge(self, position: int, *, drop: bool) -> None:
        """Note what the connector has safely."""
        self.acknowledged = max(self.acknowledged, min(position, self.last))
        if drop and self.acknowledged - self.base >= TRIM_BATCH:
            del self.events[: self.acknowledged - self.base]
            self.base = self.acknowledged


class MemoryServer:
    """The network's side: make one, let people talk, cause trouble."""

    def __init__(self, clock: Clock, rules: Rules | None = None) -> None:
        self.clock = clock
        self.rules = rules or Rules()
        self.chats: dict[ChatId, Chat] = {}
        self.names: dict[str, str] = {}
        """Display names of people, where they differ from their id."""
        self.files: dict[str, bytes] = {}
        self.tokens: dict[str, str] = {}
        """Accounts that need a token to log in."""
        self.signals_shown: deque[Signal] = deque(maxlen=1_000)
        """Typing notices and receipts that connectors showed, newest last."""
        self.downloads_cut_after: deque[int] = deque()
        """The next downloads break after so many octets."""
        self.credentials_refused = False
        self.logins = 0
        self._dark = False
        self._faults: deque[Fault] = deque()
        self._flowing: asyncio.Event | None = None
        self._mailboxes: dict[str, Mailbox] = {}
        self._late_echoes: deque[tuple[Mailbox, Event]] = deque()
        self._skip_live = 0
        self._count = 0

    # ---- what people do

    def chat(
        self,
        chat: str,
        *,
        name: str = "",
        kind: ChatKind = ChatKind.GROUP,
        accounts: Iterable[str] | None = None,
    ) -> Chat:
        """Return a chat; make it if it is new."""
        chat_id = ChatId(chat)
        found = self.chats.get(chat_id)
        if found is None:
            allowed = None if accounts is None else frozenset(accounts)
            found = Chat(id=chat_id, name=name, kind=kind, accounts=allowed)
            self.chats[chat_id] = found
        return found

    def says(
        self,
        chat: str,
        who: str,
        text: str | Rich,
        *,
        reply_to: str = "",
        thread: str = "",
        emote: bool = False,
    ) -> NativeId:
        """Let somebody write a message."""
        document: Document = {"type": "message"}
        _put_any_text(document, text)
        for name, value in (("reply_to", reply_to), ("thread", thread)):
            if value:
                document[name] = value
        if emote:
            document["emote"] = True
        return self.does(chat, who, document)

    def sends_file(
        self,
        chat: str,
        who: str,
        data: bytes,
        *,
        filename: str = "file.bin",
        content_type: str = "application/octet-stream",
        kind: MediaKind = MediaKind.FILE,
        caption: str = "",
        reply_to: str = "",
    ) -> NativeId:
        """Let somebody send a file."""
        media = {
            "handle": self.store_file(data),
            "content_type": content_type,
            "filename": filename,
            "size": len(data),
            "kind": kind.value,
        }
        document: Document = {"type": "message", "media": [media]}
        if caption:
            document["text"] = caption
        if reply_to:
            document["reply_to"] = reply_to
        return self.does(chat, who, document)

    def edits(self, chat: str, who: str, target: str, text: str | Rich) -> NativeId:
        """Let somebody correct a message of theirs."""
        document: Document = {"type": "edit", "target": target}
        _put_any_text(document, text)
        return self.does(chat, who, document)

    def deletes(
        self, chat: str, who: str, target: str, *, by_moderator: bool = False
    ) -> NativeId:
        """Let somebody take back a message."""
        document: Document = {"type": "delete", "target": target}
        if by_moderator:
            document["by_moderator"] = True
        return self.does(chat, who, document)

    def reacts(self, chat: str, who: str, target: str, emoji: str) -> NativeId:
        """Let somebody react."""
        there = self.chat(chat).reactions.setdefault((who, NativeId(target)), {})
        there[emoji] = NativeId("")
        if self.rules.reaction_sets:
            return self._announces_set(chat, who, target)
        document = {"type": "react", "target": target, "emoji": emoji}
        there[emoji] = self.does(chat, who, document)
        return there[emoji]

    def unreacts(self, chat: str, who: str, target: str, emoji: str) -> NativeId:
        """Let somebody take a reaction back."""
        reaction = self.chat(chat).reactions[who, NativeId(target)].pop(emoji)
        if self.rules.reaction_sets:
            return self._announces_set(chat, who, target)
        return self.deletes(chat, who, reaction)

    def _announces_set(self, chat: str, who: str, target: str) -> NativeId:
        emoji = list(self.chat(chat).reactions[who, NativeId(target)])
        return self.does(
            chat, who, {"type": "reactions", "target": target, "emoji": emoji}
        )

    def joins(self, chat: str, who: str) -> NativeId:
        """Let somebody enter."""
        return self.does(chat, who, {"type": "join"})

    def leaves(
        self, chat: str, who: str, *, reason: str = "", removed: bool = False
    ) -> NativeId:
        """Let somebody go, or be thrown out."""
        document = {"type": "leave", "reason": reason, "removed": removed}
        native_id = self.does(chat, who, document)
        self.chat(chat).members.discard(who)
        return native_id

    def renames(self, chat: str, who: str, name: str) -> NativeId:
        """Let somebody take another name."""
        old = self.names.get(who, who)
        self.names[who] = name
        return self.does(chat, who, {"type": "profile", "old": old})

    def renames_chat(self, chat: str, who: str, name: str) -> NativeId:
        """Let somebody rename the chat."""
        self.chat(chat).name = name
        return self.does(chat, who, {"type": "name", "name": name})

    def changes_topic(self, chat: str, who: str, topic: str) -> NativeId:
        """Let somebody set the topic."""
        self.chat(chat).topic = topic
        return self.does(chat, who, {"type": "topic", "topic": topic})

    def types(self, chat: str, who: str, *, active: bool = True) -> None:
        """Let somebody start or stop typing."""
        self._signal(Typing(chat=ChatId(chat), person=self._person(who), active=active))

    def reads(self, chat: str, who: str, native_id: str) -> None:
        """Let somebody read up to a message."""
        self._signal(
            Read(
                chat=ChatId(chat),
                person=self._person(who),
                native_id=NativeId(native_id),
            )
        )

    def receives(self, chat: str, who: str, native_id: str) -> None:
        """Let somebody's device get a message."""
        self._signal(
            Delivered(
                chat=ChatId(chat),
                person=self._person(who),
                native_id=NativeId(native_id),
            )
        )

    def does(self, chat: str, who: str, document: Document) -> NativeId:
        """Let somebody do anything: append an event of any shape."""
        there = self.chats.get(ChatId(chat)) or self.chat(chat)
        there.members.add(who)
        document["sender"] = {"id": who, "name": self.names.get(who, who)}
        return self._append(there, document).native_id

    def store_file(self, data: bytes) -> str:
        """Keep a file and return its handle."""
        handle = f"mem:{len(self.files) + 1}"
        self.files[handle] = data
        return handle

    # ---- what a test sees

    def sent(self, chat: str) -> list[Event]:
        """Return what our accounts sent, in order (empty without a log)."""
        return [event for event in self.chat(chat).log.values() if event.account]

    def log(self, chat: str) -> list[Event]:
        """Return everything that was said in a chat (empty without a log)."""
        return list(self.chat(chat).log.values())

    def tally(self, chat: str) -> Tally:
        """Return the counts of what our accounts sent to a chat."""
        return self.chat(chat).tally

    def acknowledged(self, user: str) -> int:
        """Return the position up to which an account has acknowledged."""
        return self._mailbox(user).acknowledged

    def is_connected(self, user: str) -> bool:
        """Tell whether an account has a session."""
        session = self._mailbox(user).session
        return session is not None and session.alive

    # ---- trouble

    def go_dark(self) -> None:
        """Drop every session and accept none, as if the power had failed."""
        self._dark = True
        self.drop_sessions()

    def come_back(self) -> None:
        """End `go_dark` and `hang`."""
        self._dark = False
        self.credentials_refused = False
        if self._flowing is not None:
            self._flowing.set()
            self._flowing = None

    def drop_sessions(self) -> None:
        """Cut every connection; new ones are accepted."""
        for mailbox in self._mailboxes.values():
            if mailbox.session is not None:
                mailbox.session.die()

    def hang(self) -> None:
        """Answer no send any more, without a word, until `come_back`."""
        if self._flowing is None:
            self._flowing = asyncio.Event()

    def slow(self, chat: str, send_ms: int) -> None:
        """Let sends to one chat take this long."""
        self.chat(chat).slow_ms = send_ms

    def fail_next_sends(self, *faults: Fault) -> None:
        """Let the next sends, in this order, go wrong."""
        self._faults.extend(faults)

    def skip_live(self, events: int = 1) -> None:
        """Do not deliver the next events live; only catch-up has them."""
        self._skip_live += events

    def redeliver(self, events: int = 1) -> None:
        """Deliver the newest events once more, as after a lost acknowledgement."""
        for mailbox in self._mailboxes.values():
            if mailbox.session is not None:
                again = mailbox.slice(max(mailbox.last - events, 0), events)
                mailbox.session.push(*again)

    # ---- inside

    def connect(self, user: str, *, token: str = "") -> "Session":
        """Log an account in; an older session of it dies.

        Raises:
            Unavailable: the network is dark.
            CredentialsRefused: wrong token, or told to refuse.
        """
        if self._dark:
            raise Unavailable("the memory network is dark; wait until it comes back")
        if self.credentials_refused or self.tokens.get(user, token) != token:
            raise CredentialsRefused(f"the token of {user} is wrong; log in again")
        self.logins += 1
        self._flush_echoes()
        mailbox = self._mailbox(user)
        if mailbox.session is not None:
            mailbox.session.die()
        mailbox.session = Session(self, mailbox)
        return mailbox.session

    def _mailbox(self, user: str) -> Mailbox:
        mailbox = self._mailboxes.get(user)
        if mailbox is None:
            mailbox = self._mailboxes[user] = Mailbox(user)
        return mailbox

    def _person(self, who: str) -> Person:
        return Person(id=PersonId(who), name=self.names.get(who, who))

    def _signal(self, signal: Signal) -> None:
        for mailbox in self._mailboxes.values():
            if mailbox.session is not None:
                mailbox.session.push(signal)

    def _append(
        self, chat: Chat, document: Document, account: str = "", key: str = ""
    ) -> Event:
        self._count = number = self._count + 1
        native_id = NativeId(f"m{number}")
        aliases: tuple[NativeId, ...] = ()
        document["at"] = self.clock.now()
        if self.rules.aliases:
            aliases = (NativeId(f"a{number}"),)
            document["aliases"] = list(aliases)
        event = Event(chat.id, native_id, to_octets(document), account, key, aliases)
        if self.rules.keep_log:
            chat.log[native_id] = event
            if key:
                chat.by_key[key] = event
        self._post(chat, event)
        return event

    def _post(self, chat: Chat, event: Event) -> None:
        if self._late_echoes:
            self._flush_echoes()
        skip = self._skip_live > 0
        if skip:
            self._skip_live -= 1
        for mailbox in self._mailboxes.values():
            if chat.accounts is not None and mailbox.user not in chat.accounts:
                continue
            if mailbox.user != event.account or self.rules.echo is Echo.BEFORE:
                self._deliver(mailbox, event, skip=skip)
            elif self.rules.echo is Echo.AFTER:
                if not self._late_echoes:
                    asyncio.get_running_loop().call_soon(self._flush_echoes)
                self._late_echoes.append((mailbox, event))

    def _flush_echoes(self) -> None:
        while self._late_echoes:
            mailbox, event = self._late_echoes.popleft()
            self._deliver(mailbox, event)

    def _deliver(self, mailbox: Mailbox, event: Event, *, skip: bool = False) -> None:
        mailbox.events.append(event)
        session = mailbox.session
        if session is None or skip:
            return
        delivery = Delivery(mailbox.last, event)
        if self.rules.duplicate_live:
            session.push(delivery, delivery)
        else:
            session.push(delivery)

    async def accept(
        self, session: "Session", chat: ChatId, document: Document, key: str
    ) -> Answer:
        """Take one send of an account, or do to it what the test wants."""
        there = self.chats.get(chat)
        if there is None:
            return Rejected(f"there is no chat {chat} any more; close its portal")
        await self._dawdle(there, session)
        fault = self._faults.popleft() if self._faults else None
        if fault is not None:
            _before_acceptance(fault, session)
            if isinstance(fault, Rejected):
                return fault
        answer = self._accepted(there, session.user, document, key)
        if fault is not None:
            await _after_acceptance(fault, session)
        elif self.rules.echo is Echo.BEFORE:
            for _ in range(ECHO_TURNS):
                await asyncio.sleep(0)
        session.check_alive()
        return answer

    async def _dawdle(self, chat: Chat, session: "Session") -> None:
        delay_ms = self.rules.send_ms + chat.slow_ms
        if delay_ms:
            await session.unless_dead(self.clock.sleep(delay_ms))
        if self._flowing is not None:
            await session.unless_dead(self._flowing.wait())

    def _accepted(
        self, chat: Chat, account: str, document: Document, key: str
    ) -> Answer:
        if self.rules.idempotent and (earlier := chat.by_key.get(key)) is not None:
            return Accepted(earlier.native_id, earlier.aliases)
        if (reason := self._objection(chat, document)) is not None:
            return Rejected(reason)
        event = self._append(chat, document, account, key)
        if document["type"] == "message":
            chat.tally.count(document.get("text", ""))
        return Accepted(event.native_id, event.aliases)

    def _objection(self, chat: Chat, document: Document) -> str | None:
        chars_max = self.rules.text_chars_max
        if chars_max is not None and len(document.get("text", "")) > chars_max:
            return f"the text is longer than {chars_max} characters; shorten it"
        target = document.get("target")
        if target is not None and self.rules.keep_log and target not in chat.log:
            return f"there is no message {target} in this chat"
        return None


def _before_acceptance(fault: Fault, session: "Session") -> None:
    if isinstance(fault, RateLimited):
        raise Unavailable(
            "the memory network wants fewer messages; it goes on by itself",
            retry_after_ms=fault.retry_after_ms,
        )
    if fault is SendFault.DIES_BEFORE:
        session.die()
        session.check_alive()


async def _after_acceptance(fault: Fault, session: "Session") -> None:
    if fault is SendFault.DIES_AFTER:
        session.die()
    elif fault is SendFault.ANSWER_LOST:
        await session.unless_dead(asyncio.Event().wait())


def _put_any_text(document: Document, text: str | Rich) -> None:
    if isinstance(text, str):
        document["text"] = text
    else:
        put_text(document, text)


class Session:
    """One connection of one account: all that a connector can do."""

    def __init__(self, server: MemoryServer, mailbox: Mailbox) -> None:
        self.server = server
        self.user = mailbox.user
        self.alive = True
        self._mailbox = mailbox
        self._live: deque[Delivery | Signal] = deque()
        self._wake = asyncio.Event()
        self._dead = asyncio.Event()

    @property
    def can_search(self) -> bool:
        """Whether `find` knows every earlier send."""
        return self.server.rules.searchable and self.server.rules.keep_log

    @property
    def is_idempotent(self) -> bool:
        """Whether the same key never gives a second message."""
        return self.server.rules.idempotent and self.server.rules.keep_log

    def check_alive(self) -> None:
        """Raise unless the connection stands.

        Raises:
            Unavailable: it is cut.
        """
        if not self.alive:
            raise Unavailable("the connection to the memory network broke")

    async def catch_up(self, after: int, limit: int) -> list[Delivery]:
        """Return up to `limit` events after a position, from the archive."""
        await asyncio.sleep(0)
        self.check_alive()
        if self.server.rules.forgets_acknowledged:
            after = max(after, self._mailbox.acknowledged)
        return self._mailbox.slice(after, limit)

    async def receive(self, limit: int) -> Sequence[Delivery | Signal]:
        """Wait for live events and return up to `limit` of them.

        Raises:
            Unavailable: the connection is cut.
        """
        while not self._live:
            self.check_alive()
            self._wake.clear()
            await self._wake.wait()
        self.check_alive()
        live = self._live
        batch = [live.popleft() for _ in range(min(limit, len(live)))]
        if self.server.rules.shuffle_live:
            batch.sort(key=_chat_of, reverse=True)
        return batch

    def acknowledge(self, position: int) -> None:
        """Say that everything up to this position is safe."""
        rules = self.server.rules
        drop = rules.forgets_acknowledged or not rules.keep_log
        self._mailbox.acknowledge(position, drop=drop)

    async def send(self, chat: ChatId, document: Document, key: str) -> Answer:
        """Send one event to a chat.

        Raises:
            Unavailable: rate limited, or the connection is cut.
        """
        self.check_alive()
        return await self.server.accept(self, chat, document, key)

    def find(self, chat: ChatId, key: str) -> Accepted | None:
        """Return an earlier send of this key."""
        self.check_alive()
        there = self.server.chats.get(chat)
        event = there.by_key.get(key) if there is not None else None
        return None if event is None else Accepted(event.native_id, event.aliases)

    def enter(self, chat: ChatId) -> ChatInfo:
        """Enter a chat.

        Raises:
            PolicyRefused: there is none of this name, or it is closed to us.
        """
        self.check_alive()
        there = self.server.chats.get(chat)
        if there is None:
            raise PolicyRefused(f"there is no chat {chat}; check its name")
        if not self._may_see(there):
            raise PolicyRefused(
                f"{self.user} may not enter {chat}; somebody in it must invite them"
            )
        return there.info()

    def chats(self) -> list[ChatInfo]:
        """Return the chats that this account may see."""
        self.check_alive()
        return [c.info() for c in self.server.chats.values() if self._may_see(c)]

    def show(self, signal: Signal) -> None:
        """Show a typing notice or a receipt to the people of the network."""
        if self.alive:
            self.server.signals_shown.append(signal)

    def upload(self, data: bytes) -> str | Rejected:
        """Store a file; return its handle."""
        self.check_alive()
        octets_max = self.server.rules.attachment_octets_max
        if octets_max is not None and len(data) > octets_max:
            return Rejected(f"the file is larger than {octets_max} octets; shrink it")
        return self.server.store_file(data)

    def file(self, handle: str) -> bytes | None:
        """Return a file, None if there is none (any more)."""
        self.check_alive()
        return self.server.files.get(handle)

    def push(self, *items: Delivery | Signal) -> None:
        """Deliver live (called by the server)."""
        self._live.extend(items)
        if not self._wake.is_set():
            self._wake.set()

    def die(self) -> None:
        """Cut the connection (called by the server)."""
        self.alive = False
        self._wake.set()
        self._dead.set()

    def close(self) -> None:
        """Log out."""
        self.die()
        if self._mailbox.session is self:
            self._mailbox.session = None

    async def unless_dead(self, waiting: Awaitable[Any]) -> None:
        """Wait for something that the end of the connection interrupts.

        Raises:
            Unavailable: the connection is cut.
        """
        tasks = [
            asyncio.ensure_future(waiting),
            asyncio.ensure_future(self._dead.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.check_alive()

    def _may_see(self, chat: Chat) -> bool:
        return chat.accounts is None or self.user in chat.accounts


def _chat_of(item: Delivery | Signal) -> str:
    return item.event.chat if isinstance(item, Delivery) else item.chat
